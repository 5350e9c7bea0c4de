"""Files on their way while others are made."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from reelmill_server.errors import InternalError, OutputInvalid, ServiceUnavailable, StorageUnavailable
from reelmill_server.model.engine_view import ClaimState
from reelmill_server.model.publication import PendingFile
from reelmill_server.storage.base import Upload
from reelmill_server.worker.parent.early_upload import inside, uploading_early
from reelmill_server.worker.parent.publish_guard import PublishGuard
from tests.claims import FakeClaim
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


class Guard:
    """Says so many times that all is well; `answer` is said when it is asked what may be removed."""

    def __init__(self, times: int = 100, answer: bool = True) -> None:
        self.left, self.answer = times, answer
        self.announced: list[PendingFile] = []

    async def announce(self, files: Sequence[PendingFile]) -> None:
        """As of publishing's guard."""
        self.announced += files

    async def check(self) -> None:
        """As of publishing's guard."""
        self.left -= 1
        if self.left < 0:
            raise InternalError("taken over")

    async def may_remove(self) -> bool:
        """As of publishing's guard."""
        return self.answer


@pytest.mark.parametrize("alone", [True, False], ids=["canceled", "taken over"])
async def test_what_is_no_longer_ours_to_place_is_not(tmp_path: Path, alone: bool) -> None:
    """Between two files: the second is not placed; the first goes, unless another attempt may have put its own there."""
    storage = RemoteStorage(tmp_path)
    one, two = upload(storage, tmp_path, "1.ts"), upload(storage, tmp_path, "2.m3u8")
    async with uploading_early(storage, "task.x") as early_upload:
        with pytest.raises(InternalError):
            await early_upload.publish([one, two], Guard(2, alone))  # it is asked before each file, and before each try
    assert {staged.uri: staged.undone for staged in storage.staged} == {one.uri: alone, two.uri: True}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ([] if alone else ["1.ts"])


async def test_what_is_placed_was_announced(tmp_path: Path) -> None:
    """All of it, with its marks, before the first file appears; what cannot be announced is not placed."""
    storage, guard = RemoteStorage(tmp_path), Guard()
    seen: list[bool] = []
    told = guard.announce

    async def look(files: Sequence[PendingFile]) -> None:
        seen.append((tmp_path / "out").exists())
        await told(files)
        if len(seen) == 2:
            raise InternalError("the task is over")

    guard.announce = look  # type: ignore[method-assign]
    one, two = upload(storage, tmp_path, "1.ts"), upload(storage, tmp_path, "2.m3u8")
    async with uploading_early(storage, "task.x") as early_upload:
        early_upload.begin(one)
        await early_upload.publish([one, two], guard)
    assert seen == [False]
    assert [file.uri for file in guard.announced] == [one.uri, two.uri]
    assert set(guard.announced) == {PendingFile(staged.uri, staged.mark) for staged in storage.staged}
    three = upload(storage, tmp_path, "3.ts")
    async with uploading_early(storage, "task.y") as early_upload:
        with pytest.raises(InternalError, match="over"):
            await early_upload.publish([three], guard)
    assert not (tmp_path / "out/3.ts").exists() and storage.staged[-1].undone


async def test_a_publish_guard_asks_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for many files in a row; an attempt that stood still finds out before it places anything."""
    now, standing = 100.0, ClaimState.OURS
    monkeypatch.setattr("reelmill_server.worker.parent.publish_guard.time.monotonic", lambda: now)
    told = FakeClaim(lambda: standing)
    guard = PublishGuard(told)
    await asyncio.gather(*(guard.check() for _ in range(8)))
    assert told.asked == 1
    standing, now = ClaimState.TAKEN_OVER, now + 9.0
    with pytest.raises(InternalError, match="taken the task over"):
        await guard.check()


@pytest.mark.parametrize("standing", [*ClaimState, None])
async def test_what_was_placed_is_removed_only_if_nobody_else_has_the_task(standing: ClaimState | None) -> None:
    """While the engine does not say, it stays."""

    def ask() -> ClaimState:
        if standing is None:
            raise ServiceUnavailable("the engine is away")
        return standing

    assert await PublishGuard(FakeClaim(ask)).may_remove() == (standing in (ClaimState.OURS, ClaimState.ENDED))


async def test_what_was_brought_is_only_placed(tmp_path: Path) -> None:
    """Nothing is visible before, each file is sent once, and stays where it was made."""
    storage = RemoteStorage(tmp_path)
    one, two = (upload(storage, tmp_path, name) for name in ("1.ts", "2.ts"))
    async with uploading_early(storage, "task.x") as early_upload:
        for _ in range(3):
            early_upload.begin(one)
        await brought(storage, 1)
        assert not (tmp_path / "out").exists() and one.path.exists()
        await early_upload.publish([one, two], Guard())
    assert [staged.uri for staged in storage.staged] == [one.uri, two.uri]
    assert [(tmp_path / "out" / name).read_bytes() for name in ("1.ts", "2.ts")] == [b"data"] * 2


async def test_what_changed_since_is_brought_again(tmp_path: Path) -> None:
    """As when another encoder makes all again."""
    storage = RemoteStorage(tmp_path)
    one = upload(storage, tmp_path, "1.ts")
    async with uploading_early(storage, "task.x") as early_upload:
        early_upload.begin(one)
        await brought(storage, 1)
        one.path.write_bytes(b"other data")
        await early_upload.publish([one], Guard())
    assert (tmp_path / "out/1.ts").read_bytes() == b"other data"
    assert [staged.undone for staged in storage.staged] == [True, False]


async def test_what_is_not_published_is_taken_back(tmp_path: Path) -> None:
    """An attempt that fails or is canceled leaves nothing, nor does a segment that is in no list."""
    storage = RemoteStorage(tmp_path)
    files = [upload(storage, tmp_path, f"{number}.ts") for number in range(3)]
    with pytest.raises(RuntimeError):
        async with uploading_early(storage, "task.x") as early_upload:
            for file in files:
                early_upload.begin(file)
            await brought(storage, 3)
            raise RuntimeError
    assert all(staged.undone for staged in storage.staged) and not (tmp_path / "out").exists()


async def test_a_storage_that_refuses_is_noticed_at_once(tmp_path: Path) -> None:
    """Not when hours of work are done."""
    storage = RemoteStorage(tmp_path, refuses="1.ts")
    one = upload(storage, tmp_path, "1.ts")
    async with uploading_early(storage, "task.x") as early_upload:
        early_upload.begin(one)
        with pytest.raises(StorageUnavailable):
            async with asyncio.timeout(10):
                while True:
                    early_upload.check()
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", ["{outside}", "../outside", "folder/../../outside", "link", "folder", ".", "", "in\0side"])
def test_files_elsewhere_are_not_a_childs(tmp_path: Path, name: str) -> None:
    """Whatever spelling of one a child reports: absolute, upward, or by a link."""
    directory, outside = tmp_path / "attempt", tmp_path / "outside"
    (directory / "folder").mkdir(parents=True)
    outside.write_text("of another")
    (directory / "link").symlink_to(outside)
    with pytest.raises(OutputInvalid):
        inside(directory, name.format(outside=outside))


def test_files_in_its_directory_are(tmp_path: Path) -> None:
    """Also those in folders of it."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("its own")
    assert inside(tmp_path, "folder/file").read_text() == "its own"


async def test_what_is_prepared_is_announced_once(tmp_path: Path) -> None:
    """While the child ends; a file that was changed since is uploaded and announced anew."""
    storage, claim = RemoteStorage(tmp_path), FakeClaim()
    guard = PublishGuard(claim)
    one, two = upload(storage, tmp_path, "1.ts"), upload(storage, tmp_path, "2.m3u8")
    async with uploading_early(storage, "task.x") as early_upload:
        early_upload.prepare([one, two], guard)
        await brought(storage, 2)
        await early_upload.publish([one, two], guard)
    assert claim.asked == 1 and [file.uri for file in claim.announced] == [one.uri, two.uri]
    async with uploading_early(storage, "task.y") as early_upload:
        early_upload.prepare([one, two], guard)
        await brought(storage, 4)
        (tmp_path / "1.ts").write_bytes(b"other data")
        await early_upload.publish([one, two], guard)
    announced = {PendingFile(staged.uri, staged.mark) for staged in storage.staged}
    assert set(claim.announced) == announced and (tmp_path / "out/1.ts").read_bytes() == b"other data"


async def test_what_is_prepared_and_not_published_is_rolled_back(tmp_path: Path) -> None:
    """Whatever was announced meanwhile waits for no answer."""
    storage, guard = RemoteStorage(tmp_path), Guard()
    guard.announce = lambda _: asyncio.Event().wait()  # type: ignore[assignment,method-assign,return-value]
    async with uploading_early(storage, "task.x") as early_upload:
        early_upload.prepare([upload(storage, tmp_path, "1.ts")], guard)
        await brought(storage, 1)
    assert [staged.undone for staged in storage.staged] == [True]
