"""One running service for all tests of this folder, and a client of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reelmill_client import Client
from tests import servers
from tests.clips import moving_picture


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the service: `files` is its file root."""
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[servers.Server]:
    """A whole service with two slots."""
    with servers.serve(folder, "--worker-slots", "2", "--reconcile-seconds", "1") as running:
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
    """Forty seconds, which take a slow encoder long enough to be interrupted."""
    return moving_picture(folder / "files" / "long.mp4", 40, "640x360")
