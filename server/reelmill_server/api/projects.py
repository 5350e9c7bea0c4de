"""Implementation of ProjectService."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from reelmill.v1 import project_service_pb2 as pb
from reelmill_server.api import validate
from reelmill_server.api.caller import caller
from reelmill_server.api.interceptor import request_id
from reelmill_server.api.responses import timestamp
from reelmill_server.model.project import DATASET_LIMITS, Project, Quotas
from reelmill_server.tasks.projects import ProjectPatch, ProjectStore
from reelmill_server.tasks.store import TaskStore

_DEFAULT_PAGE = 100


class ProjectService:
    """The RPCs of ProjectService; errors are raised as ReelmillError, and the interceptor converts them to statuses."""

    def __init__(self, projects: ProjectStore, tasks: TaskStore, quotas: Quotas, quotas_changed: Callable[[], None]) -> None:
        """Create the service; `quotas` are the defaults of projects, `quotas_changed` has waiting tasks started in the
        background.
        """
        self._projects, self._tasks, self._quotas, self._quotas_changed = projects, tasks, quotas, quotas_changed

    async def CreateProject(self, request: pb.CreateProjectRequest, _: Any) -> pb.CreateProjectResponse:
        validate.check(request)
        project = await self._projects.create(request.project_name, _patch(request))
        return pb.CreateProjectResponse(request_id=request_id(), project=self._project(project))

    async def GetProject(self, request: pb.GetProjectRequest, _: Any) -> pb.GetProjectResponse:
        validate.check_rules(request)
        project = await self._projects.get(request.project_name)
        message = self._project(project)
        if request.with_statistics:
            message.running_tasks, message.queued_tasks = await self._tasks.count_unfinished(request.project_name)
        return pb.GetProjectResponse(request_id=request_id(), project=message)

    async def UpdateProject(self, request: pb.UpdateProjectRequest, _: Any) -> pb.UpdateProjectResponse:
        """Change the given settings."""
        validate.check(request)
        project = await self._projects.update(request.project_name, _patch(request))
        self._quotas_changed()
        return pb.UpdateProjectResponse(request_id=request_id(), project=self._project(project))

    async def ListProjects(self, request: pb.ListProjectsRequest, _: Any) -> pb.ListProjectsResponse:
        validate.check_rules(request)
        tags = tuple((tag.key, tag.value) for tag in request.tag)
        visible = caller().projects("ListProjects")
        limit = request.max_results or _DEFAULT_PAGE
        page = await self._projects.list(request.prefix, tags, limit, request.next_token, visible)
        projects = [self._project(project) for project in page.projects]
        return pb.ListProjectsResponse(request_id=request_id(), next_token=page.next_token, projects=projects)

    async def DeleteProject(self, request: pb.DeleteProjectRequest, _: Any) -> pb.DeleteProjectResponse:
        validate.check_rules(request)
        await self._projects.delete(request.project_name)
        return pb.DeleteProjectResponse(request_id=request_id())

    def _project(self, project: Project) -> pb.Project:
        values: dict[str, Any] = {**project.dataset_limits, **vars(project.quotas.over(self._quotas))}
        return pb.Project(
            project_name=project.project_name,
            description=project.description,
            service_role=project.service_role,
            create_time=timestamp(project.create_time),
            update_time=timestamp(project.update_time),
            tags=[pb.Tag(tag_key=key, tag_value=value) for key, value in sorted(project.tags.items())],
            **values,
        )


def _patch(request: pb.CreateProjectRequest | pb.UpdateProjectRequest) -> ProjectPatch:
    limits = {name: getattr(request, name) for name in DATASET_LIMITS if request.HasField(name)}
    quotas = {item.name: getattr(request, item.name) for item in fields(Quotas) if request.HasField(item.name)}
    return ProjectPatch(
        quotas=quotas,
        description=request.description if request.HasField("description") else None,
        service_role=request.service_role if request.HasField("service_role") else None,
        tags={tag.key: tag.value for tag in request.tag} if request.tag else None,
        dataset_limits=limits or None,
    )
