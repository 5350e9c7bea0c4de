"""Calls of the RPCs, for the caller who looks at the console."""

from collections.abc import Mapping
from typing import Any

import grpc
from aiohttp import web
from google.protobuf.message import Message

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import project_service_pb2, task_pb2
from reelmill_server.api.console import session
from reelmill_server.api.console.browser import check_origin
from reelmill_server.api.http.calls import call
from reelmill_server.api.http.context import CallFailed, HttpContext
from reelmill_server.api.http.methods import Method
from reelmill_server.api.masking import mask_task

_SERVICE = "/reelmill.v1.MediaConvertService"
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED.value[0]
_LIST_PROJECTS = "/reelmill.v1.ProjectService/ListProjects"


class Calls:
    """Calls the methods of the front in the name of whoever makes a request."""

    def __init__(self, methods: Mapping[str, Method]) -> None:
        self._methods = methods

    def method(self, name: str) -> Method:
        """Return a method of the service by its name."""
        return self._methods[f"{_SERVICE}/{name}"]

    async def call(self, request: web.Request, name: str, message: Message) -> Any:
        """Return the response of a method, named alone or with its service. Raises CallFailed."""
        path = name if name.startswith("/") else f"{_SERVICE}/{name}"
        return await call(self._methods[path], message, context_of(request))

    async def change(self, request: web.Request, name: str, message: Message) -> Any:
        """Call a method that changes something: for pages of this server only. Raises CallFailed, HTTPForbidden."""
        check_origin(request)
        return await self.call(request, name, message)

    async def task(self, request: web.Request, *, hidden: bool = True) -> task_pb2.Task:
        """Return the task that a request is about, with its own request; `hidden`: without secrets."""
        wanted = {"project_name": request.match_info["project"], "task_id": request.match_info["task"]}
        answer = await self.call(request, "GetTask", pb.GetTaskRequest(**wanted, request_definition=True))
        task: task_pb2.Task = answer.task
        if hidden:
            mask_task(task)
        return task

    async def projects(self, request: web.Request) -> list[str]:
        """Return the projects that may be chosen: those that the caller may see."""
        try:
            answer = await self.call(request, _LIST_PROJECTS, project_service_pb2.ListProjectsRequest(max_results=100))
        except CallFailed as error:
            if error.status.code == UNAUTHENTICATED:
                raise
            return []
        return [project.project_name for project in answer.projects]

    async def is_known(self, request: web.Request, token: str) -> bool:
        """Return whether a token is one of a caller, whatever that caller may do."""
        try:
            query = project_service_pb2.ListProjectsRequest()
            await call(self._methods[_LIST_PROJECTS], query, HttpContext(request, bearer=token))
        except CallFailed as error:
            return bool(error.status.code != UNAUTHENTICATED)
        return True


def context_of(request: web.Request) -> HttpContext:
    """Return the context of a call: the caller is who has logged in, or who the request says."""
    return HttpContext(request, bearer=session.token_of(request))


def place_of(task: task_pb2.Task) -> str:
    """Return the path of a task's page."""
    return f"/console/tasks/{task.project_name}/{task.task_id}"
