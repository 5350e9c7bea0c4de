"""Let calls in before a service sees them: who calls, how often, and whether they may."""

from typing import Any

from google.protobuf.message import Message

from reelmill_server.api.authentication import Authenticate
from reelmill_server.api.caller import set_caller
from reelmill_server.api.failed_attempts import FailedAttempts
from reelmill_server.api.permissions import authorize
from reelmill_server.api.rate_limit import RateLimit
from reelmill_server.errors import NotAuthenticated
from reelmill_server.model.access import ANYONE, Principal

_NOT_YET_KNOWN = Principal("unknown", ())


async def ask_nobody(_: Any) -> Principal:
    """Return the caller of a service that asks nobody."""
    return ANYONE


class Gate:
    """The one place where callers are let in."""

    def __init__(
        self,
        authenticate: Authenticate = ask_nobody,
        limit: RateLimit | None = None,
        failed_attempts: FailedAttempts | None = None,
    ) -> None:
        self._authenticate, self._limit = authenticate, limit or RateLimit(0, 1)
        self._failed_attempts = failed_attempts or FailedAttempts()

    async def admit(self, method: str, request: Message | None, context: Any) -> None:
        """Find out who makes a call, for `caller`. `request` None: it is malformed, and refused later.

        Raises NotAuthenticated, Throttled, ResourceNotFound, Forbidden, or ServiceUnavailable.
        """
        set_caller(_NOT_YET_KNOWN)
        principal = await self._find_out(context)
        set_caller(principal)
        if principal.known:
            self._limit.take(principal.name)
            if request is not None:
                authorize(principal, method, request)

    async def _find_out(self, context: Any) -> Principal:
        if self._authenticate is ask_nobody:
            return ANYONE
        self._failed_attempts.check(context)
        try:
            return await self._authenticate(context)
        except NotAuthenticated as error:
            raise self._failed_attempts.failed(context, error) from None

    async def check_again(self, method: str, request: Message, context: Any) -> None:
        """Find out whether the caller of a long stream still may: its key may be revoked by now, its token expired.

        Raises NotAuthenticated, ResourceNotFound, Forbidden, or ServiceUnavailable.
        """
        principal = await self._authenticate(context)
        if principal.known:
            authorize(principal, method, request)
