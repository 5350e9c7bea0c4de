"""The streams of events by which open pages change."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web
from google.protobuf.message import Message

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import task_pb2
from reelmill_server.api.console import live, pages
from reelmill_server.api.console.calls import Calls, context_of, place_of
from reelmill_server.api.console.listing import Listing, list_request
from reelmill_server.api.http.calls import answer_framed, call
from reelmill_server.api.http.context import HttpContext
from reelmill_server.api.http.methods import Method
from reelmill_server.api.masking import mask_task

_SECONDS = 1.0  # between two looks at what a page lists
_IDLE_SHARE = 4  # of the time that a look takes: looks are no more than a fifth of what the server does for a page
_MOST_STREAMS = 500
_ACTIONS = "actions"
_TASK_PARTS = ("standing", _ACTIONS, "details")


class Streams:
    """Streams what changes on a page for as long as it is open."""

    def __init__(self, calls: Calls, listing: Listing) -> None:
        self._calls, self._listing = calls, listing
        self._open = 0

    async def live_tasks(self, request: web.Request) -> web.StreamResponse:
        """Stream the rows that change of a list of tasks, or all where others belong there."""
        query = list_request(request)

        async def states(_: Any, context: HttpContext) -> AsyncIterator[bytes]:
            shown: dict[str, str] = {}
            async for answer in self._looks("ListTasks", query, context):
                await self._listing.name(request, query, answer)
                rows = self._listing.rows(answer.tasks)
                if list(rows) != list(shown):
                    yield live.event("rows", pages.render("_rows.html", rows=rows))
                elif changed := [row for name, row in rows.items() if shown[name] != row]:
                    yield live.event("row", pages.render("_changed.html", rows=changed))
                shown = rows

        return await self._stream(request, self._method("ListTasks", states), query)

    async def live_workers(self, request: web.Request) -> web.StreamResponse:
        """Stream what workers do."""
        query = pb.ListWorkersRequest()

        async def states(_: Any, context: HttpContext) -> AsyncIterator[bytes]:
            last = ""
            async for answer in self._looks("ListWorkers", query, context):
                html = pages.render("_workers.html", workers=answer.workers)
                if html != last:
                    yield live.event("workers", html)
                last = html

        return await self._stream(request, self._method("ListWorkers", states), query)

    async def live_task(self, request: web.Request) -> web.StreamResponse:
        """Stream the states of a task, up to its last one."""

        def write(_: Method, message: bytes) -> bytes:
            task = pb.WatchTaskResponse.FromString(message).task
            mask_task(task)
            parts = (part for part in _TASK_PARTS if part != _ACTIONS or _changes_actions(task))
            return b"".join(live.event(part, pages.render(f"_{part}.html", task=task, at=place_of(task))) for part in parts)

        query = pb.WatchTaskRequest(project_name=request.match_info["project"], task_id=request.match_info["task"])
        return await self._stream(request, self._calls.method("WatchTask"), query, write)

    def _method(self, name: str, handler: Any) -> Method:
        method = self._calls.method(name)
        return Method(method.path, method.request_type, method.response_type, streams=True, safe=True, handler=handler)

    async def _stream(
        self,
        request: web.Request,
        method: Method,
        query: Message,
        write: Callable[[Method, Any], bytes] = lambda _, data: bytes(data),
    ) -> web.StreamResponse:
        if self._open >= _MOST_STREAMS:
            raise web.HTTPServiceUnavailable

        async def read() -> Message:
            return query

        self._open += 1
        try:
            return await answer_framed(request, method, live.Fragments(write), read, context_of(request))
        finally:
            self._open -= 1

    async def _looks(self, name: str, query: Message, context: HttpContext) -> AsyncIterator[Any]:
        """Make a call again and again, and yield each response."""
        while True:
            began = time.monotonic()
            yield await call(self._calls.method(name), query, context)
            await asyncio.sleep(max(_SECONDS, _IDLE_SHARE * (time.monotonic() - began)))


def _changes_actions(task: task_pb2.Task) -> bool:
    """Return whether a page may show other buttons than those of a task that just runs. Those stay in place: a button that is
    replaced between the press and the release of the mouse gets no click.
    """
    return task.cancel_requested or task.status != task_pb2.TASK_STATUS_RUNNING
