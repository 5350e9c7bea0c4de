"""The console without a browser: what its pages show, to whom, and with which headers. Fakes stand behind the interceptor."""

import hashlib
import json
import re
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import project_service_pb2, task_pb2
from reelmill_server.api.console import documents, live, session, text
from reelmill_server.api.console.console import Console
from reelmill_server.api.gate import Gate
from reelmill_server.api.http.front import Front
from reelmill_server.api.http.guard import Guard
from reelmill_server.api.http.server import HttpServer
from reelmill_server.api.interceptor import CallInterceptor
from reelmill_server.api.services import Services
from reelmill_server.errors import InvalidArgument, LimitExceeded, NotAuthenticated, ResourceNotFound
from reelmill_server.model import access
from reelmill_server.model.access import parse_grant
from reelmill_server.telemetry.metrics import Metrics

HOSTILE = '"><script>alert(1)</script>'
SECRET = "hush-hush"
TOKEN = "rmk_a-token"
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
    return task


class MediaConvert:
    """Answers with what it was given, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        async def answer(request: Any, _: Any) -> Any:
            self.asked.append(request)
            response = getattr(pb, f"{name}Response")()
            if name == "GetTask":
                if request.task_id == "missing":
                    raise ResourceNotFound(f"no task {HOSTILE}")
                response.task.CopyFrom(a_task(task_request_definition=DEFINITION))
            if name == "ListTasks":
                response.tasks.append(a_task(task_request_definition=DEFINITION if request.request_definition else ""))
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
        yield pb.WatchTaskResponse(task=a_task()).SerializeToString()


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


class Site:
    """A console and its client."""

    def __init__(self, *, asks: bool) -> None:
        self.service = MediaConvert()
        services = Services(self.service, Projects(), Nothing(), Nothing())
        front = Front(services, CallInterceptor(Metrics(), Gate(knows) if asks else Gate()))
        app = HttpServer(front, Guard("127.0.0.1", (), ()), 100).app
        Console(front, asks=asks).add_routes(front, app.router)
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
    made = Site(asks=False)
    async with made.client:
        yield made


@pytest.fixture
async def asking() -> AsyncIterator[Site]:
    """A console whose callers have tokens."""
    made = Site(asks=True)
    async with made.client:
        yield made


@pytest.mark.parametrize("path", PAGES)
async def test_pages_are_closed(site: Site, path: str) -> None:
    """Nothing hostile is markup, no secret is shown, nothing inline could run, and no cache keeps them."""
    status, page, headers = await site.get(path)
    assert status == 200
    assert "<script>alert" not in page and SECRET not in page
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'") and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert not INLINE.search(page)


async def test_live_fragments_are_closed(site: Site) -> None:
    """The same holds for what comes later."""
    status, stream, headers = await site.get(f"{TASK_PAGE}/live")
    assert (status, headers["Content-Type"]) == (200, "text/event-stream")
    assert "event: state" in stream and stream.endswith("event: close\ndata: \n\n")
    assert "<script>alert" not in stream and SECRET not in stream
    assert live.event("x", "a\rb\r\nc\nd") == b"event: x\ndata: a\ndata: b\ndata: c\ndata: d\n\n"


async def test_a_list_is_streamed_as_rows(site: Site) -> None:
    """All rows first; nothing while nothing changes."""
    async with site.client.get("/console/live/tasks?project=default") as response:
        first = await response.content.readuntil(b"</tr>")
    assert b"event: rows" in first and b'value="12.5"' in first


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
    for body, words in (("{", "no JSON"), ("a: [b", "no YAML"), ("a: &b 1\nc: *b", "references"), ("Sourcs: []", "Sourcs")):
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
    assert [text.size(0), text.size(1536), text.size(5 << 40)] == ["0 B", "1.5 KiB", "5.0 TiB"]
    assert [text.span(7), text.span(3723), text.rate(2_500_000), text.speed(0)] == ["0:07", "1:02:03", "2.50 Mbit/s", "–"]
    assert text.title('{"Sources": [{"URI": "s3://a/b%20c.mov?x=y"}, {"URI": "d"}]}') == "b c.mov + 1"
    shown = text.copies('{"RequestId": "1", "Tags": {"a": "it\'s"}}', "http://host:1", asks=False)
    assert "RequestId" not in shown["curl"] and "authorization" not in shown["curl"]
    assert shown["CLI"].startswith("reelmill submit -")


@pytest.mark.parametrize("place", ["//a", "/\\a", "http://a", "", "/a\nb", "javascript:x"])
def test_logins_lead_nowhere_else(place: str) -> None:
    """A path of this server, or the first page."""
    assert session.local_path(place) == "/"
    assert session.local_path("/console/try?a=b") == "/console/try?a=b"
