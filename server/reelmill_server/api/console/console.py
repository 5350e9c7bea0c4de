"""The routes of the console. What pages show, they get from the RPCs, for the caller who looks."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import grpc
from aiohttp import web
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import project_service_pb2, task_pb2
from reelmill_server.api.console import documents, live, pages, session, text
from reelmill_server.api.console.made import Links, made_by, path_of, player_of
from reelmill_server.api.console.media import Media
from reelmill_server.api.console.titles import Titles
from reelmill_server.api.http.calls import answer_framed, call
from reelmill_server.api.http.codecs import to_message
from reelmill_server.api.http.codes import CODES
from reelmill_server.api.http.context import CallFailed, HttpContext
from reelmill_server.api.http.errors import unpacked
from reelmill_server.api.http.front import Front
from reelmill_server.api.http.methods import Method
from reelmill_server.api.masking import mask_task, masked
from reelmill_server.errors import ReelmillError
from reelmill_server.storage.base import Storage

_SERVICE = "/reelmill.v1.MediaConvertService"
_LIST_PROJECTS = "/reelmill.v1.ProjectService/ListProjects"
_PAGE = 50
_SECONDS = 1.0  # between two looks at what a page lists
_IDLE_SHARE = 4  # of the time that a look takes: looks are no more than a fifth of what the server does for a page
_MOST_STREAMS = 500
_FORM_BYTES = 1 << 20
_UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED.value[0]
_STATUSES = ("running", "succeeded", "failed", "canceled")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Console:
    """The pages of the console, over the RPCs of the front. `asks`: callers show who they are."""

    def __init__(self, front: Front, storage: Storage, *, asks: bool) -> None:
        self._methods, self._asks = front.methods, asks
        self._titles = Titles()
        self._links = Links()
        self._media = Media(self._links, storage)
        self._streams = 0

    def add_routes(self, front: Front, router: web.UrlDispatcher) -> None:
        """Add the routes of all pages; the root is the front's, which shows the tasks there."""
        front.index = self._page(self.tasks)
        get, post = router.add_get, router.add_post
        task = "/console/tasks/{project}/{task}"
        get("/console/static/{name}", pages.static)
        get("/console/login", self._page(self.login))
        post("/console/login", self._page(self.log_in))
        post("/console/logout", self._page(self.log_out))
        get("/console/live/tasks", self._page(self.live_tasks))
        get("/console/try", self._page(self.draft))
        post("/console/plan", self._page(self.plan))
        post("/console/submit", self._page(self.submit))
        get("/console/workers", self._page(self.workers))
        get("/console/live/workers", self._page(self.live_workers))
        get(task, self._page(self.task))
        get(f"{task}/play/{{number}}", self._page(self.play))
        get("/console/media/{key}/{scheme}/{authority}/{path:.+}", self._media.serve)
        get(f"{task}/live", self._page(self.live_task))
        post(f"{task}/plan", self._page(self.plan_of_task))
        post(f"{task}/cancel", self._page(self.cancel))
        post(f"{task}/retry", self._page(self.retry))

    # Pages

    async def tasks(self, request: web.Request) -> web.StreamResponse:
        """Return the page that lists tasks."""
        query = _list_request(request)
        projects, answer = await asyncio.gather(self._projects(request), self._call(request, "ListTasks", query))
        await self._name(request, query, answer)
        chosen = {name: request.query.get(name, "") for name in ("status", "tag")} | {"project": query.project_name}
        older = chosen | {"after": answer.next_token} if answer.next_token else None
        return self._show(
            request,
            "tasks.html",
            chosen=chosen,
            projects=sorted({*projects, query.project_name}),
            statuses=_STATUSES,
            rows=self._rows(answer.tasks),
            paged=bool(query.next_token),
            live_at=f"/console/live/tasks?{urlencode(chosen | {'after': query.next_token})}",
            first_at=f"/?{urlencode(chosen)}",
            older_at=f"/?{urlencode(older)}" if older else "",
        )

    async def task(self, request: web.Request) -> web.StreamResponse:
        """Return the page of a task."""
        task = await self._task(request)
        origin = f"{request.scheme}://{request.host}"
        definition = task.task_request_definition
        return self._show(
            request,
            "task.html",
            task=task,
            title=text.title(definition),
            at=_place_of(task),
            definition=json.dumps(json.loads(definition), ensure_ascii=False, indent=2),
            copies=text.copies(definition, origin, self._asks),
        )

    async def play(self, request: web.Request) -> web.StreamResponse:
        """Return the page that plays one of a task's artifacts."""
        task = await self._task(request, hidden=False)
        number = request.match_info["number"]
        chosen = task.artifacts[int(number)] if number.isdecimal() and int(number) < len(task.artifacts) else None
        how = player_of(chosen) if chosen is not None else ""
        if chosen is None or not how:
            raise web.HTTPNotFound
        key = self._links.make(made_by(task))
        pictures = [item for item in task.artifacts if item.kind == task_pb2.ARTIFACT_KIND_SPRITE_WEB_VTT]
        pictures.sort(key=lambda item: item.target_index != chosen.target_index)
        return self._show(
            request,
            "play.html",
            name=text.name_of(chosen.uri),
            title=text.title(task.task_request_definition) or task.task_id,
            at=_place_of(task),
            how=how,
            source=path_of(key, chosen.uri),
            sprites=path_of(key, pictures[0].uri) if pictures else "",
        )

    async def draft(self, request: web.Request) -> web.StreamResponse:
        """Return the page on which requests are tried; with the request of a task, if one is named."""
        body = _SAMPLE
        if request.query.get("task"):
            wanted = {"project_name": request.query.get("project", ""), "task_id": request.query["task"]}
            answer = await self._call(request, "GetTask", pb.GetTaskRequest(**wanted, request_definition=True))
            mask_task(answer.task)
            definition = json.loads(answer.task.task_request_definition)
            definition.pop("RequestId", None)
            body = json.dumps(definition, ensure_ascii=False, indent=2)
        return self._show(request, "try.html", body=body)

    async def workers(self, request: web.Request) -> web.StreamResponse:
        """Return the page that shows workers."""
        answer = await self._call(request, "ListWorkers", pb.ListWorkersRequest())
        return self._show(request, "workers.html", workers=answer.workers)

    # Streams

    async def live_tasks(self, request: web.Request) -> web.StreamResponse:
        """Stream the rows that change of a list of tasks, or all where others belong there."""
        query = _list_request(request)

        async def states(_: Any, context: HttpContext) -> AsyncIterator[bytes]:
            shown: dict[str, str] = {}
            async for answer in self._looks("ListTasks", query, context):
                await self._name(request, query, answer)
                rows = self._rows(answer.tasks)
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
            return live.event("state", pages.render("_state.html", task=task, at=_place_of(task)))

        query = pb.WatchTaskRequest(project_name=request.match_info["project"], task_id=request.match_info["task"])
        return await self._stream(request, self._methods[f"{_SERVICE}/WatchTask"], query, write)

    def _method(self, name: str, handler: Any) -> Method:
        method = self._methods[f"{_SERVICE}/{name}"]
        return Method(method.path, method.request_type, method.response_type, streams=True, safe=True, handler=handler)

    async def _stream(
        self,
        request: web.Request,
        method: Method,
        query: Message,
        write: Callable[[Method, Any], bytes] = lambda _, data: bytes(data),
    ) -> web.StreamResponse:
        if self._streams >= _MOST_STREAMS:
            raise web.HTTPServiceUnavailable

        async def read() -> Message:
            return query

        self._streams += 1
        try:
            return await answer_framed(request, method, live.Fragments(write), read, _context(request))
        finally:
            self._streams -= 1

    async def _looks(self, name: str, query: Message, context: HttpContext) -> AsyncIterator[Any]:
        """Make a call again and again, and yield each response."""
        while True:
            began = time.monotonic()
            yield await call(self._methods[f"{_SERVICE}/{name}"], query, context)
            await asyncio.sleep(max(_SECONDS, _IDLE_SHARE * (time.monotonic() - began)))

    # What changes something

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """Cancel a task; its page shows when it has ended."""
        project, task = request.match_info["project"], request.match_info["task"]
        await self._change(request, "CancelTask", pb.CancelTaskRequest(project_name=project, task_id=task))
        return _go(request, f"/console/tasks/{project}/{task}")

    async def retry(self, request: web.Request) -> web.StreamResponse:
        """Make a new task from the request of one that has ended, and go to its page."""
        project, task = request.match_info["project"], request.match_info["task"]
        answer = await self._change(request, "RetryTask", pb.RetryTaskRequest(project_name=project, task_id=task))
        return _go(request, f"/console/tasks/{project}/{answer.task_id}")

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """Make a task from a pasted request, and go to its page; or show what is wrong with it."""
        name = f"{_SERVICE}/CreateMediaConvertTask"
        try:
            message: Any = await self._pasted(request, name)
            answer = await self._change(request, "CreateMediaConvertTask", message)
        except ReelmillError as error:
            return pages.respond("_plan.html", problems=_violations(error), plan=None)
        except CallFailed as error:
            faults = unpacked(error.status, error_details_pb2.BadRequest).field_violations
            if not faults:
                raise
            return pages.respond("_plan.html", problems=[(item.field, item.description) for item in faults], plan=None)
        return _go(request, f"/console/tasks/{message.project_name}/{answer.task_id}")

    async def plan(self, request: web.Request) -> web.StreamResponse:
        """Return the plan of a pasted request, or what is wrong with it."""
        try:
            message: Any = await self._pasted(request, f"{_SERVICE}/CreateMediaConvertTask")
        except ReelmillError as error:
            return pages.respond("_plan.html", problems=_violations(error), plan=None)
        return await self._planned(request, message)

    async def plan_of_task(self, request: web.Request) -> web.StreamResponse:
        """Return the plan that the request of a task has now."""
        task = await self._task(request, hidden=False)
        method = self._methods[f"{_SERVICE}/CreateMediaConvertTask"]
        return await self._planned(request, to_message(method, json.loads(task.task_request_definition), ignore_unknown=True))

    async def _planned(self, request: web.Request, message: Any) -> web.StreamResponse:
        answer = await self._change(request, "PlanMediaConvertTask", pb.PlanMediaConvertTaskRequest(request=message))
        problems = [(item.field, masked(item.description)) for item in answer.problems]
        plan = answer.plan if answer.valid else None
        command = [masked(line) for line in answer.plan.ffmpeg_command.lines]
        return pages.respond("_plan.html", problems=problems, plan=plan, command=command, masked=masked)

    async def _pasted(self, request: web.Request, path: str) -> Message:
        """Return the request that was pasted. Raises ReelmillError."""
        form = await _form(request)
        value = await asyncio.to_thread(documents.read_document, form.get("body", ""))
        return to_message(self._methods[path], value, ignore_unknown=False)

    # Who looks

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Return the page that asks for a token."""
        return self._login(session.local_path(request.query.get("next", "/")))

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        """Keep a token, if it is one of a caller."""
        _check_origin(request)
        form = await _form(request)
        token, then = form.get("token", "").strip(), session.local_path(form.get("next", "/"))
        if not session.is_token(token) or not await self._is_known(request, token):
            return self._login(then, "This is no key or token of a caller.", 401)
        response = web.Response(status=303, headers={"Location": then, **pages.HEADERS})
        session.keep(response, request, token)
        return response

    async def log_out(self, request: web.Request) -> web.StreamResponse:
        """Forget a token."""
        _check_origin(request)
        response = web.Response(status=303, headers={"Location": "/console/login", **pages.HEADERS})
        session.forget(response)
        return response

    def _login(self, then: str, problem: str = "", status: int = 200) -> web.Response:
        return pages.respond("login.html", status, then=then, problem=problem, asks=False)

    async def _is_known(self, request: web.Request, token: str) -> bool:
        """Return whether a token is one of a caller, whatever that caller may do."""
        try:
            query = project_service_pb2.ListProjectsRequest()
            await call(self._methods[_LIST_PROJECTS], query, HttpContext(request, bearer=token))
        except CallFailed as error:
            return bool(error.status.code != _UNAUTHENTICATED)
        return True

    # Calls

    async def _call(self, request: web.Request, name: str, message: Message) -> Any:
        path = name if name.startswith("/") else f"{_SERVICE}/{name}"
        return await call(self._methods[path], message, _context(request))

    async def _change(self, request: web.Request, name: str, message: Message) -> Any:
        _check_origin(request)
        return await self._call(request, name, message)

    async def _task(self, request: web.Request, *, hidden: bool = True) -> task_pb2.Task:
        """Return the task that a request is about, with its own request; `hidden`: without secrets."""
        wanted = {"project_name": request.match_info["project"], "task_id": request.match_info["task"]}
        answer = await self._call(request, "GetTask", pb.GetTaskRequest(**wanted, request_definition=True))
        task: task_pb2.Task = answer.task
        if hidden:
            mask_task(task)
        return task

    async def _projects(self, request: web.Request) -> list[str]:
        """Return the projects that may be chosen: those that the caller may see."""
        try:
            answer = await self._call(request, _LIST_PROJECTS, project_service_pb2.ListProjectsRequest(max_results=100))
        except CallFailed as error:
            if error.status.code == _UNAUTHENTICATED:
                raise
            return []
        return [project.project_name for project in answer.projects]

    async def _name(self, request: web.Request, query: pb.ListTasksRequest, answer: pb.ListTasksResponse) -> None:
        """Learn what to call the tasks of a page, by another look where some are not known yet."""
        if all(task.task_id in self._titles for task in answer.tasks):
            return
        again = pb.ListTasksRequest()
        again.CopyFrom(query)
        again.request_definition = True
        for task in (await self._call(request, "ListTasks", again)).tasks:
            self._titles.keep(task.task_id, text.title(task.task_request_definition))

    def _rows(self, tasks: Any) -> dict[str, str]:
        rows = {}
        for task in tasks:
            mask_task(task)
            rows[task.task_id] = pages.render("_row.html", task=task, title=self._titles.get(task.task_id), at=_place_of(task))
        return rows

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
        if status.code == _UNAUTHENTICATED:
            return _go(request, f"/console/login?{urlencode({'next': _return_to(request)})}")
        return self._problem(request, CODES[status.code].http, status.message)

    def _problem(self, request: web.Request, status: int, message: str) -> web.Response:
        template = "_problem.html" if "HX-Request" in request.headers else "problem.html"
        return pages.respond(template, status, message=masked(message), asks=self._asks and bool(session.token_of(request)))


def _context(request: web.Request) -> HttpContext:
    return HttpContext(request, bearer=session.token_of(request))


def _list_request(request: web.Request) -> pb.ListTasksRequest:
    query = request.query
    status = query.get("status", "")
    return pb.ListTasksRequest(
        project_name=query.get("project") or "default",
        status=task_pb2.TaskStatus.Value(f"TASK_STATUS_{status.upper()}") if status in _STATUSES else 0,  # type: ignore[arg-type]
        tag_selector=query.get("tag", "").strip(),
        sort=pb.TASK_SORT_START_TIME,
        order=pb.SORT_ORDER_DESC,
        max_results=_PAGE,
        next_token=query.get("after", ""),
    )


def _place_of(task: task_pb2.Task) -> str:
    return f"/console/tasks/{task.project_name}/{task.task_id}"


def _go(request: web.Request, place: str) -> web.Response:
    """Have the browser go to a page, also where a script has asked."""
    if "HX-Request" in request.headers:
        return web.Response(headers={"HX-Redirect": place, **pages.HEADERS})
    return web.Response(status=303, headers={"Location": place, **pages.HEADERS})


def _return_to(request: web.Request) -> str:
    """Return the page that a request came from."""
    if "HX-Request" in request.headers:
        url = urlsplit(request.headers.get("HX-Current-URL", "/"))
        return session.local_path(f"{url.path}?{url.query}" if url.query else url.path)
    return session.local_path(request.path_qs) if request.method == "GET" else "/"


def _check_origin(request: web.Request) -> None:
    """Raise unless a request comes from a page of this server: allowed origins may use the API, not a caller's cookie."""
    origin = request.headers.get("Origin", "")
    if origin and urlsplit(origin).netloc.lower() != request.host.lower():
        raise web.HTTPForbidden


async def _form(request: web.Request) -> dict[str, str]:
    """Return the text fields of a form. Raises HTTPException."""
    if request.content_type != "application/x-www-form-urlencoded" or (request.content_length or 0) > _FORM_BYTES:
        raise web.HTTPRequestEntityTooLarge(max_size=_FORM_BYTES, actual_size=request.content_length or 0)
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def _violations(error: ReelmillError) -> list[tuple[str, str]]:
    faults = [(item.field, item.description) for item in error.violations]
    return faults or [("", error.message)]


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
