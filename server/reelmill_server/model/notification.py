"""Notifications: recipients, messages, and the state of their delivery."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reelmill_server.model.request import Credentials

END = 100
"""`percent` of the message that reports the end of a task."""


class Channel(StrEnum):
    """A channel of notifications. EXTENDED_MESSAGE is a file, written before the others are sent."""

    EXTENDED_MESSAGE = "ExtendedMessage"
    MNS = "MNS"
    ROCKET_MQ = "RocketMQ"
    WEBHOOK = "Webhook"
    PUB_SUB = "PubSub"


class DeliveryState(StrEnum):
    """State of a notification's delivery."""

    WAITING = "Waiting"
    PENDING = "Pending"
    DELIVERED = "Delivered"
    FAILED = "Failed"
    SUPERSEDED = "Superseded"


@dataclass(frozen=True)
class Recipient:
    """A recipient: a topic, URL or URI, qualified by RocketMQ's instance or the name of a webhook's secret."""

    channel: Channel
    destination: str
    qualifier: str = ""


@dataclass(frozen=True)
class Notification:
    """One message to one recipient. A `percent` below END reports progress. Times are UTC; None: not yet.

    `since_time` is the time of the first attempt, from which the retry period counts.
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
    """Filter and page of ListNotifications; empty fields match everything; `limit` is 1 to 100."""

    project_name: str
    task_id: str = ""
    state: DeliveryState | None = None
    limit: int = 100
    next_token: str = ""


@dataclass(frozen=True)
class NotificationPage:
    """One page of notifications; `next_token` is empty on the last page."""

    notifications: tuple[Notification, ...]
    next_token: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a delivery failed, in a message without secrets.

    `retryable`: another attempt may succeed, not before `pause_seconds` if the recipient asked for a pause. `counts`: whether
    this counts as an attempt.
    """

    message: str
    retryable: bool = True
    pause_seconds: float = 0.0
    counts: bool = True


@dataclass(frozen=True)
class Step:
    """Next step of a delivery: a pause, or sending this notification. With a `uri`, a worker writes `text` there with
    `credentials`."""

    notification_id: str
    pause_seconds: float = 0.0
    uri: str = ""
    text: str = ""
    credentials: Credentials = field(default_factory=Credentials)
