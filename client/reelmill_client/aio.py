"""The client for asyncio: the same methods as `Client`, as coroutines and asynchronous generators."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
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
from reelmill_client.methods import Method, RequestT, ResponseT
from reelmill_client.notifications import AsyncNotifications
from reelmill_client.projects import AsyncProjects
from reelmill_client.watch import DEFAULT_MAX_OUTAGE_SECONDS, News, Reconnects, is_final

AsyncTasks = AsyncGenerator[Task, None]


class AsyncClient:
    """Converts media with a Reelmill server, from asyncio; make it inside the running event loop.

    `target` is `host:port`; `project` is used wherever a call names none; the other keywords are those of ConnectionOptions.
    Every call may raise a ReelmillError.
    """

    def __init__(
        self, target: str = DEFAULT_TARGET, *, project: str = DEFAULT_PROJECT, **connection: Unpack[ConnectionOptions]
    ) -> None:
        self.project = project
        self._connection = Connection(target=target, **connection)
        self._metadata = tuple(self._connection.metadata)
        self._channel = self._connection.open_async()
        self.projects = AsyncProjects(self._call)
        self.notifications = AsyncNotifications(self._call, project)

    async def submit(
        self, request: requests.CreateRequest | None = None, *, project: str | None = None, **conversion: Unpack[Conversion]
    ) -> media_convert.CreateMediaConvertTaskResponse:
        """Creates a task; the response holds its `task_id`.

        Takes a request message, a dictionary (in the vendor's form or snake_case), or the keywords of `Conversion`. A random
        `request_id` is filled in when there is none, so that a repeated send makes one task.
        """
        built = requests.with_request_id(requests.build_request(request, project or self.project, conversion))
        return await self._call(methods.CREATE_TASK, built)

    async def plan(
        self, request: requests.CreateRequest | None = None, *, project: str | None = None, **conversion: Unpack[Conversion]
    ) -> media_convert.PlanMediaConvertTaskResponse:
        """Says what `submit` would do with the same arguments, and creates nothing."""
        built = requests.build_request(request, project or self.project, conversion)
        return await self._call(methods.PLAN_TASK, media_convert.PlanMediaConvertTaskRequest(request=built))

    async def get(self, task_id: str, *, project: str | None = None, with_definition: bool = False) -> Task:
        """Reads one task; `with_definition` fills `task_request_definition`."""
        request = media_convert.GetTaskRequest(
            project_name=project or self.project, task_id=task_id, request_definition=with_definition
        )
        return (await self._call(methods.GET_TASK, request)).task

    async def list(self, *, project: str | None = None, **task_filter: Unpack[requests.TaskFilter]) -> AsyncIterator[Task]:
        """Yields all tasks that match, fetching page after page."""
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
        """Reads one page of tasks; `page_size` 1 to 100, 0 for the most; `page_token` is the page before's `next_token`."""
        request = requests.list_request(project or self.project, task_filter, page_size, page_token)
        return await self._call(methods.LIST_TASKS, request)

    async def cancel(self, task_id: str, *, project: str | None = None) -> Task:
        """Asks for a task to be canceled and returns it as it is now; raises FailedPrecondition once it ended otherwise."""
        request = media_convert.CancelTaskRequest(project_name=project or self.project, task_id=task_id)
        return (await self._call(methods.CANCEL_TASK, request)).task

    async def watch(
        self,
        task_id: str,
        *,
        project: str | None = None,
        timeout_seconds: float | None = None,
        max_outage_seconds: float = DEFAULT_MAX_OUTAGE_SECONDS,
    ) -> AsyncTasks:
        """Yields a task as it is now, then every change, and ends after its final state.

        A broken connection is made anew; progress never goes back. Raises Unavailable after `max_outage_seconds` without an
        answer and DeadlineExceeded after `timeout_seconds` (None: no bound).
        """
        request = media_convert.WatchTaskRequest(project_name=project or self.project, task_id=task_id)
        async with aclosing(
            self._follow(methods.WATCH_TASK, request, Reconnects(timeout_seconds, max_outage_seconds))
        ) as states:
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
    ) -> AsyncTasks:
        """Yields all tasks of a project that match, then every change, without end; broken connections are made anew."""
        request = requests.watch_all_request(project or self.project, tags, status)
        return self._follow(methods.WATCH_TASKS, request, Reconnects(None, max_outage_seconds))

    async def wait(
        self, task_id: str, *, project: str | None = None, timeout_seconds: float | None = None, check: bool = True
    ) -> Task:
        """Waits for a task's end and returns its final state; raises TaskFailed or TaskCanceled unless `check` is false."""
        async with aclosing(self.watch(task_id, project=project, timeout_seconds=timeout_seconds)) as states:
            final = await anext(task async for task in states if is_final(task))
        if check:
            raise_unless_succeeded(final)
        return final

    async def probe(self, source_uri: str, *, project: str | None = None) -> MediaInfo:
        """Looks at one media file; a path is taken as one on the server's machine."""
        request = requests.probe_request(project or self.project, source_uri)
        return (await self._call(methods.PROBE_MEDIA, request)).media_info

    async def capabilities(self) -> media_convert.GetCapabilitiesResponse:
        """Says which encoders and decoders work on the server, and its limits."""
        return await self._call(methods.GET_CAPABILITIES, media_convert.GetCapabilitiesRequest())

    async def close(self) -> None:
        """Closes the connection; calls under way end."""
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

    async def _follow(self, method: Method[RequestT, ResponseT], request: RequestT, reconnects: Reconnects) -> AsyncTasks:
        """Yields the news of a stream of tasks, over as many connections as it takes."""
        news = News()
        open_stream = self._channel.unary_stream(method.path, method.serializer, method.deserializer)
        while True:
            stream = open_stream(request, timeout=reconnects.remaining_seconds(), metadata=self._metadata)
            try:
                async for response in stream:
                    task = news.accept(cast(Any, response).task)
                    reconnects.heard(news=task is not None)
                    if task is not None:
                        yield task
                delay = reconnects.after_end()
            except grpc.RpcError as error:
                delay = reconnects.after_error(error)
            finally:
                stream.cancel()
            await asyncio.sleep(delay)
