"""Every channel against a receiver on this machine, checked by the words of its documentation and not by our code."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from reelmill_server.model.notification import Channel, Failure, Recipient
from reelmill_server.notify import rocket_mq
from reelmill_server.notify.base import DeliveryFailed
from reelmill_server.notify.message import Message
from reelmill_server.notify.mns import MnsSender
from reelmill_server.notify.outbound import Outbound
from reelmill_server.notify.pub_sub import PubSubSender, no_token
from reelmill_server.notify.registry import Channels
from reelmill_server.notify.rocket_mq import RocketMqSender
from reelmill_server.notify.webhook import WebhookSender
from reelmill_server.settings import Settings
from tests.receivers import Receiver, receiving

MESSAGE = Message("2F6-x", "MediaConvert-1", "acs:imm:r:1:p/t", datetime(2026, 1, 2, tzinfo=UTC), {"Status": 'a<b>&"ü"'})
OLD, NEW = b"old" * 10, b"new" * 10
TOPIC = Recipient(Channel.MNS, "media")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver."""
    with receiving() as running:
        yield running


def outbound(seconds: float = 30.0) -> Outbound:
    """One that may call this machine."""
    return Outbound(seconds, allow_private=True)


async def failure_of(sender: Any, recipient: Recipient, message: Message = MESSAGE) -> Failure:
    """How a delivery fails."""
    try:
        with pytest.raises(DeliveryFailed) as failed:
            await sender.send(recipient, message)
    finally:
        await sender.close()
    return failed.value.failure


async def test_a_webhook_is_signed_with_every_secret_of_its_name(receiver: Receiver) -> None:
    """While a secret is changed receivers may check either; the time is now."""
    sender = WebhookSender(outbound(), {"a": [OLD, NEW]}, allow_http=True, allow_private=True)
    await sender.send(Recipient(Channel.WEBHOOK, receiver.url, "a"), MESSAGE)
    await sender.close()
    (received,) = receiver.received
    signed = b"2F6-x." + received.headers["webhook-timestamp"].encode() + b"." + received.body
    expected = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in (OLD, NEW)]
    assert received.headers["webhook-signature"] == " ".join(f"v1,{text}" for text in expected)
    assert abs(time.time() - int(received.headers["webhook-timestamp"])) < 60
    assert json.loads(received.body)["data"] == MESSAGE.body


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/hook?a=b", ""),
        ("https://a.b.example.org:8443", ""),
        ("https://[2606:4700::1111]/", "may call"),
        ("http://example.com/", "https URL"),
        ("ftp://example.com/", "https URL"),
        ("//example.com/", "https URL"),
        ("https:///path", "https URL"),
        ("https://example.com/ü", "percent-encoded"),
        ("https://example.com/\r\nX: y", "percent-encoded"),
        ("https://me:secret@example.com/", "a user or a fragment"),
        ("https://example.com/#part", "a user or a fragment"),
        ("https://example.com:99999/", "https URL"),
        ("https://evil.com/", "may call"),
        ("https://notexample.org/", "may call"),
        ("https://localhost/", "may call"),
    ],
)
def test_urls_that_callers_may_not_name(url: str, expected: str) -> None:
    """Each refusal names the field and says why."""
    sender = WebhookSender(outbound(), {"a": [OLD]}, hosts=("example.com", "*.example.org"))
    problems = [(problem.field, problem.description) for problem in sender.problems(Recipient(Channel.WEBHOOK, url, "a"))]
    assert [field for field, _ in problems] == (["url"] if expected else [])
    assert all(expected in text for _, text in problems)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:10.0.0.1]", "0.0.0.0"]
)
def test_private_hosts_are_refused_with_the_request(host: str) -> None:
    """As far as the name alone tells."""
    sender = WebhookSender(outbound(), {"a": [OLD]})
    (problem,) = sender.problems(Recipient(Channel.WEBHOOK, f"https://{host}/", "a"))
    assert problem.field == "url" and "at a public address" in problem.description


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "[::ffff:127.0.0.1]"])
async def test_private_addresses_are_not_connected_to(receiver: Receiver, host: str) -> None:
    """However they are written, and whatever names lead there; nothing reaches the receiver, and it is not tried again."""
    closed = Outbound(30.0, allow_private=False)
    with pytest.raises(DeliveryFailed) as failed:
        await closed.post(f"http://{host}:{receiver.port}/", b"", {})
    await closed.close()
    assert failed.value.failure.message in ("address is not public", "URL is invalid")
    assert not failed.value.failure.retryable and receiver.received == []


async def test_a_name_that_moves_to_a_private_address_is_not_followed_there(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Public when the request came, private when it is called: what is connected to is what is checked."""
    inner = socket.getaddrinfo

    def rebound(host: str, *arguments: Any) -> Any:
        return inner("127.0.0.1" if host == "rebound.example.com" else host, *arguments)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    sender = WebhookSender(Outbound(30.0, allow_private=False), {"a": [OLD]}, allow_http=True)
    recipient = Recipient(Channel.WEBHOOK, f"http://rebound.example.com:{receiver.port}/", "a")
    assert list(sender.problems(recipient)) == []
    assert await failure_of(sender, recipient) == Failure("address is not public", retryable=False)
    assert receiver.received == []


async def test_a_redirect_to_a_private_address_is_not_followed(receiver: Receiver) -> None:
    """The answer is a failure like any other."""
    receiver.answers = [(307, {"Location": "http://169.254.169.254/latest/meta-data"})]
    sender = WebhookSender(outbound(), {"a": [OLD]}, allow_http=True, allow_private=True)
    failure = await failure_of(sender, Recipient(Channel.WEBHOOK, receiver.url, "a"))
    assert failure == Failure("responded with 307: redirects are not followed") and len(receiver.received) == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (500, Failure("responded with 500")),
        (410, Failure("responded with 410", retryable=False)),
        ((503, {"Retry-After": "7"}), Failure("responded with 503", pause_seconds=7)),
        ((429, {"Retry-After": "999999"}), Failure("responded with 429", pause_seconds=3600)),
        ((429, {"Retry-After": "²"}), Failure("responded with 429")),
        ((429, {"Retry-After": "9" * 5000}), Failure("responded with 429", pause_seconds=3600)),
        ("close", Failure("connection failed (ServerDisconnectedError)")),
        ("hang", Failure("no response in time")),
    ],
)
async def test_faults_in_words_of_our_own(receiver: Receiver, answer: Any, expected: Failure) -> None:
    """The receiver's text, which may be somebody's secret, is not among them."""
    receiver.answers, receiver.text = [answer], "internal secrets"
    sender = WebhookSender(outbound(0.3 if answer == "hang" else 30), {"a": [OLD]}, allow_http=True, allow_private=True)
    assert await failure_of(sender, Recipient(Channel.WEBHOOK, receiver.url, "a")) == expected


async def test_a_host_that_hangs_has_a_bounded_number_of_places(receiver: Receiver) -> None:
    """Who finds none is put off, and that is no attempt."""
    receiver.always = "hang"
    line = outbound(1.0)
    results = await asyncio.gather(*(line.post(receiver.url, b"", {}) for _ in range(10)), return_exceptions=True)
    await line.close()
    failures = [result.failure for result in results if isinstance(result, DeliveryFailed)]
    assert len(failures) == 10
    assert [failure.counts for failure in failures].count(False) == 2 and len(receiver.received) <= 8


async def test_receivers_can_verify_as_the_documents_say(receiver: Receiver) -> None:
    """The lines of docs/notification.md take what we send, with the old or the new secret, and nothing else."""
    document = Path(__file__).parents[3] / "docs" / "notification.md"
    lines = re.search(r"```python\n(.*?)```", document.read_text(), re.DOTALL)
    assert lines
    scope: dict[str, Any] = {}
    exec(lines[1], scope)
    sender = WebhookSender(outbound(), {"a": [OLD, NEW]}, allow_http=True, allow_private=True)
    await sender.send(Recipient(Channel.WEBHOOK, receiver.url, "a"), MESSAGE)
    await sender.close()
    (received,) = receiver.received
    for key in (OLD, NEW):
        scope["verify"](f"whsec_{base64.b64encode(key).decode()}", received.headers, received.body)
    secret = f"whsec_{base64.b64encode(NEW).decode()}"
    for headers, body in (
        (received.headers, received.body + b" "),
        (received.headers | {"webhook-id": "other"}, received.body),
        (received.headers | {"webhook-timestamp": "1"}, received.body),
    ):
        with pytest.raises(ValueError):
            scope["verify"](secret, headers, body)


async def test_mns_is_signed_as_its_documentation_says(receiver: Receiver) -> None:
    """VERB, Content-MD5, Content-Type, Date, x-mns- headers, resource; the envelope is the body, unharmed by XML."""
    sender = MnsSender(outbound(), receiver.url, "LTAI", "key")
    await sender.send(TOPIC, MESSAGE)
    await sender.close()
    (received,) = receiver.received
    headers = received.headers
    text = "\n".join(
        [
            "POST",
            headers.get("content-md5", ""),
            headers["content-type"],
            headers["date"],
            f"x-mns-version:{headers['x-mns-version']}",
            received.path,
        ]
    )
    expected = base64.b64encode(hmac.digest(b"key", text.encode(), hashlib.sha1)).decode()
    assert headers["authorization"] == f"MNS LTAI:{expected}" and headers["x-mns-version"] == "2015-06-06"
    assert abs(parsedate_to_datetime(headers["date"]).timestamp() - time.time()) < 60
    root = ElementTree.fromstring(received.body)
    assert root.findtext("{http://mns.aliyuncs.com/doc/v1/}MessageBody") == MESSAGE.envelope()
    assert received.path == "/topics/media/messages"


async def test_mns_takes_what_xml_cannot_hold(receiver: Receiver) -> None:
    """Callers may put any character into their data; what arrives is the same JSON."""
    odd = Message("id", "task", "s", MESSAGE.time, {"UserData": "\uffff \ufffe \x00 \x85 \r\n ]]> \U0001f3ac"})
    sender = MnsSender(outbound(), receiver.url, "LTAI", "key")
    await sender.send(TOPIC, odd)
    await sender.close()
    text = ElementTree.fromstring(receiver.received[0].body).findtext("{http://mns.aliyuncs.com/doc/v1/}MessageBody")
    assert text and json.loads(json.loads(text)["content"]) == odd.body


async def test_an_error_of_mns_is_told_by_its_code(receiver: Receiver) -> None:
    """And by nothing else of its answer, which repeats what was signed."""
    receiver.answers = [404]
    receiver.text = "<Error><Code>TopicNotExist</Code><Message>no such topic for LTAI</Message></Error>"
    assert await failure_of(MnsSender(outbound(), receiver.url, "LTAI", "key"), TOPIC) == Failure(
        "responded with 404: TopicNotExist"
    )


async def test_a_message_that_no_topic_takes_is_given_up(receiver: Receiver) -> None:
    """64 KiB; nothing is sent."""
    large = Message("id", "task", "s", MESSAGE.time, {"Message": "x" * 70_000})
    failure = await failure_of(MnsSender(outbound(), receiver.url, "LTAI", "key"), TOPIC, large)
    assert not failure.retryable and "extended_message_uri" in failure.message and receiver.received == []


async def test_pub_sub_gets_the_envelope_in_order(receiver: Receiver) -> None:
    """The REST form of publish: data in base64, the task as ordering key, a token unless it is an emulator."""

    async def token() -> str:
        return "ya29"

    recipient = Recipient(Channel.PUB_SUB, "media")
    for source in (token, no_token):
        sender = PubSubSender(outbound(), receiver.url, "my-project", source)
        await sender.send(recipient, MESSAGE)
        await sender.close()
    first, second = receiver.received
    assert first.path == "/v1/projects/my-project/topics/media:publish"
    (entry,) = json.loads(first.body)["messages"]
    assert base64.b64decode(entry["data"]).decode() == MESSAGE.envelope()
    assert entry["orderingKey"] == "MediaConvert-1" and entry["attributes"]["id"] == "2F6-x"
    assert first.headers["authorization"] == "Bearer ya29" and "authorization" not in second.headers


class FakeRocketMq(SimpleNamespace):
    """What is used of the client's module."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.sent: list[Any] = []
        self.log: list[object] = []
        outer = self

        class Producer:
            def __init__(self, configuration: object, topics: object, tls_enable: bool) -> None:
                outer.log.append((configuration, topics, tls_enable))

            def startup(self) -> None:
                outer.log.append("startup")

            def send(self, message: object) -> None:
                if error:
                    raise error
                outer.sent.append(message)

            def shutdown(self) -> None:
                outer.log.append("shutdown")

        self.Producer = Producer
        self.Message = SimpleNamespace
        self.Credentials = lambda *arguments: arguments
        self.ClientConfiguration = lambda *arguments: arguments


async def test_rocket_mq_gets_the_envelope(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the topic, in the instance's namespace; the producer is shut down, also after a failure, which names no key."""
    client = FakeRocketMq()
    monkeypatch.setitem(sys.modules, "rocketmq", client)  # type: ignore[arg-type]
    recipient = Recipient(Channel.ROCKET_MQ, "media", "MQ_INST_1")
    await RocketMqSender("proxy:8081", "ak", "sk", 10, tls=True).send(recipient, MESSAGE)
    assert client.log == [(("proxy:8081", ("ak", "sk"), "MQ_INST_1", 10), ("media",), True), "startup", "shutdown"]
    (sent,) = client.sent
    assert (sent.topic, sent.body.decode(), sent.tag, sent.keys) == ("media", MESSAGE.envelope(), "MediaConvert", "2F6-x")
    broken = FakeRocketMq(RuntimeError("sk is wrong"))
    monkeypatch.setitem(sys.modules, "rocketmq", broken)  # type: ignore[arg-type]
    failure = await failure_of(RocketMqSender("proxy:8081", "ak", "sk", 10), recipient)
    assert failure == Failure("RocketMQ refused the message (RuntimeError)") and broken.log[-1] == "shutdown"


async def test_channels_that_are_not_set_up_say_what_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting, or how to install the client."""
    monkeypatch.setattr(rocket_mq, "is_installed", lambda: False)
    off, half = Channels(Settings()), Channels(Settings(rocketmq_endpoint="proxy:8081"))
    said = {channel: next(off.problems(Recipient(channel, "x", "y"))).description for channel in list(Channel)[1:]}
    assert "REELMILL_WEBHOOK_SECRETS" in said[Channel.WEBHOOK] and "REELMILL_MNS_ENDPOINT" in said[Channel.MNS]
    assert "REELMILL_PUBSUB_PROJECT" in said[Channel.PUB_SUB] and "REELMILL_ROCKETMQ_ENDPOINT" in said[Channel.ROCKET_MQ]
    (problem,) = half.problems(Recipient(Channel.ROCKET_MQ, "x"))
    assert "pip install 'rocketmq-python-client>=5.1.2,<6'" in problem.description
    failure = await failure_of(off, Recipient(Channel.WEBHOOK, "https://example.com", "default"))
    assert "not available on this server" in failure.message
