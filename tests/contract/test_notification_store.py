"""Notification records and the delivery's rules: the same on SQLite and on PostgreSQL."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reelmill_server.errors import InvalidArgument, ResourceNotFound, ServiceUnavailable, StatusConflict
from reelmill_server.model.notification import (
    Channel,
    DeliveryState,
    Failure,
    Notification,
    NotificationQuery,
    Recipient,
)
from reelmill_server.model.request import Credentials, Role
from reelmill_server.model.task import Outcome, TaskRecord, TaskStatus
from reelmill_server.notify.base import DeliveryFailed
from reelmill_server.notify.message import Message, Origin
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.delivery import NotificationDelivery
from reelmill_server.tasks.notifications import NotificationStore
from reelmill_server.tasks.store import TaskStore
from reelmill_server.telemetry.metrics import Metrics

WEBHOOK = Recipient(Channel.WEBHOOK, "https://example.com/", "default")
FILE = Recipient(Channel.EXTENDED_MESSAGE, "file:///x.json")
MNS = Recipient(Channel.MNS, "media")
DONE = Outcome(TaskStatus.SUCCEEDED)
TASK = "MediaConvert-0000"
ALL = NotificationQuery("demo")


class FakeChannels:
    """Channels that take what they are given, or fail as a test says."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.failures: list[Failure] = []

    async def send(self, _: Recipient, message: Message) -> None:
        """Sends or fails."""
        if self.failures:
            raise DeliveryFailed(self.failures.pop(0))
        self.sent.append(message)


class World:
    """A store of tasks with notifications, and a delivery whose engine only remembers."""

    def __init__(self, database: Database, store: TaskStore, make_record: Callable[..., TaskRecord]) -> None:
        self.tasks, self.notifications, self.channels = store, NotificationStore(database), FakeChannels()
        self.make_record = make_record
        self.woken: list[tuple[str, str]] = []
        self.away = False
        self.delivery = NotificationDelivery(
            tasks=store,
            notifications=self.notifications,
            channels=self.channels,  # type: ignore[arg-type]
            wake=self.wake,
            detail=lambda record: {"TaskId": record.task_id},
            credentials=lambda record: Credentials((Role("writer"),)),
            origin=Origin("r", "1"),
            retry=timedelta(hours=1),
            metrics=Metrics(),
        )

    async def wake(self, task_id: str, channel: str) -> None:
        """The engine, which may be away."""
        if self.away:
            raise ServiceUnavailable("away")
        self.woken.append((task_id, channel))

    async def insert(self, number: int = 0, *recipients: Recipient) -> None:
        """A running task."""
        await self.tasks.insert(self.make_record(number), recipients or (WEBHOOK,))

    async def end(self, ago: float = 0.0) -> None:
        """The task ended so many seconds ago."""
        assert await self.tasks.finish(TASK, DONE, datetime.now(UTC) - timedelta(seconds=ago))

    async def states(self) -> dict[str, DeliveryState]:
        """What became of each notification of the task."""
        page = await self.notifications.list(ALL)
        return {item.notification_id.removeprefix(f"{TASK}."): item.state for item in page.notifications}

    async def get(self, name: str) -> Notification:
        """One of them."""
        result = await self.notifications.find(f"{TASK}.{name}")
        assert result is not None
        return result


@pytest.fixture
def world(database: Database, store: TaskStore, make_record: Callable[..., TaskRecord]) -> World:
    """An empty one."""
    return World(database, store, make_record)


async def test_a_message_waits_for_the_end_and_is_due_with_it(world: World) -> None:
    """Once: the second end changes nothing; a repeated request makes no second message."""
    await world.insert(0, WEBHOOK, FILE)
    assert set((await world.states()).values()) == {DeliveryState.WAITING}
    assert await world.delivery.next(TASK, "Webhook") is None
    with pytest.raises(StatusConflict):
        await world.notifications.redeliver("demo", f"{TASK}.Webhook.100", datetime.now(UTC))
    await world.end()
    assert await world.tasks.finish(TASK, DONE, datetime.now(UTC)) is False
    assert await world.states() == {"ExtendedMessage.100": DeliveryState.PENDING, "Webhook.100": DeliveryState.PENDING}
    await world.delivery.deliver_pending(TASK)
    assert sorted(world.woken) == [(TASK, "ExtendedMessage"), (TASK, "Webhook")]


async def test_progress_rises_and_news_take_the_place_of_what_was_not_told(world: World) -> None:
    """For every channel but the file; nothing after the end."""
    await world.insert(0, WEBHOOK, FILE)
    for percent in (50, 25, 50, 75):
        await world.delivery.progress(TASK, percent)
    superseded, pending, waiting = DeliveryState.SUPERSEDED, DeliveryState.PENDING, DeliveryState.WAITING
    assert await world.states() == {
        "ExtendedMessage.100": waiting,
        "Webhook.050": superseded,
        "Webhook.075": pending,
        "Webhook.100": waiting,
    }
    step = await world.delivery.next(TASK, "Webhook")
    assert step is not None and step.notification_id == f"{TASK}.Webhook.075"
    await world.end()
    await world.delivery.progress(TASK, 90)
    assert (await world.states())["Webhook.075"] is superseded and "Webhook.090" not in await world.states()
    late = await world.delivery.deliver(step.notification_id)
    await world.delivery.note(step.notification_id, late)
    assert late is not None and (await world.get("Webhook.075")).attempts == 0 and world.channels.sent == []
    with pytest.raises(StatusConflict):
        await world.notifications.redeliver("demo", f"{TASK}.Webhook.075", datetime.now(UTC))


async def test_the_oldest_that_is_due_is_known(world: World) -> None:
    """Since its task ended, until it is delivered."""
    await world.insert()
    assert await world.notifications.oldest_pending() is None
    await world.end(ago=100)
    since = await world.notifications.oldest_pending()
    assert since is not None and 99 < (datetime.now(UTC) - since).total_seconds() < 160
    await world.delivery.note(f"{TASK}.Webhook.100", None)
    assert await world.notifications.oldest_pending() is None


async def test_pauses_grow_with_the_time_that_was_tried(world: World) -> None:
    """About as long as it was tried already; a recipient may ask for longer; an attempt that was none is not counted."""
    await world.insert()
    await world.end(ago=100)
    for failure, least, most, attempts in (
        (Failure("busy", pause_seconds=2, counts=False), 99, 130, 0),
        (Failure("responded with 500"), 99, 130, 1),
        (Failure("responded with 503", pause_seconds=900), 890, 910, 2),
    ):
        await world.delivery.note(f"{TASK}.Webhook.100", failure)
        result = await world.get("Webhook.100")
        step = await world.delivery.next(TASK, "Webhook")
        assert step is not None and least < step.pause_seconds < most
        assert (result.state, result.attempts, result.last_error) == (DeliveryState.PENDING, attempts, failure.message)


@pytest.mark.parametrize(
    ("ago", "failure"), [(0.0, Failure("responded with 410", retryable=False)), (3000.0, Failure("responded with 500"))]
)
async def test_giving_up_and_sending_again(world: World, ago: float, failure: Failure) -> None:
    """At once when there is no hope, or when the next attempt would be after the time for it."""
    await world.insert()
    await world.end(ago)
    world.channels.failures = [failure]
    name = f"{TASK}.Webhook.100"
    await world.delivery.note(name, await world.delivery.deliver(name))
    assert (await world.get("Webhook.100")).state is DeliveryState.FAILED
    assert await world.delivery.next(TASK, "Webhook") is None
    again = await world.notifications.redeliver("demo", name, datetime.now(UTC))
    assert again.state is DeliveryState.PENDING
    step = await world.delivery.next(TASK, "Webhook")
    assert step is not None and step.pause_seconds == 0
    await world.delivery.note(name, await world.delivery.deliver(name))
    result = await world.get("Webhook.100")
    assert (result.state, result.attempts, result.last_error) == (DeliveryState.DELIVERED, 2, "")
    assert [message.message_id for message in world.channels.sent] == ["2F6-1Bz99Xi93EnRpNEyLudILJm"]


async def test_progress_is_given_up_soon(world: World) -> None:
    """By then the notification is outdated."""
    await world.insert()
    await world.delivery.progress(TASK, 10)
    for _ in range(3):
        await world.delivery.note(f"{TASK}.Webhook.010", Failure("responded with 500"))
    assert (await world.get("Webhook.010")).state is DeliveryState.FAILED


async def test_the_file_comes_first_but_not_for_ever(world: World) -> None:
    """Messages wait while it is written, at most half a minute."""
    await world.insert(0, WEBHOOK, FILE)
    await world.insert(1, WEBHOOK, FILE)
    await world.end()
    waiting, file = await world.delivery.next(TASK, "Webhook"), await world.delivery.next(TASK, "ExtendedMessage")
    assert waiting is not None and waiting.pause_seconds > 0
    assert file is not None and file.uri == "file:///x.json" and f'"TaskId":"{TASK}"' in file.text
    assert file.credentials == Credentials((Role("writer"),))
    await world.delivery.note(file.notification_id, None)
    ready = await world.delivery.next(TASK, "Webhook")
    assert ready is not None and ready.pause_seconds == 0
    await world.tasks.finish("MediaConvert-0001", DONE, datetime.now(UTC) - timedelta(seconds=31))
    late = await world.delivery.next("MediaConvert-0001", "Webhook")
    assert late is not None and late.pause_seconds == 0


async def test_a_result_that_the_engine_cannot_carry_is_given_up(world: World) -> None:
    """With its size; the channels are told all the same."""
    await world.tasks.insert(world.make_record(0, user_data="ü" * 800_000), (WEBHOOK, FILE))
    await world.end()
    assert await world.delivery.next(TASK, "ExtendedMessage") is None
    result, step = await world.get("ExtendedMessage.100"), await world.delivery.next(TASK, "Webhook")
    assert result.state is DeliveryState.FAILED and "bytes" in result.last_error
    assert step is not None and step.pause_seconds == 0


async def test_what_the_engine_does_not_know_is_found_again(world: World) -> None:
    """It was away when the task ended; what is due only now is left to the engine."""
    await world.insert()
    await world.insert(1)
    world.away = True
    await world.end(ago=120)
    await world.tasks.finish("MediaConvert-0001", DONE, datetime.now(UTC))
    await world.delivery.deliver_pending(TASK)
    world.away = False
    await world.delivery.deliver_overdue()
    assert world.woken == [(TASK, "Webhook")]


async def test_notifications_are_listed_page_by_page(world: World) -> None:
    """By task, channel and order; filtered by task and state; a token of another query is refused."""
    for number in range(3):
        await world.insert(number, WEBHOOK, MNS)
    await world.end()
    seen: list[str] = []
    token = ""
    while True:
        page = await world.notifications.list(NotificationQuery("demo", limit=4, next_token=token))
        seen += [item.notification_id for item in page.notifications]
        token = page.next_token
        if not token:
            break
    assert seen == [f"MediaConvert-{number:04d}.{channel}.100" for number in range(3) for channel in ("MNS", "Webhook")]
    pending = await world.notifications.list(NotificationQuery("demo", state=DeliveryState.PENDING, limit=1))
    assert [item.task_id for item in pending.notifications] == [TASK] and pending.next_token
    with pytest.raises(InvalidArgument, match="another query"):
        await world.notifications.list(NotificationQuery("demo", limit=1, next_token=pending.next_token))
    assert (await world.notifications.list(NotificationQuery("demo", "MediaConvert-0002"))).notifications[
        1
    ].recipient == WEBHOOK
    assert (await world.notifications.list(NotificationQuery("other"))).notifications == ()
    with pytest.raises(ResourceNotFound):
        await world.notifications.redeliver("other", f"{TASK}.MNS.100", datetime.now(UTC))


async def test_a_task_takes_its_notifications_with_it(world: World, store: TaskStore) -> None:
    """Retention; an attempt that ends afterwards finds nothing to note."""
    await world.insert()
    await world.end(ago=7200)
    assert await store.expire(datetime.now(UTC)) == 1
    assert await world.states() == {}
    late: Any = await world.delivery.deliver(f"{TASK}.Webhook.100")
    await world.delivery.note(f"{TASK}.Webhook.100", late)
    assert await world.delivery.next(TASK, "Webhook") is None
