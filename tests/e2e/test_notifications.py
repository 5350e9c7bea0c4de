"""Notifications through a running service: signed, in order, again after faults and restarts."""

import base64
import hashlib
import hmac
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from reelmill.v1 import task_pb2
from reelmill.v1.notification_service_pb2 import NotificationState as State
from reelmill_client import Client, FailedPrecondition, InvalidArgument
from tests import servers
from tests.clips import moving_picture
from tests.receivers import Received, Receiver, receiving

pytestmark = pytest.mark.xdist_group("notify")
KEY, OTHER_KEY = b"0123456789abcdef0123456789abcdef", b"another key of 32 characters .. "
ENVIRONMENT = {
    "REELMILL_WEBHOOK_SECRETS": ",".join(
        f"{name}=whsec_{base64.b64encode(key).decode()}" for name, key in (("default", KEY), ("other", OTHER_KEY))
    ),
    "REELMILL_WEBHOOK_ALLOW_HTTP": "true",
    "REELMILL_WEBHOOK_ALLOW_PRIVATE": "true",
    "REELMILL_NOTIFY_TIMEOUT_SECONDS": "5",
    "REELMILL_MNS_ACCESS_KEY_ID": "LTAItest",
    "REELMILL_MNS_ACCESS_KEY_SECRET": "mns-secret",
}


@pytest.fixture(scope="module")
def mns() -> Iterator[Receiver]:
    """A stand-in for MNS."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the service, with a clip."""
    result = tmp_path_factory.mktemp("notify")
    moving_picture(result / "files" / "clip.mp4", 1)
    return result


@pytest.fixture(scope="module")
def server(folder: Path, mns: Receiver) -> Iterator[servers.Server]:
    """A service that may call this machine."""
    environment = ENVIRONMENT | {"REELMILL_MNS_ENDPOINT": mns.url}
    with servers.serve(folder, "--worker-slots", "1", "--reconcile-seconds", "0.5", environment=environment) as running:
        yield running


@pytest.fixture
def client(server: servers.Server) -> Iterator[Client]:
    """A client of the service."""
    with servers.client(server) as connected:
        yield connected


@pytest.fixture
def webhook() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    with receiving() as receiver:
        yield receiver


def checked(received: Received, key: bytes = KEY) -> dict[str, object]:
    """The CloudEvent of a webhook whose signature is right, by the words of the standard and not by our code."""
    identity, timestamp = received.headers["webhook-id"], received.headers["webhook-timestamp"]
    digest = hmac.digest(key, b".".join((identity.encode(), timestamp.encode(), received.body)), hashlib.sha256)
    assert received.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert received.headers["content-type"].startswith("application/cloudevents+json")
    event: dict[str, object] = json.loads(received.body)
    assert event["id"] == identity and event["specversion"] == "1.0"
    return event


def request(folder: Path, notification: dict[str, object], source: str = "clip.mp4", **more: object) -> dict[str, object]:
    """A copy of a clip, which is quick."""
    files = (folder / "files").as_uri()
    target = {"URI": f"{files}/out-{len(list((folder / 'files').iterdir()))}.mkv", "Container": "mkv"}
    return {"Sources": [{"URI": f"{files}/{source}"}], "Targets": [target], "Notification": notification, **more}


def states(client: Client, task_id: str) -> dict[str, str]:
    """The state of each notification of a task."""
    return {
        item.notification_id.removeprefix(f"{task_id}."): State.Name(item.state).removeprefix("NOTIFICATION_STATE_")
        for item in client.notifications.list(task_id)
    }


@pytest.mark.slow
def test_success_is_told_on_every_channel_and_the_file_is_there_first(
    client: Client, folder: Path, webhook: Receiver, mns: Receiver
) -> None:
    """The webhook is signed, the message of MNS is the envelope, the file holds the whole task."""
    file = folder / "files" / "result.json"
    notification = {
        "Webhook": {"URL": f"{webhook.url}/hook?a=b", "SecretName": "other"},
        "MNS": {"TopicName": "media"},
        "ExtendedMessageURI": file.as_uri(),
    }
    seen: list[bool] = []
    inner = webhook.answer

    def look(what: object) -> None:
        seen.append(file.exists())
        inner(what)

    webhook.answer = look  # type: ignore[method-assign]
    task_id = client.submit(request(folder, notification, UserData="mine")).task_id
    assert client.wait(task_id).status == task_pb2.TASK_STATUS_SUCCEEDED
    servers.wait_for(lambda: set(states(client, task_id).values()) == {"DELIVERED"}, "the deliveries")
    event = checked(webhook.received[0], OTHER_KEY)
    data = event["data"]
    assert isinstance(data, dict) and data["TaskId"] == task_id and data["UserData"] == "mine" and data["Status"] == "Succeeded"
    assert webhook.received[0].path == "/hook?a=b" and seen == [True]
    assert mns.received[-1].path == "/topics/media/messages" and b"&quot;" not in mns.received[-1].body
    written = json.loads(file.read_text())
    assert written["TaskId"] == task_id and written["Task"]["Artifacts"][0]["Container"] == "mkv"
    assert sorted(states(client, task_id)) == ["ExtendedMessage.100", "MNS.100", "Webhook.100"]


@pytest.mark.slow
def test_faults_are_tried_again_with_the_same_id(client: Client, folder: Path, webhook: Receiver) -> None:
    """An error, a closed connection and no answer at all; a failed task is told like any other."""
    webhook.answers = [500, "close", "hang"]
    (folder / "files" / "broken.mp4").write_bytes(b"no media")
    task_id = client.submit(request(folder, {"Webhook": {"URL": webhook.url}}, "broken.mp4")).task_id
    assert client.wait(task_id, check=False).status == task_pb2.TASK_STATUS_FAILED
    servers.wait_for(lambda: states(client, task_id) == {"Webhook.100": "DELIVERED"}, "the delivery")
    events = [checked(received) for received in webhook.received]
    assert len(events) >= 4 and len({event["id"] for event in events}) == 1
    data = events[-1]["data"]
    assert isinstance(data, dict) and data["Status"] == "Failed" and data["Code"] and data["Message"]
    assert next(iter(client.notifications.list(task_id))).attempts == len(events)


def test_a_redirect_is_not_followed(client: Client, folder: Path, webhook: Receiver) -> None:
    """Not even to where the receiver itself is."""
    webhook.answers = [(302, {"Location": f"{webhook.url}/elsewhere"})]
    task_id = client.submit(request(folder, {"Webhook": {"URL": f"{webhook.url}/here"}})).task_id
    servers.wait_for(lambda: states(client, task_id) == {"Webhook.100": "DELIVERED"}, "the delivery")
    assert [received.path for received in webhook.received] == ["/here", "/here"]


@pytest.mark.slow
def test_redelivery_sends_the_same_message_again(client: Client, folder: Path, webhook: Receiver) -> None:
    """One that is gone is given up at once, with the reason; it can be sent again, and so can one that was delivered."""
    webhook.answers = [410]
    task_id = client.submit(request(folder, {"Webhook": {"URL": webhook.url}})).task_id
    servers.wait_for(lambda: states(client, task_id) == {"Webhook.100": "FAILED"}, "the refusal")
    (failed,) = client.notifications.list(task_id)
    assert (failed.attempts, failed.last_error) == (1, "responded with 410") and failed.destination == webhook.url
    for number in (2, 3):
        client.notifications.redeliver(failed.notification_id)
        servers.wait_for(lambda number=number: len(webhook.received) == number, "the redelivery")
        servers.wait_for(lambda: states(client, task_id) == {"Webhook.100": "DELIVERED"}, "the note")
    assert len({received.headers["webhook-id"] for received in webhook.received}) == 1
    (delivered,) = client.notifications.list(task_id, state="Delivered")
    assert (delivered.attempts, delivered.last_error) == (3, "")


@pytest.mark.slow
def test_a_canceled_task_is_told_and_a_running_one_is_not(client: Client, folder: Path, webhook: Receiver) -> None:
    """Before its end nothing is due, and nothing can be sent again."""
    moving_picture(folder / "files" / "long.mp4", 40)
    asked = request(folder, {"Webhook": {"URL": webhook.url}}, "long.mp4")
    asked["Targets"][0]["Video"] = {"TranscodeVideo": {"Codec": "h264", "Preset": "veryslow", "Resolution": "1920x1080"}}  # type: ignore[index]
    task_id = client.submit(asked).task_id
    assert states(client, task_id) == {"Webhook.100": "WAITING"}
    with pytest.raises(FailedPrecondition, match="Waiting"):
        client.notifications.redeliver(f"{task_id}.Webhook.100")
    client.cancel(task_id)
    servers.wait_for(lambda: states(client, task_id) == {"Webhook.100": "DELIVERED"}, "the delivery")
    data = checked(webhook.received[0])["data"]
    assert isinstance(data, dict) and (data["Status"], data["Code"]) == ("Canceled", "Canceled")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parallelism", "seconds"), [(1, 6), pytest.param(3, 24, marks=pytest.mark.cluster)], ids=["in one go", "in units"]
)
def test_progress_is_told_in_order(client: Client, folder: Path, webhook: Receiver, parallelism: int, seconds: int) -> None:
    """Rising, in whole steps, and the end last; each message once, as nothing failed."""
    moving_picture(folder / "files" / "medium.mp4", seconds, "480x270")
    asked = request(folder, {"Webhook": {"URL": webhook.url}, "NotifyProgressPercentStep": 10}, "medium.mp4")
    asked["Targets"][0]["Video"] = {"TranscodeVideo": {"Codec": "h264", "Preset": "slower"}}  # type: ignore[index]
    task_id = client.submit(asked | {"Parallelism": parallelism}).task_id
    client.wait(task_id)
    servers.wait_for(lambda: states(client, task_id)["Webhook.100"] == "DELIVERED", "the delivery")
    told = [data.get("Progress", data["Status"]) for data in (checked(received)["data"] for received in webhook.received)]  # type: ignore[attr-defined,index]
    assert told[-1] == "Succeeded" and len(told) > 1
    assert told[:-1] == sorted(set(told[:-1])) and all(percent % 10 == 0 for percent in told[:-1])
    assert told[0] < 90  # long before units are joined


@pytest.mark.slow
def test_a_dead_endpoint_costs_nothing_else(client: Client, folder: Path, webhook: Receiver) -> None:
    """While one receiver hangs with more than its places, other tasks end, and are told elsewhere."""
    with receiving() as dead:
        dead.always = "hang"
        for _ in range(10):
            client.submit(request(folder, {"Webhook": {"URL": dead.url}}))
        task_id = client.submit(request(folder, {"Webhook": {"URL": webhook.url}})).task_id
        servers.wait_for(lambda: states(client, task_id) == {"Webhook.100": "DELIVERED"}, "the delivery")
        assert dead.received


def test_what_cannot_be_told_is_refused_by_field(client: Client, folder: Path) -> None:
    """All at once, each with its path and what this server lacks."""
    notification = {
        "Webhook": {"URL": "https://user:pass@example.com/", "SecretName": "unknown"},
        "RocketMQ": {"InstanceId": "i", "TopicName": "t"},
        "PubSub": {"TopicName": "topic"},
        "ExtendedMessageURI": "nowhere://x",
    }
    with pytest.raises(InvalidArgument) as refused:
        client.submit(request(folder, notification))
    problems = {violation.field: violation.description for violation in refused.value.violations}
    assert sorted(problems) == [
        "notification.extended_message_uri",
        "notification.pub_sub",
        "notification.rocket_mq",
        "notification.webhook.secret_name",
        "notification.webhook.url",
    ]
    assert "REELMILL_PUBSUB_PROJECT" in problems["notification.pub_sub"]
    with pytest.raises(InvalidArgument, match="NoSuchChannel"):
        client.submit(request(folder, {"NoSuchChannel": {}}))
    with pytest.raises(InvalidArgument, match="needs a channel"):
        client.submit(request(folder, {"NotifyProgressPercentStep": 10}))


def test_outcomes_are_counted_and_secrets_are_not_logged(
    server: servers.Server, client: Client, folder: Path, webhook: Receiver
) -> None:
    """One is tried again and delivered, one is given up."""
    for answer, state in ((500, "DELIVERED"), (410, "FAILED")):
        webhook.answers = [answer]
        task_id = client.submit(request(folder, {"Webhook": {"URL": webhook.url}})).task_id
        servers.wait_for(lambda task_id=task_id, state=state: states(client, task_id) == {"Webhook.100": state}, state)  # type: ignore[misc]
    for outcome in ("Delivered", "Retried", "Failed"):
        counted = f'reelmill_notification_total{{channel="Webhook",outcome="{outcome}"}}'
        servers.wait_for(lambda counted=counted: counted in server.get("/metrics")[1], counted)  # type: ignore[misc]
    log = server.log.read_text()
    assert "notification attempt ended" in log
    assert base64.b64encode(KEY).decode() not in log and "mns-secret" not in log and "v1," not in log


@pytest.mark.cluster
def test_notifications_survive_a_restart(tmp_path: Path) -> None:
    """The receiver is away and the whole service is killed: after both are back the message arrives, once and signed."""
    reserved = servers.ReservedPort()
    port = reserved.number
    moving_picture(tmp_path / "files" / "clip.mp4", 1)
    arguments = ("--worker-slots", "1", "--reconcile-seconds", "0.5")
    with servers.serve(tmp_path, *arguments, environment=ENVIRONMENT) as first:
        client = servers.client(first)
        task_id = client.submit(request(tmp_path, {"Webhook": {"URL": f"http://127.0.0.1:{port}"}})).task_id
        client.wait(task_id)
        servers.wait_for(lambda: next(iter(client.notifications.list(task_id))).attempts > 0, "the first attempt")
        (pending,) = client.notifications.list(task_id, state="Pending")
        assert pending.last_error == "connection refused" and pending.HasField("next_attempt_time")
        client.close()
        first.signal(signal.SIGKILL)
        first.process.wait()
    with receiving(port) as receiver, servers.serve(tmp_path, *arguments, environment=ENVIRONMENT) as second:
        client = servers.client(second)
        servers.wait_for(lambda: states(client, task_id) == {"Webhook.100": "DELIVERED"}, "the delivery")
        client.close()
    reserved.release()
    assert [checked(received)["type"] for received in receiver.received] == ["imm:Task:MediaConvert"]
