"""An HTTP front over services that only pretend, served in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import project_service_pb2, task_pb2
from reelmill_server.api import validate
from reelmill_server.api.gate import Gate
from reelmill_server.api.http.forwarded import Proxies
from reelmill_server.api.http.front import Front
from reelmill_server.api.http.guard import Guard
from reelmill_server.api.http.server import HttpServer
from reelmill_server.api.interceptor import CallInterceptor, request_id
from reelmill_server.api.services import SERVICES, Services, method_descriptors
from reelmill_server.errors import ResourceNotFound, Throttled
from reelmill_server.telemetry.metrics import Metrics


class Pretended:
    """The RPCs that tests call; `states` are the answers of a stream, `made` those that were taken so far."""

    states = 3
    made = 0

    async def GetTask(self, request: pb.GetTaskRequest, _: Any) -> pb.GetTaskResponse:
        """Return a task, wait for ever, or fail, as its name says."""
        validate.check_rules(request)
        if request.task_id == "missing":
            raise ResourceNotFound("it is not there: 100 %, ü")
        if request.task_id == "busy":
            raise Throttled("slower", retry_seconds=1.5)
        if request.task_id == "wait":
            await asyncio.Event().wait()
        text = "x" * 10_000 if request.task_id == "large" else ""
        task = task_pb2.Task(task_id=request.task_id, project_name=request.project_name, user_data=text)
        return pb.GetTaskResponse(request_id=request_id(), task=task)

    async def WatchTask(self, request: pb.WatchTaskRequest, _: Any) -> AsyncIterator[bytes]:
        """Stream states; of a task that is missing none, of `wait` one and then nothing, of `silent` nothing at all."""
        if request.task_id == "missing":
            raise ResourceNotFound("it is not there")
        if request.task_id == "silent":
            await asyncio.Event().wait()
        text = "x" * 100_000 if request.task_id == "large" else ""
        for number in range(self.states):
            self.made += 1
            state = pb.WatchTaskResponse(task=task_pb2.Task(task_id=request.task_id, progress=number, user_data=text))
            yield state.SerializeToString()
            if request.task_id == "wait":
                await asyncio.Event().wait()

    async def ListProjects(
        self, request: project_service_pb2.ListProjectsRequest, _: Any
    ) -> project_service_pb2.ListProjectsResponse:
        """Return what was asked, as a project."""
        tags = [project_service_pb2.Tag(tag_key=tag.key, tag_value=tag.value) for tag in request.tag]
        project = project_service_pb2.Project(project_name=request.prefix, tags=tags)
        return project_service_pb2.ListProjectsResponse(request_id=request_id(), projects=[project])


for _path, _method in method_descriptors():
    if not hasattr(Pretended, _method.name):
        setattr(Pretended, _method.name, None)


def pretended_front(gate: Gate | None = None, service: Pretended | None = None, metrics: Metrics | None = None) -> Front:
    """A front of these services."""
    instance: Any = service or Pretended()
    services = Services(*[instance] * len(SERVICES))
    return Front(services, CallInterceptor(metrics or Metrics(), gate))


@asynccontextmanager
async def serving(
    front: Front, guard: Guard | None = None, most: int = 100, proxies: Proxies | None = None
) -> AsyncIterator[str]:
    """Serve it, and yield its URL."""
    server = HttpServer(front, guard or Guard("127.0.0.1", (), ()), most, proxies)
    port = await server.start("127.0.0.1:0")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.stop()
