"""Quotas of a project, as a caller meets them."""

from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import media_convert_service_pb2_grpc as service
from reelmill.v1 import task_pb2
from reelmill_client import Client, ResourceExhausted
from tests import servers

pytestmark = pytest.mark.xdist_group("service")


@pytest.fixture
def project(client: Client) -> str:
    """A project in which one task may be at work, and two may wait."""
    client.projects.create("tight", engine_concurrency=1, max_queued_tasks=2)
    return "tight"


@pytest.mark.slow
def test_a_project_works_within_its_quotas(
    server: servers.Server, client: Client, project: str, long_clip: Path, files: Path
) -> None:
    """One task is at work, two wait, the fourth is refused and told when to call again; each end lets the next one follow."""

    def submit(number: int, **more: object) -> str:
        return client.submit(
            source=long_clip,
            destination=files / f"tight{number}.mp4",
            project=project,
            **servers.ENDLESS,
            **more,  # type: ignore[arg-type]
        ).task_id

    first, second, urgent = submit(1), submit(2), submit(3, priority=1)
    with pytest.raises(ResourceExhausted, match="may have at most 3 unfinished tasks") as caught:
        submit(4)
    assert caught.value.code == "QuotaExceeded"
    result = client.projects.get(project)
    assert (result.running_tasks, result.queued_tasks, result.engine_concurrency, result.max_queued_tasks) == (1, 2, 1, 2)
    client.cancel(second, project=project)
    assert client.get(second, project=project).status == task_pb2.TASK_STATUS_CANCELED
    third = submit(5)
    client.cancel(first, project=project)
    servers.wait_for(lambda: _at_work(client, urgent), "the urgent one, which came later")
    assert not _at_work(client, third)
    for task_id in (urgent, third):
        client.cancel(task_id, project=project)
        servers.wait_for(lambda: client.get(task_id, project=project).status == task_pb2.TASK_STATUS_CANCELED, "the cancel")  # noqa: B023


def _at_work(client: Client, task_id: str) -> bool:
    task = client.get(task_id, project="tight")
    return task.phase == task_pb2.TASK_PHASE_CONVERTING


def test_the_refusal_tells_what_google_rpc_has_words_for(
    server: servers.Server, client: Client, long_clip: Path, files: Path
) -> None:
    """QuotaFailure names the project and the quota, RetryInfo when to come again."""
    client.projects.create("none", engine_concurrency=1, max_queued_tasks=1)
    slow = {"source": long_clip, "project": "none", **servers.ENDLESS}
    results = [client.submit(destination=files / f"none{number}.mp4", **slow).task_id for number in range(2)]  # type: ignore[arg-type]
    request = pb.CreateMediaConvertTaskRequest(project_name="none")
    request.sources.add(uri=long_clip.as_uri())
    request.targets.add(uri=(files / "x.mp4").as_uri(), container="CONTAINER_MP4")
    with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        service.MediaConvertServiceStub(channel).CreateMediaConvertTask(request)
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    assert status is not None and status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    details = {detail.type_url.rpartition(".")[2]: detail for detail in status.details}
    failure, retry = error_details_pb2.QuotaFailure(), error_details_pb2.RetryInfo()
    assert details["QuotaFailure"].Unpack(failure) and details["RetryInfo"].Unpack(retry)
    assert [(item.subject, item.description) for item in failure.violations] == [
        ("project/none", "may have at most 2 unfinished tasks")
    ]
    assert retry.retry_delay.seconds == 10
    for task_id in results:
        client.cancel(task_id, project="none")
