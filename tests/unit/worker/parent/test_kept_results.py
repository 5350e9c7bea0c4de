"""What an earlier attempt, or the task that is retried, left in shared scratch: used only if it is what was verified."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from reelmill_server.errors import ResourceNotFound
from reelmill_server.model.capability import Limits
from reelmill_server.model.chunked_plan import KeptFile
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import ConvertRequest
from reelmill_server.model.task import Artifact
from reelmill_server.model.units import Split, UnitFile
from reelmill_server.storage.shared_scratch import SharedScratch
from reelmill_server.worker import messages
from reelmill_server.worker.parent.chunk_cache import ChunkCache, KeptChunk
from reelmill_server.worker.parent.result_cache import ResultCache

ROOT = "s3://scratch/reelmill"


class Scratch(SharedScratch):
    """Shared scratch in memory."""

    def __init__(self) -> None:
        super().__init__(cast(Any, None), ROOT)
        self.objects: dict[str, bytes] = {}

    async def keep(self, task_id: str, attempt: str, files: Mapping[str, Path], check: Callable[[], Any]) -> dict[str, str]:
        """Store files."""
        uris = {name: self._uri(task_id, attempt, name) for name in files}
        self.objects |= {uris[name]: path.read_bytes() for name, path in files.items()}
        return uris

    async def download(self, uri: str, path: Path) -> None:
        """Read one, whatever its URI."""
        if uri not in self.objects:
            raise ResourceNotFound(uri)
        path.write_bytes(self.objects[uri])

    def change(self, ending: str, change: Callable[[bytes], bytes]) -> None:
        """Change the one whose URI ends so."""
        (uri,) = [uri for uri in self.objects if uri.endswith(ending)]
        self.objects[uri] = change(self.objects[uri])


async def no_check() -> None:
    """The task still needs it."""


def assignment(folder: Path) -> messages.Assignment:
    folder.mkdir()
    return messages.Assignment("convert", Limits(), directory=str(folder), request=ConvertRequest("task", (), (), 0))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def stored(folder: Path) -> Scratch:
    """A playlist with two segments, as an attempt keeps it."""
    scratch = Scratch()
    result = assignment(folder)
    for name, content in (("list.m3u8", b"list"), ("a.ts", b"first"), ("b.ts", b"second")):
        (folder / name).write_bytes(content)
    artifact = Artifact(
        *("s3://out/list.m3u8", 0, 4, 1.0, "ts"),
        segments_size_bytes=11,
        sha256=digest(b"list"),
        segments_sha256=digest(b"firstsecond"),
    )
    finished = messages.Finished((messages.Result("list.m3u8", artifact, ("a.ts", "b.ts")),))
    await ResultCache(scratch, result).store(Plan(()), finished, no_check)
    assert len(scratch.objects) == 4
    return scratch


async def test_what_was_kept_is_used(tmp_path: Path) -> None:
    """All of it, in the directory of the next attempt."""
    scratch = await stored(tmp_path / "first")
    finished = await ResultCache(scratch, assignment(tmp_path / "next")).load(Plan(()))
    assert finished is not None and (tmp_path / "next" / "b.ts").read_bytes() == b"second"


@pytest.mark.parametrize("name", ["list.m3u8", "a.ts"])
@pytest.mark.parametrize("content", [b"", b"other", b"much longer"])
async def test_what_is_other_content_is_not(tmp_path: Path, name: str, content: bytes) -> None:
    """Of another size, or of the same size and other bytes."""
    scratch = await stored(tmp_path / "first")
    scratch.change(name, lambda _: content)
    assert await ResultCache(scratch, assignment(tmp_path / "next")).load(Plan(())) is None


@pytest.mark.parametrize("name", ["../stolen", "/stolen-by-a-list", "folder/../../stolen", ".", ""])
async def test_names_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    """A list that names files elsewhere writes none of them."""
    scratch = await stored(tmp_path / "first")

    def rename(content: bytes) -> bytes:
        return content.replace(b'"a.ts"', json.dumps(name).encode())

    scratch.change("manifest.json", rename)
    scratch.objects |= {f"{uri.rpartition('/')[0]}/{name}": b"first" for uri in list(scratch.objects)}
    assert await ResultCache(scratch, assignment(tmp_path / "next")).load(Plan(())) is None
    assert not (tmp_path / "stolen").exists() and not Path("/stolen-by-a-list").exists()


@pytest.mark.parametrize(
    ("path", "uri", "used"),
    [
        ("0.mkv", f"{ROOT}/task/x/0.mkv", True),
        ("../0.mkv", f"{ROOT}/task/x/0.mkv", False),
        ("0.mkv", f"{ROOT}/another/x/0.mkv", False),
        ("0.mkv", f"{ROOT}/task/../another/x/0.mkv", False),
        ("0.mkv", f"{ROOT}/task/%2e%2e/another/x/0.mkv", False),
        ("0.mkv", "file:///etc/passwd", False),
    ],
)
async def test_chunks_are_those_of_the_task(tmp_path: Path, path: str, uri: str, used: bool) -> None:
    """A list of a kept chunk names files of that task only, and leads nowhere else on this disk."""
    scratch, directory = Scratch(), tmp_path / "attempt"
    directory.mkdir()
    scratch.objects[uri] = b"chunk"
    cache = ChunkCache(scratch, Split(()), 0)
    await cache.store("task", KeptChunk((KeptFile(UnitFile(0, 0, 0, path, 5, 1), uri),)), directory, no_check)
    assert (await cache.load("task", directory) is not None) == used
    assert not (tmp_path / "0.mkv").exists()


async def test_a_disk_that_is_full_loses_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be kept, or fetched, is encoded in vain at most: attempts of hours ended as defects."""
    scratch = await stored(tmp_path / "first")
    first, following, directory = assignment(tmp_path / "other"), assignment(tmp_path / "next"), tmp_path / "attempt"
    directory.mkdir()
    cache, chunk = ChunkCache(scratch, Split(()), 0), KeptChunk((KeptFile(UnitFile(0, 0, 0, "0.mkv", 5, 1), f"{ROOT}/task/x"),))
    await cache.store("task", chunk, directory, no_check)
    kept = dict(scratch.objects)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    await ResultCache(scratch, first).store(Plan(()), messages.Finished(()), no_check)
    await cache.store("task", chunk, directory, no_check)
    assert scratch.objects == kept
    assert await ResultCache(scratch, following).load(Plan(())) is None
    assert await cache.load("task", directory) is None
