"""Files on their way while others are made."""

import asyncio
from pathlib import Path

import pytest

from reelmill_server.errors import InternalError, StorageUnavailable
from reelmill_server.storage.base import Upload
from reelmill_server.worker.delivery import delivering
from reelmill_server.worker.fence import Fence
from tests.remote import RemoteStorage


def upload(storage: RemoteStorage, folder: Path, name: str, data: bytes = b"data") -> Upload:
    """A finished file and its place."""
    (folder / name).write_bytes(data)
    return Upload(folder / name, storage.uri(folder / "out" / name))


async def brought(storage: RemoteStorage, count: int) -> None:
    """Waits until so many files were staged."""
    async with asyncio.timeout(10):
        while len(storage.staged) < count:
            await asyncio.sleep(0.01)


async def ours() -> None:
    """The attempt is its task's."""


async def test_what_is_no_longer_ours_to_place_is_taken_back(tmp_path: Path) -> None:
    """Another attempt takes over between two files: the second is not placed, and the first does not stay."""
    storage = RemoteStorage(tmp_path)
    one, two = upload(storage, tmp_path, "1.ts"), upload(storage, tmp_path, "2.m3u8")
    asked: list[bool] = []

    async def fence() -> None:
        asked.append((tmp_path / "out/1.ts").exists())
        if len(asked) == 2:
            raise InternalError("taken over")

    async with delivering(storage, "task.x") as delivery:
        with pytest.raises(InternalError):
            await delivery.publish([one, two], fence)
    assert asked == [False, True]
    assert [staged.undone for staged in storage.staged] == [True, True]


async def test_a_fence_asks_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for many files in a row; an attempt that stood still finds out before it places anything."""
    now, answers, asked = 100.0, [True, False], 0
    monkeypatch.setattr("reelmill_server.worker.fence.time.monotonic", lambda: now)

    async def ask() -> bool:
        nonlocal asked
        asked += 1
        return answers[asked - 1]

    fence = Fence(ask)
    await asyncio.gather(*(fence() for _ in range(8)))
    assert asked == 1
    now += 9.0
    with pytest.raises(InternalError, match="taken the task over"):
        await fence()


async def test_what_was_brought_is_only_placed(tmp_path: Path) -> None:
    """Nothing is visible before, each file is sent once, and stays where it was made."""
    storage = RemoteStorage(tmp_path)
    one, two = (upload(storage, tmp_path, name) for name in ("1.ts", "2.ts"))
    async with delivering(storage, "task.x") as delivery:
        for _ in range(3):
            delivery.begin(one)
        await brought(storage, 1)
        assert not (tmp_path / "out").exists() and one.path.exists()
        await delivery.publish([one, two], ours)
    assert [staged.uri for staged in storage.staged] == [one.uri, two.uri]
    assert [(tmp_path / "out" / name).read_bytes() for name in ("1.ts", "2.ts")] == [b"data"] * 2


async def test_what_changed_since_is_brought_again(tmp_path: Path) -> None:
    """As when another encoder makes all again."""
    storage = RemoteStorage(tmp_path)
    one = upload(storage, tmp_path, "1.ts")
    async with delivering(storage, "task.x") as delivery:
        delivery.begin(one)
        await brought(storage, 1)
        one.path.write_bytes(b"other data")
        await delivery.publish([one], ours)
    assert (tmp_path / "out/1.ts").read_bytes() == b"other data"
    assert [staged.undone for staged in storage.staged] == [True, False]


async def test_what_is_not_published_is_taken_back(tmp_path: Path) -> None:
    """An attempt that fails or is canceled leaves nothing, nor does a segment that is in no list."""
    storage = RemoteStorage(tmp_path)
    files = [upload(storage, tmp_path, f"{number}.ts") for number in range(3)]
    with pytest.raises(RuntimeError):
        async with delivering(storage, "task.x") as delivery:
            for file in files:
                delivery.begin(file)
            await brought(storage, 3)
            raise RuntimeError
    assert all(staged.undone for staged in storage.staged) and not (tmp_path / "out").exists()


async def test_a_storage_that_refuses_is_noticed_at_once(tmp_path: Path) -> None:
    """Not when hours of work are done."""
    storage = RemoteStorage(tmp_path, refuses="1.ts")
    one = upload(storage, tmp_path, "1.ts")
    async with delivering(storage, "task.x") as delivery:
        delivery.begin(one)
        with pytest.raises(StorageUnavailable):
            async with asyncio.timeout(10):
                while True:
                    delivery.check()
                    await asyncio.sleep(0.01)
