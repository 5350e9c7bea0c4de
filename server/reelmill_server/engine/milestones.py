"""Report the progress of an attempt at each step of percent that it reaches."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from reelmill_server.errors import ServiceUnavailable
from reelmill_server.model.notification import END


def last_step(percent: int, step: int) -> int:
    """Return the last multiple of `step` that progress has reached; 0: none."""
    return percent - percent % step if step else 0


class Milestones:
    """Report each `step` percent of progress once; a report that the engine does not take is dropped."""

    def __init__(self, report: Callable[[int], Awaitable[None]], step: int, last: int = END - 1) -> None:
        """`report` reports a percent, and may raise ServiceUnavailable; percents after `last` are not reported here."""
        self._report_percent, self._step, self._last = report, step, last
        self._reported = 0
        self._sending: set[asyncio.Task[None]] = set()

    def reached(self, percent: int) -> None:
        """Note that progress has reached `percent`."""
        passed = last_step(percent, self._step)
        if self._reported < passed <= self._last:
            self._reported = passed
            sending = asyncio.create_task(self._send(passed))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    async def _send(self, percent: int) -> None:
        with suppress(ServiceUnavailable):
            await self._report_percent(percent)
