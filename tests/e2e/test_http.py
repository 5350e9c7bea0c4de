"""The HTTP front of a running service: what curl, a browser and other programs get."""

import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests import servers

pytestmark = pytest.mark.xdist_group("service")


def post(server: servers.Server, method: str, body: object, **headers: str) -> tuple[int, Any]:
    """Return status and JSON of a call."""
    sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{server.api}/reelmill.v1.{method}", json.dumps(body).encode(), sent)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_json_reaches_the_services(server: servers.Server, content_type: str) -> None:
    """By the names of the proto and by the vendor's, also with the content type that curl sends by default."""
    for body in ({"ProjectName": "default"}, {"project_name": "default"}):
        status, answer = post(server, "ProjectService/GetProject", body, Content_Type=content_type)
        assert (status, answer["Project"]["ProjectName"]) == (200, "default")


def test_errors_have_details(server: servers.Server) -> None:
    """Connect's code and status, with the details of gRPC's errors; a field that is not known is named."""
    status, answer = post(server, "MediaConvertService/GetTask", {"ProjectName": "default", "TaskId": "x"})
    assert (status, answer["code"]) == (404, "not_found")
    assert answer["details"][0]["type"] == "google.rpc.ErrorInfo"
    assert answer["details"][0]["debug"]["metadata"]["code"] == "ResourceNotFound"
    status, answer = post(server, "MediaConvertService/GetTask", {"ProjectNme": "default"})
    assert (status, answer["code"]) == (400, "invalid_argument") and "did you mean ProjectName?" in answer["message"]


def test_pages_of_other_sites_reach_nothing(server: servers.Server) -> None:
    """Neither by their origin nor by a name of their own that leads here."""
    for header in ({"Origin": "http://example.com"}, {"Origin": "null"}, {"Host": "example.com:8080"}):
        assert post(server, "ProjectService/GetProject", {"ProjectName": "default"}, **header)[0] == 403
    own = {"Origin": server.api}
    assert post(server, "ProjectService/GetProject", {"ProjectName": "default"}, **own)[0] == 200


@pytest.mark.slow
def test_a_stopping_service_ends_its_streams(tmp_path: Path) -> None:
    """Their last event says why, and the process ends with 0."""
    (tmp_path / "files").mkdir()
    source = tmp_path / "files" / "clip.mp4"
    source.touch()
    with servers.serve(tmp_path, "--worker-slots", "0", "--drain-seconds", "0") as server:
        with servers.client(server) as client:
            task_id = client.submit(source=source, destination=source.with_name("out.mp4"), video="h264").task_id
        url = f"{server.api}/reelmill.v1.MediaConvertService/WatchTask?ProjectName=default&TaskId={task_id}"
        with urllib.request.urlopen(url, timeout=60) as stream:
            assert json.loads(stream.readline().removeprefix(b"data: "))["Task"]["Status"] == "TASK_STATUS_RUNNING"
            server.process.terminate()
            events = stream.read().decode().split("\n\n")
        assert events[-2].lstrip().startswith("event: error\ndata: ") and '"unavailable"' in events[-2]
        assert server.process.wait(60) == 0
