"""The calls of both clients, and the errors they raise, against a server on a real socket."""

import asyncio
import inspect
import json
import uuid
from typing import Any

import grpc
import pytest

from reelmill.v1 import key_service_pb2 as keys
from reelmill.v1 import media_convert_service_pb2 as media_convert
from reelmill.v1 import notification_service_pb2 as notifications
from reelmill.v1 import project_service_pb2 as projects
from reelmill.v1.task_pb2 import TASK_STATUS_CANCELED, Task
from reelmill_client import (
    AlreadyExists,
    AsyncClient,
    Client,
    DeadlineExceeded,
    FailedPrecondition,
    FieldNotSupported,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ReelmillError,
    ResourceExhausted,
    ServerError,
    Unauthenticated,
    Unavailable,
    Violation,
    methods,
)
from reelmill_client.aio import AsyncClient as AsyncClientClass
from reelmill_client.channel import Connection, service_config
from reelmill_client.keys import AsyncKeys, Keys
from reelmill_client.notifications import AsyncNotifications, Notifications
from reelmill_client.projects import AsyncProjects, Projects
from tests.certificates import Authority

Status = grpc.StatusCode


def test_the_table_of_methods_is_the_contract() -> None:
    """Names, message types and streams are those of the protos, and none is missing."""
    table = {value.path: value for value in vars(methods).values() if isinstance(value, methods.Method)}
    contract: dict[str, Any] = {}
    for file in (media_convert.DESCRIPTOR, projects.DESCRIPTOR, notifications.DESCRIPTOR, keys.DESCRIPTOR):
        for service in file.services_by_name.values():
            contract |= {f"/{service.full_name}/{method.name}": method for method in service.methods}
    assert table.keys() == contract.keys()
    for path, method in table.items():
        assert method.request.DESCRIPTOR.full_name == contract[path].input_type.full_name
        assert method.response.DESCRIPTOR.full_name == contract[path].output_type.full_name
    assert set(methods.RETRIED) == {method for method in table.values() if method.retry}


def test_only_safe_calls_are_retried() -> None:
    """What changes something is sent once, except a create, which carries its request_id."""
    config = json.loads(service_config())
    retried = {name["method"] for entry in config["methodConfig"] for name in entry["name"]}
    changing = {
        "CancelTask",
        "CreateProject",
        "UpdateProject",
        "DeleteProject",
        "RedeliverNotification",
        "CreateKey",
        "RevokeKey",
    }
    assert not retried & changing
    assert {"GetTask", "ListTasks", "ProbeMedia", "PlanMediaConvertTask", "GetCapabilities"} <= retried
    assert "CreateMediaConvertTask" in retried


def test_the_clients_have_the_same_methods() -> None:
    """Same names, same parameters."""
    pairs = ((Client, AsyncClientClass), (Projects, AsyncProjects), (Notifications, AsyncNotifications), (Keys, AsyncKeys))
    for one, other in pairs:
        public = [name for name in vars(one) if not name.startswith("_")]
        assert public == [name for name in vars(other) if not name.startswith("_")]
        for name in public:
            parameters = [list(inspect.signature(getattr(kind, name)).parameters.values()) for kind in (one, other)]
            assert parameters[0] == parameters[1], name


@pytest.mark.parametrize(
    "lost",
    [(Status.UNAVAILABLE, "restarting", "ServiceUnavailable"), (Status.CANCELLED, "")],
    ids=["unavailable", "cancelled by a server that ends"],
)
def test_submit_sends_a_request_id_and_retries_with_it(fake: Any, failure: Any, lost: Any) -> None:
    """A lost answer does not make a second task."""
    fake.failures["Create"].append(failure(*lost))
    with Client(fake.target, project="p") as client:
        response = client.submit(source="/in.mov", destination="/out.mp4")
    first, second = fake.requests("Create")
    assert response.task_id == "MediaConvert-0"
    assert first == second
    assert uuid.UUID(first.request_id).version == 4
    assert first.project_name == "p"
    assert len(fake.by_request_id) == 1


def test_two_submits_are_two_tasks(fake: Any) -> None:
    """Each gets a request_id of its own, unless the caller chose one."""
    vendor = {"Sources": [{"URI": "file:///a"}], "Targets": [{"Image": {}}]}
    mine = media_convert.CreateMediaConvertTaskRequest(request_id="mine")
    with Client(fake.target) as client:
        ids = [client.submit(vendor).task_id, client.submit(vendor).task_id]
        assert len(set(ids)) == 2
        client.submit(mine, project="q")
    assert [request.request_id == "mine" for request in fake.requests("Create")] == [False, False, True]
    assert fake.requests("Create")[2].project_name == "q"
    assert mine.project_name == ""


@pytest.mark.parametrize("status", [Status.UNAVAILABLE, Status.CANCELLED])
def test_a_cancel_is_not_retried(fake: Any, failure: Any, status: Any) -> None:
    """It may have happened. A server that shuts down cancels what it has not begun: that is an outage like others."""
    fake.failures["Cancel"].append(failure(status, "gone"))
    with Client(fake.target) as client, pytest.raises(Unavailable):
        client.cancel("t")
    assert len(fake.requests("Cancel")) == 1


def test_a_wrong_request_is_not_sent(fake: Any) -> None:
    """Every problem of a dictionary is a violation with its path."""
    with Client(fake.target) as client, pytest.raises(InvalidArgument) as caught:
        client.submit({"Sources": [{"Uri": 1}], "Targets": [{"Container": "mp5"}]})
    assert [violation.field for violation in caught.value.violations] == ["sources[0].Uri", "targets[0].container"]
    assert caught.value.code == "InvalidArgument"
    assert not fake.calls


def test_calls_about_tasks(fake: Any) -> None:
    """Each sends what it was given and returns the useful part of the answer."""
    fake.tasks = {f"t{number}": Task(task_id=f"t{number}") for number in range(5)}
    with Client(fake.target, project="p") as client:
        assert client.get("t1", with_definition=True).task_id == "t1"
        assert fake.requests("Get")[0].request_definition
        assert [task.task_id for task in client.list(status="Running")] == ["t0", "t1", "t2", "t3", "t4"]
        assert [request.next_token for request in fake.requests("List")] == ["", "2", "4"]
        assert all(request.status == 1 for request in fake.requests("List"))
        assert client.list_page(page_size=3).next_token == "3"
        assert client.cancel("t1", project="q").status == TASK_STATUS_CANCELED
        assert fake.requests("Cancel")[0].project_name == "q"
        assert client.plan(source="/a", destination="/b.mp4").valid
        assert fake.requests("Plan")[0].request.sources[0].uri == "file:///a"
        assert client.probe("/a b.mp4").video_streams[0].width == 1280
        assert fake.requests("Probe")[0].source_uri == "file:///a%20b.mp4"
        assert client.capabilities().worker == "w1"


def test_calls_about_projects(fake: Any) -> None:
    """The life of a project."""
    with Client(fake.target) as client:
        created = client.projects.create("a", description="x", tags={"k": "v"}, project_max_dataset_count=5)
        assert (created.description, created.tags[0].tag_value) == ("x", "v")
        assert fake.requests("CreateProject")[0].project_max_dataset_count == 5
        with pytest.raises(AlreadyExists):
            client.projects.create("a")
        assert client.projects.update("a", description="y").description == "y"
        assert not fake.requests("UpdateProject")[0].HasField("service_role")
        for name in ("b", "c"):
            client.projects.create(name)
        assert [project.project_name for project in client.projects.list()] == ["a", "b", "c"]
        client.projects.delete("a")
        with pytest.raises(NotFound):
            client.projects.get("a")


async def test_calls_about_notifications(fake: Any) -> None:
    """Page after page, filtered, in the client's project or another."""
    with Client(fake.target, project="p") as client:
        result = client.notifications.list("t", state="Failed")
        assert [item.notification_id for item in result] == ["t.Webhook.0", "t.Webhook.1"]
        assert client.notifications.redeliver("t.Webhook.0", project="q").state == notifications.NOTIFICATION_STATE_PENDING
    asked = fake.requests("ListNotifications")[0]
    assert (asked.project_name, asked.task_id, asked.state) == ("p", "t", notifications.NOTIFICATION_STATE_FAILED)
    assert fake.requests("RedeliverNotification")[0].project_name == "q"
    async with AsyncClient(fake.target, project="p") as client:
        assert [item.attempts async for item in client.notifications.list()] == [3, 3]
        assert (await client.notifications.redeliver("x")).notification_id == "x"


async def test_calls_for_asyncio(fake: Any) -> None:
    """The same calls, awaited."""
    fake.tasks = {f"t{number}": Task(task_id=f"t{number}") for number in range(3)}
    async with AsyncClient(fake.target, project="p") as client:
        assert (await client.submit(source="/in.mov", destination="/out.mp4")).task_id == "MediaConvert-0"
        assert (await client.get("t1")).task_id == "t1"
        assert [task.task_id async for task in client.list()] == ["t0", "t1", "t2"]
        assert (await client.list_page(page_size=2)).next_token == "2"
        assert (await client.cancel("t1")).status == TASK_STATUS_CANCELED
        assert (await client.plan(source="/a", destination="/b.mp4")).valid
        assert (await client.probe("/a")).duration == 10
        assert (await client.capabilities()).worker == "w1"
        await client.projects.create("a", description="x")
        assert (await client.projects.get("a")).description == "x"
        assert (await client.projects.update("a", description="y")).description == "y"
        assert [project.project_name async for project in client.projects.list()] == ["a"]
        await client.projects.delete("a")
        with pytest.raises(NotFound):
            await client.projects.get("a")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (Status.INVALID_ARGUMENT, "InvalidArgument", InvalidArgument),
        (Status.UNIMPLEMENTED, "FieldNotSupported", FieldNotSupported),
        (Status.NOT_FOUND, "ResourceNotFound", NotFound),
        (Status.ALREADY_EXISTS, "ResourceAlreadyExists", AlreadyExists),
        (Status.FAILED_PRECONDITION, "StatusConflict", FailedPrecondition),
        (Status.RESOURCE_EXHAUSTED, "LimitExceededError", ResourceExhausted),
        (Status.PERMISSION_DENIED, "AccessDenied", PermissionDenied),
        (Status.UNAUTHENTICATED, "Unauthenticated", Unauthenticated),
        (Status.DEADLINE_EXCEEDED, "Timeout", DeadlineExceeded),
        (Status.INTERNAL, "InternalError", ServerError),
        (Status.UNKNOWN, "Odd", ReelmillError),
    ],
)
def test_errors_are_typed(fake: Any, failure: Any, status: grpc.StatusCode, code: str, kind: type[ReelmillError]) -> None:
    """Class, code, status, message, request id and violations come from the rich status, with both clients."""
    wrong = (("targets[0].uri", "must be set"), ("", "too much"))
    fake.failures["Get"].extend([failure(status, "It went wrong.", code, "R-9", wrong)] * 2)
    raised: list[ReelmillError] = []
    with Client(fake.target) as client, pytest.raises(ReelmillError) as caught:
        client.get("t")
    raised.append(caught.value)

    async def call() -> None:
        async with AsyncClient(fake.target) as client:
            await client.get("t")

    with pytest.raises(ReelmillError) as caught:
        asyncio.run(call())
    raised.append(caught.value)
    for error in raised:
        assert type(error) is kind
        assert (error.code, error.status, error.message, error.request_id) == (code, status.name, "It went wrong.", "R-9")
        assert error.violations == (Violation("targets[0].uri", "must be set"), Violation("", "too much"))
        assert [str(violation) for violation in error.violations] == ["targets[0].uri: must be set", "too much"]


def test_errors_without_details(fake: Any, failure: Any) -> None:
    """A proxy's error has a class and a message, and no code; a missing method is not a missing field."""
    fake.failures["Get"].extend([failure(Status.PERMISSION_DENIED, "no"), failure(Status.UNIMPLEMENTED, "what?")])
    with Client(fake.target) as client:
        with pytest.raises(PermissionDenied) as denied:
            client.get("t")
        with pytest.raises(ReelmillError) as unknown:
            client.get("t")
    assert (denied.value.code, denied.value.request_id, denied.value.violations) == ("", "", ())
    assert type(unknown.value) is ReelmillError
    assert unknown.value.status == "UNIMPLEMENTED"


def test_no_answer_in_time(fake: Any) -> None:
    """The client's timeout bounds a call."""
    original = fake.answer
    fake.answer = lambda *arguments: (fake.ending.wait(1), original(*arguments))
    with Client(fake.target, timeout_seconds=0.1) as client, pytest.raises(DeadlineExceeded):
        client.capabilities()


def test_metadata_goes_with_every_call(fake: Any) -> None:
    """With single answers and with streams."""
    fake.scripts.append([Task(task_id="t", status=TASK_STATUS_CANCELED)])
    with Client(fake.target, metadata=[("authorization", "Bearer x")]) as client:
        client.capabilities()
        list(client.watch("t"))
    assert [metadata["authorization"] for _, _, metadata in fake.calls] == ["Bearer x", "Bearer x"]
    assert all(metadata["user-agent"].startswith("reelmill-client") for _, _, metadata in fake.calls)


def test_tls_is_used_when_asked_for(fake: Any) -> None:
    """A plain-text server cannot answer a TLS client."""
    assert Connection().channel_credentials() is None
    given = grpc.local_channel_credentials()
    assert Connection(credentials=given, tls=True).channel_credentials() is given
    for options in ({"tls": True}, {"root_certificates": b"-----BEGIN CERTIFICATE-----"}):
        assert isinstance(Connection(**options).channel_credentials(), grpc.ChannelCredentials)
    with Client(fake.target, tls=True, timeout_seconds=2) as client, pytest.raises((Unavailable, DeadlineExceeded)):
        client.capabilities()
    assert not fake.calls


def test_a_tls_server_answers(fake: Any) -> None:
    """With the roots that were given."""
    authority = Authority()
    fake.stop()
    fake.start(grpc.ssl_server_credentials([authority.issue()]))
    with Client(f"localhost:{fake.port}", root_certificates=authority.root) as client:
        assert client.capabilities().worker == "w1"


def test_a_client_says_who_it_is(fake: Any) -> None:
    """With a certificate, which the server asks for, and with a token in each call, which its representation does not show."""
    authority = Authority()
    fake.stop()
    fake.start(grpc.ssl_server_credentials([authority.issue()], authority.root, require_client_auth=True))
    key, certificate = authority.issue("encoder-1")
    options = {"root_certificates": authority.root, "certificate": certificate, "key": key, "token": "planted"}
    with Client(f"localhost:{fake.port}", **options) as client:
        client.capabilities()
    assert fake.calls[0][2]["authorization"] == "Bearer planted"
    assert "planted" not in repr(Connection(**options)) and "PRIVATE" not in repr(Connection(**options))
