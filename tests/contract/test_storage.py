"""What all storages do alike, each against a real server: objects are read in ranges, appear whole, and fail clearly."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest
from google.api_core.exceptions import NotFound
from moto.s3 import models as moto_models
from tenacity import wait_none

from reelmill_server.errors import (
    AccessDenied,
    BucketNotFound,
    InternalError,
    InvalidArgument,
    OutputError,
    ReelmillError,
    ResourceNotFound,
    SourceChanged,
    StorageUnavailable,
)
from reelmill_server.model.publication import PendingFile
from reelmill_server.settings import Settings
from reelmill_server.storage import gcs, http, s3
from reelmill_server.storage.base import Check, Storage, Upload
from reelmill_server.storage.build import build_storage
from reelmill_server.storage.content import Labels
from reelmill_server.storage.objects import ObjectLocation
from reelmill_server.storage.publication import withdraw
from reelmill_server.storage.retry import RetryPolicy
from tests.stores import KEYS, Fault, Front, GcsEmulator, Moto, as_gcs, as_oss, as_s3, forward, web_files
from tests.waiting import eventually

DATA = bytes(range(256)) * 400
_PART = 256 * 1024
BIG = 2 * _PART + 5
"""Bytes that take three parts."""
KINDS = ["file", "folder", "s3", "oss", "gs", "moved", "http"]
REMOTE = ["s3", "oss", "gs", "http"]
OBJECTS = ["s3", "oss", "gs"]


@dataclass
class Shop:
    """A storage, and a way around it: `put` and `get` reach the objects by themselves."""

    kind: str
    storage: Storage
    uri: Callable[[str], str]
    put: Callable[[str, bytes], None]
    get: Callable[[str], bytes | None]
    front: Front = field(default_factory=lambda: Front(web_files({}, {})))
    unfinished: Callable[[], int] = lambda: 0


@dataclass
class Servers:
    """What runs as long as the tests."""

    moto: Moto
    emulator: GcsEmulator
    s3: Front
    oss: Front
    gs: Front
    http: Front
    files: dict[str, bytes]
    versions: dict[str, int]


@pytest.fixture(scope="module")
def servers(moto: Moto, gcs_emulator: GcsEmulator) -> Servers:
    """All servers, with a bucket each."""
    files: dict[str, bytes] = {}
    versions: dict[str, int] = {}
    moto.bucket("media")
    gcs_emulator.bucket("media")
    fronts = [
        Front(forward(moto.url, as_s3)).start(),
        Front(forward(moto.url, as_oss)).start(),
        Front(forward(gcs_emulator.url, as_gcs)).start(),
        Front(web_files(files, versions)).start(),
    ]
    s3, oss, gs, http = fronts
    return Servers(moto, gcs_emulator, s3, oss, gs, http, files, versions)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """No pauses, short patience with servers that are to be slow, names of hosts that lead here, and keys in the environment.

    Others are waited for: on a busy machine a second is soon over.
    """
    seconds = 1 if "slow" in getattr(request.node, "callspec", SimpleNamespace(params={})).params.values() else 60
    monkeypatch.setattr(RetryPolicy, "_wait", lambda self: wait_none())
    monkeypatch.setattr(s3, "_READ_SECONDS", seconds)
    monkeypatch.setattr(gcs, "_TIMEOUT_SECONDS", (seconds, seconds))
    monkeypatch.setattr(http, "_TIMEOUT", aiohttp.ClientTimeout(total=None, sock_read=seconds))
    monkeypatch.setattr(s3, "_PART_BYTES", _PART)
    monkeypatch.setattr(gcs, "_CHUNK_BYTES", _PART)
    monkeypatch.setattr(moto_models, "S3_UPLOAD_PART_MIN_SIZE", _PART)
    result = socket.getaddrinfo

    def here(host: Any, *more: Any, **named: Any) -> Any:
        return result("127.0.0.1" if str(host).endswith(".test") else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    for name, value in KEYS.items():
        monkeypatch.setenv(name.upper(), value)
        monkeypatch.setenv(name.upper().replace("AWS_", "OSS_").replace("SECRET_ACCESS_KEY", "ACCESS_KEY_SECRET"), value)


def _settings(tmp_path: Path, **more: Any) -> Settings:
    return Settings(data_dir=tmp_path / "data", file_root=[tmp_path / "root"], **more)


def _s3_shop(kind: str, servers: Servers, front: Front, storage: Storage, uri: str, prefix: str = "") -> Shop:
    client = servers.moto.client

    def get(name: str) -> bytes | None:
        try:
            body: bytes = client.get_object(Bucket="media", Key=prefix + name)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
        return body

    return Shop(
        kind,
        storage,
        lambda name: uri + name,
        lambda name, data: client.put_object(Bucket="media", Key=prefix + name, Body=data),
        get,
        front,
        lambda: len(client.list_multipart_uploads(Bucket="media").get("Uploads", [])),
    )


def _folder_shop(kind: str, folder: Path, storage: Storage, uri: str) -> Shop:
    folder.mkdir(parents=True, exist_ok=True)

    def get(name: str) -> bytes | None:
        return (folder / name).read_bytes() if (folder / name).exists() else None

    def put(name: str, data: bytes) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)

    def unfinished() -> int:
        return len([*folder.rglob("*.part")])

    return Shop(kind, storage, lambda name: uri + name, put, get, unfinished=unfinished)


def _gs_shop(servers: Servers, storage: Storage) -> Shop:
    bucket = servers.emulator.client.bucket("media")

    def get(name: str) -> bytes | None:
        try:
            body: bytes = bucket.blob(name).download_as_bytes()
        except NotFound:
            return None
        return body

    return Shop(
        "gs",
        storage,
        lambda name: f"gs://media/{name}",
        lambda name, data: bucket.blob(name).upload_from_string(data),
        get,
        servers.gs,
    )


def _http_shop(servers: Servers, storage: Storage) -> Shop:
    def put(name: str, data: bytes) -> None:
        servers.files[name] = data
        servers.versions[name] = servers.versions.get(name, 0) + 1

    return Shop("http", storage, lambda name: f"{servers.http.url}/{name}", put, servers.files.get, servers.http)


def make_shop(kind: str, servers: Servers, tmp_path: Path, **more: Any) -> Shop:
    """A storage of this kind."""
    for front in (servers.s3, servers.oss, servers.gs, servers.http):
        front.reset()
    buckets = {
        "folder": f"oss://media=file://{tmp_path}/bucket",
        "s3": f"s3://*=s3://*?endpoint={servers.s3.url}",
        "oss": f"oss://*=oss://*?endpoint=http://oss.test:{servers.oss.port}",
        "gs": f"gs://*=gs://*?endpoint={servers.gs.url}&anonymous=true",
        "moved": f"oss://films=s3://media/moved/here?endpoint={servers.s3.url}",
    }
    if kind == "http":
        more = {"web_host": ["127.0.0.1"], "web_private": True, **more}
    storage = build_storage(_settings(tmp_path, bucket=[buckets[kind]] if kind in buckets else [], **more))
    match kind:
        case "file":
            return _folder_shop(kind, tmp_path / "root", storage, f"{(tmp_path / 'root').as_uri()}/")
        case "folder":
            return _folder_shop(kind, tmp_path / "bucket", storage, "oss://media/")
        case "s3":
            return _s3_shop(kind, servers, servers.s3, storage, "s3://media/")
        case "oss":
            return _s3_shop(kind, servers, servers.oss, storage, "oss://media/")
        case "moved":
            return _s3_shop(kind, servers, servers.s3, storage, "oss://films/", "moved/here/")
        case "gs":
            return _gs_shop(servers, storage)
    return _http_shop(servers, storage)


@pytest.fixture(autouse=True)
def empty(servers: Servers) -> None:
    """No object is left of another test."""
    servers.moto.empty("media")
    servers.emulator.empty("media")
    servers.files.clear()


@pytest.fixture
def shop(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Shop:
    """The storage that the test names."""
    return make_shop(request.param, servers, tmp_path)


def _files(tmp_path: Path, shop: Shop, **contents: bytes) -> list[Upload]:
    """Uploads of files; `_` in a name is a dot."""
    folder = tmp_path / "made"
    folder.mkdir(exist_ok=True)
    uploads = []
    for name, data in contents.items():
        path = folder / name
        path.write_bytes(data)
        uploads.append(Upload(path, shop.uri(f"out/{name.replace('_', '.')}")))
    return uploads


every = pytest.mark.parametrize("shop", KINDS, indirect=True)
writable = pytest.mark.parametrize("shop", KINDS[:-1], indirect=True)
remote = pytest.mark.parametrize("shop", REMOTE, indirect=True)
objects = pytest.mark.parametrize("shop", OBJECTS, indirect=True)


@every
async def test_ranges_are_read(shop: Shop) -> None:
    """Any range, up to the end and not beyond, and the size."""
    shop.put("a b%é.bin", DATA)
    reader = await shop.storage.open(shop.uri("a%20b%25%C3%A9.bin" if shop.kind in ("file", "http") else "a b%é.bin"))
    try:
        assert reader.size_bytes == len(DATA) and reader.modified_us > 1_700_000_000_000_000
        assert (reader.descriptor is not None) == (shop.kind in ("file", "folder"))
        for offset, length in ((0, 1), (300, 1000), (len(DATA) - 5, 5), (len(DATA) - 5, 50), (len(DATA), 5), (0, len(DATA))):
            assert await reader.read(offset, length) == DATA[offset : offset + length]
    finally:
        await reader.close()


@every
async def test_an_empty_object_is_read(shop: Shop) -> None:
    """It has no range at all."""
    shop.put("empty.bin", b"")
    reader = await shop.storage.open(shop.uri("empty.bin"))
    assert (reader.size_bytes, await reader.read(0, 10)) == (0, b"")
    await reader.close()


@every
async def test_what_is_not_there(shop: Shop) -> None:
    """The error names the URI."""
    with pytest.raises(ResourceNotFound) as error:
        await shop.storage.open(shop.uri("nothing.bin"))
    assert shop.uri("nothing.bin") in error.value.message and not isinstance(error.value, BucketNotFound)


@objects
async def test_a_bucket_that_is_not_there(shop: Shop, tmp_path: Path) -> None:
    """For reading and for writing."""
    uri = shop.uri("x").replace("media", "missing")
    with pytest.raises(BucketNotFound, match=uri):
        await shop.storage.open(uri)
    (tmp_path / "x").write_bytes(DATA)
    with pytest.raises(BucketNotFound, match=uri):
        await shop.storage.publish([Upload(tmp_path / "x", uri)], "task.one")


@remote
async def test_an_object_that_is_replaced_while_it_is_read(shop: Shop) -> None:
    """Gives an error, never bytes of the other one."""
    shop.put("changing.bin", DATA)
    reader = await shop.storage.open(shop.uri("changing.bin"))
    assert await reader.read(0, 10) == DATA[:10]
    shop.put("changing.bin", DATA[::-1])
    with pytest.raises(SourceChanged, match=shop.uri("changing.bin")):
        await reader.read(10, 10)
    await reader.close()


@pytest.mark.sample(every=2)
@writable
async def test_files_appear_whole(shop: Shop, tmp_path: Path) -> None:
    """Small ones, empty ones and those of several parts; one that was there is replaced."""
    shop.put("out/small.mp4", b"old")
    big = bytes(BIG)
    await shop.storage.publish(_files(tmp_path, shop, small_mp4=DATA, empty_bin=b"", big_mkv=big), "task.one")
    assert shop.get("out/small.mp4") == DATA
    assert shop.get("out/empty.bin") == b""
    assert shop.get("out/big.mkv") == big
    assert shop.unfinished() == 0


@pytest.mark.sample(every=3)
@objects
@pytest.mark.parametrize("last", ["small", "big"])
async def test_nothing_is_left_when_one_fails(shop: Shop, tmp_path: Path, last: str) -> None:
    """Wherever it fails: what was sent is given up, what was placed is removed."""
    uploads = _files(tmp_path, shop, seg0_ts=DATA, big_mkv=bytes(BIG), list_m3u8=bytes(BIG) if last == "big" else DATA)
    shop.front.faults += [Fault("403", method, 0, "list.m3u8") for method in (["PUT"] if shop.kind != "gs" else ["POST"])]
    with pytest.raises(AccessDenied, match=r"list\.m3u8"):
        await shop.storage.publish(uploads, "task.one")
    assert [shop.get(f"out/{name}") for name in ("seg0.ts", "big.mkv", "list.m3u8")] == [None] * 3
    assert shop.unfinished() == 0


@pytest.mark.sample(every=2)
@objects
async def test_what_was_placed_is_removed(shop: Shop, tmp_path: Path) -> None:
    """The list comes last and fails: what it names must go."""
    uploads = _files(tmp_path, shop, list_m3u8=DATA, seg0_ts=DATA, seg1_ts=DATA)
    placed: list[str] = []
    stage = shop.storage.stage

    async def failing(upload: Upload, owner: str) -> Any:
        staged = await stage(upload, owner)
        place = staged.publish

        async def noted(check: Check) -> None:
            await place(check)
            placed.append(upload.uri.rpartition("/")[2])
            assert shop.get(f"out/{placed[-1]}") == DATA
            if placed[-1] == "list.m3u8":
                raise OutputError("as if")

        staged.publish = noted  # type: ignore[method-assign]
        return staged

    shop.storage.stage = failing  # type: ignore[method-assign]
    with pytest.raises(OutputError, match="as if"):
        await shop.storage.publish(uploads, "task.one")
    assert sorted(placed[:2]) == ["seg0.ts", "seg1.ts"] and placed[2] == "list.m3u8"
    assert [shop.get(f"out/{name}") for name in ("seg0.ts", "seg1.ts", "list.m3u8")] == [None] * 3


@pytest.mark.sample(every=5)
@writable
@pytest.mark.parametrize("later", [DATA[::-1], DATA], ids=["other", "same"])
@pytest.mark.parametrize("times", [1, BIG // len(DATA) + 1], ids=["small", "in parts"])
async def test_what_replaced_a_file_stays_when_that_is_taken_back(shop: Shop, tmp_path: Path, later: bytes, times: int) -> None:
    """An attempt that was thought dead wakes up when another one has published, and gives up; both may have made the same."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(DATA * times)
    new.write_bytes(later * times)
    staged = await shop.storage.stage(Upload(old, shop.uri("out/x.mp4")), "task.1")
    await staged.publish()
    assert shop.get("out/x.mp4") == DATA * times
    await shop.storage.publish([Upload(new, shop.uri("out/x.mp4"))], "task.2")
    await staged.roll_back()
    assert shop.get("out/x.mp4") == later * times


@pytest.mark.sample(every=3)
@writable
@pytest.mark.parametrize("times", [1, BIG // len(DATA) + 1], ids=["small", "in parts"])
async def test_what_was_announced_can_be_taken_away_by_anybody(shop: Shop, tmp_path: Path, times: int) -> None:
    """By name and mark, when whoever placed it is no more; what replaced it stays, be it the same, and nothing is no error."""
    uri = shop.uri("out/x.mp4")
    for attempt in ("1", "2"):
        (tmp_path / attempt).write_bytes(DATA * times)
    first = await shop.storage.stage(Upload(tmp_path / "1", uri), "task.1")
    await first.publish()
    second = await shop.storage.stage(Upload(tmp_path / "2", uri), "task.2")
    marks = [PendingFile(uri, first.mark), PendingFile(uri, second.mark)]
    await withdraw(shop.storage, [*marks[1:], PendingFile(shop.uri("out/none/y.mp4"), marks[0].mark)])
    assert shop.get("out/x.mp4") == DATA * times
    await second.publish()
    await withdraw(shop.storage, marks[:1])
    assert shop.get("out/x.mp4") == DATA * times
    for _ in range(2):
        await withdraw(shop.storage, marks)
        assert shop.get("out/x.mp4") is None


@objects
async def test_what_cannot_be_taken_away_does_not_keep_the_rest(shop: Shop, tmp_path: Path) -> None:
    """One lies where nothing may be written any more: the others go, and it is told."""
    uploads = _files(tmp_path, shop, a_ts=DATA, b_ts=DATA, c_ts=DATA)
    files = []
    for upload in uploads:
        staged = await shop.storage.stage(upload, "task.1")
        files.append(PendingFile(upload.uri, staged.mark))
        await staged.publish()
    with pytest.raises(InvalidArgument):
        await withdraw(shop.storage, [files[0], PendingFile("ftp://elsewhere/x", "x"), *files[1:]])
    assert [shop.get(f"out/{name}.ts") for name in "abc"] == [None] * 3


@objects
async def test_an_upload_is_given_up_even_if_what_is_there_must_stay(shop: Shop, tmp_path: Path) -> None:
    """It was about to be placed when another attempt had taken over."""
    uploads = _files(tmp_path, shop, big_mkv=bytes(BIG))

    class TakenOver:
        """A guard that finds out with the last question."""

        asked = 0

        async def announce(self, files: object) -> None:
            """All well."""

        async def check(self) -> None:
            """Not any more."""
            self.asked += 1
            if self.asked == 2:
                raise InternalError("taken over")

        async def may_remove(self) -> bool:
            """Another's are there."""
            return False

    with pytest.raises(InternalError):
        await shop.storage.publish(uploads, "task.1", TakenOver())
    assert shop.unfinished() == 0 and shop.get("out/big.mkv") is None


@objects
async def test_a_placement_that_is_tried_again_asks_again(shop: Shop, tmp_path: Path) -> None:
    """The store was away, and another attempt has taken over meanwhile: nothing appears."""
    (tmp_path / "x").write_bytes(DATA)
    staged = await shop.storage.stage(Upload(tmp_path / "x", shop.uri("out/x.mp4")), "task.1")
    shop.front.faults.append(Fault("503", "PUT"))
    asked = 0

    async def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise InternalError("taken over")

    with pytest.raises(InternalError):
        await staged.publish(check)
    await staged.roll_back()
    assert shop.get("out/x.mp4") is None


@objects
async def test_nothing_is_left_when_it_is_canceled(shop: Shop, tmp_path: Path) -> None:
    """In the middle of a long file: what is under way is waited for, then given up."""
    uploads = _files(tmp_path, shop, seg0_ts=DATA, big_mkv=bytes(BIG), list_m3u8=DATA)
    shop.front.faults.append(Fault("slow", "PUT"))
    publishing = asyncio.ensure_future(shop.storage.publish(uploads, "task.one"))
    await eventually(lambda: shop.front.faults[0].seen, "an upload")
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    assert [shop.get(f"out/{name}") for name in ("seg0.ts", "big.mkv", "list.m3u8")] == [None] * 3
    assert shop.unfinished() == 0


@pytest.mark.sample(every=3)
@remote
@pytest.mark.parametrize("kind", ["503", "429", "cut", "short", "slow"])
async def test_reads_are_repeated(shop: Shop, kind: str) -> None:
    """After an error that may pass, the bytes are right; each range is asked for again."""
    shop.put("flaky.bin", DATA)
    reader = await shop.storage.open(shop.uri("flaky.bin"))
    shop.front.faults.append(Fault(kind, times=1 if kind == "slow" else 3, holds="flaky.bin"))
    assert await reader.read(100, 50_000) == DATA[100:50_100]
    assert shop.front.faults[0].seen == shop.front.faults[0].times
    await reader.close()


@remote
async def test_a_storage_that_stays_away(shop: Shop) -> None:
    """Is asked as often as the settings say, then it is unavailable."""
    shop.put("away.bin", DATA)
    reader = await shop.storage.open(shop.uri("away.bin"))
    shop.front.faults.append(Fault("503", times=0, holds="away.bin"))
    with pytest.raises(StorageUnavailable, match=shop.uri("away.bin")):
        await reader.read(0, 10)
    assert shop.front.faults[0].seen == 6
    await reader.close()


@remote
async def test_a_refusal_is_not_repeated(shop: Shop) -> None:
    """It would not pass."""
    shop.put("secret.bin", DATA)
    reader = await shop.storage.open(shop.uri("secret.bin"))
    shop.front.faults.append(Fault("403", times=0, holds="secret.bin"))
    with pytest.raises(AccessDenied, match=shop.uri("secret.bin")):
        await reader.read(0, 10)
    assert shop.front.faults[0].seen == 1
    await reader.close()


@pytest.mark.sample(every=5)
@objects
@pytest.mark.parametrize("kind", ["503", "cut", "lost"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_writes_are_repeated(shop: Shop, tmp_path: Path, kind: str, method: str) -> None:
    """Wherever an upload is disturbed, even when it was done and only the answer was lost."""
    shop.front.faults.append(Fault(kind, method, 2))
    if method == "POST" and shop.kind != "gs":  # the end of a multipart upload
        shop.front.faults.append(Fault(kind, method, 1, "uploadId"))
    data = DATA * 5 + bytes(BIG - 5 * len(DATA))
    await shop.storage.publish(_files(tmp_path, shop, flaky_mp4=data), "task.one")
    assert shop.get("out/flaky.mp4") == data
    assert all(fault.seen for fault in shop.front.faults)


@objects
async def test_what_arrives_damaged_does_not_appear(shop: Shop, tmp_path: Path) -> None:
    """The storage itself compares the checksum."""
    shop.front.faults.append(Fault("damaged", "PUT", 0))
    with pytest.raises((OutputError, StorageUnavailable)):
        await shop.storage.publish(_files(tmp_path, shop, damaged_mp4=DATA), "task.one")
    assert shop.get("out/damaged.mp4") is None


@objects
async def test_labels(shop: Shop, servers: Servers, tmp_path: Path) -> None:
    """Media types go by extension; cache control, tags and metadata by the settings."""
    labelled = make_shop(
        shop.kind,
        servers,
        tmp_path,
        cache_control="m3u8=no-cache;*=public, max-age=600",
        object_tags="team=video",
        object_metadata={"origin": "reelmill"},
    )
    await labelled.storage.publish(_files(tmp_path, labelled, list_m3u8=DATA, seg0_ts=DATA), "task.one")
    expected = {
        "list.m3u8": ("application/vnd.apple.mpegurl", "no-cache"),
        "seg0.ts": ("video/mp2t", "public, max-age=600"),
    }
    for name, labels in expected.items():
        key = f"out/{name}"
        if shop.kind == "gs":
            blob = servers.emulator.client.bucket("media").get_blob(key)
            assert (blob.content_type, blob.cache_control) == labels
            assert blob.metadata.items() >= {("team", "video"), ("origin", "reelmill")}
        else:
            head = servers.moto.client.head_object(Bucket="media", Key=key)
            assert (head["ContentType"], head["CacheControl"]) == labels
            assert head["Metadata"].items() >= {("origin", "reelmill")}
            tags = servers.moto.client.get_object_tagging(Bucket="media", Key=key)["TagSet"]
            assert tags == [{"Key": "team", "Value": "video"}]


@pytest.mark.sample(every=2)
@writable
@pytest.mark.parametrize("name", ["", "folder/", "a\nb", "a/../../b"])
async def test_what_cannot_be_written(shop: Shop, name: str) -> None:
    """Is known before anything is done."""
    with pytest.raises((InvalidArgument, AccessDenied)):
        shop.storage.check_writable(shop.uri(name))


BELOW = {"a/b/x y%é.bin": 3, "a/b/c/d/e.ts": 5, "a/b/c/f": 0}
BESIDE = ("a/bc", "a/b.ts", "b/a/b/x")


async def listed(shop: Shop, folder: str) -> dict[str, int]:
    """The names and sizes of what is listed."""
    base = shop.uri("")
    named = {
        unquote(uri) if shop.kind == "file" else uri: size for uri, size in await shop.storage.list_below(shop.uri(folder))
    }
    assert all(uri.startswith(base) for uri in named)
    return {uri.removeprefix(base): size for uri, size in named.items()}


@pytest.mark.sample(every=2)
@writable
async def test_a_folder_is_erased_and_nothing_beside_it(shop: Shop) -> None:
    """All of it, again and again; folders that begin alike stay."""
    for name, size in BELOW.items():
        shop.put(name, bytes(size))
    for name in BESIDE:
        shop.put(name, b"kept")
    assert await listed(shop, "a/b/") == BELOW
    for _ in range(2):
        await shop.storage.erase(shop.uri("a/b/"))
        assert [shop.get(name) for name in BELOW] == [None] * len(BELOW)
        assert [shop.get(name) for name in BESIDE] == [b"kept"] * len(BESIDE)
        assert await listed(shop, "a/b/") == {}
    assert set(await listed(shop, "a/")) == {"a/bc", "a/b.ts"}


@pytest.mark.sample(every=2)
@writable
async def test_what_was_staged_in_a_folder_goes_with_it(shop: Shop, tmp_path: Path) -> None:
    """A worker that was killed left it; what was staged beside it stays, and can be placed."""
    path = tmp_path / "big.mkv"
    path.write_bytes(bytes(BIG))
    inside, beside = [
        await shop.storage.stage(Upload(path, shop.uri(name)), "task.one") for name in ("a/b/big.mkv", "a/big.mkv")
    ]
    assert shop.unfinished() == (0 if shop.kind == "gs" else 2)
    assert await listed(shop, "a/") == {}
    await shop.storage.erase(shop.uri("a/b/"))
    assert shop.unfinished() == (0 if shop.kind == "gs" else 1)
    if shop.kind != "gs":  # which forgets it after a week
        with pytest.raises((OutputError, StorageUnavailable)):  # moto fails where others say that there is no such upload
            await inside.publish()
    await inside.roll_back()
    await beside.publish()
    assert (shop.get("a/b/big.mkv"), shop.get("a/big.mkv")) == (None, bytes(BIG))


@pytest.mark.sample(every=2)
@every
@pytest.mark.parametrize("name", ["", "a/b", "a/../../b/", "a/../"])
async def test_what_cannot_be_erased(shop: Shop, name: str) -> None:
    """What is no folder, or leads out of it, or is all there is; web servers are read-only."""
    shop.put("a/b", b"kept")
    with pytest.raises((InvalidArgument, AccessDenied)):
        await shop.storage.erase(shop.uri(name))
    with pytest.raises((InvalidArgument, AccessDenied)):
        await shop.storage.list_below(shop.uri(name))
    assert shop.get("a/b") == b"kept"


@pytest.mark.sample(every=5)
@objects
@pytest.mark.parametrize("kind", ["503", "cut", "lost", "slow"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_erasing_is_repeated(shop: Shop, kind: str, method: str) -> None:
    """After an error that may pass all is gone."""
    for name in ("a/b/one", "a/b/two"):
        shop.put(name, DATA)
    shop.front.faults.append(Fault(kind, method))
    await shop.storage.erase(shop.uri("a/b/"))
    assert shop.front.faults[0].seen == 1
    assert [shop.get(name) for name in ("a/b/one", "a/b/two")] == [None, None]


@objects
async def test_a_folder_that_may_not_be_erased(shop: Shop) -> None:
    """Or whose bucket is not there: it is told."""
    shop.put("a/b/one", DATA)
    shop.front.faults.append(Fault("403", "DELETE"))
    with pytest.raises(AccessDenied, match=shop.uri("a/b/one")):
        await shop.storage.erase(shop.uri("a/b/"))
    assert shop.get("a/b/one") == DATA
    with pytest.raises(BucketNotFound):
        await shop.storage.erase(shop.uri("a/b/").replace("media", "missing"))


@pytest.mark.parametrize("shop", ["s3", "oss"], indirect=True)
async def test_more_than_one_list_holds_is_erased(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of S3 is given page by page."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    for number in range(8):
        shop.put(f"a/b/{number}", DATA)
    assert len(await listed(shop, "a/b/")) == 8
    await shop.storage.erase(shop.uri("a/b/"))
    assert await listed(shop, "a/b/") == {}


@pytest.mark.parametrize("shop", ["s3", "oss"], indirect=True)
async def test_a_name_that_could_lead_elsewhere_is_not_erased(shop: Shop) -> None:
    """HTTP clients take `..` in paths away: another object would go."""
    shop.put("a/b/../../c", DATA)
    shop.put("c", b"kept")
    with pytest.raises(InvalidArgument, match=r"\.\."):
        await shop.storage.erase(shop.uri("a/b/"))
    assert shop.get("c") == b"kept"


@pytest.mark.parametrize("shop", ["file", "folder"], indirect=True)
async def test_links_are_erased_and_not_followed(shop: Shop, tmp_path: Path) -> None:
    """Neither out of the root nor within it; a link that leads out of it is no folder of it."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "kept").write_bytes(b"kept")
    shop.put("kept/x", b"kept")
    shop.put("a/b/x", DATA)
    base = tmp_path / ("root" if shop.kind == "file" else "bucket")
    (base / "a/b/out").symlink_to(tmp_path / "secret")
    (base / "a/b/in").symlink_to(base / "kept")
    (base / "out").symlink_to(tmp_path / "secret")
    await shop.storage.erase(shop.uri("a/b/"))
    assert not (base / "a/b").exists()
    with pytest.raises(AccessDenied):
        await shop.storage.erase(shop.uri("out/"))
    assert (tmp_path / "secret" / "kept").read_bytes() == shop.get("kept/x") == b"kept"


@pytest.mark.parametrize("shop", ["http"], indirect=True)
async def test_web_servers_are_only_read(shop: Shop, tmp_path: Path) -> None:
    """There is no way to write there."""
    with pytest.raises(InvalidArgument, match="read-only"):
        shop.storage.check_writable(shop.uri("out.mp4"))
    with pytest.raises(InvalidArgument, match="read-only"):
        await shop.storage.publish(_files(tmp_path, shop, out_mp4=DATA), "task.one")


async def test_files_of_one_call_go_to_several_storages_or_none(servers: Servers, tmp_path: Path) -> None:
    """What one storage took is removed when another one fails."""
    storage = build_storage(
        _settings(
            tmp_path,
            bucket=[f"s3://*=s3://*?endpoint={servers.s3.url}", f"gs://*=gs://*?endpoint={servers.gs.url}&anonymous=true"],
        )
    )
    near = _s3_shop("s3", servers, servers.s3, storage, "s3://media/")
    uploads = _files(tmp_path, near, here_mp4=DATA)
    (tmp_path / "there.mp4").write_bytes(DATA)
    with pytest.raises(BucketNotFound):
        await storage.publish([*uploads, Upload(tmp_path / "there.mp4", "gs://missing/there.mp4")], "task.one")
    assert near.get("out/here.mp4") is None
    servers.gs.reset()
    uploads = _files(tmp_path, near, here_mp4=DATA)
    await storage.publish([*uploads, Upload(tmp_path / "there.mp4", "gs://media/there.mp4")], "task.one")
    assert near.get("out/here.mp4") == servers.emulator.client.bucket("media").blob("there.mp4").download_as_bytes() == DATA


@pytest.mark.parametrize(
    ("uri", "error"),
    [("s3://other/x", AccessDenied), ("gs://media/x", InvalidArgument), ("ftp://host/x", InvalidArgument)],
)
def test_buckets_that_are_not_in_the_table(tmp_path: Path, uri: str, error: type[ReelmillError]) -> None:
    """Are not reached."""
    storage = build_storage(_settings(tmp_path, bucket=["s3://media-*"]))
    storage.check_readable("s3://media-eu/x")
    with pytest.raises(error):
        storage.check_readable(uri)


@pytest.mark.parametrize(
    ("found", "removed"),
    [
        ({}, True),
        ({"reelmill-upload": "another"}, False),
        ({"Reelmill-Upload": "another"}, False),
        ({"REELMILL-UPLOAD": ""}, True),
    ],
    ids=["no mark", "another's", "another's, capitalised", "ours, capitalised"],
)
def test_marks_are_read_whatever_their_case(tmp_path: Path, found: dict[str, str], removed: bool) -> None:
    """Some stores capitalise names of metadata; others forget them, and then the contents have to do."""
    (tmp_path / "x").write_bytes(DATA)
    removals: list[str] = []

    class Store:
        sent = ""

        def put_object(self, **sent: Any) -> dict[str, str]:
            self.sent = sent["Metadata"]["reelmill-upload"]
            return {"ETag": "same"}

        def head_object(self, **_: str) -> dict[str, Any]:
            return {"ETag": "same", "Metadata": {name: value or self.sent for name, value in found.items()}}

        def delete_object(self, **at: str) -> None:
            removals.append(at["Key"])

    upload = Upload(tmp_path / "x", "s3://films/x")
    delivery = s3._Upload(Store(), ObjectLocation("s3://films/x", "films", "x"), upload, Labels())
    delivery.publish()
    delivery.remove()
    assert bool(removals) == removed
