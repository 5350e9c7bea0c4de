"""The HTTP front over services that pretend: each protocol, its errors, its bounds, and readers that leave or are slow."""

import asyncio
import base64
import gzip
import json
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from google.rpc import error_details_pb2, status_pb2

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill_server.api.http.guard import Guard
from reelmill_server.api.http.server import HttpServer
from reelmill_server.telemetry.metrics import Metrics
from tests.fronts import Pretended, pretended_front, serving

GET, WATCH = "/reelmill.v1.MediaConvertService/GetTask", "/reelmill.v1.MediaConvertService/WatchTask"
LIST = "/reelmill.v1.ProjectService/ListProjects"
QUERY = {"ProjectName": "p", "TaskId": "t"}
PROTO = pb.GetTaskRequest(project_name="p", task_id="t").SerializeToString()
CONNECT = {"Content-Type": "application/json", "Connect-Protocol-Version": "1"}


@asynccontextmanager
async def front(
    service: Pretended | None = None, guard: Guard | None = None, metrics: Metrics | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with a front as its base."""
    async with (
        serving(pretended_front(service=service, metrics=metrics), guard) as url,
        aiohttp.ClientSession(url, auto_decompress=False) as session,
    ):
        yield session


def frames(body: bytes) -> list[tuple[int, bytes]]:
    """The frames of a stream."""
    results = []
    while body:
        flags, length = struct.unpack_from(">BI", body)
        results.append((flags, body[5 : 5 + length]))
        body = body[5 + length :]
    return results


def framed(data: bytes, flags: int = 0) -> bytes:
    """A frame."""
    return struct.pack(">BI", flags, len(data)) + data


async def post(session: aiohttp.ClientSession, path: str, body: Any, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body of a call."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with session.post(path, data=data, headers={"Content-Type": "application/json"} | sent) as response:
        return response.status, response.headers, await response.read()


async def test_connect_with_one_answer() -> None:
    """JSON and protobuf, compressed or not, by POST and by GET."""
    async with front() as session:
        status, headers, body = await post(session, GET, QUERY, **CONNECT)
        assert (status, headers["Content-Type"], json.loads(body)["Task"]["TaskId"]) == (200, "application/json", "t")
        status, headers, body = await post(session, GET, PROTO, Content_Type="application/proto")
        assert headers["Content-Type"] == "application/proto" and pb.GetTaskResponse.FromString(body).task.task_id == "t"
        packed = gzip.compress(json.dumps({**QUERY, "TaskId": "large"}).encode())
        status, headers, body = await post(session, GET, packed, **CONNECT, Content_Encoding="gzip", Accept_Encoding="gzip")
        assert headers["Content-Encoding"] == "gzip" and len(json.loads(gzip.decompress(body))["Task"]["UserData"]) == 10_000
        for parameters in (
            {"connect": "v1", "encoding": "json", "message": json.dumps(QUERY)},
            {
                "encoding": "json",
                "base64": "1",
                "message": base64.urlsafe_b64encode(json.dumps(QUERY).encode()).decode().rstrip("="),
            },
            {
                "encoding": "json",
                "base64": "1",
                "compression": "gzip",
                "message": base64.urlsafe_b64encode(gzip.compress(json.dumps(QUERY).encode())).decode(),
            },
            QUERY,
        ):
            async with session.get(GET, params=parameters) as response:
                assert (await response.json())["Task"]["TaskId"] == "t" and response.headers["Cache-Control"] == "no-store"
        async with session.get(LIST, params={"Prefix": "a", "Tag": '[{"Key": "k", "Value": "v"}]'}) as response:
            assert (await response.json())["Projects"] == [{"ProjectName": "a", "Tags": [{"TagKey": "k", "TagValue": "v"}]}]


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", {}, 400, "invalid_argument"),
        (b"[]", {}, 400, "invalid_argument"),
        (b"[" * 100_000, {}, 400, "invalid_argument"),
        (b'{"ProjectName": 1}', {}, 400, "invalid_argument"),
        (b"\xff", {"Content_Type": "application/proto"}, 400, "invalid_argument"),
        (b"x", {"Content_Encoding": "gzip"}, 400, "invalid_argument"),
        (gzip.compress(bytes(5_000_000), mtime=0), {"Content_Encoding": "gzip"}, 429, "resource_exhausted"),
        (bytes(4_200_000), {}, 429, "resource_exhausted"),
        (b"{}", {"Content_Encoding": "br"}, 501, "unimplemented"),
        (b"{}", {"Connect_Timeout_Ms": "soon"}, 400, "invalid_argument"),
        (json.dumps({**QUERY, "TaskId": "missing"}).encode(), {}, 404, "not_found"),
        (json.dumps({**QUERY, "TaskId": "wait"}).encode(), {"Connect_Timeout_Ms": "50"}, 504, "deadline_exceeded"),
        (b"", {"Content_Type": "application/xml"}, 415, "unimplemented"),
    ],
)
async def test_what_is_refused(body: bytes, headers: dict[str, str], status: int, code: str) -> None:
    """By its status, with Connect's code."""
    async with front() as session:
        got, _, answer = await post(session, GET, body, **headers)
        assert (got, json.loads(answer)["code"]) == (status, code)


async def test_unknown_fields_are_for_people() -> None:
    """A client of Connect may be newer than the server; who writes JSON by hand has made a mistake."""
    async with front() as session:
        assert (await post(session, GET, {**QUERY, "TaskIdd": "t"}, **CONNECT))[0] == 200
        status, _, body = await post(session, GET, {**QUERY, "TaskIdd": "t"})
        assert status == 400 and b"did you mean TaskId?" in body


async def test_connect_streams() -> None:
    """Frames, then an end that says whether it went well; deadlines count."""
    async with front() as session:
        for kind, request in (
            ("json", json.dumps(QUERY).encode()),
            ("proto", PROTO[:0] + pb.WatchTaskRequest(task_id="t").SerializeToString()),
        ):
            status, headers, body = await post(session, WATCH, framed(request), Content_Type=f"application/connect+{kind}")
            *messages, end = frames(body)
            assert (status, headers["Content-Type"], len(messages)) == (200, f"application/connect+{kind}", 3)
            assert end == (2, b"{}")
        for task, headers, code in (("missing", {}, "not_found"), ("wait", {"Connect_Timeout_Ms": "50"}, "deadline_exceeded")):
            request = framed(json.dumps({"TaskId": task}).encode())
            status, _, body = await post(session, WATCH, request, Content_Type="application/connect+json", **headers)
            flags, end = frames(body)[-1]
            assert (status, flags, json.loads(end)["error"]["code"]) == (200, 2, code)
        accepted = {"Connect_Accept_Encoding": "gzip", "Connect_Content_Encoding": "gzip"}
        request = framed(gzip.compress(json.dumps({"TaskId": "large"}).encode()), 1)
        _, headers, body = await post(session, WATCH, request, Content_Type="application/connect+json", **accepted)
        flags, message = frames(body)[0]
        assert (headers["Connect-Content-Encoding"], flags) == ("gzip", 1)
        assert len(json.loads(gzip.decompress(message))["Task"]["UserData"]) == 100_000


@pytest.mark.parametrize("text", [False, True])
async def test_grpc_web(text: bool) -> None:
    """One answer or several, and trailers with the details of an error."""
    kind = f"application/grpc-web{'-text' if text else ''}+proto"

    async def ask(path: str, message: bytes) -> list[tuple[int, bytes]]:
        request = base64.b64encode(framed(message)) if text else framed(message)
        status, headers, body = await post(session, path, request, Content_Type=kind)
        assert (status, headers["Content-Type"]) == (200, kind)
        if text:  # several texts, one after the other
            body = b"".join(base64.b64decode(part + b"=" * (-len(part) % 4)) for part in body.replace(b"=", b"= ").split())
        return frames(body)

    async with front() as session:
        (flags, message), trailers = await ask(GET, PROTO)
        assert (flags, pb.GetTaskResponse.FromString(message).task.task_id, trailers) == (0, "t", (0x80, b"grpc-status: 0\r\n"))
        assert len(await ask(WATCH, pb.WatchTaskRequest(task_id="t").SerializeToString())) == 4
        ((flags, block),) = await ask(GET, pb.GetTaskRequest(project_name="p", task_id="missing").SerializeToString())
        trailer = dict(line.split(": ", 1) for line in block.decode().splitlines())
        assert (flags, trailer["grpc-status"]) == (0x80, "5")
        assert trailer["grpc-message"] == "it is not there: 100 %25, %C3%BC"
        status = status_pb2.Status.FromString(base64.b64decode(trailer["grpc-status-details-bin"] + "=="))
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info) and info.metadata["code"] == "ResourceNotFound"


async def test_events() -> None:
    """Messages and an end; an error before the first has its HTTP status; a stream without news is open all the same."""
    async with front() as session:
        async with session.post(WATCH, json=QUERY, headers={"Accept": "text/event-stream"}) as response:
            assert response.content_type == "text/event-stream"
            events = (await response.text()).split("\n\n")
        assert json.loads(events[1].removeprefix("data: ")) == {"Task": {"TaskId": "t", "Progress": 1}}
        assert events[3:] == ["event: end\ndata: {}", ""]
        async with session.get(WATCH, params={"TaskId": "missing"}) as response:
            assert (response.status, (await response.json())["code"]) == (404, "not_found")
        async with asyncio.timeout(20), session.get(WATCH, params={"TaskId": "silent"}) as response:
            assert response.status == 200
        async with session.post(WATCH, json=QUERY, headers={"Accept": "application/json"}) as response:
            assert response.status == 415


async def _ended(metrics: Metrics, code: str) -> None:
    async with asyncio.timeout(20):
        while not any(sample.labels.get("code") == code for family in metrics.rpc_total.collect() for sample in family.samples):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("path", [GET, WATCH])
async def test_who_leaves_has_canceled(path: str) -> None:
    """Its call ends at once, whether it was waiting for the only answer or for the next."""
    metrics = Metrics()
    async with front(metrics=metrics) as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), session.get(path, params={**QUERY, "TaskId": "wait"}) as response:
                await response.read()
        await _ended(metrics, "CANCELLED")


async def test_a_slow_reader_holds_few_states() -> None:
    """While it takes nothing, none are made for it: when it goes on, its next one is the latest."""
    service = Pretended()
    service.states = 10_000
    async with front(service) as session, session.get(WATCH, params={**QUERY, "TaskId": "large"}) as response:
        await asyncio.sleep(0.5)
        result = service.made
        assert result < 200, "of 100 kB each: what buffers of the system hold"
        await response.content.readexactly(20_000_000)
        assert service.made > result


async def test_hosts_and_origins() -> None:
    """Names of loopback only, unless others are named; pages of allowed origins get what they need to read."""
    guard = Guard("127.0.0.1", ("media.example.com",), ("https://app.example.com",))
    async with front() as plain, front(guard=guard) as named:
        for session, host, status in (
            (plain, "localhost:1", 200),
            (plain, "[::1]:1", 200),
            (plain, "media.example.com", 403),
            (plain, "127.0.0.1.example.com", 403),
            (named, "MEDIA.example.com:443", 200),
            (named, "other.example.com", 403),
        ):
            assert (await post(session, GET, QUERY, Host=host))[0] == status, host
        status, headers, _ = await post(named, GET, QUERY, Origin="https://app.example.com")
        assert (status, headers["Access-Control-Allow-Origin"]) == (200, "https://app.example.com")
        assert "Grpc-Status-Details-Bin" in headers["Access-Control-Expose-Headers"]
        for origin in ("https://example.com", "http://app.example.com", "null"):
            status, headers, _ = await post(named, GET, QUERY, Origin=origin)
            assert status == 403 and "Access-Control-Allow-Origin" not in headers
        asks = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
        async with named.options(GET, headers=asks) as response:
            assert response.status == 204 and "Connect-Protocol-Version" in response.headers["Access-Control-Allow-Headers"]
        async with named.options(GET, headers={**asks, "Origin": "https://example.com"}) as response:
            assert response.status == 403


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (GET, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}, 403),
        (GET, {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "iframe"}, 403),
        (GET, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}, 200),
        (GET, {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}, 200),
        ("/?Action=GetTask", {"User-Agent": "Mozilla/5.0"}, 200),
        ("/?Action=CancelTask", {"User-Agent": "Mozilla/5.0"}, 403),
        ("/?Action=CancelTask", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}, 403),
        ("/?Action=DeleteProject", {"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"}, 403),
    ],
)
async def test_links_and_pictures_of_other_pages_change_nothing(path: str, headers: dict[str, str], status: int) -> None:
    """A GET has no origin: who made it is told by what browsers add."""
    async with front() as session, session.get(path, params=QUERY, headers=headers) as response:
        assert response.status == status


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/?Action=GetTask&ProjectName=p&TaskId=t", {"x-acs-action": "CancelTask"}, b""),
        ("/?Action=GetTask&ProjectName=p", {"Content-Type": "application/json"}, b"TaskId=t"),
        ("/?Action=GetTask&ProjectName=p", {"Content-Type": "text/plain"}, b"TaskId=t"),
        ("/?Action=GetTask&ProjectName=p&TaskId=t&TaskId.1=u", {}, b""),
        ("/?Action=GetTask&ProjectName=p&TaskId.1=u&TaskId=t", {}, b""),
    ],
)
async def test_what_is_ambiguous_or_not_signed_changes_no_action(path: str, headers: dict[str, str], body: bytes) -> None:
    """A header that older SDKs do not sign, a type by which a signed form would be none, or a field given in two ways."""
    async with front() as session:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        async with session.post("/?Action=GetTask&ProjectName=p", headers=form, data=b"TaskId=t") as response:
            assert response.status == 200
        async with session.post(path, headers=headers, data=body) as response:
            assert (response.status, (await response.json())["Code"]) == (400, "InvalidArgument")


async def test_more_connections_than_allowed_are_closed() -> None:
    """At once, and those before go on."""
    async with serving(pretended_front(), most=2) as url:
        connector = aiohttp.TCPConnector()
        async with aiohttp.ClientSession(url, connector=connector) as session:
            held = [await session.get(WATCH, params={"TaskId": "wait"}) for _ in range(2)]
            with pytest.raises(aiohttp.ClientError):
                await session.get(WATCH, params={"TaskId": "wait"})
            assert [response.status for response in held] == [200, 200]
            held[0].close()


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({"Action": "GetTask", **QUERY}, 200, None),
        ({"Action": "GetTask", "ProjectName": "p", "TaskId": "t", "RequestDefinition": "True", "Unknown": "1"}, 200, None),
        ({"Action": "GetTask", **QUERY, "TaskId": "missing"}, 400, "ResourceNotFound"),
        ({"Action": "GetTask", **QUERY, "TaskId": "busy"}, 429, "Throttling"),
        ({"Action": "GetTask", **QUERY, "RequestDefinition": "maybe"}, 400, "InvalidArgument"),
        ({"Action": "ListProjects", "Tag": "{"}, 400, "InvalidArgument"),
        ({"Action": "ListProjects", "Tag": "[" * 5000}, 400, "InvalidArgument"),
        ({"Action": "WatchTask"}, 404, "InvalidAction.NotFound"),
        ({"Action": "Nothing"}, 404, "InvalidAction.NotFound"),
    ],
)
async def test_actions(parameters: dict[str, str], status: int, code: str | None) -> None:
    """In the query or in a form; each answer is JSON with the id of the call."""
    async with front() as session:
        for how in ({"params": parameters}, {"data": parameters}):
            async with session.post("/", **how) as response:
                answer = json.loads(await response.read())
                assert (response.status, answer.get("Code") or None) == (status, code)
                assert len(answer["RequestId"]) == 36
                if code is None:
                    assert answer["TaskId"] == "t" and answer["Progress"] == 0 and "Task" not in answer
                if code == "Throttling":
                    assert response.headers["x-acs-retry-after"] == "1500" and response.headers["Retry-After"] == "2"


async def test_flat_parameters() -> None:
    """As older SDKs send lists and objects."""
    flat = {"Action": "ListProjects", "Prefix": "a"}
    flat |= {f"Tag.{number}.{part}": f"{part}{number}" for number in (1, 2, 10) for part in ("Key", "Value")}
    async with front() as session, session.get("/", params=flat) as response:
        (project,) = json.loads(await response.read())["Projects"]
        assert [tag["TagKey"] for tag in project["Tags"]] == ["Key1", "Key2", "Key10"]


async def test_a_drain_sends_clients_elsewhere() -> None:
    """Calls are answered, and their connections closed."""
    server = HttpServer(pretended_front(), Guard("127.0.0.1", (), ()), 10)
    port = await server.start("127.0.0.1:0")
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        for headers in ({}, {"Connection": "close"}):
            async with session.get(GET, params=QUERY) as response:
                assert response.status == 200 and headers.items() <= response.headers.items()
                assert ("Connection" in response.headers) == ("Connection" in headers)
            server.drain()
    await server.stop()
