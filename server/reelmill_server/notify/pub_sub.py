"""Channel of Google Cloud Pub/Sub: publishes over its REST API with the server's own identity."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from reelmill_server.errors import Violation
from reelmill_server.model.notification import Failure, Recipient
from reelmill_server.notify.base import DeliveryFailed
from reelmill_server.notify.message import SOURCE, TYPE, Message, compact
from reelmill_server.notify.outbound import Outbound

_SCOPE = "https://www.googleapis.com/auth/pubsub"
Token = Callable[[], Awaitable[str]]


async def no_token() -> str:
    """Return no token, as for an emulator."""
    return ""


class GoogleToken:
    """Access tokens of the application default credentials, which are located when the first token is needed."""

    def __init__(self) -> None:
        self._credentials: Any = None
        self._lock = asyncio.Lock()

    async def __call__(self) -> str:
        """Return a currently valid token. Raises DeliveryFailed."""
        async with self._lock:
            return await asyncio.to_thread(self._token)

    def _token(self) -> str:
        import google.auth
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request

        try:
            if self._credentials is None:
                self._credentials, _ = google.auth.default(scopes=[_SCOPE])
            if not self._credentials.valid:
                self._credentials.refresh(Request())
            return str(self._credentials.token)
        except GoogleAuthError as error:
            raise DeliveryFailed(Failure(f"no access token for Pub/Sub: {type(error).__name__}")) from None


class PubSubSender:
    """Sender to the topics of one project, with the task as ordering key."""

    def __init__(self, outbound: Outbound, endpoint: str, project: str, token: Token) -> None:
        self._outbound, self._project, self._token = outbound, project, token
        self._endpoint = endpoint.rstrip("/")

    def problems(self, _: Recipient) -> Iterator[Violation]:
        # The protos' rules cover topic names.
        yield from ()

    async def send(self, recipient: Recipient, message: Message) -> None:
        # Id, source, type and task are attributes too, so that subscriptions can filter by them.
        entry = {
            "data": base64.b64encode(message.envelope().encode()).decode(),
            "attributes": {"id": message.message_id, "source": SOURCE, "type": TYPE, "task_id": message.task_id},
            "orderingKey": message.task_id,
        }
        headers = {"Content-Type": "application/json"}
        token = await self._token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        url = f"{self._endpoint}/v1/projects/{self._project}/topics/{recipient.destination}:publish"
        await self._outbound.post(url, compact({"messages": [entry]}).encode(), headers)

    async def close(self) -> None:
        await self._outbound.close()
