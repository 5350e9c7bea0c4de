"""Checksums that are taken while something else looks at the files."""

from concurrent.futures import Future
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reelmill_server.media.result import files


class _NoMemory:
    """An executor whose thread ended when it started."""

    def __init__(self, *_: object) -> None:
        """Take what ThreadPoolExecutor takes."""

    def submit(self, *_: object) -> Future[Any]:
        """Return what never begins."""
        return Future()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("memory", [True, False])
def test_a_checksum_is_waited_for_only_if_it_has_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: bool) -> None:
    """Where memory is short, threads end without a word."""
    path = tmp_path / "x.mp4"
    path.write_bytes(b"media")
    if not memory:
        monkeypatch.setattr(files, "ThreadPoolExecutor", _NoMemory)
    simple_namespace: Any = SimpleNamespace(path=str(path), plan=SimpleNamespace(package=None))
    assert files.Checksums([simple_namespace]).of([path]) == (5, sha256(b"media").hexdigest())
