"""The console without a browser: what its pages show, to whom, and with which headers. Fakes stand behind the interceptor."""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import project_service_pb2, task_pb2
from reelmill_client import formatting
from reelmill_server.api.console import documents, live, pages, session, streams, text
from reelmill_server.api.console.console import Console
from reelmill_server.api.console.links import Links, end_of, key_of
from reelmill_server.api.console.media import Media
from reelmill_server.api.console.task_files import path_of
from reelmill_server.api.gate import Gate
from reelmill_server.api.http.front import Front
from reelmill_server.api.http.guard import Guard
from reelmill_server.api.http.server import HttpServer
from reelmill_server.api.interceptor import CallInterceptor
from reelmill_server.api.services import Services
from reelmill_server.errors import InvalidArgument, LimitExceeded, NotAuthenticated, ResourceNotFound
from reelmill_server.model import access
from reelmill_server.model.access import parse_grant
from reelmill_server.model.preview import Preview
from reelmill_server.storage.file import FileStorage
from reelmill_server.tasks.previews import PreviewStore
from reelmill_server.telemetry.metrics import Metrics

HOSTILE = '"><script>alert(1)</script>'
SECRET = "hush-hush"
TOKEN = "rmk_a-token"
JPEG = b"\xff\xd8\xff" + bytes(9) + b"\xff\xd9"
DEFINITION = json.dumps(
    {
        "ProjectName": "default",
        "RequestId": "r",
        "Sources": [{"URI": f"https://web/it's <b>film.mov?signature={SECRET}"}],
        "Notification": {"Webhook": {"URL": f"https://hooks/{SECRET}"}},
    }
)
PINNED = {
    "htmx-2.0.11.min.js": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
    "htmx-ext-sse-2.2.4.min.js": "98a46496de0c3605fbffdce9167ba427bdd9553184f83f149c261891a92c0136",
    "dash-5.2.1.min.js": "d4ee2d6fd00a3944f448964787d4603ca1e4ae5ce2956d0a755b78e0d3566b57",
    "hls-1.7.4.min.js": "cfc70cc9e9fc63d071919e087670abc760c8fd1bc889b88588026e4d22193bbe",
}
INLINE = re.compile(r"""\sstyle=|\son[a-z]+=|<style|javascript:|<script(?! src="/console/static/)|https?://(?!web|hooks|127)""")
TASK_PAGE = "/console/tasks/default/MediaConvert-1"
PAGES = ("/", TASK_PAGE, "/console/try", "/console/workers", "/console/login", "/console/try?project=default&task=1")


def a_task(**values: Any) -> task_pb2.Task:
    """A task whose texts are hostile."""
    task = task_pb2.Task(task_id="MediaConvert-1", project_name="default", status=task_pb2.TASK_STATUS_RUNNING, **values)
    task.tags.update({HOSTILE: HOSTILE})
    task.warnings.append(HOSTILE)
    task.failed_attempts.add(attempt=1, code=HOSTILE, message=HOSTILE)
    task.targets.add(percent=12.5, speed=2, eta=61, encoders=HOSTILE)
    artifact = task.artifacts.add(uri=f"s3://bucket/{HOSTILE}?key={SECRET}", size=2048, kind=task_pb2.ARTIFACT_KIND_MEDIA)
    artifact.streams.add(type=task_pb2.STREAM_TYPE_VIDEO, codec=HOSTILE, encoder=HOSTILE, reason=HOSTILE, vmaf=95.12)
    artifact.ladder.metric = HOSTILE
    artifact.ladder.rungs.add(width=320, height=180, crf=27.5, bitrate=250_000, score=84.25)
    return task


class MediaConvert:
    """Answers with what it was given, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.made, self.percent, self.status = "", 12.5, task_pb2.TASK_STATUS_RUNNING
        self.watched: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        async def answer(request: Any, _: Any) -> Any:
            self.asked.append(request)
            response = getattr(pb, f"{name}Response")()
            if name == "GetTask":
                if request.task_id == "missing":
                    raise ResourceNotFound(f"no task {HOSTILE}")
                response.task.CopyFrom(a_task(task_request_definition=DEFINITION))
                response.task.status = self.status
                response.task.artifacts.add(uri=self.made, kind=task_pb2.ARTIFACT_KIND_MEDIA)
            if name == "ListTasks":
                response.tasks.append(a_task(task_request_definition=DEFINITION if request.request_definition else ""))
                response.tasks[0].targets[0].percent = self.percent
                response.next_token = "next&page"
            if name == "PlanMediaConvertTask":
                response.problems.add(field="targets[0].uri", description=HOSTILE)
            if name == "ListWorkers":
                response.workers.add(name=HOSTILE).encoders.add(name="h264_nvenc", reason=HOSTILE)
            if name in ("RetryTask", "CreateMediaConvertTask"):
                response.task_id = "MediaConvert-2"
            return response

        return answer

    async def WatchTask(self, _: Any, __: Any) -> AsyncIterator[bytes]:
        task = a_task()
        task.MergeFrom(task_pb2.Task(**self.watched))
        yield pb.WatchTaskResponse(task=task).SerializeToString()


class Projects:
    """One project."""

    def __getattr__(self, name: str) -> Any:
        async def answer(*_: Any) -> Any:
            response = getattr(project_service_pb2, f"{name}Response")()
            if name == "ListProjects":
                response.projects.add(project_name=HOSTILE)
            return response

        return answer


class Nothing:
    """A service that nothing asks."""

    def __getattr__(self, name: str) -> Any:
        async def answer(*_: Any) -> Any:
            raise AssertionError(name)

        return answer


async def knows(context: Any, *_: Any) -> access.Principal:
    """Let callers with the token in, as viewers."""
    if ("authorization", f"Bearer {TOKEN}") not in context.invocation_metadata():
        raise NotAuthenticated("who are you?")
    return access.Principal("key:viewer", (parse_grant("viewer@default"),))


async def nothing_made(_: str) -> None:
    """No task."""


class Previews(PreviewStore):
    """Some of a task that runs."""

    def __init__(self) -> None:
        self.kept = [Preview(7, 61.0, base64.b64encode(JPEG).decode()), Preview(8, 62.0, "PHN2Zy8+")]

    async def of(self, task_id: str) -> list[Preview]:
        """Those of the task."""
        return self.kept if task_id == "MediaConvert-1" else []


class Site:
    """A console and its client."""

    def __init__(self, *, asks: bool) -> None:
        self.service, self.storage = MediaConvert(), FileStorage([Path("/nowhere")])
        services = Services(self.service, Projects(), Nothing(), Nothing())
        front = Front(services, CallInterceptor(Metrics(), Gate(knows) if asks else Gate()))
        app = HttpServer(front, Guard("127.0.0.1", (), ()), 100).app
        self.previews = Previews()
        console = Console(front, self.storage, Links(b"key", nothing_made), self.previews, asks=asks, grpc_port=50051)
        console.add_routes(front, app.router)
        self.client = TestClient(TestServer(app))

    async def get(self, path: str, **more: Any) -> tuple[int, str, Any]:
        """Status, text and headers of a page."""
        async with self.client.get(path, allow_redirects=False, **more) as response:
            return response.status, await response.text(), response.headers

    async def post(self, path: str, data: Any = None, **headers: str) -> tuple[int, str, Any]:
        """Status, text and headers of what a form gets."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.post(path, data=data or {}, headers=sent, allow_redirects=False) as response:
            return response.status, await response.text(), response.headers


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A console that asks nobody."""
    result = Site(asks=False)
    async with result.client:
        yield result


@pytest.fixture
async def asking() -> AsyncIterator[Site]:
    """A console whose callers have tokens."""
    result = Site(asks=True)
    async with result.client:
        yield result


@pytest.mark.parametrize("path", PAGES)
async def test_pages_are_closed(site: Site, path: str) -> None:
    """Nothing hostile is markup, no secret is shown, nothing inline could run, and no cache keeps them."""
    status, page, headers = await site.get(path)
    assert status == 200
    assert "<script>alert" not in page and SECRET not in page
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'") and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert (
        headers["Referrer-Policy"] == "same-origin"
    )  # else browsers send the origin of forms as null, which is no page of ours
    assert not INLINE.search(page)


async def test_live_fragments_are_closed(site: Site) -> None:
    """The same holds for what comes later."""
    status, stream, headers = await site.get(f"{TASK_PAGE}/live")
    assert (status, headers["Content-Type"]) == (200, "text/event-stream")
    assert "event: details" in stream and stream.endswith("event: close\ndata: \n\n")
    assert "<script>alert" not in stream and SECRET not in stream
    assert live.event("x", "a\rb\r\nc\nd") == b"event: x\ndata: a\ndata: b\ndata: c\ndata: d\n\n"


async def test_progress_leaves_the_buttons_alone(site: Site) -> None:
    """One that is replaced while it is pressed gets no click. Others come when the task is to be canceled, or has ended."""
    live_page = f"{TASK_PAGE}/live"
    _, running, _ = await site.get(live_page)
    site.service.watched = {"cancel_requested": True}
    _, canceling, _ = await site.get(live_page)
    site.service.watched = {"status": task_pb2.TASK_STATUS_CANCELED}
    _, canceled, _ = await site.get(live_page)
    assert "event: standing" in running and "<button" not in running
    assert 'id="cancel" class="danger" disabled' in canceling and 'id="retry"' in canceled


async def test_a_list_is_streamed_as_rows(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows first, then those that change, each in the place of the one before."""
    monkeypatch.setattr(streams, "_SECONDS", 0.01)
    async with site.client.get("/console/live/tasks?project=default") as response:
        first = await response.content.readuntil(b"</tr>")
        site.service.percent = 13.5
        then = await response.content.readuntil(b"</template>")
    assert b"event: rows" in first and b'value="12.5"' in first
    assert b"event: row\n" in then and b'<template><tr hx-swap-oob="true" id="t-MediaConvert-1"' in then
    assert b'value="13.5"' in then and b"<script>alert" not in then and b"&amp;lt;" not in then


async def test_what_a_list_asks_for(site: Site) -> None:
    """Filters and pages are those of ListTasks, newest first; a malformed one is told."""
    _, page, _ = await site.get("/?project=films&status=failed&tag=a%3Db&after=token")
    asked = next(request for request in site.service.asked if isinstance(request, pb.ListTasksRequest))
    assert (asked.project_name, asked.tag_selector, asked.next_token) == ("films", "a=b", "token")
    assert (asked.status, asked.order) == (task_pb2.TASK_STATUS_FAILED, pb.SORT_ORDER_DESC)
    assert "after=next%26page" in page and "film.mov" in page


async def test_errors_are_pages(site: Site) -> None:
    """With the status of the call; in a fragment where a script asked."""
    status, page, _ = await site.get("/console/tasks/default/missing")
    assert status == 404 and "no task" in page and "<script>alert" not in page
    _, page, _ = await site.get("/console/tasks/default/missing", headers={"HX-Request": "true"})
    assert page.startswith("<p")


async def test_requests_are_tried(site: Site) -> None:
    """What cannot be read, what the service refuses, and what is made of a request."""
    for body, words in (("{", "not JSON"), ("a: [b", "not YAML"), ("a: &b 1\nc: *b", "references"), ("Sourcs: []", "Sourcs")):
        _, page, _ = await site.post("/console/plan", {"body": body})
        assert words in page and "What is wrong" in page
    _, page, _ = await site.post("/console/plan", {"body": "ProjectName: default"})
    assert "targets[0].uri" in page and "<script>alert" not in page
    status, _, headers = await site.post("/console/submit", {"body": "ProjectName: default"})
    assert (status, headers["Location"]) == (303, "/console/tasks/default/MediaConvert-2")


async def test_tasks_are_changed(site: Site) -> None:
    """Cancel and retry are the RPCs; a script is told where to go."""
    status, _, headers = await site.post(f"{TASK_PAGE}/cancel", HX_Request="true")
    assert (status, headers["HX-Redirect"]) == (200, TASK_PAGE)
    status, _, headers = await site.post(f"{TASK_PAGE}/retry")
    assert (status, headers["Location"]) == (303, "/console/tasks/default/MediaConvert-2")
    kinds = [type(request).__name__ for request in site.service.asked]
    assert kinds == ["CancelTaskRequest", "RetryTaskRequest"]


async def test_pages_of_others_change_nothing(asking: Site) -> None:
    """Neither another site's nor those of an allowed origin, with whatever cookie."""
    for path in (f"{TASK_PAGE}/cancel", "/console/submit", "/console/login"):
        status, *_ = await asking.post(path, {"token": TOKEN}, Origin="http://127.0.0.1:1")
        assert status == 403


@pytest.mark.parametrize("path", [page for page in PAGES if "login" not in page])
async def test_strangers_see_nothing(asking: Site, path: str) -> None:
    """They are asked for a token, and come back afterwards."""
    if path == "/console/try":
        return  # shows nothing of anybody
    status, page, headers = await asking.get(path)
    assert status == 303 and headers["Location"].startswith("/console/login?next=%2F") and not page
    for inside in (f"{TASK_PAGE}/previews", f"{TASK_PAGE}/previews/7.jpg"):
        assert (await asking.get(inside))[0] == 303
    status, *_ = await asking.get("/console/live/tasks")
    assert status == 401 and not asking.service.asked


async def test_a_token_is_kept_where_no_script_reads_it(asking: Site) -> None:
    """A wrong one is refused; the right one opens the pages with the rights of its caller, until it is forgotten."""
    status, page, headers = await asking.post("/console/login", {"token": "rmk_wrong"})
    assert status == 401 and "Set-Cookie" not in headers and "rmk_wrong" not in page
    status, _, headers = await asking.post("/console/login", {"token": TOKEN, "next": "//evil.example"})
    cookie = headers["Set-Cookie"]
    assert (status, headers["Location"]) == (303, "/") and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    status, page, _ = await asking.get(TASK_PAGE)
    assert status == 200 and TOKEN not in page and "$REELMILL_TOKEN" in page
    status, page, _ = await asking.post(f"{TASK_PAGE}/cancel")
    assert status == 403 and "CancelTask" in page
    _, _, headers = await asking.post("/console/logout")
    assert 'reelmill_token=""' in headers["Set-Cookie"] and "Max-Age=0" in headers["Set-Cookie"]


async def test_files_of_the_package(site: Site) -> None:
    """Each is served by its name, others are not; those of others are as they were published."""
    for name, digest in PINNED.items():
        _, _, headers = await site.get(f"/console/static/{name}")
        assert headers["Content-Type"].startswith("text/javascript")
        content = files("reelmill_server.api.console").joinpath("static", name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
    assert (await site.get("/console/static/..%2Fconsole.py"))[0] == 404


def test_documents() -> None:
    """JSON and YAML; no bombs, nothing that JSON has no form for."""
    assert documents.read_document('{"a": [1]}') == documents.read_document("a: [1]") == {"a": [1]}
    for document in ("a: 2020-01-01", "- a", "x: !!python/object/apply:os.system [ls]", "[" * 10_000):
        with pytest.raises(InvalidArgument):
            documents.read_document(document)
    with pytest.raises(LimitExceeded):
        documents.read_document("a" * (documents.MOST_CHARACTERS + 1))


def test_words() -> None:
    """Values as people read them."""
    for size in (0, 999, 1000, 1_550_000, 2 * 10**12, 5 * 10**15):
        assert text.size(size) == formatting.size_text(size), "the command line and the console say the same"
    assert [text.size(0), text.size(1536), text.size(5 << 40)] == ["0 B", "1.5 kB", "5.5 TB"]
    assert [text.span(7), text.span(3723), text.rate(2_500_000), text.speed(0)] == ["0:07", "1:02:03", "2.50 Mbit/s", "–"]
    assert text.title('{"Sources": [{"URI": "s3://a/b%20c.mov?x=y"}, {"URI": "d"}]}') == "b c.mov + 1"
    assert text.name_of("file:///a/%E2%80%AEgnp.mp4%0A") == r"\u202egnp.mp4\n"  # else it would read as 4pm.png
    sheets, segments = task_pb2.ARTIFACT_KIND_SPRITE_WEB_VTT, task_pb2.ARTIFACT_KIND_PLAYLIST
    assert text.listed(task_pb2.Artifact(kind=sheets, segment_count=1)) == "1 image"
    assert text.listed(task_pb2.Artifact(kind=segments, segment_count=1200, segments_size=2048)) == "1,200 segments, 2.0 kB"
    assert text.listed(task_pb2.Artifact()) == ""
    shown = text.copies('{"RequestId": "1", "Tags": {"a": "it\'s"}}', "http://host:1", 50051, asks=False)
    assert "RequestId" not in shown["curl"] and "authorization" not in shown["curl"]
    assert shown["CLI"].startswith("reelmill --server host:50051 submit -")
    assert 'with Client("host:50051") as client' in shown["Python"] and "import os" not in shown["Python"]
    shown = text.copies('{"Sources": []}', "https://[::1]", 9, asks=True)
    assert shown["CLI"].startswith("reelmill --server [::1]:9 --tls submit -") and "$REELMILL_TOKEN" in shown["curl"]
    assert 'Client("[::1]:9", tls=True, token=os.environ["REELMILL_TOKEN"])' in shown["Python"]
    compile(shown["Python"], "copied", "exec")


@pytest.mark.parametrize("place", ["//a", "/\\a", "http://a", "", "/a\nb", "javascript:x"])
def test_logins_lead_nowhere_else(place: str) -> None:
    """A path of this server, or the first page."""
    assert session.local_path(place) == "/"
    assert session.local_path("/console/try?a=b") == "/console/try?a=b"


def task_with_files(folder: Path) -> task_pb2.Task:
    """Write what a task made, and what it did not make, to a folder and beside it; some files were replaced since."""
    (folder / "low").mkdir(parents=True)
    (folder / "main.m3u8").write_text("#EXTM3U\nlow/a%20b.m3u8\n../../secret.txt\n/etc/passwd\nfile:///etc/passwd\n")
    (folder / "low/a b.m3u8").write_text('#EXTM3U\n#EXT-X-MAP:URI="init.mp4"\n1.m4s\n')
    (folder / "changed.m3u8").write_text("unnamed")
    (folder / "x.mpd").write_text(
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><SegmentTemplate media="$RepresentationID$-$Number%05d$.m4s"/></MPD>'
    )
    for name in ("low/init.mp4", "low/1.m4s", "low/2.m4s", "v0-00001.m4s", "v0-x.m4s", "page.html", "changed.mp4", "unnamed"):
        (folder / name).write_text("0123456789")
    (folder.parent / "secret.txt").write_text("hush")
    task = task_pb2.Task()
    kinds: dict[str, Any] = {
        "main.m3u8": task_pb2.ARTIFACT_KIND_MASTER_PLAYLIST,
        "low/a b.m3u8": task_pb2.ARTIFACT_KIND_PLAYLIST,
    }
    kinds |= {
        "x.mpd": task_pb2.ARTIFACT_KIND_MANIFEST,
        "page.html": task_pb2.ARTIFACT_KIND_MEDIA,
        "changed.mp4": 1,
        "changed.m3u8": 2,
    }
    for name, kind in kinds.items():
        content = b"earlier" if name.startswith("changed") else (folder / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        task.artifacts.add(uri=(folder / name).as_uri(), kind=kind, size=len(content), sha256=digest)
    return task


async def test_only_what_a_task_made_is_served(tmp_path: Path) -> None:
    """Artifacts and what their playlists name, in ranges, with types from a list; nothing else, nothing that was replaced."""
    folder = tmp_path / "it's here"
    task = task_with_files(folder)
    now = [1000.0]

    async def load(task_id: str) -> task_pb2.Task | None:
        return task if task_id == "MediaConvert-1" else None

    links = Links(b"key", load, lambda: now[0])
    key = links.make("MediaConvert-1")
    app = web.Application()
    app.router.add_get("/console/media/{link}/{scheme}/{authority}/{path:.+}", Media(links, FileStorage([folder])).serve)

    async with TestClient(TestServer(app)) as client:

        async def get(path: Path, key: str = key, **headers: str) -> tuple[int, str, Any]:
            async with client.get(URL(path_of(key, path.as_uri()), encoded=True), headers=headers) as response:
                return response.status, await response.text(), response.headers

        for name in ("main.m3u8", "low/a b.m3u8", "low/init.mp4", "low/1.m4s", "v0-00001.m4s", "x.mpd"):
            status, _, headers = await get(folder / name)
            assert status == 200, name
            # Browsers make a page of their own around a video that is opened by itself; the page of XML may do nothing.
            alone = not name.endswith(".mpd")
            assert ("media-src 'self'" if alone else "sandbox") in headers["Content-Security-Policy"], name
        for name in ("low/2.m4s", "v0-x.m4s", "unnamed", "../secret.txt"):
            assert (await get(folder / name))[0] == 404, name
        assert (await get(Path("/etc/passwd")))[0] == 404 and (await get(folder / "main.m3u8", "guess"))[0] == 403
        assert (await get(folder / "changed.mp4"))[0] == 410
        status, _, headers = await get(folder / "page.html")
        assert headers["Content-Type"] == "application/octet-stream" and headers["Content-Disposition"] == "attachment"
        at = folder / "low/init.mp4"
        for asked, got in (("2-4", "234"), ("-3", "789"), ("8-", "89"), ("3-99", "3456789")):
            assert (await get(at, Range=f"bytes={asked}"))[:2] == (206, got)
        assert (await get(at, Range="bytes=1-2,4-5"))[:2] == (200, "0123456789")
        assert (await get(at, Range=f"bytes={'9' * 5000}-"))[:2] == (200, "0123456789")
        assert (await get(at, Range="bytes=10-"))[0] == 416
        for other in (Links(b"another", load, lambda: now[0]).make("MediaConvert-1"), links.make("MediaConvert-2")):
            assert (await get(at, other))[0] == 403
        until, task_id, signature = key.split(".")
        for forged in (
            f"{until}9.{task_id}.{signature}",
            f"{until}.{task_id}.{signature[:-1]}",
            f"{until}..{signature}",
            "x",
        ):
            assert (await get(at, forged))[0] == 403
        restarted = Links(b"key", load, lambda: now[0])
        assert await restarted.find(key) is not None
        now[0] += 3599
        assert (await get(at))[0] == 200
        now[0] += 1
        assert (await get(at))[0] == 403 and await restarted.find(key) is None
    long = links.make("MediaConvert-1", 7200.5)
    assert end_of(long).timestamp() == now[0] + 3600 + 7200 and await links.find(long) is not None
    assert end_of(links.make("MediaConvert-1", 1e12)).timestamp() == now[0] + 3600 + 86400


def test_the_key_of_links_is_kept(tmp_path: Path) -> None:
    """In a file for its owner, made once; a secret is the same everywhere."""
    key = key_of("", tmp_path)
    assert key_of("", tmp_path) == key and len(key) == 32
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    for left in (b"", key[:20]):  # by a loss of power: anybody could sign with nothing
        file.write_bytes(left)
        assert len(key_of("", tmp_path)) == 32 and key_of("", tmp_path) != key
    assert key_of("shared", tmp_path / "a") == key_of("shared", tmp_path / "b") != key_of("other", tmp_path)


async def test_players(site: Site) -> None:
    """A page with a link for what can be played, and none for the rest."""
    for number in ("9", "0", "-1", "x"):
        assert (await site.get(f"{TASK_PAGE}/play/{number}"))[0] == 404
    site.service.made = "s3://bucket/it's a.mp4"
    _, page, headers = await site.get(f"{TASK_PAGE}/play/1")
    assert re.search(r'data-source="/console/media/\d+\.[\w-]+\.[\w-]{32}/s3/bucket/it%27s%20a.mp4"', page)
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")


async def test_frames_of_a_running_task_are_shown(site: Site) -> None:
    """For as long as it runs; what is no JPEG is not sent."""
    status, text, headers = await site.get(f"{TASK_PAGE}/previews")
    assert (status, headers["Content-Security-Policy"]) == (200, pages.POLICY)
    assert f'src="{TASK_PAGE}/previews/7.jpg" alt="Frame at 1:01"' in text and "REELMILL_PREVIEWS" not in text
    async with site.client.get(f"{TASK_PAGE}/previews/7.jpg") as response:
        assert (response.status, response.content_type, await response.read()) == (200, "image/jpeg", JPEG)
        assert "sandbox" in response.headers["Content-Security-Policy"] and "private" in response.headers["Cache-Control"]
    for name in ("8.jpg", "9.jpg", "7.jpeg", "x.jpg"):
        assert (await site.get(f"{TASK_PAGE}/previews/{name}"))[0] == 404
    site.previews.kept = []
    assert "REELMILL_PREVIEWS" in (await site.get(f"{TASK_PAGE}/previews"))[1]
    site.service.status = task_pb2.TASK_STATUS_SUCCEEDED
    status, text, _ = await site.get(f"{TASK_PAGE}/previews")
    assert (status, text.strip()) == (286, "")
