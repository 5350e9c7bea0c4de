"""Notifications as the service knows them: who is told of a task, what, and what became of it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reelmill_server.model.request import Credentials

END = 100
"""`percent` of the message that tells a task's end."""


class Channel(StrEnum):
    """A way to tell. EXTENDED_MESSAGE is a file, which is written before the others are told."""

    EXTENDED_MESSAGE = "ExtendedMessage"
    MNS = "MNS"
    ROCKET_MQ = "RocketMQ"
    WEBHOOK = "Webhook"
    PUB_SUB = "PubSub"


class DeliveryState(StrEnum):
    """What became of a notification."""

    WAITING = "Waiting"
    PENDING = "Pending"
    DELIVERED = "Delivered"
    FAILED = "Failed"
    SUPERSEDED = "Superseded"


@dataclass(frozen=True)
class Recipient:
    """Who is told: a topic, URL or URI, and what goes with it: the instance of RocketMQ, the name of a webhook's secret."""

    channel: Channel
    destination: str
    qualifier: str = ""


@dataclass(frozen=True)
class Notification:
    """One message to one recipient. `percent` below END tells progress. Times are UTC; None: not yet.

    `since_time` is when the service began to try, which bounds for how long it does.
    """

    notification_id: str
    task_id: str
    recipient: Recipient
    percent: int
    state: DeliveryState
    attempts: int = 0
    last_error: str = ""
    create_time: datetime | None = None
    since_time: datetime | None = None
    next_time: datetime | None = None
    last_attempt_time: datetime | None = None


@dataclass(frozen=True)
class NotificationQuery:
    """What ListNotifications asks for; empty: any; `limit` 1..100."""

    project_name: str
    task_id: str = ""
    state: DeliveryState | None = None
    limit: int = 100
    next_token: str = ""


@dataclass(frozen=True)
class NotificationPage:
    """One page of notifications; `next_token` is empty on the last."""

    notifications: tuple[Notification, ...]
    next_token: str = ""


@dataclass(frozen=True)
class Failure:
    """Why an attempt to tell failed, in words without secrets.

    `retryable`: another attempt may succeed, not before `pause_seconds` if the recipient said so. `counts`: it was an attempt.
    """

    message: str
    retryable: bool = True
    pause_seconds: float = 0.0
    counts: bool = True


@dataclass(frozen=True)
class Step:
    """What to do next for a recipient: wait so long, or tell this. With a `uri` a worker writes `text` there, in the name of
    `credentials`."""

    notification_id: str
    pause_seconds: float = 0.0
    uri: str = ""
    text: str = ""
    credentials: Credentials = field(default_factory=Credentials)
