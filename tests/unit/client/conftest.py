"""A Reelmill server that answers from a script, on a real socket."""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from reelmill.v1 import media_convert_service_pb2 as media_convert
from reelmill.v1 import media_convert_service_pb2_grpc, notification_service_pb2_grpc, project_service_pb2_grpc
from reelmill.v1 import notification_service_pb2 as notifications
from reelmill.v1 import project_service_pb2 as projects
from reelmill.v1.media_info_pb2 import AudioStream, MediaInfo, VideoStream
from reelmill.v1.task_pb2 import TASK_STATUS_CANCELED, TargetProgress, Task


@dataclass(frozen=True)
class Failure:
    """An error as the service reports it; without a code, as a proxy or the transport would."""

    status: grpc.StatusCode
    message: str
    code: str = ""
    request_id: str = "A1B2"
    violations: tuple[tuple[str, str], ...] = ()

    def abort(self, context: grpc.ServicerContext) -> None:
        if not self.code:
            context.abort(self.status, self.message)
        info = error_details_pb2.ErrorInfo(
            reason="SOME_REASON", domain="reelmill", metadata={"code": self.code, "request_id": self.request_id}
        )
        bad = error_details_pb2.BadRequest()
        for path, description in self.violations:
            bad.field_violations.add(field=path, description=description)
        details = [any_pb2.Any() for _ in range(2)]
        details[0].Pack(info)
        details[1].Pack(bad)
        status = status_pb2.Status(code=self.status.value[0], message=self.message, details=details)
        context.abort_with_status(rpc_status.to_status(status))


HANG = object()  # in a script: say nothing more until the caller or the test ends


@dataclass
class FakeServer:
    """Answers; `scripts` holds one list of steps (Task, Failure, HANG or a function to call) for each stream to come.

    `scripts_by_task` holds the steps of every stream about a task.
    """

    scripts: deque[list[Any]] = field(default_factory=deque)
    scripts_by_task: dict[str, list[Any]] = field(default_factory=dict)
    failures: dict[str, deque[Failure]] = field(default_factory=lambda: defaultdict(deque))
    calls: list[tuple[str, Any, dict[str, Any]]] = field(default_factory=list)
    tasks: dict[str, Task] = field(default_factory=dict)
    plan: media_convert.PlanMediaConvertTaskResponse = field(
        default_factory=lambda: media_convert.PlanMediaConvertTaskResponse(valid=True)
    )
    known_projects: dict[str, projects.Project] = field(default_factory=dict)
    canceled: threading.Event = field(default_factory=threading.Event)
    ending: threading.Event = field(default_factory=threading.Event)
    by_request_id: dict[str, str] = field(default_factory=dict)
    port: int = 0
    _server: grpc.Server | None = None

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, credentials: grpc.ServerCredentials | None = None) -> None:
        server = grpc.server(futures.ThreadPoolExecutor(8))
        add_media: Callable[..., None] = media_convert_service_pb2_grpc.add_MediaConvertServiceServicer_to_server
        add_projects: Callable[..., None] = project_service_pb2_grpc.add_ProjectServiceServicer_to_server
        add_notifications: Callable[..., None] = notification_service_pb2_grpc.add_NotificationServiceServicer_to_server
        add_notifications(_Notifications(self), server)
        add_media(_MediaConvert(self), server)
        add_projects(_Projects(self), server)
        address = f"127.0.0.1:{self.port}"
        self.port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
        server.start()
        self.ending.clear()
        self._server = server

    def stop(self) -> None:
        assert self._server is not None
        self.ending.set()
        self._server.stop(0).wait()

    def requests(self, method: str) -> list[Any]:
        return [request for name, request, _ in self.calls if name == method]

    def answer(self, method: str, request: Any, context: grpc.ServicerContext) -> None:
        self.calls.append((method, request, dict(context.invocation_metadata())))
        if self.failures[method]:
            self.failures[method].popleft().abort(context)

    def stream(self, context: grpc.ServicerContext, wrap: type[Any], task_id: str = "") -> Iterator[Any]:
        gone = threading.Event()
        context.add_callback(gone.set)
        next_script = self.scripts.popleft() if self.scripts else [HANG]
        for step in self.scripts_by_task.get(task_id, next_script):
            if step is HANG:
                while not gone.wait(0.01) and not self.ending.is_set():
                    pass
                return
            if isinstance(step, Failure):
                step.abort(context)
            elif isinstance(step, Task):
                yield wrap(task=step)
            else:
                step()


class _MediaConvert(media_convert_service_pb2_grpc.MediaConvertServiceServicer):
    def __init__(self, fake: FakeServer) -> None:
        self.fake = fake

    def CreateMediaConvertTask(self, request: Any, context: Any) -> Any:
        self.fake.answer("Create", request, context)
        task_id = self.fake.by_request_id.setdefault(request.request_id, f"MediaConvert-{len(self.fake.by_request_id)}")
        return media_convert.CreateMediaConvertTaskResponse(request_id="R", event_id="E", task_id=task_id)

    def GetTask(self, request: Any, context: Any) -> Any:
        self.fake.answer("Get", request, context)
        if request.task_id not in self.fake.tasks:
            Failure(grpc.StatusCode.NOT_FOUND, f"task {request.task_id} does not exist", "ResourceNotFound").abort(context)
        return media_convert.GetTaskResponse(task=self.fake.tasks[request.task_id])

    def ListTasks(self, request: Any, context: Any) -> Any:
        self.fake.answer("List", request, context)
        size = request.max_results or 2
        first = int(request.next_token or 0)
        page = list(self.fake.tasks.values())[first : first + size]
        more = first + size < len(self.fake.tasks)
        return media_convert.ListTasksResponse(tasks=page, next_token=str(first + size) if more else "")

    def WatchTask(self, request: Any, context: Any) -> Any:
        self.fake.answer("Watch", request, context)
        yield from self.fake.stream(context, media_convert.WatchTaskResponse, request.task_id)

    def WatchTasks(self, request: Any, context: Any) -> Any:
        self.fake.answer("WatchAll", request, context)
        yield from self.fake.stream(context, media_convert.WatchTasksResponse)

    def CancelTask(self, request: Any, context: Any) -> Any:
        self.fake.answer("Cancel", request, context)
        self.fake.canceled.set()
        return media_convert.CancelTaskResponse(task=Task(task_id=request.task_id, status=TASK_STATUS_CANCELED))

    def RetryTask(self, request: Any, context: Any) -> Any:
        self.fake.answer("Retry", request, context)
        return media_convert.RetryTaskResponse(request_id="R", event_id="E", task_id=f"{request.task_id}-again")

    def ListWorkers(self, request: Any, context: Any) -> Any:
        self.fake.answer("Workers", request, context)
        target = TargetProgress(percent=50, encoders="libx264, aac")
        mine = media_convert.RunningAttempt(task_id="t", part=2, chunk=3, phase=4, progress=50, targets=[target])
        others = media_convert.RunningAttempt(part=1, phase=2)
        worker = media_convert.Worker(
            name="w1",
            lanes=[media_convert.WorkerLane(name="software", available=True), media_convert.WorkerLane(name="nvenc")],
            load=media_convert.WorkerLoad(slots=1, max_slots=2, cores=1.5, max_cores=4),
            attempts=[mine, others],
        )
        return media_convert.ListWorkersResponse(workers=[worker])

    def PlanMediaConvertTask(self, request: Any, context: Any) -> Any:
        self.fake.answer("Plan", request, context)
        return self.fake.plan

    def ProbeMedia(self, request: Any, context: Any) -> Any:
        self.fake.answer("Probe", request, context)
        info = MediaInfo(
            format_name="mov,mp4",
            duration=10,
            size=1_500_000,
            video_streams=[VideoStream(index=0, codec_name="h264", width=1280, height=720, average_frame_rate="30/1")],
            audio_streams=[AudioStream(index=1, codec_name="aac", sample_rate=48000, channel_layout="stereo")],
        )
        return media_convert.ProbeMediaResponse(media_info=info)

    def GetCapabilities(self, request: Any, context: Any) -> Any:
        self.fake.answer("Capabilities", request, context)
        encoder = media_convert.CodecCapability(name="h264_nvenc", codec="h264", device="nvenc", reason="no such device")
        other = media_convert.CodecCapability(
            name="hevc_vaapi",
            codec="h265",
            device="vaapi",
            available=True,
            card="A driver",
            features=[media_convert.CodecFeature(name="lossless", reason="has none")],
            frame_sizes=media_convert.FrameSizes(min_width=16, min_height=16, max_width=4096, max_height=4096),
        )
        return media_convert.GetCapabilitiesResponse(
            encoders=[encoder, other],
            limits={"max_pixels": 4096.0 * 4096},
            versions={"server": "1.2.3"},
            worker="w1",
            sandbox=media_convert.Sandbox(mode="prefer", walls=["seccomp"], lacks=["Landlock"]),
        )


class _Projects(project_service_pb2_grpc.ProjectServiceServicer):
    def __init__(self, fake: FakeServer) -> None:
        self.fake = fake

    def _known(self, request: Any, context: Any) -> projects.Project:
        if request.project_name not in self.fake.known_projects:
            Failure(grpc.StatusCode.NOT_FOUND, "no such project", "ResourceNotFound").abort(context)
        return self.fake.known_projects[request.project_name]

    def CreateProject(self, request: Any, context: Any) -> Any:
        self.fake.answer("CreateProject", request, context)
        if request.project_name in self.fake.known_projects:
            Failure(grpc.StatusCode.ALREADY_EXISTS, "the project exists", "ResourceAlreadyExists").abort(context)
        tags = [projects.Tag(tag_key=tag.key, tag_value=tag.value) for tag in request.tag]
        project = projects.Project(project_name=request.project_name, description=request.description, tags=tags)
        self.fake.known_projects[request.project_name] = project
        return projects.CreateProjectResponse(project=project)

    def GetProject(self, request: Any, context: Any) -> Any:
        self.fake.answer("GetProject", request, context)
        return projects.GetProjectResponse(project=self._known(request, context))

    def UpdateProject(self, request: Any, context: Any) -> Any:
        self.fake.answer("UpdateProject", request, context)
        project = self._known(request, context)
        if request.HasField("description"):
            project.description = request.description
        return projects.UpdateProjectResponse(project=project)

    def ListProjects(self, request: Any, context: Any) -> Any:
        self.fake.answer("ListProjects", request, context)
        first = int(request.next_token or 0)
        names = sorted(name for name in self.fake.known_projects if name.startswith(request.prefix))
        more = str(first + 2) if first + 2 < len(names) else ""
        page = [self.fake.known_projects[name] for name in names[first : first + 2]]
        return projects.ListProjectsResponse(projects=page, next_token=more)

    def DeleteProject(self, request: Any, context: Any) -> Any:
        self.fake.answer("DeleteProject", request, context)
        self._known(request, context)
        del self.fake.known_projects[request.project_name]
        return projects.DeleteProjectResponse()


class _Notifications(notification_service_pb2_grpc.NotificationServiceServicer):
    """Two pages of one notification each; every one can be sent again."""

    def __init__(self, fake: FakeServer) -> None:
        self.fake = fake

    def ListNotifications(self, request: Any, context: Any) -> Any:
        self.fake.answer("ListNotifications", request, context)
        number = int(request.next_token or 0)
        result = notifications.NotificationStatus(
            notification_id=f"t.Webhook.{number}",
            state=4,
            attempts=3,
            last_error="responded with 500",
            destination="https://x/",
        )
        return notifications.ListNotificationsResponse(notifications=[result], next_token="" if number else "1")

    def RedeliverNotification(self, request: Any, context: Any) -> Any:
        self.fake.answer("RedeliverNotification", request, context)
        due = notifications.NotificationStatus(notification_id=request.notification_id, state=2)
        return notifications.RedeliverNotificationResponse(notification=due)


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    """A running fake server."""
    server = FakeServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def failure() -> type[Failure]:
    """Makes an error for the fake server to answer with."""
    return Failure


@pytest.fixture
def hang() -> object:
    """The step of a stream that says nothing more."""
    return HANG


@pytest.fixture(autouse=True)
def fast_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnects at once: the delays themselves have tests of their own."""
    monkeypatch.setattr("reelmill_client.watch._FIRST_DELAY_SECONDS", 0.01)
