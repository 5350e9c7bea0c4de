"""Implementation of MediaConvertService."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from reelmill import vendor_json
from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1.task_pb2 import Task
from reelmill_server import __version__
from reelmill_server.api import requests, responses, validate, workers
from reelmill_server.api.caller import caller, peer
from reelmill_server.api.interceptor import request_id
from reelmill_server.api.masking import holds_secrets
from reelmill_server.api.media_info import media_info
from reelmill_server.api.permissions import check_uris
from reelmill_server.api.submission import Submissions
from reelmill_server.api.task_query import list_query, status_filter
from reelmill_server.api.watches import Watches
from reelmill_server.engine.client import Engine
from reelmill_server.engine.shown_workers import ShownWorkers
from reelmill_server.engine.work import Inspection
from reelmill_server.errors import (
    InternalError,
    ReelmillError,
    ServiceUnavailable,
    StatusConflict,
    Violation,
)
from reelmill_server.model.request import ConvertRequest, SourceSpec
from reelmill_server.model.task import Outcome, TaskQuery, TaskRecord, TaskStatus
from reelmill_server.plan.ffmpeg.command import ffmpeg_command
from reelmill_server.storage.base import Storage
from reelmill_server.tasks.feed import Feeds
from reelmill_server.tasks.follower import Snapshot
from reelmill_server.tasks.projects import ProjectStore
from reelmill_server.tasks.selector import parse_selector
from reelmill_server.tasks.store import TaskStore


class MediaConvertService:
    """The RPCs of MediaConvertService; errors are raised as ReelmillError, and the interceptor converts them to statuses."""

    def __init__(
        self,
        *,
        submissions: Submissions,
        tasks: TaskStore,
        projects: ProjectStore,
        engine: Engine,
        feeds: Feeds,
        storage: Storage,
        settle: Callable[[str, Outcome], Awaitable[None]],
        watches: Watches,
        shown_workers: ShownWorkers,
    ) -> None:
        """Create the service; `settle` records the outcome of a task that the engine does not have."""
        self._submissions, self._tasks, self._projects = submissions, tasks, projects
        self._engine, self._feeds, self._storage, self._settle = engine, feeds, storage, settle
        self._watches, self._workers = watches, shown_workers

    async def CreateMediaConvertTask(
        self, request: pb.CreateMediaConvertTaskRequest, _: Any
    ) -> pb.CreateMediaConvertTaskResponse:
        """Record a task and start its workflow."""
        stored = await self._submissions.create(request)
        return pb.CreateMediaConvertTaskResponse(request_id=request_id(), event_id=stored.event_id, task_id=stored.task_id)

    async def GetTask(self, request: pb.GetTaskRequest, _: Any) -> pb.GetTaskResponse:
        validate.check_rules(request)
        record = await self._tasks.get(request.project_name, request.task_id, request=request.request_definition, work=False)
        task = _shown(await self._feeds.snapshot(record), request.request_definition)
        return pb.GetTaskResponse(request_id=request_id(), task=task)

    async def ListTasks(self, request: pb.ListTasksRequest, _: Any) -> pb.ListTasksResponse:
        validate.check_rules(request)
        page = await self._tasks.list(list_query(request))
        snapshots = await self._feeds.snapshots(page.tasks)
        tasks = [_shown(snapshot, request.request_definition) for snapshot in snapshots]
        return pb.ListTasksResponse(
            request_id=request_id(),
            project_name=request.project_name,
            max_results=len(tasks),
            next_token=page.next_token,
            tasks=tasks,
        )

    async def WatchTask(self, request: pb.WatchTaskRequest, _: Any) -> AsyncIterator[bytes]:
        validate.check_rules(request)
        with self._watches.counted(_watcher()):
            async with aclosing(self._feeds.watch(request.project_name, request.task_id)) as states:
                async for snapshot in states:
                    yield responses.watched(snapshot, pb.WatchTaskResponse, _is_foreign(snapshot.record))

    async def WatchTasks(self, request: pb.WatchTasksRequest, _: Any) -> AsyncIterator[bytes]:
        validate.check_rules(request)
        query = TaskQuery(
            request.project_name, statuses=status_filter(request.status), tags=parse_selector(request.tag_selector)
        )
        with self._watches.counted(_watcher()):
            async with aclosing(self._feeds.watch_all(query)) as states:
                async for snapshot in states:
                    yield responses.watched(snapshot, pb.WatchTasksResponse, _is_foreign(snapshot.record))

    async def CancelTask(self, request: pb.CancelTaskRequest, _: Any) -> pb.CancelTaskResponse:
        """Request cancellation; watchers see when the task has ended."""
        validate.check_rules(request)
        await self._tasks.get(request.project_name, request.task_id, request=False, work=False)
        record = await self._tasks.request_cancel(request.task_id)
        if record.status in (TaskStatus.SUCCEEDED, TaskStatus.FAILED):
            raise StatusConflict(f"task {record.task_id} has already ended: {record.status}")
        if not record.status.final and not record.admitted:
            await self._settle(record.task_id, Outcome(TaskStatus.CANCELED, "Canceled", "canceled before it started"))
            record = await self._tasks.get(request.project_name, request.task_id)
        elif not record.status.final:
            with suppress(ServiceUnavailable):  # the reconciler cancels the workflow when the engine is back
                await self._engine.cancel(record.task_id)
            self._feeds.poll_now(record.task_id)
        return pb.CancelTaskResponse(request_id=request_id(), task=_shown(await self._feeds.snapshot(record)))

    async def RetryTask(self, request: pb.RetryTaskRequest, _: Any) -> pb.RetryTaskResponse:
        """Create a task from the request of one that has ended, under the same conditions as if it were sent again."""
        validate.check_rules(request)
        earlier = await self._tasks.get(request.project_name, request.task_id, work=False)
        if not earlier.status.final:
            raise StatusConflict(f"task {earlier.task_id} has not ended: cancel it, or wait for its end")
        if _is_foreign(earlier) and holds_secrets(earlier.request_json):
            raise StatusConflict(f"task {earlier.task_id} is another caller's, and its request holds secrets: submit it again")
        again = vendor_json.parse(json.loads(earlier.request_json), pb.CreateMediaConvertTaskRequest, ignore_unknown=True)
        again.request_id = request.request_id  # the old one stands for the old task
        if caller().known:
            check_uris(caller(), "RetryTask", request.project_name, again)
        stored = await self._submissions.create(again, retry_of=earlier.task_id)
        return pb.RetryTaskResponse(request_id=request_id(), event_id=stored.event_id, task_id=stored.task_id)

    async def PlanMediaConvertTask(self, request: pb.PlanMediaConvertTaskRequest, _: Any) -> pb.PlanMediaConvertTaskResponse:
        """Validate and plan a request without creating a task; the response lists the problems of an invalid request."""
        validate.check_required(request, "request")
        response = pb.PlanMediaConvertTaskResponse(request_id=request_id())
        try:
            project, _ = await self._submissions.check(request.request)
            work = requests.conversion(request.request, "plan", datetime.now(UTC), project.service_role)
            inspected = await self._engine.inspect(Inspection("plan", work))
        except (ServiceUnavailable, InternalError):
            raise
        except ReelmillError as error:
            response.problems.extend(_problems(error))
            return response
        response.valid = True
        response.media_infos.extend(media_info(info) for info in inspected.infos)
        if inspected.plan is not None:
            command = ffmpeg_command(work, inspected.plan, inspected.infos, inspected.split)
            response.plan.CopyFrom(responses.plan(inspected.plan, inspected.split, command))
        return response

    async def ProbeMedia(self, request: pb.ProbeMediaRequest, _: Any) -> pb.ProbeMediaResponse:
        validate.check_rules(request)
        service_role = (await self._projects.get(request.project_name)).service_role
        validate.check_probe(request, self._storage, service_role)
        credentials = requests.credentials(request.credential_config, service_role)
        probe = ConvertRequest("probe", request.project_name, (SourceSpec(request.source_uri),), (), credentials=credentials)
        inspected = await self._engine.inspect(Inspection("probe", probe))
        return pb.ProbeMediaResponse(request_id=request_id(), media_info=media_info(inspected.infos[0]))

    async def GetCapabilities(self, request: pb.GetCapabilitiesRequest, _: Any) -> pb.GetCapabilitiesResponse:
        """Return the capabilities of a worker."""
        report = (await self._engine.inspect(Inspection("capabilities"))).report
        if report is None:
            raise InternalError("the worker did not report its capabilities")
        return workers.capabilities(report, __version__, request_id())

    async def ListWorkers(self, request: pb.ListWorkersRequest, _: Any) -> pb.ListWorkersResponse:
        """Return all workers that show themselves."""
        shown = await self._workers.list()
        return pb.ListWorkersResponse(
            request_id=request_id(), workers=[workers.worker(worker, partial(caller().may, "GetTask")) for worker in shown]
        )


def _shown(snapshot: Snapshot, with_definition: bool = False) -> Task:
    return responses.task(snapshot, with_definition, _is_foreign(snapshot.record))


def _is_foreign(record: TaskRecord) -> bool:
    """Return whether a task's secrets are not for this caller: they are for the one who made it, and for all where nobody is
    asked.
    """
    return caller().known and record.created_by != caller().name


def _watcher() -> str:
    """Return by what streams of one caller are counted: its name, or its address where nobody is asked."""
    return caller().name if caller().known else peer()


def _problems(error: ReelmillError) -> list[pb.FieldProblem]:
    violations = error.violations or (Violation("", error.message),)
    return [pb.FieldProblem(field=item.field, code=error.code, description=item.description) for item in violations]
