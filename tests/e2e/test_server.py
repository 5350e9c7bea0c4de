"""The service as its operator sees it: health, reflection, pages, drain, deadlines."""

import json
import re
import subprocess
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import media_convert_service_pb2_grpc, task_pb2
from reelmill_client import Client, ResourceExhausted
from tests import servers
from tests.clips import moving_picture

pytestmark = pytest.mark.xdist_group("service")
SERVICES = tuple(f"reelmill.v1.{name}Service" for name in ("MediaConvert", "Project", "Notification"))


def health(channel: grpc.Channel, service: str = "") -> int:
    """The health of a service."""
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
    return int(answer.status)


def reflected(channel: grpc.Channel, version: str, symbol: str = "") -> reflection_pb2.ServerReflectionResponse:
    """What a version of reflection tells of a symbol, or which services there are; the messages of both are the same."""
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    asked = {"file_containing_symbol": symbol} if symbol else {"list_services": ""}
    answer: reflection_pb2.ServerReflectionResponse = next(call(iter([reflection_pb2.ServerReflectionRequest(**asked)])))
    return answer


def test_health_reflection_and_pages(server: servers.Server) -> None:
    """Each service is SERVING, tools find the services without protos, the pages answer."""
    with grpc.insecure_channel(server.grpc) as channel:
        assert {health(channel, service) for service in ("", *SERVICES)} == {health_pb2.HealthCheckResponse.SERVING}
        for version in ("v1", "v1alpha"):
            assert {service.name for service in reflected(channel, version).list_services_response.service} >= set(SERVICES)
            name = f"grpc.reflection.{version}.ServerReflection"
            (described,) = reflected(channel, version, name).file_descriptor_response.file_descriptor_proto
            assert FileDescriptorProto.FromString(described).package == f"grpc.reflection.{version}"
    assert server.get("/healthz")[0] == 200
    assert server.get("/readyz") == (200, '{"ready": true, "failing": {}}')
    status, page = server.get("/metrics")
    assert status == 200 and 'reelmill_tasks{status="Running"}' in page
    for name in ('reelmill_queue_tasks{queue="fast"}', 'reelmill_project_tasks{project="(others)",state="Waiting"}'):
        servers.wait_for(lambda wanted=name: wanted in server.get("/metrics")[1], name)  # type: ignore[misc]
    assert "reelmill_worker_cores_used 0.0" in page and 'family="software"' in page


def test_what_quotas_refuse_is_counted(server: servers.Server, client: Client, long_clip: Path, files: Path) -> None:
    """One at work and one that waits is all that the project may have."""
    counted = re.compile(r"^reelmill_quota_refusal_total (\S+)", re.MULTILINE)

    def refusals() -> float:
        result = counted.search(server.get("/metrics")[1])
        assert result
        return float(result[1])

    before = refusals()
    client.projects.create("counted", engine_concurrency=1, max_queued_tasks=1)
    slow = {"source": long_clip, "project": "counted", **servers.ENDLESS}
    results = [client.submit(destination=files / f"counted{number}.mp4", **slow).task_id for number in range(2)]  # type: ignore[arg-type]
    with pytest.raises(ResourceExhausted):
        client.submit(destination=files / "counted2.mp4", **slow)  # type: ignore[arg-type]
    assert refusals() == before + 1
    for task_id in reversed(results):
        client.cancel(task_id, project="counted")


def test_an_error_carries_the_standard_details(server: servers.Server) -> None:
    """ErrorInfo with reason, domain and code, as any gRPC client can read it."""
    with grpc.insecure_channel(server.grpc) as channel:
        stub = media_convert_service_pb2_grpc.MediaConvertServiceStub(channel)  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.RpcError) as failure:
            stub.GetTask(pb.GetTaskRequest(project_name="default", task_id="MediaConvert-none"))
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND
    details = dict(failure.value.trailing_metadata())["grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    status_pb2.Status.FromString(details).details[0].Unpack(info)
    assert (info.reason, info.domain, info.metadata["code"]) == ("RESOURCE_NOT_FOUND", "reelmill", "ResourceNotFound")
    assert info.metadata["request_id"] == info.metadata["request_id"].upper() != ""


def test_a_deadline_ends_a_watch_and_frees_its_place(
    server: servers.Server, client: Client, long_clip: Path, files: Path
) -> None:
    """The caller gets DEADLINE_EXCEEDED, and the server counts no watcher for it any more."""
    task_id = client.submit(source=long_clip, destination=files / "deadline.mp4", **servers.ENDLESS).task_id
    with grpc.insecure_channel(server.grpc) as channel:
        stub = media_convert_service_pb2_grpc.MediaConvertServiceStub(channel)  # type: ignore[no-untyped-call]
        watch = stub.WatchTask(pb.WatchTaskRequest(project_name="default", task_id=task_id), timeout=1)
        with pytest.raises(grpc.RpcError) as failure:
            for _ in watch:
                pass
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    client.cancel(task_id)
    servers.wait_for(lambda: "reelmill_watchers 0.0" in server.get("/metrics")[1], "the end of the watch")


@pytest.mark.slow
def test_progress_is_fresh(server: servers.Server, client: Client, long_clip: Path, files: Path) -> None:
    """While an encode runs its watcher is told something new again and again."""
    task_id = client.submit(source=long_clip, destination=files / "fresh.mp4", **servers.ENDLESS).task_id
    seen: list[float] = []
    for task in client.watch(task_id):
        if task.phase == task_pb2.TASK_PHASE_CONVERTING:
            seen.append(task.targets[0].media_time)
            assert task.targets[0].encoders == "libx264, copy" and 0 <= task.progress < 100
        if len(set(seen)) == 3:
            break
    client.cancel(task_id)
    assert seen == sorted(seen)


@pytest.mark.cluster
def test_a_stopping_service_says_so_and_finishes_its_work(tmp_path: Path) -> None:
    """SIGTERM: NOT_SERVING while the running task is finished, then a clean exit with nothing left running."""
    clip = moving_picture(tmp_path / "files" / "clip.mp4", 8, "640x360")
    with servers.serve(tmp_path, "--worker-slots", "1", "--drain-seconds", "60") as server:
        client = servers.client(server)
        task_id = client.submit(source=clip, destination=tmp_path / "files" / "out.mp4", video="h264", preset="slower").task_id
        servers.wait_for(lambda: client.get(task_id).phase == task_pb2.TASK_PHASE_CONVERTING, "the encode")
        family = servers.processes(server.process.pid)
        statuses: list[int] = []
        with grpc.insecure_channel(server.grpc) as channel:
            health(channel)
            server.process.terminate()
            servers.wait_for(lambda: health(channel) == health_pb2.HealthCheckResponse.NOT_SERVING, "the drain")
            final = list(client.watch(task_id))[-1]
            statuses.append(final.status)
        client.close()
        assert server.process.wait(30) == 0
    assert statuses == [task_pb2.TASK_STATUS_SUCCEEDED] and (tmp_path / "files" / "out.mp4").exists()
    servers.wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), "the end of its processes")


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--listen", "--http-api", "--http"])
def test_a_taken_port_is_a_sentence_and_not_a_traceback(flag: str, server: servers.Server, tmp_path: Path) -> None:
    """The second server on one address names the flag and the address, and exits with 1."""
    addresses = {"--listen": "127.0.0.1:0", "--http-api": "", "--http": ""} | {flag: server.grpc}
    arguments = [part for pair in addresses.items() for part in pair]
    arguments += ["--data-dir", str(tmp_path), "--worker-slots", "0"]
    done = subprocess.run(
        [servers.program("reelmill-server"), "serve", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert flag in last and server.grpc in last and "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_roles_that_print(clip: Path, files: Path, tmp_path: Path) -> None:
    """`plan` prints a plan and `capabilities` the trials, both without a server; a bad request is a sentence."""
    request = tmp_path / "request.yaml"
    target = {"uri": f"{files.as_uri()}/p.mp4", "container": "mp4", "video": {"transcode_video": {"codec": "av1"}}}
    request.write_text(json.dumps({"project_name": "x", "sources": [{"uri": clip.as_uri()}], "targets": [target]}))
    program = servers.program("reelmill-server")
    plan = subprocess.run(
        [program, "plan", "--file-root", str(files), str(request)], capture_output=True, text=True, check=True
    )
    assert json.loads(plan.stdout)["plan"]["targets"][0]["streams"][0]["encoder"] == "libsvtav1"
    assert json.loads(plan.stdout)["ffmpeg"]["lines"][0] == "ffmpeg"
    tried = subprocess.run([program, "capabilities", "--json"], capture_output=True, text=True, check=True)
    assert {"libx264", "h264_nvenc"} <= {encoder["name"] for encoder in json.loads(tried.stdout)["encoders"]}
    request.write_text("{}")
    wrong = subprocess.run([program, "plan", str(request)], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1 and "sources" in wrong.stderr and "Traceback" not in wrong.stderr
