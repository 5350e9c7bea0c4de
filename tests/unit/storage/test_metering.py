"""What is counted of storage."""

import os
from pathlib import Path

import pytest

from reelmill_server.errors import ResourceNotFound, StorageUnavailable
from reelmill_server.storage.base import Upload
from reelmill_server.storage.metering import MeteredStorage
from reelmill_server.storage.registry import Registry
from reelmill_server.telemetry.metrics import Metrics
from tests.remote import RemoteStorage


def counted(metrics: Metrics) -> list[str]:
    """The lines about storage, but for those that say when counting began."""
    lines = metrics.render().decode().splitlines()
    return sorted(line for line in lines if line.startswith("reelmill_storage") and "_created" not in line)


async def test_bytes_and_errors_are_counted_by_scheme(tmp_path: Path) -> None:
    """What is read and written, whoever's name it is done in; errors by operation and code."""
    metrics = Metrics()
    remote = RemoteStorage(tmp_path)
    storage = Registry({"remote": MeteredStorage(remote, "remote", metrics)})
    (tmp_path / "in").write_bytes(b"0123456789")
    reader = await storage.open(remote.uri(tmp_path / "in"))
    assert (reader.size_bytes, await reader.read(2, 5)) == (10, b"23456")
    await reader.close()
    (tmp_path / "made").write_bytes(b"abc")
    await storage.publish([Upload(tmp_path / "made", remote.uri(tmp_path / "out"))], "task.1")
    assert (tmp_path / "out").read_bytes() == b"abc"
    with pytest.raises(ResourceNotFound):
        await storage.open(remote.uri(tmp_path / "none"))
    remote.fails_at, remote.failure = 0, StorageUnavailable("away")
    reader = await storage.open(remote.uri(tmp_path / "in"))
    with pytest.raises(StorageUnavailable):
        await reader.read(0, 1)
    await reader.close()
    assert remote.open_count == 0
    assert counted(metrics) == [
        'reelmill_storage_bytes_total{direction="read",scheme="remote"} 5.0',
        'reelmill_storage_bytes_total{direction="written",scheme="remote"} 3.0',
        'reelmill_storage_error_total{code="ResourceNotFound",operation="open",scheme="remote"} 1.0',
        'reelmill_storage_error_total{code="StorageUnavailable",operation="read",scheme="remote"} 1.0',
    ]


async def test_a_local_file_is_handed_on_as_it_is(tmp_path: Path) -> None:
    """Children read it themselves."""
    remote = RemoteStorage(tmp_path, local=True)
    (tmp_path / "in").write_bytes(b"x")
    reader = await MeteredStorage(remote, "remote", Metrics()).open(remote.uri(tmp_path / "in"))
    assert reader.descriptor is not None and os.pread(reader.descriptor, 9, 0) == b"x"
    await reader.close()
