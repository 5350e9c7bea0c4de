"""Notification calls of both clients: `client.notifications.list(...)` and so on."""

from collections.abc import AsyncIterator, Iterator

from reelmill.v1 import notification_service_pb2 as pb
from reelmill_client import methods, requests
from reelmill_client.projects import AsyncCall, Call


class Notifications:
    """Calls about the notifications of a project; every one may raise a ReelmillError."""

    def __init__(self, call: Call, project: str) -> None:
        self._call, self._project = call, project

    def list(
        self, task_id: str = "", *, state: str | int | None = None, project: str | None = None
    ) -> Iterator[pb.NotificationStatus]:
        """Yield the notifications of a task, or of all tasks, fetching page after page; `state` is Waiting, Pending, Failed…"""
        token = ""
        while True:
            request = requests.list_notifications_request(project or self._project, task_id, state, token)
            page = self._call(methods.LIST_NOTIFICATIONS, request)
            yield from page.notifications
            token = page.next_token
            if not token:
                return

    def redeliver(self, notification_id: str, *, project: str | None = None) -> pb.NotificationStatus:
        """Send a notification again; raises FailedPrecondition before its task has ended."""
        request = pb.RedeliverNotificationRequest(project_name=project or self._project, notification_id=notification_id)
        return self._call(methods.REDELIVER_NOTIFICATION, request).notification


class AsyncNotifications:
    """Asyncio form of Notifications."""

    def __init__(self, call: AsyncCall, project: str) -> None:
        self._call, self._project = call, project

    async def list(
        self, task_id: str = "", *, state: str | int | None = None, project: str | None = None
    ) -> AsyncIterator[pb.NotificationStatus]:
        token = ""
        while True:
            request = requests.list_notifications_request(project or self._project, task_id, state, token)
            page = await self._call(methods.LIST_NOTIFICATIONS, request)
            for notification in page.notifications:
                yield notification
            token = page.next_token
            if not token:
                return

    async def redeliver(self, notification_id: str, *, project: str | None = None) -> pb.NotificationStatus:
        request = pb.RedeliverNotificationRequest(project_name=project or self._project, notification_id=notification_id)
        return (await self._call(methods.REDELIVER_NOTIFICATION, request)).notification
