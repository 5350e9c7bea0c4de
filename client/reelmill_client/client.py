"""Blocking client: one method per call, generators for streams. Safe to share between threads."""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import Any, Self, Unpack, cast

import grpc

from reelmill.v1 import media_convert_service_pb2 as media_convert
from reelmill.v1.media_info_pb2 import MediaInfo
from reelmill.v1.task_pb2 import Task
from reelmill_client import methods, requests
from reelmill_client.channel import DEFAULT_PROJECT, DEFAULT_TARGET, Connection, ConnectionOptions, traced
from reelmill_client.conversion import Conversion
from reelmill_client.errors import ReelmillError, from_rpc_error, raise_unless_succeeded
from reelmill_client.keys import Keys
from reelmill_client.methods import Method, RequestT, ResponseT
from reelmill_client.notifications import Notifications
from reelmill_client.projects import Projects
from reelmill_client.watch import DEFAULT_MAX_OUTAGE_SECONDS, OnOutage, ReconnectPolicy, StateFilter, is_final

Tasks = Generator[Task, None, None]


class Client:
    """Client of a Reelmill server.

    `target` is `host:port`; `project` applies to every call that names none; the other keywords are those of ConnectionOptions.
    Every call may raise a ReelmillError.
    """

    def __init__(
        self, target: str = DEFAULT_TARGET, *, project: str = DEFAULT_PROJECT, **connection: Unpack[ConnectionOptions]
    ) -> None:
        self.project = project
        self._connection = Connection(target=target, **connection)
        self._metadata = self._connection.call_metadata()
        self._channel = self._connection.open()
        self._closed = False
        self.projects = Projects(self._call)
        self.notifications = Notifications(self._call, project)
        self.keys = Keys(self._call)

    def submit(
        self, request: requests.CreateRequest | None = None, *, project: str | None = None, **conversion: Unpack[Conversion]
    ) -> media_convert.CreateMediaConvertTaskResponse:
        """Create a task and return the response, which holds its `task_id`.

        Takes a request message, a dictionary (in the vendor's form or snake_case), or the keywords of `Conversion`. A request
        without a `request_id` gets a random one, so that sending it twice creates one task.
        """
        built = requests.with_request_id(requests.build_request(request, project or self.project, conversion))
        return self._call(methods.CREATE_TASK, built)

    def plan(
        self, request: requests.CreateRequest | None = None, *, project: str | None = None, **conversion: Unpack[Conversion]
    ) -> media_convert.PlanMediaConvertTaskResponse:
        """Return what `submit` would do with the same arguments, without creating a task."""
        built = requests.build_request(request, project or self.project, conversion)
        return self._call(methods.PLAN_TASK, media_convert.PlanMediaConvertTaskRequest(request=built))

    def get(self, task_id: str, *, project: str | None = None, with_definition: bool = False) -> Task:
        """Return one task; `with_definition` fills `task_request_definition`."""
        request = media_convert.GetTaskRequest(
            project_name=project or self.project, task_id=task_id, request_definition=with_definition
        )
        return self._call(methods.GET_TASK, request).task

    def list(self, *, project: str | None = None, **task_filter: Unpack[requests.TaskFilter]) -> Iterator[Task]:
        """Yield all matching tasks, fetching page after page."""
        token = ""
        while True:
            page = self.list_page(project=project, page_token=token, **task_filter)
            yield from page.tasks
            token = page.next_token
            if not token:
                return

    def list_page(
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
        return self._call(methods.LIST_TASKS, request)

    def cancel(self, task_id: str, *, project: str | None = None) -> Task:
        """Request a task's cancellation and return its current state; raises FailedPrecondition if it has ended otherwise."""
        request = media_convert.CancelTaskRequest(project_name=project or self.project, task_id=task_id)
        return self._call(methods.CANCEL_TASK, request).task

    def retry(self, task_id: str, *, project: str | None = None) -> media_convert.RetryTaskResponse:
        """Create a task from the request of one that has ended and return the response, which holds its `task_id`."""
        return self._call(methods.RETRY_TASK, requests.retry_request(project or self.project, task_id))

    def watch(
        self,
        task_id: str,
        *,
        project: str | None = None,
        timeout_seconds: float | None = None,
        max_outage_seconds: float = DEFAULT_MAX_OUTAGE_SECONDS,
        on_outage: OnOutage | None = None,
    ) -> Tasks:
        """Yield a task's current state, then every change, and end after its final state.

        Reconnects when the connection breaks; progress never goes back. Raises Unavailable after `max_outage_seconds` without
        a response and DeadlineExceeded after `timeout_seconds` (None: no limit). `on_outage` is called with each error before
        the next attempt to connect, and with None once the server answers again.
        """
        request = media_convert.WatchTaskRequest(project_name=project or self.project, task_id=task_id)
        policy = ReconnectPolicy(timeout_seconds, max_outage_seconds, on_outage=on_outage)
        with closing(self._follow(methods.WATCH_TASK, request, policy)) as states:
            for task in states:
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
    ) -> Tasks:
        """Yield all matching tasks of a project, then every change, without end; outages are handled as by `watch`."""
        request = requests.watch_all_request(project or self.project, tags, status)
        policy = ReconnectPolicy(None, max_outage_seconds, on_outage=on_outage)
        return self._follow(methods.WATCH_TASKS, request, policy)

    def wait(
        self, task_id: str, *, project: str | None = None, timeout_seconds: float | None = None, check: bool = True
    ) -> Task:
        """Wait until a task ends and return its final state; raises TaskFailed or TaskCanceled unless `check` is false."""
        with closing(self.watch(task_id, project=project, timeout_seconds=timeout_seconds)) as states:
            final = next(task for task in states if is_final(task))
        if check:
            raise_unless_succeeded(final)
        return final

    def probe(self, source_uri: str, *, project: str | None = None) -> MediaInfo:
        """Return what one media file contains; a path refers to the server's machine."""
        request = requests.probe_request(project or self.project, source_uri)
        return self._call(methods.PROBE_MEDIA, request).media_info

    def capabilities(self) -> media_convert.GetCapabilitiesResponse:
        """Return which encoders and decoders work on the server, and its limits."""
        return self._call(methods.GET_CAPABILITIES, media_convert.GetCapabilitiesRequest())

    def workers(self) -> Sequence[media_convert.Worker]:
        """Return the workers: what each runs now, how much room it has, and what works on it."""
        return self._call(methods.LIST_WORKERS, media_convert.ListWorkersRequest()).workers

    def close(self) -> None:
        """Close the connection and end calls in progress."""
        self._closed = True
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _call(self, method: Method[RequestT, ResponseT], request: RequestT) -> ResponseT:
        send = self._channel.unary_unary(method.path, method.serializer, method.deserializer)
        try:
            return send(request, timeout=self._connection.timeout_seconds, metadata=traced(self._metadata))
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error

    def _follow(self, method: Method[RequestT, ResponseT], request: RequestT, reconnect: ReconnectPolicy) -> Tasks:
        """Yield the changes of a stream of tasks, reconnecting as often as the policy allows."""
        changes = StateFilter()
        open_stream = self._channel.unary_stream(method.path, method.serializer, method.deserializer)
        while not self._closed:
            stream = open_stream(request, timeout=reconnect.remaining_seconds(), metadata=self._metadata)
            try:
                for response in stream:
                    task = changes.accept(cast(Any, response).task)
                    reconnect.received(changed=task is not None)
                    if task is not None:
                        yield task
                delay = reconnect.after_end()
            except grpc.RpcError as error:
                if self._closed:
                    raise from_rpc_error(error) from error
                delay = reconnect.after_error(error)
            finally:
                stream.cancel()
            time.sleep(delay)
        raise ReelmillError("the client was closed while watching")
