"""Plan, submit, cancel and retry tasks from the console."""

import asyncio
import json
from typing import Any

from aiohttp import web
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill_server.api.console import documents, pages
from reelmill_server.api.console.browser import form, go
from reelmill_server.api.console.calls import Calls
from reelmill_server.api.http.codecs import to_message
from reelmill_server.api.http.context import CallFailed
from reelmill_server.api.http.errors import unpacked
from reelmill_server.api.masking import masked
from reelmill_server.errors import ReelmillError

_CREATE = "CreateMediaConvertTask"


class Changes:
    """Does what buttons and forms ask for."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """Cancel a task; its page shows when it has ended."""
        project, task = request.match_info["project"], request.match_info["task"]
        await self._calls.change(request, "CancelTask", pb.CancelTaskRequest(project_name=project, task_id=task))
        return go(request, f"/console/tasks/{project}/{task}")

    async def retry(self, request: web.Request) -> web.StreamResponse:
        """Make a new task from the request of one that has ended, and go to its page."""
        project, task = request.match_info["project"], request.match_info["task"]
        answer = await self._calls.change(request, "RetryTask", pb.RetryTaskRequest(project_name=project, task_id=task))
        return go(request, f"/console/tasks/{project}/{answer.task_id}")

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """Make a task from a pasted request, and go to its page; or show what is wrong with it."""
        try:
            message: Any = await self._pasted(request)
            answer = await self._calls.change(request, _CREATE, message)
        except ReelmillError as error:
            return pages.respond("_plan.html", problems=_violations(error), plan=None)
        except CallFailed as error:
            faults = unpacked(error.status, error_details_pb2.BadRequest).field_violations
            if not faults:
                raise
            return pages.respond("_plan.html", problems=[(item.field, item.description) for item in faults], plan=None)
        return go(request, f"/console/tasks/{message.project_name}/{answer.task_id}")

    async def plan(self, request: web.Request) -> web.StreamResponse:
        """Return the plan of a pasted request, or what is wrong with it."""
        try:
            message: Any = await self._pasted(request)
        except ReelmillError as error:
            return pages.respond("_plan.html", problems=_violations(error), plan=None)
        return await self._planned(request, message)

    async def plan_of_task(self, request: web.Request) -> web.StreamResponse:
        """Return the plan that the request of a task has now."""
        task = await self._calls.task(request, hidden=False)
        method = self._calls.method(_CREATE)
        return await self._planned(request, to_message(method, json.loads(task.task_request_definition), ignore_unknown=True))

    async def _planned(self, request: web.Request, message: Any) -> web.StreamResponse:
        answer = await self._calls.change(request, "PlanMediaConvertTask", pb.PlanMediaConvertTaskRequest(request=message))
        problems = [(item.field, masked(item.description)) for item in answer.problems]
        plan = answer.plan if answer.valid else None
        command = [masked(line) for line in answer.plan.ffmpeg_command.lines]
        return pages.respond("_plan.html", problems=problems, plan=plan, command=command, masked=masked)

    async def _pasted(self, request: web.Request) -> Message:
        """Return the request that was pasted. Raises ReelmillError."""
        fields = await form(request)
        value = await asyncio.to_thread(documents.read_document, fields.get("body", ""))
        return to_message(self._calls.method(_CREATE), value, ignore_unknown=False)


def _violations(error: ReelmillError) -> list[tuple[str, str]]:
    faults = [(item.field, item.description) for item in error.violations]
    return faults or [("", error.message)]
