"""`file://`: what may be read and written, and how files appear."""

import errno
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from reelmill_server.errors import AccessDenied, InvalidArgument, ReelmillError, ResourceNotFound
from reelmill_server.plan.codec.containers import CONTAINERS
from reelmill_server.plan.output.images import ANIMATIONS, STILLS
from reelmill_server.plan.output.packaging import LIST_EXTENSION
from reelmill_server.storage.base import Upload
from reelmill_server.storage.content import CONTENT_TYPES
from reelmill_server.storage.file import FileStorage, FolderStorage
from reelmill_server.storage.registry import Registry


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a file in it, and another file beside the root."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a b%.mp4").write_bytes(b"data")
    (tmp_path / "secret").write_bytes(b"secret")
    return tmp_path / "root"


@pytest.fixture
def storage(root: Path) -> Registry:
    """The storage of that root."""
    return Registry({"file": FileStorage([root])})


def test_all_that_is_made_has_a_media_type() -> None:
    """By its extension."""
    results = {container.extension for container in CONTAINERS.values()} | {*STILLS, *ANIMATIONS} | {*LIST_EXTENSION.values()}
    assert results - set(CONTENT_TYPES) == set()


async def test_a_file_is_opened_by_its_encoded_uri(storage: Registry, root: Path) -> None:
    """Percent-encoding is undone once."""
    reader = await storage.open((root / "a b%.mp4").as_uri())
    assert reader.descriptor is not None and os.pread(reader.descriptor, 99, 0) == await reader.read(0, 99) == b"data"
    assert (reader.size_bytes, reader.modified_us) == (4, (root / "a b%.mp4").stat().st_mtime_ns // 1000)


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("file://{root}/nothing.mp4", ResourceNotFound),
        ("file://{root}", ResourceNotFound),
        ("file://{root}/a%20b%25.mp4/x", ResourceNotFound),
        ("file://{root}/" + 256 * "x", InvalidArgument),
        ("file://{root}" + 20 * ("/" + 250 * "x"), ResourceNotFound),
        ("file://{root}/../secret", AccessDenied),
        ("file://{root}/%2e%2e/secret", AccessDenied),
        ("file://{root}x/secret", AccessDenied),
        ("file://{root}/link", AccessDenied),
        ("file:///etc/passwd", AccessDenied),
        ("file://host{root}/a", InvalidArgument),
        ("file:relative", InvalidArgument),
        ("file://{root}/a%00b", InvalidArgument),
        ("file://{root}/a?b", InvalidArgument),
        ("{root}/a", InvalidArgument),
        ("http://localhost/a", InvalidArgument),
        ("", InvalidArgument),
    ],
)
async def test_what_cannot_be_opened(storage: Registry, root: Path, uri: str, error: type[ReelmillError]) -> None:
    """The error is of the right kind."""
    (root / "link").symlink_to(root.parent / "secret")
    with pytest.raises(error):
        await storage.open(uri.format(root=root))


async def test_files_appear_together_in_new_folders(storage: Registry, root: Path, tmp_path: Path) -> None:
    """Folders are made, an earlier file is replaced, no trace of the making stays."""
    (root / "old.bin").write_bytes(b"old")
    for name in ("1", "2"):
        (tmp_path / name).write_bytes(name.encode())
    await storage.publish(
        [Upload(tmp_path / "1", f"{root.as_uri()}/new/deep/x.bin"), Upload(tmp_path / "2", f"{root.as_uri()}/old.bin")], "task"
    )
    assert (root / "new/deep/x.bin").read_bytes() == b"1" and (root / "old.bin").read_bytes() == b"2"
    assert not list(root.rglob(".reelmill*"))


async def test_a_link_is_replaced_and_not_followed(storage: Registry, root: Path, tmp_path: Path) -> None:
    """What it points to stays as it is."""
    (root / "link").symlink_to(root.parent / "secret")
    (tmp_path / "1").write_bytes(b"1")
    await storage.publish([Upload(tmp_path / "1", f"{root.as_uri()}/link")], "task")
    assert (root.parent / "secret").read_bytes() == b"secret" and (root / "link").read_bytes() == b"1"


async def test_all_or_none(storage: Registry, root: Path, tmp_path: Path) -> None:
    """The second place is a folder: nothing of either upload is visible."""
    (root / "folder").mkdir()
    for name in ("1", "2"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(AccessDenied):
        await storage.publish(
            [Upload(tmp_path / "1", f"{root.as_uri()}/first"), Upload(tmp_path / "2", f"{root.as_uri()}/folder")], "task"
        )
    assert sorted(path.name for path in root.iterdir()) == ["a b%.mp4", "folder"]


@pytest.mark.parametrize("name", ["", "x/", "n" * 300])
async def test_what_names_no_file_is_refused(storage: Registry, root: Path, name: str) -> None:
    """Before work starts."""
    with pytest.raises((InvalidArgument, AccessDenied)):
        storage.check_writable(f"{root.as_uri()}/{name}")


@pytest.mark.parametrize(("letters", "fits"), [(251, True), (252, False), (126, True), (1260, False)])
def test_a_name_that_is_too_long_is_refused_before_it_is_written(
    storage: Registry, root: Path, letters: int, fits: bool
) -> None:
    """A file system counts bytes, in each part of the path."""
    letter = "x" if letters > 200 else "ü"
    uri = f"file://{root}/a/{quote(letter * letters)}.mp4" if letters != 126 else f"file://{root}/{quote(letter * 126)}/x.mp4"
    if fits:
        storage.check_writable(uri)
        return
    with pytest.raises(InvalidArgument, match=r"255 bytes|too long"):
        storage.check_writable(uri)


@pytest.fixture
def as_nobody(root: Path) -> Iterator[None]:
    """Root's rights on files are given up for the test; for others, the root is closed."""
    changed = os.geteuid() == 0
    root.chmod(0o555)
    if changed:
        for folder in (root, *root.parents[:-1]):
            folder.chmod(folder.stat().st_mode | 0o055)
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    yield
    if changed:
        os.seteuid(0)
    root.chmod(0o755)


@pytest.mark.usefixtures("as_nobody")
@pytest.mark.parametrize("name", ["made.mp4", "new/folder/made.mp4"])
async def test_a_folder_that_may_not_be_written_is_refused_before_work_starts(root: Path, name: str) -> None:
    """By the process that would write; an api replica may run as another user, or without the folder."""
    uri = f"{root.as_uri()}/{name}"
    FileStorage([root]).check_writable(uri)
    with pytest.raises(AccessDenied, match=f"may not write to {root}"):
        FileStorage([root], writes_here=True).check_writable(uri)


@pytest.mark.usefixtures("as_nobody")
async def test_what_may_not_be_written_is_not_tried_again(storage: Registry, root: Path) -> None:
    """Another attempt would meet the same."""
    with pytest.raises(AccessDenied, match=r"made\.mp4 cannot be written: Permission denied") as caught:
        await storage.publish([Upload(root / "a b%.mp4", f"{root.as_uri()}/made.mp4")], "task")
    assert not caught.value.retryable


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC])
async def test_only_what_may_change_is_tried_again(
    storage: Registry, root: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full may be emptied; one that is read-only stays so."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ReelmillError, match=r"cannot be written") as caught:
        await storage.publish([Upload(root / "a b%.mp4", f"{root.as_uri()}/made.mp4")], "task")
    assert caught.value.retryable == (number == errno.ENOSPC)


@pytest.mark.parametrize(("name", "text"), [("a%20b%25.mp4/x/made.mp4", "is below a file"), ("folder", "is a folder")])
async def test_a_place_that_something_else_has_is_refused_at_once(storage: Registry, root: Path, name: str, text: str) -> None:
    """It was found when all was converted, and then twice more."""
    (root / "folder").mkdir()
    uri = f"{root.as_uri()}/{name}"
    with pytest.raises(InvalidArgument, match=text):
        FileStorage([root], writes_here=True).check_writable(uri)
    with pytest.raises(AccessDenied, match=r"cannot be written: (Not|Is) a directory") as caught:
        await storage.publish([Upload(root / "a b%.mp4", uri)], "task")
    assert not caught.value.retryable
    (root / "link").symlink_to(root / "folder")
    FileStorage([root], writes_here=True).check_writable(f"{root.as_uri()}/link")  # it is replaced


def test_a_refusal_names_the_folders_and_how_to_allow_more(storage: Registry, root: Path, tmp_path: Path) -> None:
    """A bucket's folder stays hidden."""
    with pytest.raises(AccessDenied, match=rf"\({root}\); the server's flag --file-root or its variable REELMILL_FILE_ROOT"):
        storage.check_readable((tmp_path / "secret").as_uri())
    with pytest.raises(AccessDenied, match=r"may access$"):
        FolderStorage(root).check_readable("s3://bucket/../secret")


@pytest.mark.parametrize(
    ("uri", "flag"), [("http://host/a.mp4", "--web-host"), ("oss://bucket/a.mp4", "--bucket"), ("s3://other/a", "--bucket")]
)
def test_a_refusal_names_the_flag(root: Path, uri: str, flag: str) -> None:
    """Also where nothing of a kind is allowed."""
    registry = Registry({"file": FileStorage([root]), "s3://media": FolderStorage(root)})
    with pytest.raises(ReelmillError, match=flag):
        registry.check_readable(uri)


@pytest.mark.parametrize(
    "spelling", ["a/../x.mp4", "./x.mp4", "link/x.mp4", "%78.mp4", "/x.mp4", "same.mp4", "hard.mp4"], ids=lambda text: text
)
def test_all_spellings_of_a_file_share_a_place(storage: Registry, root: Path, spelling: str) -> None:
    """As the file system resolves them, whether the file is there or not."""
    (root / "a").mkdir()
    (root / "link").symlink_to(root)
    uri, other = f"{root.as_uri()}/x.mp4", f"{root.as_uri()}/{spelling}"
    if "same" not in spelling and "hard" not in spelling:
        assert storage.places(uri) & storage.places(other)
    (root / "x.mp4").write_text("x")
    (root / "same.mp4").symlink_to(root / "x.mp4")
    (root / "hard.mp4").hardlink_to(root / "x.mp4")
    assert storage.places(uri) & storage.places(other)


@pytest.mark.parametrize("name", ["y.mp4", "X.mp4", "a/x.mp4", "x.mp4.part"])
def test_different_files_share_none(storage: Registry, root: Path, name: str) -> None:
    """However alike their names are."""
    assert not storage.places(f"{root.as_uri()}/x.mp4") & storage.places(f"{root.as_uri()}/{name}")


def test_a_path_of_many_folders_is_refused(tmp_path: Path) -> None:
    """2,000 took 70 ms to look up, of which a request may have dozens; of a source, of an output and of one that comes back."""
    storage, folder = FileStorage([tmp_path]), tmp_path.as_uri()
    for middle in ("a/", "a/../"):
        uri = f"{folder}/{middle * 200}x"
        for check in (storage.check_readable, storage.check_writable, storage.places):
            with pytest.raises(InvalidArgument, match="in more than 128 folders"):
                check(uri)
    storage.check_writable(f"{folder}/{'a/' * 100}x")
