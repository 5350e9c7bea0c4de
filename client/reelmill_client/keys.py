"""Calls about API keys of both clients: `client.keys.create(...)` and so on. They are for administrators."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime

from reelmill.v1 import key_service_pb2 as pb
from reelmill_client import methods
from reelmill_client.projects import AsyncCall, Call


def _create_request(name: str, grants: Sequence[str], expire_time: datetime | None) -> pb.CreateKeyRequest:
    request = pb.CreateKeyRequest(name=name, grants=grants)
    if expire_time is not None:
        request.expire_time.FromDatetime(expire_time.astimezone(UTC))
    return request


class Keys:
    """Calls about API keys; every one may raise a ReelmillError."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def create(self, name: str, grants: Sequence[str], *, expire_time: datetime | None = None) -> pb.CreateKeyResponse:
        """Make a key; the response's `secret` is the key itself, and cannot be had again. Grants are texts like
        `submitter@films`."""
        return self._call(methods.CREATE_KEY, _create_request(name, grants, expire_time))

    def list(self) -> Iterator[pb.Key]:
        """Yield all keys, without their secrets, fetching page after page."""
        token = ""
        while True:
            page = self._call(methods.LIST_KEYS, pb.ListKeysRequest(next_token=token))
            yield from page.keys
            token = page.next_token
            if not token:
                return

    def revoke(self, key_id: str) -> None:
        """Make a key worthless; raises NotFound if there is none with this id."""
        self._call(methods.REVOKE_KEY, pb.RevokeKeyRequest(key_id=key_id))


class AsyncKeys:
    """Asyncio form of Keys."""

    def __init__(self, call: AsyncCall) -> None:
        self._call = call

    async def create(self, name: str, grants: Sequence[str], *, expire_time: datetime | None = None) -> pb.CreateKeyResponse:
        return await self._call(methods.CREATE_KEY, _create_request(name, grants, expire_time))

    async def list(self) -> AsyncIterator[pb.Key]:
        token = ""
        while True:
            page = await self._call(methods.LIST_KEYS, pb.ListKeysRequest(next_token=token))
            for key in page.keys:
                yield key
            token = page.next_token
            if not token:
                return

    async def revoke(self, key_id: str) -> None:
        await self._call(methods.REVOKE_KEY, pb.RevokeKeyRequest(key_id=key_id))
