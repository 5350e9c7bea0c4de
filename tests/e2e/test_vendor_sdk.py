"""The vendor's own SDK, unmodified: only its endpoint is another one."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import servers

models = pytest.importorskip("alibabacloud_imm20200930.models")
client_module = pytest.importorskip("alibabacloud_imm20200930.client")
exceptions = pytest.importorskip("alibabacloud_tea_openapi.exceptions")
settings = pytest.importorskip("alibabacloud_tea_openapi.models")

pytestmark = pytest.mark.xdist_group("service")
KEYS = "LTAI-submitter:planted-secret-0001,LTAI-temporary:planted-secret-0002:planted-token,LTAI-viewer:planted-secret-0003"
GRANTS = "; ".join(
    f"access-key:LTAI-{name}" for name in ("submitter=submitter@default", "temporary=viewer@default", "viewer=viewer@default")
)


def sdk(server: servers.Server, key: str = "any", secret: str = "whatever", **more: Any) -> Any:
    """A client."""
    endpoint = server.api.removeprefix("http://")
    more = {"read_timeout": 60_000} | more  # by default it waits 10 s, which a machine with much else to do may take
    return client_module.Client(
        settings.Config(endpoint=endpoint, protocol="http", access_key_id=key, access_key_secret=secret, **more)
    )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A service that asks who calls."""
    folder = tmp_path_factory.mktemp("guarded")
    environment = {"REELMILL_ACCESS_KEYS": KEYS, "REELMILL_GRANT": GRANTS, "REELMILL_CALLER_BURST": "40"}
    arguments = ("--authentication", "access-keys", "--worker-slots", "0", "--caller-rate", "1")
    with servers.serve(folder, *arguments, environment=environment) as running:
        yield running


def conversion(clip: Path, output: Path, **more: Any) -> Any:
    """A request of the SDK's classes."""
    target = models.CreateMediaConvertTaskRequestTargets(
        uri=output.as_uri(),
        container="mp4",
        video=models.TargetVideo(transcode_video=models.TargetVideoTranscodeVideo(codec="h264", resolution="80x46")),
        audio=models.TargetAudio(disable_audio=True),
    )
    source = models.CreateMediaConvertTaskRequestSources(uri=clip.as_uri())
    return models.CreateMediaConvertTaskRequest(project_name="default", sources=[source], targets=[target], **more)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [None, "v2"])
def test_it_converts(server: servers.Server, clip: Path, files: Path, algorithm: str | None) -> None:
    """Create, wait by GetTask, list by a tag, with either generation of signatures."""
    client = sdk(server, signature_algorithm=algorithm)
    output, text = files / f"sdk-{algorithm}.mp4", '{"é": "a&b=c +%2B"}'
    created = client.create_media_convert_task(conversion(clip, output, tags={"sdk": str(algorithm)}, user_data=text)).body
    query = models.GetTaskRequest(
        project_name="default", task_type="MediaConvert", task_id=created.task_id, request_definition=True
    )
    results: list[Any] = []
    servers.wait_for(lambda: results.append(client.get_task(query).body) or results[-1].status != "Running", "the task")
    task = results[-1]
    assert (task.status, task.progress, task.user_data, task.event_id) == ("Succeeded", 100, text, created.event_id)
    assert task.tags == {"sdk": str(algorithm)} and '"80x46"' in task.task_request_definition and output.exists()
    listed = client.list_tasks(
        models.ListTasksRequest(
            project_name="default", task_types=["MediaConvert"], tag_selector=f"sdk={algorithm}", max_results=5
        )
    ).body
    assert [one.task_id for one in listed.tasks] == [created.task_id] and listed.max_results == "1"


def test_it_manages_projects_and_looks_at_media(server: servers.Server, clip: Path) -> None:
    """The other actions, by its asynchronous methods."""

    async def calls() -> None:
        client = sdk(server)
        tags = [models.CreateProjectRequestTag(key="team", value="a")]
        request = models.CreateProjectRequest(
            project_name="sdk-films", description="ours", tag=tags, project_max_dataset_count=7
        )
        result = (await client.create_project_async(request)).body.project
        assert (result.project_name, result.tags[0].tag_key, result.project_max_dataset_count) == ("sdk-films", "team", 7)
        await client.update_project_async(models.UpdateProjectRequest(project_name="sdk-films", description="theirs"))
        got = (await client.get_project_async(models.GetProjectRequest(project_name="sdk-films", with_statistics=True))).body
        assert (got.project.description, got.project.file_count) == ("theirs", 0)
        listed = (await client.list_projects_async(models.ListProjectsRequest(prefix="sdk-", max_results=10))).body
        assert [project.project_name for project in listed.projects] == ["sdk-films"]
        await client.delete_project_async(models.DeleteProjectRequest(project_name="sdk-films"))
        media = (
            await client.detect_media_meta_async(
                models.DetectMediaMetaRequest(project_name="default", source_uri=clip.as_uri())
            )
        ).body
        assert (media.stream_count, media.video_streams[0].codec_name, media.video_streams[0].has_bframes) == (2, "h264", 0)

    asyncio.run(calls())


def test_errors_are_its_exceptions(server: servers.Server) -> None:
    """With our code and the id of the call."""
    client = sdk(server)
    query = models.GetTaskRequest(project_name="default", task_type="MediaConvert", task_id="nobody")
    with pytest.raises(exceptions.ClientException) as missing:
        client.get_task(query)
    assert missing.value.code == "ResourceNotFound" and len(missing.value.request_id) == 36
    with pytest.raises(exceptions.ClientException) as wrong:
        client.create_media_convert_task(models.CreateMediaConvertTaskRequest(project_name="default"))
    assert wrong.value.code == "InvalidArgument" and "sources" in str(wrong.value)
    with pytest.raises(exceptions.ClientException) as other:
        client.create_dataset(models.CreateDatasetRequest(project_name="default", dataset_name="x"))
    assert other.value.code == "InvalidAction.NotFound"


def test_long_requests(server: servers.Server, clip: Path, files: Path) -> None:
    """All parameters are in the query: request lines of more than 64 KB reach the service, which says what is wrong."""
    targets = [conversion(clip, files / f"{number}-{'x' * 500}.mp4").targets[0] for number in range(101)]
    request = conversion(clip, files / "x.mp4")
    request.targets = targets
    with pytest.raises(exceptions.ClientException) as wrong:
        sdk(server).create_media_convert_task(request)
    assert wrong.value.code == "InvalidArgument" and "no more than 100" in str(wrong.value)


@pytest.mark.slow
def test_keys_have_rights(guarded: servers.Server) -> None:
    """Those of their grants; a wrong secret, an unknown key and a missing token are nobody."""
    project = models.GetProjectRequest(project_name="default")
    for key, secret, more in (
        ("LTAI-viewer", "planted-secret-0003", {}),
        ("LTAI-viewer", "planted-secret-0003", {"signature_algorithm": "v2"}),
        ("LTAI-temporary", "planted-secret-0002", {"security_token": "planted-token"}),
    ):
        assert sdk(guarded, key, secret, **more).get_project(project).body.project.project_name == "default"
    for key, secret in (
        ("LTAI-viewer", "planted-secret-0001"),
        ("LTAI-nobody", "planted-secret-0001"),
        ("LTAI-temporary", "planted-secret-0002"),
    ):
        with pytest.raises(exceptions.ClientException) as refused:
            sdk(guarded, key, secret).get_project(project)
        assert refused.value.code == "NotAuthenticated" and refused.value.status_code == 401
    viewer = sdk(guarded, "LTAI-viewer", "planted-secret-0003")
    with pytest.raises(exceptions.ClientException) as forbidden:
        viewer.delete_project(models.DeleteProjectRequest(project_name="default"))
    assert (forbidden.value.code, forbidden.value.status_code) == ("Forbidden", 403)
    with pytest.raises(exceptions.ClientException) as hidden:
        viewer.get_project(models.GetProjectRequest(project_name="sdk-private"))
    assert hidden.value.code == "ResourceNotFound"


@pytest.mark.slow
def test_too_many_calls_are_throttled(guarded: servers.Server) -> None:
    """Its exception for that says how long to wait, in milliseconds."""
    client = sdk(guarded, "LTAI-submitter", "planted-secret-0001")
    with pytest.raises(exceptions.ThrottlingException) as throttled:
        for _ in range(60):
            client.get_project(models.GetProjectRequest(project_name="default"))
    assert throttled.value.code == "Throttling" and 0 < throttled.value.retry_after <= 1000
