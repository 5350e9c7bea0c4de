"""Implementation of NotificationService."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from reelmill.v1 import notification_service_pb2 as pb
from reelmill_server.api import validate
from reelmill_server.api.caller import caller
from reelmill_server.api.interceptor import request_id
from reelmill_server.api.masking import masked, masked_url
from reelmill_server.api.responses import timestamp
from reelmill_server.model.notification import DeliveryState, Notification, NotificationQuery
from reelmill_server.tasks.notifications import NotificationStore
from reelmill_server.tasks.projects import ProjectStore

_DEFAULT_PAGE = 100
_STATE: Mapping[DeliveryState, Any] = {
    state: pb.NotificationState.Value(f"NOTIFICATION_STATE_{state.name}") for state in DeliveryState
}
_STATE_BY_NUMBER = {number: state for state, number in _STATE.items()}


class NotificationService:
    """The RPCs of NotificationService; `deliver` starts the delivery of a task's due notifications."""

    def __init__(
        self, notifications: NotificationStore, projects: ProjectStore, deliver: Callable[[str], Awaitable[None]]
    ) -> None:
        self._notifications, self._projects, self._deliver = notifications, projects, deliver

    async def ListNotifications(self, request: pb.ListNotificationsRequest, _: Any) -> pb.ListNotificationsResponse:
        validate.check_rules(request)
        await self._projects.get(request.project_name)
        query = NotificationQuery(
            project_name=request.project_name,
            task_id=request.task_id,
            state=_STATE_BY_NUMBER.get(request.state),
            limit=request.max_results or _DEFAULT_PAGE,
            next_token=request.next_token,
        )
        page = await self._notifications.list(query)
        notifications = [_status(notification) for notification in page.notifications]
        return pb.ListNotificationsResponse(request_id=request_id(), notifications=notifications, next_token=page.next_token)

    async def RedeliverNotification(self, request: pb.RedeliverNotificationRequest, _: Any) -> pb.RedeliverNotificationResponse:
        """Make a notification due again, immediately."""
        validate.check_rules(request)
        due = await self._notifications.redeliver(request.project_name, request.notification_id, datetime.now(UTC))
        await self._deliver(due.task_id)
        return pb.RedeliverNotificationResponse(request_id=request_id(), notification=_status(due))


def _status(notification: Notification) -> pb.NotificationStatus:
    destination = notification.recipient.destination
    pending = notification.state is DeliveryState.PENDING
    return pb.NotificationStatus(
        notification_id=notification.notification_id,
        task_id=notification.task_id,
        channel=notification.recipient.channel.value,
        # The path of a webhook is often its secret, and whose task it is about is not known here.
        destination=masked_url(destination) if caller().known else destination,
        progress=notification.percent,
        state=_STATE[notification.state],
        attempts=notification.attempts,
        last_error=masked(notification.last_error) if caller().known else notification.last_error,
        create_time=timestamp(notification.create_time),
        last_attempt_time=timestamp(notification.last_attempt_time),
        next_attempt_time=timestamp(notification.next_time) if pending else None,
    )
