"""Files below a root while somebody exchanges what is on the way to them."""

import ctypes
import errno
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from reelmill_server.errors import AccessDenied, OutputError, ReelmillError, ResourceNotFound
from reelmill_server.model.publication import PendingFile
from reelmill_server.storage.base import Upload
from reelmill_server.storage.beneath import Beneath
from reelmill_server.storage.file import FileStorage
from reelmill_server.storage.objects import read_part, size_of
from reelmill_server.storage.reserved import Reserved

FLIPS = 1000
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE


@pytest.fixture(params=["openat2", "walk"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a folder, and a folder of the same content beside it."""
    if request.param == "walk":
        monkeypatch.setattr(sys, "platform", "other")
    for folder, text in (("root/inside", "inside"), ("outside", "secret")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x").write_text(text)
    return tmp_path / "root"


@contextmanager
def flipping(root: Path) -> Iterator[None]:
    """Let `root`/way be in turn a folder with the content of `inside`, and a link to `outside`, during the block."""
    over = threading.Event()
    rename = ctypes.CDLL(None).renameat2
    link, way = root / "link", root / "way"
    link.symlink_to(root.parent / "outside")
    way.mkdir()
    os.link(root / "inside" / "x", way / "x")

    def flip() -> None:
        while not over.is_set():
            assert not rename(_HERE, bytes(link), _HERE, bytes(way), _EXCHANGE)

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.sample(every=2)
async def test_a_race_for_a_source_is_never_won(root: Path) -> None:
    """What is read is in the root, or nothing is."""
    storage, read = FileStorage([root]), 0
    with flipping(root):
        for _ in range(FLIPS):
            with suppress(ReelmillError):
                reader = await storage.open((root / "way" / "x").as_uri())
                assert await reader.read(0, 9) == b"inside"
                await reader.close()
                read += 1
    assert read


@pytest.mark.slow
async def test_a_race_for_a_destination_is_never_won(root: Path, tmp_path: Path) -> None:
    """Nothing outside of the root is made, replaced or removed."""
    storage, result = FileStorage([root]), 0
    outside = root.parent / "outside"
    with flipping(root):
        for number in range(FLIPS // 4):
            (tmp_path / "made").write_text("made")
            upload = Upload(tmp_path / "made", (root / "way" / "x").as_uri())
            with suppress(ReelmillError):
                staged = await storage.stage(upload, f"task.{number}")
                try:
                    await staged.publish()
                    result += 1
                finally:
                    await staged.roll_back(published=False)
    assert [path.name for path in outside.iterdir()] == ["x"] and (outside / "x").read_text() == "secret"
    assert result


@pytest.mark.parametrize("what", ["folder", "file"])
async def test_a_path_that_changes_after_its_check(root: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is resolved again, as often as it takes a few times; then the error says why."""
    (root / "way").mkdir()
    (root / "way" / "x").write_text("inside")
    storage, checked = FileStorage([root]), FileStorage._inside

    def changed(self: FileStorage, path: Path, uri: str) -> Path:
        path = checked(self, path, uri)
        if what == "folder":
            (root / "way").rename(root / "was")
            (root / "way").symlink_to(root.parent / "outside")
        else:
            (root / "way" / "x").unlink()
            (root / "way" / "x").symlink_to(root.parent / "outside" / "x")
        return path

    monkeypatch.setattr(FileStorage, "_inside", changed)
    with pytest.raises(AccessDenied, match="outside the folders"):
        await storage.open((root / "way" / "x").as_uri())


async def test_a_file_that_becomes_a_pipe_is_not_waited_for(root: Path) -> None:
    """It is no file."""
    os.mkfifo(root / "pipe")
    with pytest.raises(ResourceNotFound, match="is not a file"):
        await FileStorage([root]).open((root / "pipe").as_uri())


async def test_a_reserved_file_is_known_by_its_identity(root: Path) -> None:
    """Whatever it was called when it was checked."""
    reserved = Reserved([root.parent / "outside" / "x"])
    status = (root.parent / "outside" / "x").stat()
    with pytest.raises(AccessDenied, match="reserved"):
        reserved.check_identity((status.st_dev, status.st_ino), "file:///x")
    reserved.check_identity((status.st_dev, status.st_ino + 1), "file:///x")


async def test_an_opened_source_stays_what_it_was(root: Path) -> None:
    """Its name may mean something else later."""
    reader = await FileStorage([root]).open((root / "inside" / "x").as_uri())
    (root / "inside" / "x").unlink()
    (root / "inside" / "x").symlink_to(root.parent / "outside" / "x")
    assert await reader.read(0, 9) == b"inside"
    await reader.close()


async def test_a_result_that_is_a_link_is_not_published(root: Path, tmp_path: Path) -> None:
    """Neither as a link nor as what it points to."""
    (tmp_path / "made").symlink_to(root.parent / "outside" / "x")
    with pytest.raises(ReelmillError, match="cannot be written"):
        await FileStorage([root]).stage(Upload(tmp_path / "made", (root / "x").as_uri()), "task.one")
    assert [path.name for path in root.iterdir()] == ["inside"]


async def test_withdrawing_follows_no_link(root: Path, tmp_path: Path) -> None:
    """The folder became one after it was published."""
    (tmp_path / "made").write_text("made")
    storage = FileStorage([root])
    staged = await storage.stage(Upload(tmp_path / "made", (root / "inside" / "x").as_uri()), "task.one")
    await staged.publish()
    (root / "inside").rename(root / "was")
    (root / "inside").symlink_to(root / "was")
    await staged.roll_back()
    assert (root / "was" / "x").read_text() == "made"
    await storage.withdraw(PendingFile((root / "was" / "x").as_uri(), staged.mark))
    assert not (root / "was" / "x").exists()


@pytest.mark.parametrize("path", ["link/x", "inside/link", "inside/../inside/link/x"])
def test_no_link_is_followed(root: Path, path: str) -> None:
    """On the way or at the end of it."""
    (root / "link").symlink_to(root / "inside")
    (root / "inside" / "link").symlink_to(root / "inside" / "x")
    with pytest.raises(OSError) as caught:
        os.close(Beneath(root, Path(path)).open(os.O_RDONLY))
    assert caught.value.errno in (errno.ELOOP, errno.ENOTDIR)


def test_missing_folders_are_made(root: Path) -> None:
    """With the root itself."""
    with Beneath(root / "new", Path("a/b")).opened(make=True) as folder:
        os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    assert (root / "new/a/b/x").exists()
    (root / "link").symlink_to(root.parent / "outside")
    with pytest.raises(OSError), Beneath(root, Path("link/a")).opened(make=True):
        pass


@pytest.mark.parametrize("what", ["file", "folder"])
async def test_what_a_child_puts_in_the_place_of_a_result_is_not_uploaded(root: Path, tmp_path: Path, what: str) -> None:
    """Between its report and the upload: neither a link to another file, nor one to a folder on the way."""
    (tmp_path / "attempt" / "v").mkdir(parents=True)
    (tmp_path / "attempt" / "v" / "x").write_text("made")
    upload = Upload(tmp_path / "attempt" / "v" / "x", (root / "published").as_uri(), tmp_path / "attempt")
    assert read_part(upload, 1, 3) == b"ade" and size_of(upload) == 4
    if what == "file":
        upload.path.unlink()
        upload.path.symlink_to(root.parent / "outside" / "x")
    else:
        (tmp_path / "attempt" / "v").rename(tmp_path / "attempt" / "w")
        (tmp_path / "attempt" / "v").symlink_to(root.parent / "outside")
    with pytest.raises(ReelmillError, match="cannot be written"):
        await FileStorage([root]).stage(upload, "task.one")
    with pytest.raises(OutputError, match="cannot be read"):
        read_part(upload, 0, 4)
    with pytest.raises(OutputError, match="cannot be read"):
        size_of(upload)
