"""Project calls of both clients: `client.projects.create(...)` and so on."""

from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from typing import Protocol, Unpack

from reelmill.v1 import project_service_pb2 as pb
from reelmill_client import methods, requests
from reelmill_client.methods import Method, RequestT, ResponseT
from reelmill_client.requests import ProjectSettings


class Call(Protocol):
    """Function that sends a request and returns its response."""

    def __call__(self, method: Method[RequestT, ResponseT], request: RequestT, /) -> ResponseT: ...


class AsyncCall(Protocol):
    """Function that sends a request and returns its response asynchronously."""

    def __call__(self, method: Method[RequestT, ResponseT], request: RequestT, /) -> Awaitable[ResponseT]: ...


class Projects:
    """Calls about projects; every one may raise a ReelmillError."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def create(self, name: str, **settings: Unpack[ProjectSettings]) -> pb.Project:
        """Create a project; the name has 1 to 128 letters, digits, `_` and `-`, and does not begin with a digit or `-`."""
        return self._call(methods.CREATE_PROJECT, requests.create_project_request(name, settings)).project

    def get(self, name: str) -> pb.Project:
        """Return one project, with the numbers of its running and waiting tasks."""
        return self._call(methods.GET_PROJECT, pb.GetProjectRequest(project_name=name, with_statistics=True)).project

    def update(self, name: str, **settings: Unpack[ProjectSettings]) -> pb.Project:
        """Change the given settings and leave the others."""
        return self._call(methods.UPDATE_PROJECT, requests.update_project_request(name, settings)).project

    def list(self, *, prefix: str = "", tags: Mapping[str, str] | None = None) -> Iterator[pb.Project]:
        """Yield all matching projects by name, fetching page after page."""
        token = ""
        while True:
            page = self._call(methods.LIST_PROJECTS, requests.list_projects_request(prefix, tags, page_token=token))
            yield from page.projects
            token = page.next_token
            if not token:
                return

    def delete(self, name: str) -> None:
        """Delete a project with its finished tasks; raises FailedPrecondition while tasks are running."""
        self._call(methods.DELETE_PROJECT, pb.DeleteProjectRequest(project_name=name))


class AsyncProjects:
    """Asyncio form of Projects."""

    def __init__(self, call: AsyncCall) -> None:
        self._call = call

    async def create(self, name: str, **settings: Unpack[ProjectSettings]) -> pb.Project:
        return (await self._call(methods.CREATE_PROJECT, requests.create_project_request(name, settings))).project

    async def get(self, name: str) -> pb.Project:
        """Return one project, with the numbers of its running and waiting tasks."""
        return (await self._call(methods.GET_PROJECT, pb.GetProjectRequest(project_name=name, with_statistics=True))).project

    async def update(self, name: str, **settings: Unpack[ProjectSettings]) -> pb.Project:
        return (await self._call(methods.UPDATE_PROJECT, requests.update_project_request(name, settings))).project

    async def list(self, *, prefix: str = "", tags: Mapping[str, str] | None = None) -> AsyncIterator[pb.Project]:
        token = ""
        while True:
            page = await self._call(methods.LIST_PROJECTS, requests.list_projects_request(prefix, tags, page_token=token))
            for project in page.projects:
                yield project
            token = page.next_token
            if not token:
                return

    async def delete(self, name: str) -> None:
        await self._call(methods.DELETE_PROJECT, pb.DeleteProjectRequest(project_name=name))
