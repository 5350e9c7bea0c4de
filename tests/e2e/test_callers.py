"""A service that asks who calls: keys, foreign projects, audit, and secrets that nobody else sees."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web as web_server
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from typer.testing import CliRunner

from reelmill_client import Client, NotFound, PermissionDenied, ReelmillError, Unauthenticated
from reelmill_client.cli.app import app
from reelmill_server.api.permissions import RULES
from reelmill_server.api.services import SERVICES
from tests import servers
from tests.clips import moving_picture
from tests.e2e.test_traces import Collector
from tests.stores import Front, web_files

pytestmark = pytest.mark.xdist_group("callers")
ADMIN_TOKEN = "planted-admin-token-0123456789"
WEBHOOK, QUERY, PASSWORD = "planted-hook", "planted-query", "planted-password"


def methods() -> Iterator[MethodDescriptor]:
    """Every RPC of the API."""
    for name in SERVICES:
        yield from descriptor_pool.Default().FindServiceByName(name).methods


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Where the spans go."""
    result = Collector()
    yield result
    result.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the service, with a clip."""
    result = tmp_path_factory.mktemp("callers")
    moving_picture(result / "files" / "clip.mp4", 1)
    return result


@pytest.fixture(scope="module")
def web(folder: Path) -> Front:
    """A web server with the clip, which takes what is posted to it."""
    files = web_files({"clip.mp4": (folder / "files" / "clip.mp4").read_bytes()}, {})

    async def answer(request: web_server.Request) -> web_server.StreamResponse:
        return web_server.Response() if request.method == "POST" else await files(request)

    return Front(answer).start()


@pytest.fixture(scope="module")
def server(folder: Path, web: Front, collector: Collector) -> Iterator[servers.Server]:
    """A service that takes keys and traces, with one worker slot, and reaches the web server."""
    environment = {
        "REELMILL_ADMIN_TOKEN": ADMIN_TOKEN,
        "REELMILL_CALLER_RATE": "0",
        "REELMILL_WEBHOOK_SECRETS": f"default=whsec_{base64.b64encode(b'0123456789abcdef0123456789abcdef').decode()}",
        "REELMILL_WEBHOOK_ALLOW_HTTP": "true",
        "REELMILL_WEBHOOK_ALLOW_PRIVATE": "true",
        "REELMILL_WEB_HOST": "127.0.0.1",
        "REELMILL_WEB_PRIVATE": "true",
        "REELMILL_LOG_LEVEL": "debug",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    flags = ("--authentication", "keys", "--worker-slots", "1", "--otel-endpoint", collector.endpoint)
    with servers.serve(folder, *flags, environment=environment) as running:
        yield running


@pytest.fixture(scope="module")
def files(server: servers.Server) -> Path:
    """Where the service reads and writes."""
    return server.log.parents[1] / "files"


@pytest.fixture(scope="module")
def admin(server: servers.Server) -> Iterator[Client]:
    """An administrator's client; the projects `mine` and `private` are there."""
    with Client(server.grpc, token=ADMIN_TOKEN) as client:
        for name in ("mine", "private"):
            client.projects.create(name)
        yield client


def key_of(admin: Client, name: str, *grants: str) -> str:
    """A new key."""
    return admin.keys.create(name, grants).secret


def call(server: servers.Server, method: MethodDescriptor, request: Message, token: str) -> Any:
    """Make a call without our client: the error, or the first answer."""
    answer = message_factory.GetMessageClass(method.output_type)
    path = f"/{method.containing_service.full_name}/{method.name}"
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(server.grpc) as channel:
        kind = channel.unary_stream if method.server_streaming else channel.unary_unary
        result = kind(path, lambda sent: sent.SerializeToString(), answer.FromString)(request, timeout=30, metadata=metadata)
        try:
            return next(iter(result)) if method.server_streaming else result
        except grpc.RpcError as error:
            return error


def request_for(method: MethodDescriptor, project: str, task_id: str = "MediaConvert-x") -> Message:
    """A request about a project, with ids where it has some."""
    request = message_factory.GetMessageClass(method.input_type)()
    body = request.request if hasattr(request, "request") else request
    for name, value in (("project_name", project), ("task_id", task_id), ("notification_id", f"{task_id}.Webhook.100")):
        if hasattr(body, name):
            setattr(body, name, value)
    if hasattr(request, "source_uri"):
        request.source_uri = "file:///clip.mp4"
    return request


def failure(server: servers.Server, method: MethodDescriptor, request: Message, token: str) -> tuple[Any, str]:
    """The code and the message of a refusal."""
    try:
        error = call(server, method, request, token)
    except grpc.RpcError as raised:
        error = raised
    assert isinstance(error, grpc.RpcError), f"{method.name} was allowed"
    return error.code(), error.details()


@pytest.mark.slow
def test_without_a_token_or_with_a_wrong_one_there_is_nothing(server: servers.Server, admin: Client) -> None:
    """Every RPC is UNAUTHENTICATED, and says what is missing; a revoked key is as worthless as one that never was. After some
    tries callers are told to wait, in the same words for all.
    """
    result = admin.keys.create("gone", ["admin@*"])
    admin.keys.revoke(result.key.key_id)
    later = (grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls without valid credentials")
    first, *others = methods()
    for method in (first, *others):
        request = request_for(method, "mine")
        code, text = failure(server, method, request, "")
        missing = code is grpc.StatusCode.UNAUTHENTICATED and "API key" in text
        wrong = {failure(server, method, request, token) for token in (result.secret, "rmk_0000_x", "no key", "e30.e30.e30")}
        refused = {(grpc.StatusCode.UNAUTHENTICATED, "the token is not valid")}
        if method is first:
            assert missing and wrong == refused
        assert (missing or (code, text) == later) and wrong <= refused | {later}


def test_private_names_are_like_those_that_nobody_has(server: servers.Server, admin: Client, files: Path) -> None:
    """In every RPC with a project: NOT_FOUND, with the same words for both; ids of other projects are not there either."""
    token = key_of(admin, "mine", "admin@mine")
    result = admin.submit(source=files / "clip.mp4", destination=files / "private.mp4", project="private")
    tried = set()
    for method in methods():
        rule = RULES[f"/{method.containing_service.full_name}/{method.name}"]
        if rule.project is None:
            continue
        tried.add(method.name)
        answers = {}
        for project in ("private", "nobody"):
            code, text = failure(server, method, request_for(method, project, result.task_id), token)
            answers[project] = (code, text.replace(project, "NAME"))
        assert answers["private"] == answers["nobody"]
        assert answers["nobody"] == (grpc.StatusCode.NOT_FOUND, "The specified resource project/NAME is not found.")
    assert len(tried) >= 14
    for name in ("GetTask", "WatchTask", "CancelTask", "RedeliverNotification"):
        method = next(method for method in methods() if method.name == name)
        foreign, unknown = (
            failure(server, method, request_for(method, "mine", task_id), token)
            for task_id in (result.task_id, "MediaConvert-0")
        )
        assert foreign[0] is unknown[0] is grpc.StatusCode.NOT_FOUND
        assert foreign[1].replace(result.task_id, "ID") == unknown[1].replace("MediaConvert-0", "ID")
    with Client(server.grpc, token=token, project="mine") as client:
        assert [project.project_name for project in client.projects.list()] == ["mine"]
        assert not list(client.notifications.list(result.task_id))


def test_a_key_may_what_it_was_granted(server: servers.Server, admin: Client, files: Path) -> None:
    """A submitter converts below its prefixes and nowhere else; a viewer sees the task and cannot touch it."""
    prefix = files.as_uri()
    submitter = key_of(admin, "submitter", f"submitter@mine,source={prefix}/,target={prefix}/mine/")
    with Client(server.grpc, token=submitter, project="mine") as client:
        task = client.submit(source=files / "clip.mp4", destination=files / "mine" / "out.mp4")
        client.wait(task.task_id)
        for destination in (
            files / "out.mp4",
            f"{prefix}/mine/../out.mp4",
            f"{prefix}/mine/%2e%2e/out.mp4",
            f"{prefix}/mine2/o.mp4",
        ):
            with pytest.raises(PermissionDenied, match="imm:CreateMediaConvertTask on acs:imm:"):
                client.submit(source=files / "clip.mp4", destination=destination)
        with pytest.raises(PermissionDenied, match="imm:CreateMediaConvertTask on"):
            client.submit(source=files / "clip.mp4", destination=f"{prefix}/mine/{{tags.a}}/o.mp4", tags={"a": "../.."})
        with pytest.raises(PermissionDenied, match=r"imm:ListKeys on acs:imm:\*:\*:project/\*"):
            list(client.keys.list())
    elsewhere = key_of(admin, "elsewhere", f"submitter@mine,source={prefix}/,target={prefix}/other/")
    refused = pytest.raises(PermissionDenied, match="no grant of imm:RetryTask on")
    with Client(server.grpc, token=elsewhere, project="mine") as client, refused:
        client.retry(task.task_id)
    with Client(server.grpc, token=key_of(admin, "viewer", "viewer@mi*"), project="mine") as client:
        assert client.get(task.task_id).task_id == task.task_id
        assert client.capabilities().limits["max_pixels"] > 0
        with pytest.raises(PermissionDenied, match=r"this needs imm:CancelTask on acs:imm:.*project/mine"):
            client.cancel(task.task_id)
        with pytest.raises(PermissionDenied, match=r"this needs imm:RetryTask on"):
            client.retry(task.task_id)
        with pytest.raises(NotFound):
            client.get(task.task_id, project="private")
    with pytest.raises(Unauthenticated), Client(server.grpc) as client:
        client.get(task.task_id, project="mine")


def test_the_command_line_makes_lists_and_revokes_keys(server: servers.Server, admin: Client) -> None:
    """A key is printed once, and in no list."""

    def cli(*arguments: str, token: str = ADMIN_TOKEN) -> Any:
        environment = {"REELMILL_SERVER": server.grpc, "REELMILL_PROJECT": "mine", "REELMILL_TOKEN": token}
        return CliRunner().invoke(app, list(arguments), env=environment)

    result = cli("keys", "create", "cli", "--grant", "viewer@mine", "--grant", "submitter@mine", "--days", "2")
    token = result.stdout.strip()
    assert result.exit_code == 0 and cli("list", token=token).exit_code == 0
    listed = cli("keys", "list").stdout
    key_id = token.split("_")[1]
    assert key_id in listed and "submitter@mine" in listed and token.split("_", 2)[2] not in listed
    assert cli("keys", "create", "cli", "--grant", "owner@mine").exit_code == 2
    assert cli("keys", "list", token=token).exit_code == 1
    assert cli("keys", "revoke", key_id).exit_code == 0
    assert cli("list", token=token).exit_code == 1 and cli("keys", "revoke", key_id).exit_code == 3


def test_changes_are_in_the_audit_log(server: servers.Server, admin: Client) -> None:
    """Who did what to which project, and how it ended: refusals, too, and no key in it."""
    token = key_of(admin, "auditor", "viewer@mine", "admin@audited")
    with Client(server.grpc, token=token) as client:
        client.projects.create("audited")
        with pytest.raises(PermissionDenied):
            client.projects.delete("mine")
    # The log is written by a thread of its own.
    lines = servers.wait_for(
        lambda: (results := [line for line in server.events("audit") if line["principal"] == "key:auditor"])[1:] and results,
        "both lines",
    )
    told = [(line["action"], line["project"], line["outcome"]) for line in lines]
    assert told == [("imm:CreateProject", "audited", "OK"), ("imm:DeleteProject", "mine", "PERMISSION_DENIED")]
    created = [line for line in server.events("audit") if line["action"] == "imm:CreateKey"][-1]
    assert created["principal"] == "admin-token" and created["key_id"] in token


def test_planted_secrets_are_shown_to_nobody_else(
    server: servers.Server, admin: Client, files: Path, web: Front, collector: Collector
) -> None:
    """Tokens, keys, signed queries, webhooks and passwords: in no log, error, metric, trace, nor record that others see."""
    owner, other = key_of(admin, "owner", "submitter@mine"), key_of(admin, "other", "admin@mine")
    source = f"{web.url}/clip.mp4?key={QUERY}&X-Amz-Signature={QUERY}"
    with_password = source.replace("http://", f"http://user:{PASSWORD}@")
    missing = source.replace("clip", "missing")
    request = {
        "ProjectName": "mine",
        "Sources": [{"URI": source}],
        "Targets": [{"URI": (files / "planted.mkv").as_uri(), "Container": "mkv"}],
        "Notification": {"Webhook": {"URL": f"http://127.0.0.1:{web.port}/{WEBHOOK}"}},
    }
    told: list[str] = []
    with Client(server.grpc, token=owner, project="mine") as client:
        task_id = client.submit(request).task_id
        client.wait(task_id)
        assert QUERY in client.get(task_id, with_definition=True).task_request_definition, "it is the owner's"
        failed = client.submit({**request, "Sources": [{"URI": missing}]}).task_id
        ended = client.wait(failed, check=False)
        assert ended.code == "ResourceNotFound"
        told.append(str(ended))
        for uri in (missing, with_password):
            with pytest.raises(ReelmillError) as caught:
                client.probe(uri)
            told.append(str(caught.value))
        servers.wait_for(lambda: any(WEBHOOK in path for _, path, _ in web.requests), "the webhook")
        servers.wait_for(lambda: [one for one in client.notifications.list() if one.attempts], "its record")
    with Client(server.grpc, token=other, project="mine") as client:
        seen = [str(client.get(one, with_definition=True)) for one in (task_id, failed)]
        seen += [str(next(iter(client.watch(one)))) for one in (task_id, failed)]
        seen += [str(list(client.list())), str(list(client.notifications.list()))]
        assert all(task_id in text or failed in text for text in seen)
    environment = {"REELMILL_SERVER": server.grpc, "REELMILL_PROJECT": "mine", "REELMILL_TOKEN": other}
    assert "submit it again" in CliRunner().invoke(app, ["retry", failed], env=environment).output
    everything = {
        "log": server.log.read_text() + (files.parent / "data" / "temporal.log").read_text(),
        "metrics": server.get("/metrics")[1],
        "record": "".join(seen),
        "error": "".join(told),
        "trace": str(collector.spans),
    }
    assert collector.spans and "attempt planned" in everything["log"]
    for secret in (ADMIN_TOKEN, owner, other, owner.split("_", 2)[2], WEBHOOK, QUERY, PASSWORD):
        assert [name for name, text in everything.items() if secret in text] == [], secret
    database = b"".join(path.read_bytes() for path in (files.parent / "data").glob("*.db*"))
    for secret in (ADMIN_TOKEN, owner, other, owner.split("_", 2)[2]):
        assert secret.encode() not in database
