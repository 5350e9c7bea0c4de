"""Bodies of requests: whole, in good time, and not many large ones at once."""

import asyncio

from aiohttp import web

from reelmill_server.api.http.codecs import MOST_BYTES, too_large
from reelmill_server.errors import Timeout

_SECONDS = 30.0
_SMALL = 64 * 1024
_LARGE_AT_ONCE = 32


class Bodies:
    """Reads bodies."""

    def __init__(self) -> None:
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def read(self, request: web.Request) -> bytes:
        """Return the body of a request. Raises LimitExceeded or Timeout."""
        if not request.can_read_body:
            return b""
        if (request.content_length or 0) > MOST_BYTES:
            raise too_large()
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._read(request)
        except TimeoutError:
            raise Timeout("the request took too long to arrive") from None

    async def _read(self, request: web.Request) -> bytes:
        body = await _up_to(request, _SMALL)
        if len(body) < _SMALL:
            return body
        async with self._large:
            body += await _up_to(request, MOST_BYTES + 1 - len(body))
        if len(body) > MOST_BYTES:
            raise too_large()
        return body


async def _up_to(request: web.Request, most: int) -> bytes:
    """Return the next bytes, fewer than `most` at the end only."""
    parts, left = [], most
    while left and (part := await request.content.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
