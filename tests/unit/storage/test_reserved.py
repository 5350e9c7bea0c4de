"""What reserved for the service is neither read nor written for a task, however it is spelled."""

import re
from pathlib import Path

import pytest

from reelmill_server.errors import AccessDenied, InvalidArgument
from reelmill_server.plan.output.naming import OutputName, fill
from reelmill_server.settings import Settings
from reelmill_server.storage.base import Storage, Upload
from reelmill_server.storage.build import build_storage

RECORDS = b"records of all tasks"
OURS = "reserved for the service"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A file root in which the service keeps everything it has, with links and a hard link that lead there."""
    root = tmp_path / "root"
    for folder in ("service", "keys", "vault", "scratch", "a"):
        (root / folder).mkdir(parents=True)
    for file in ("service/temporal.db", "records.db", "vault/1.key", "keys/tls.crt", "keys/other.pem"):
        (root / file).write_bytes(RECORDS)
    (root / "keys/tls.key").symlink_to("../vault/1.key")
    (root / "folder-link").symlink_to("service")
    (root / "file-link").symlink_to("service/temporal.db")
    (root / "link-of-link").symlink_to("file-link")
    (root / "hard-link").hardlink_to(root / "records.db")
    return root


@pytest.fixture
def storage(root: Path) -> Storage:
    """The storage of a service that is told so; the scratch is named with an escape."""
    return build_storage(
        Settings(
            data_dir=root / "service",
            database_url=f"sqlite:///{root}/records.db",  # type: ignore[arg-type]
            tls_key=root / "keys/tls.key",
            tls_certificate=root / "keys/tls.crt",
            scratch_uri=f"file://{root}/scr%61tch/",
            file_root=(root,),
            bucket=(f"oss://films=file://{root}",),
        )
    )


REFUSED = (
    "file://{root}/service",
    "file://{root}/service/temporal.db",
    "file://{root}/service/new/out.mp4",
    "file://localhost{root}/service/temporal.db",
    "file://{root}/a/../service/temporal.db",
    "file://{root}/nothing/../service/temporal.db",
    "file://{root}/a/%2e%2e/service/temporal.db",
    "file://{root}/./service/./temporal.db",
    "file://{root}//service///temporal.db",
    "file://{root}/%73ervice/temporal%2Edb",
    "file://{root}/service%2Ftemporal.db",
    "file://{root}/service/",
    "file://{root}/service/../service/temporal.db/",
    "file://{root}/service/x/..",
    "file://{root}/folder-link/temporal.db",
    "file://{root}/folder-link",
    "file://{root}/file-link",
    "file://{root}/link-of-link",
    "file://{root}/a/../folder-link/../service/temporal.db",
    "file://{root}/records.db",
    "file://{root}/hard-link",
    "file://{root}/records.db-wal",
    "file://{root}/records.db-shm",
    "file://{root}/records.db-journal",
    "file://{root}/RECORDS.db-WAL",  # there is none yet; where case does not count it would be found
    "file://{root}/scratch/task/1-ab/x.mkv",
    "file://{root}/scr%61tch/x",
    "file://{root}/%73cratch",
    "file://{root}/keys/tls.key",
    "file://{root}/keys/tls.crt",
    "file://{root}/vault/1.key",
    "oss://films/service/temporal.db",
    "oss://films/a/../service/temporal.db",
    "oss://films/service//temporal.db",
    "oss://films/file-link",
)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("spelling", REFUSED)
def test_every_spelling_is_refused(storage: Storage, root: Path, spelling: str) -> None:
    """As a source and as a target, before any work; some name no file at all, which is told as well."""
    uri = spelling.format(root=root)
    with pytest.raises(AccessDenied, match=OURS):
        storage.check_readable(uri)
    with pytest.raises((AccessDenied, InvalidArgument), match=f"{OURS}|is not the URI of a file"):
        storage.check_writable(uri)


@pytest.mark.parametrize(
    "name", ["services/x.mp4", "service.mp4", "scratchy/x.mp4", "records.db2", "keys/other.pem", "a/x.mp4"]
)
@pytest.mark.parametrize("base", ["file://{root}/", "oss://films/"])
def test_names_that_are_only_alike_are_open(storage: Storage, root: Path, base: str, name: str) -> None:
    """Whatever they have in common with what is not."""
    uri = f"{base.format(root=root)}{name}"
    storage.check_readable(uri)
    storage.check_writable(uri)


def test_case_counts_as_the_file_system_says(storage: Storage, root: Path) -> None:
    """What has other letters is another folder, or the same."""
    uri = f"file://{root}/SERVICE/x.mp4"
    if (root / "SERVICE").exists():
        with pytest.raises(AccessDenied, match=OURS):
            storage.check_writable(uri)
    else:
        storage.check_writable(uri)


@pytest.mark.parametrize(
    "template", ["file://{root}/{{tags.place}}", "file://{root}/{{tags.folder}}/temporal.db", "file://{root}/a/../{{tags.up}}"]
)
async def test_what_a_template_expands_to_is_refused(storage: Storage, root: Path, tmp_path: Path, template: str) -> None:
    """When its variables are known, and again when it is published: nothing is overwritten."""
    tags = {"place": "records.db", "folder": "service", "up": "service/temporal.db"}
    written = template.format(root=root)
    storage.check_writable(written)
    uri = fill(written, OutputName("mp4"), {}, tags, 0)
    with pytest.raises(AccessDenied, match=OURS):
        storage.check_writable(uri)
    (tmp_path / "made").write_bytes(b"a film")
    with pytest.raises(AccessDenied, match=OURS):
        await storage.publish([Upload(tmp_path / "made", uri)], "task.one")
    assert (root / "records.db").read_bytes() == (root / "service/temporal.db").read_bytes() == RECORDS
    assert not list(root.rglob(".reelmill-*"))


async def test_a_link_that_is_made_later_leads_nowhere(storage: Storage, root: Path, tmp_path: Path) -> None:
    """The check of the request knew nothing of it."""
    uri = f"file://{root}/later/temporal.db"
    storage.check_writable(uri)
    (root / "later").symlink_to("service")
    (tmp_path / "made").write_bytes(b"a film")
    with pytest.raises(AccessDenied, match=OURS):
        await storage.publish([Upload(tmp_path / "made", uri)], "task.one")
    with pytest.raises(AccessDenied, match=OURS):
        await storage.open(uri)


def bucket_storage(tmp_path: Path, scratch: str, **more: object) -> Storage:
    """A storage of buckets with a scratch in one of them."""
    buckets = ("oss://films=s3://media", "oss://deep=s3://media/scratch", "gs://*", "s3://*")
    return build_storage(Settings(data_dir=tmp_path, scratch_uri=scratch, **{"bucket": buckets, "file_root": (), **more}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scratch", "uri", "refused"),
    [
        ("s3://media/scratch", "s3://media/scratch", True),
        ("s3://media/scratch/", "s3://media/scratch/task/x", True),
        ("s3://media/scratch", "s3://media/scratch//x", True),
        ("s3://media/scratch", "oss://films/scratch/x", True),
        ("s3://media/scratch", "oss://deep/x", True),
        ("s3://media/scratch", "gs://media/scratch/x", True),
        ("oss://films/scratch", "s3://media/scratch/x", True),
        ("oss://deep", "s3://media/scratch/x", True),
        ("s3://media", "s3://media/x", True),
        ("s3://media/scratch", "s3://media/scratch2/x", False),
        ("s3://media/scratch", "s3://media/x/scratch", False),
        ("s3://media/scratch", "s3://other/scratch/x", False),
        ("s3://media", "s3://media2/x", False),
    ],
)
def test_scratch_in_a_bucket_is_refused_by_all_its_names(tmp_path: Path, scratch: str, uri: str, refused: bool) -> None:
    """Rules may lead several buckets to one."""
    storage = bucket_storage(tmp_path, scratch)
    for check in (storage.check_readable, storage.check_writable):
        if refused:
            with pytest.raises(AccessDenied, match=OURS):
                check(uri)
        else:
            check(uri)


def test_scratch_in_a_bucket_that_is_a_folder(tmp_path: Path) -> None:
    """By the bucket's name and by the folder's."""
    storage = bucket_storage(
        tmp_path / "data", "s3://parts/now", bucket=(f"s3://parts=file://{tmp_path}/p",), file_root=(tmp_path,)
    )
    for uri in ("s3://parts/now/x", f"file://{tmp_path}/p/now/x"):
        with pytest.raises(AccessDenied, match=OURS):
            storage.check_writable(uri)
    storage.check_writable("s3://parts/then/x")


@pytest.mark.parametrize("root", ["service", "service/files"])
def test_a_file_root_in_the_data_folder_is_no_setting(tmp_path: Path, root: str) -> None:
    """Nothing in it could be used."""
    with pytest.raises(ValueError, match=re.escape("--file-root (REELMILL_FILE_ROOT): expected a folder outside")):
        Settings(data_dir=tmp_path / "service", file_root=(tmp_path / root,))
