"""The strip of frames that an encode has lately made: a fragment that its page asks for again while it runs."""

from aiohttp import web

from reelmill.v1 import task_pb2
from reelmill_server.api.console import media, pages
from reelmill_server.api.console.calls import Calls, place_of
from reelmill_server.model.preview import jpeg_of
from reelmill_server.tasks.previews import PreviewStore

_STOP = 286  # of htmx: do not ask again
# A preview never changes; its page shows it until the task ends.
_HEADERS = {**media.HEADERS, "Cache-Control": "private, max-age=3600, immutable"}


class Strip:
    """Shows the previews of a task to whoever may see it."""

    def __init__(self, calls: Calls, previews: PreviewStore) -> None:
        self._calls, self._previews = calls, previews

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Return the strip; the last one says that there will be no other."""
        task = await self._calls.task(request)
        runs = task.status == task_pb2.TASK_STATUS_RUNNING
        previews = await self._previews.of(task.task_id) if runs else ()
        return pages.respond("_strip.html", 200 if runs else _STOP, previews=previews, runs=runs, at=place_of(task))

    async def preview(self, request: web.Request) -> web.StreamResponse:
        """Return one preview."""
        task = await self._calls.task(request)
        jpegs = {str(preview.taken_us): preview.jpeg for preview in await self._previews.of(task.task_id)}
        jpeg = jpeg_of(jpegs.get(request.match_info["taken"], ""))
        if not jpeg:
            raise web.HTTPNotFound
        return web.Response(body=jpeg, content_type="image/jpeg", headers=_HEADERS)
