"""Asyncio client: the methods of `Client` as coroutines and asynchronous generators."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, Unpack, cast

import grpc

from reelmill.v1 import media_convert_service_pb2 as media_convert
from reelmill.v1.media_info_pb2 import MediaInfo
from reelmill.v1.task_pb2 import Task
from reelmill_client import methods, requests
from reelmill_client.channel import DEFAULT_PROJECT, DEFAULT_TARGET, Connection, ConnectionOptions, traced
from reelmill_client.conversion import Conversion
from reelmill_client.errors import from_rpc_error, raise_unless_succeeded
from reelmill_client.keys import AsyncKeys
from reelmill_client.methods import Method, RequestT, ResponseT
from reelmill_client.notifications import AsyncNotifications
from reelmill_client.projects import AsyncProjects
from reelmill_client.watch import DEFAULT_MAX_OUTAGE_SECONDS, OnOutage, ReconnectPolicy, StateFilter, is_final

AsyncTasks = AsyncGenerator[Task, None]


class AsyncClient:
    """Asyncio client of a Reelmill server; create it inside the running event loop.

    `target` is `host:port`; `project` applies to every call that names none; the other keywords are those of ConnectionOptions.
    Every call may raise a ReelmillError.
    """

    def __init__(
        self, target: str = DEFAULT_TARGET, *, project: str = DEFAULT_PROJECT, **connection: Unpack[ConnectionOptions]
    ) -> None:
        self.project = project
        self._connection = Connection(target=target, **connection)
        self._metadata = self._connection.call_metadata()
        self._channel = self._connection.open_async()
        self.projects = AsyncProjects(self._call)
        self.notifications = AsyncNotifications(self._call, project)
        self.keys = AsyncKeys(self._call)

    async def submit(
        self, request: requests.CreateRequest | None = None, *, project: str | None = None, **conversion: Unpack[Conversion]
    ) -> media_convert.CreateMediaConvertTaskResponse:
        """Create a task and return the response, which holds its `task_id`.

        Takes a request message, a dictionary (in the vendor's form or snake_case), or the keywords of `Conversion`. A request
        without a `request_id` gets a random one, so that sending it twice creates one task.
        """
        built = requests.with_request_id(requests.build_request(request, project or self.project, conversion))
        return await self._call(methods.CREATE_TASK, built)

    async def plan(
        self, request: requests.CreateRequest | None = None, *, project: str | None = None, **conversion: Unpack[Conversion]
    ) -> media_convert.PlanMediaConvertTaskResponse:
        """Return what `submit` would do with the same arguments, without creating a task."""
        built = requests.build_request(request, project or self.project, conversion)
        return await self._call(methods.PLAN_TASK, media_convert.PlanMediaConvertTaskRequest(request=built))

    async def get(self, task_id: str, *, project: str | None = None, with_definition: bool = False) -> Task:
        """Return one task; `with_definition` fills `task_request_definition`."""
        request = media_convert.GetTaskRequest(
            project_name=project or self.project, task_id=task_id, request_definition=with_definition
        )
        return (await self._call(methods.GET_TASK, request)).task

    async def list(self, *, project: str | None = None, **task_filter: Unpack[requests.TaskFilter]) -> AsyncIterator[Task]:
        """Yield all matching tasks, fetching page after page."""
        token = ""
        while True:
            page = await self.list_page(project=project, page_token=token, **task_filter)
            for task in page.tasks:
                yield task
            token = page.next_token
            if not token:
                return

    async def list_page(
        self,
        *,
        project: str | None = None,
        page_size: int = 0,
        page_token: str = "",
        **task_filter: Unpack[requests.TaskFilter],
    ) -> media_convert.ListTasksResponse:
        """Return one page of tasks.

        `page_size`: 1 to 100, 0 for the maximum. `page_token`: the previous page's `next_token`.
        """
        request = requests.list_request(project or self.project, task_filter, page_size, page_token)
        return await self._call(methods.LIST_TASKS, request)

    async def cancel(self, task_id: str, *, project: str | None = None) -> Task:
        """Request a task's cancellation and return its current state; raises FailedPrecondition if it has ended otherwise."""
        request = media_convert.CancelTaskRequest(project_name=project or self.project, task_id=task_id)
        return (await self._call(methods.CANCEL_TASK, request)).task

    async def retry(self, task_id: str, *, project: str | None = None) -> media_convert.RetryTaskResponse:
        """Create a task from the request of one that has ended and return the response, which holds its `task_id`."""
        return await self._call(methods.RETRY_TASK, requests.retry_request(project or self.project, task_id))

    async def watch(
        self,
        task_id: str,
        *,
        project: str | None = None,
        timeout_seconds: float | None = None,
        max_outage_seconds: float = DEFAULT_MAX_OUTAGE_SECONDS,
        on_outage: OnOutage | None = None,
    ) -> AsyncTasks:
        """Yield a task's current state, then every change, and end after its final state.

        Reconnects when the connection breaks; progress never goes back. Raises Unavailable after `max_outage_seconds` without
        a response and DeadlineExceeded after `timeout_seconds` (None: no limit). `on_outage` is called with each error before
        the next attempt to connect, and with None once the server answers again.
        """
        request = media_convert.WatchTaskRequest(project_name=project or self.project, task_id=task_id)
        policy = ReconnectPolicy(timeout_seconds, max_outage_seconds, on_outage=on_outage)
        async with aclosing(self._follow(methods.WATCH_TASK, request, policy)) as states:
            async for task in states:
                yield task
                if is_final(task):
                    return

    def watch_all(
        self,
        *,
        project: str | None = None,
        tags: Mapping[str, str] | None = None,
        status: str | int | None = None,
        max_outage_seconds: float = DEFAULT_MAX_OUTAGE_SECONDS,
        on_outage: OnOutage | None = None,
    ) -> AsyncTasks:
        """Yield all matching tasks of a project, then every change, without end; outages are handled as by `watch`."""
        request = requests.watch_all_request(project or self.project, tags, status)
        policy = ReconnectPolicy(None, max_outage_seconds, on_outage=on_outage)
        return self._follow(methods.WATCH_TASKS, request, policy)

    async def wait(
        self, task_id: str, *, project: str | None = None, timeout_seconds: float | None = None, check: bool = True
    ) -> Task:
        """Wait until a task ends and return its final state; raises TaskFailed or TaskCanceled unless `check` is false."""
        async with aclosing(self.watch(task_id, project=project, timeout_seconds=timeout_seconds)) as states:
            final = await anext(task async for task in states if is_final(task))
        if check:
            raise_unless_succeeded(final)
        return final

    async def probe(self, source_uri: str, *, project: str | None = None) -> MediaInfo:
        """Return what one media file contains; a path refers to the server's machine."""
        request = requests.probe_request(project or self.project, source_uri)
        return (await self._call(methods.PROBE_MEDIA, request)).media_info

    async def capabilities(self) -> media_convert.GetCapabilitiesResponse:
        """Return which encoders and decoders work on the server, and its limits."""
        return await self._call(methods.GET_CAPABILITIES, media_convert.GetCapabilitiesRequest())

    async def workers(self) -> Sequence[media_convert.Worker]:
        """Return the workers: what each runs now, how much room it has, and what works on it."""
        return (await self._call(methods.LIST_WORKERS, media_convert.ListWorkersRequest())).workers

    async def close(self) -> None:
        """Close the connection and end calls in progress."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, method: Method[RequestT, ResponseT], request: RequestT) -> ResponseT:
        send = self._channel.unary_unary(method.path, method.serializer, method.deserializer)
        try:
            return await send(request, timeout=self._connection.timeout_seconds, metadata=traced(self._metadata))
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error

    async def _follow(self, method: Method[RequestT, ResponseT], request: RequestT, reconnect: ReconnectPolicy) -> AsyncTasks:
        """Yield the changes of a stream of tasks, reconnecting as often as the policy allows."""
        changes = StateFilter()
        open_stream = self._channel.unary_stream(method.path, method.serializer, method.deserializer)
        while True:
            stream = open_stream(request, timeout=reconnect.remaining_seconds(), metadata=self._metadata)
            try:
                async for response in stream:
                    task = changes.accept(cast(Any, response).task)
                    reconnect.received(changed=task is not None)
                    if task is not None:
                        yield task
                delay = reconnect.after_end()
            except grpc.RpcError as error:
                delay = reconnect.after_error(error)
            finally:
                stream.cancel()
            await asyncio.sleep(delay)
