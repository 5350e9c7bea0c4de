"""The routes of the console and its pages. What pages show, they get from the RPCs, for the caller who looks."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from google.rpc import status_pb2

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import task_pb2
from reelmill_server.api.console import pages, session, text
from reelmill_server.api.console.browser import go, return_to
from reelmill_server.api.console.calls import UNAUTHENTICATED, Calls, place_of
from reelmill_server.api.console.changes import Changes
from reelmill_server.api.console.links import Links, end_of
from reelmill_server.api.console.listing import STATUSES, Listing, list_request
from reelmill_server.api.console.login import Login
from reelmill_server.api.console.media import Media
from reelmill_server.api.console.streams import Streams
from reelmill_server.api.console.strip import Strip
from reelmill_server.api.console.task_files import path_of, player_of
from reelmill_server.api.http.codes import CODES
from reelmill_server.api.http.context import CallFailed
from reelmill_server.api.http.front import Front
from reelmill_server.api.masking import mask_task, masked
from reelmill_server.errors import ReelmillError
from reelmill_server.storage.base import Storage
from reelmill_server.tasks.previews import PreviewStore

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Console:
    """The pages of the console, over the RPCs of the front. `asks`: callers show who they are."""

    def __init__(
        self, front: Front, storage: Storage, links: Links, previews: PreviewStore, *, asks: bool, grpc_port: int
    ) -> None:
        self._asks, self._grpc_port = asks, grpc_port
        self._calls = Calls(front.methods)
        self._listing = Listing(self._calls)
        self._links, self._media, self._previews = links, Media(links, storage), previews

    def add_routes(self, front: Front, router: web.UrlDispatcher) -> None:
        """Add the routes of all pages; the root is the front's, which shows the tasks there."""
        front.index = self._page(self.tasks)
        get, post = router.add_get, router.add_post
        login, streams, changes = Login(self._calls), Streams(self._calls, self._listing), Changes(self._calls)
        strip = Strip(self._calls, self._previews)
        task = "/console/tasks/{project}/{task}"
        get("/console/static/{name}", pages.static)
        get("/console/login", self._page(login.login))
        post("/console/login", self._page(login.log_in))
        post("/console/logout", self._page(login.log_out))
        get("/console/live/tasks", self._page(streams.live_tasks))
        get("/console/try", self._page(self.draft))
        post("/console/plan", self._page(changes.plan))
        post("/console/submit", self._page(changes.submit))
        get("/console/workers", self._page(self.workers))
        get("/console/live/workers", self._page(streams.live_workers))
        get(task, self._page(self.task))
        get(f"{task}/play/{{number}}", self._page(self.play))
        get("/console/media/{link}/{scheme}/{authority}/{path:.+}", self._media.serve)
        get(f"{task}/previews", self._page(strip.show))
        get(f"{task}/previews/{{taken}}.jpg", self._page(strip.preview))
        get(f"{task}/live", self._page(streams.live_task))
        post(f"{task}/plan", self._page(changes.plan_of_task))
        post(f"{task}/cancel", self._page(changes.cancel))
        post(f"{task}/retry", self._page(changes.retry))

    async def tasks(self, request: web.Request) -> web.StreamResponse:
        """Return the page that lists tasks."""
        query = list_request(request)
        projects, answer = await asyncio.gather(self._calls.projects(request), self._calls.call(request, "ListTasks", query))
        await self._listing.name(request, query, answer)
        status, tag = (request.query.get(name, "") for name in ("status", "tag"))
        chosen = {"status": status.lower(), "tag": tag, "project": query.project_name}
        older = chosen | {"after": answer.next_token} if answer.next_token else None
        return self._show(
            request,
            "tasks.html",
            chosen=chosen,
            projects=sorted({*projects, query.project_name}),
            statuses=STATUSES,
            rows=self._listing.rows(answer.tasks),
            paged=bool(query.next_token),
            live_at=f"/console/live/tasks?{urlencode(chosen | {'after': query.next_token})}",
            first_at=f"/?{urlencode(chosen)}",
            older_at=f"/?{urlencode(older)}" if older else "",
        )

    async def task(self, request: web.Request) -> web.StreamResponse:
        """Return the page of a task."""
        task = await self._calls.task(request)
        origin = f"{request.scheme}://{request.host}"
        definition = task.task_request_definition
        return self._show(
            request,
            "task.html",
            task=task,
            title=text.title(definition),
            at=place_of(task),
            definition=json.dumps(json.loads(definition), ensure_ascii=False, indent=2),
            copies=text.copies(definition, origin, self._grpc_port, self._asks),
        )

    async def play(self, request: web.Request) -> web.StreamResponse:
        """Return the page that plays one of a task's artifacts."""
        task = await self._calls.task(request, hidden=False)
        # Compared as text: a link may have a number of any length.
        chosen = {str(number): artifact for number, artifact in enumerate(task.artifacts)}.get(request.match_info["number"])
        how = player_of(chosen) if chosen is not None else ""
        if chosen is None or not how:
            raise web.HTTPNotFound
        link = self._links.make(task.task_id, chosen.duration)
        pictures = [item for item in task.artifacts if item.kind == task_pb2.ARTIFACT_KIND_SPRITE_WEB_VTT]
        pictures.sort(key=lambda item: item.target_index != chosen.target_index)
        return self._show(
            request,
            "play.html",
            name=text.name_of(chosen.uri),
            title=text.title(task.task_request_definition) or task.task_id,
            at=place_of(task),
            how=how,
            until=f"{end_of(link):%H:%M}",
            source=path_of(link, chosen.uri),
            sprites=path_of(link, pictures[0].uri) if pictures else "",
        )

    async def draft(self, request: web.Request) -> web.StreamResponse:
        """Return the page on which requests are tried; with the request of a task, if one is named."""
        body = _SAMPLE
        if request.query.get("task"):
            wanted = {"project_name": request.query.get("project", ""), "task_id": request.query["task"]}
            answer = await self._calls.call(request, "GetTask", pb.GetTaskRequest(**wanted, request_definition=True))
            mask_task(answer.task)
            definition = json.loads(answer.task.task_request_definition)
            definition.pop("RequestId", None)
            body = json.dumps(definition, ensure_ascii=False, indent=2)
        return self._show(request, "try.html", body=body)

    async def workers(self, request: web.Request) -> web.StreamResponse:
        """Return the page that shows workers."""
        answer = await self._calls.call(request, "ListWorkers", pb.ListWorkersRequest())
        return self._show(request, "workers.html", workers=answer.workers)

    # Responses

    def _show(self, request: web.Request, template: str, **values: Any) -> web.Response:
        return pages.respond(template, asks=self._asks and bool(session.token_of(request)), **values)

    def _page(self, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except CallFailed as error:
                return self._failed(request, error.status)
            except ReelmillError as error:
                return self._problem(request, 400, error.message)

        return handle

    def _failed(self, request: web.Request, status: status_pb2.Status) -> web.Response:
        if status.code == UNAUTHENTICATED:
            return go(request, f"/console/login?{urlencode({'next': return_to(request)})}")
        return self._problem(request, CODES[status.code].http, status.message)

    def _problem(self, request: web.Request, status: int, message: str) -> web.Response:
        template = "_problem.html" if "HX-Request" in request.headers else "problem.html"
        return pages.respond(template, status, message=masked(message), asks=self._asks and bool(session.token_of(request)))


_SAMPLE = """\
ProjectName: default
Sources:
  - URI: file:///media/film.mov
Targets:
  - URI: file:///media/film.mp4
    Container: mp4
    Video:
      TranscodeVideo: {Codec: h264, Resolution: 1280x720}
    Audio:
      TranscodeAudio: {Codec: aac}
"""
