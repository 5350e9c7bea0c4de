"""One running service for all tests of this folder, and a client of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reelmill_client import Client
from tests import servers
from tests.clips import moving_picture
from tests.stores import KEYS, GcsEmulator, Moto


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the service: `files` is its file root."""
    return tmp_path_factory.mktemp("service")


@dataclass(frozen=True)
class Stores:
    """S3 with a bucket `films`, Google Cloud Storage with a bucket `streams`; both are seen by the service."""

    moto: Moto
    emulator: GcsEmulator


@pytest.fixture(scope="session")
def stores(moto: Moto, gcs_emulator: GcsEmulator) -> Stores:
    """Object stores."""
    moto.bucket("films")
    gcs_emulator.bucket("streams")
    return Stores(moto, gcs_emulator)


@pytest.fixture(scope="session")
def server(folder: Path, stores: Stores) -> Iterator[servers.Server]:
    """A whole service with two slots."""
    s3 = f"endpoint={stores.moto.url}"
    buckets = [f"s3://*=s3://*?{s3}", f"oss://library=s3://films/old?{s3}"]
    buckets.append(f"gs://*=gs://*?endpoint={stores.emulator.url}&anonymous=true")
    flags = [part for bucket in buckets for part in ("--bucket", bucket)]
    flags += ["--service-role", "arn:aws:iam::*", "--cache-control", "m3u8=no-cache", "--accelerator-wait-seconds", "2"]
    keys = {name.upper(): value for name, value in KEYS.items()}
    with servers.serve(folder, "--worker-slots", "2", "--reconcile-seconds", "1", *flags, environment=keys) as running:
        yield running


@pytest.fixture(scope="session")
def files(folder: Path) -> Path:
    """Where the service may read and write."""
    return folder / "files"


@pytest.fixture
def client(server: servers.Server) -> Iterator[Client]:
    """A client of the service."""
    with servers.client(server) as connected:
        yield connected


@pytest.fixture(scope="session")
def clip(folder: Path) -> Path:
    """Two seconds of a moving picture with a tone."""
    return moving_picture(folder / "files" / "clip.mp4", 2)


@pytest.fixture(scope="session")
def long_clip(folder: Path) -> Path:
    """Forty seconds, to be encoded as `servers.ENDLESS` says."""
    return moving_picture(folder / "files" / "long.mp4", 40)
