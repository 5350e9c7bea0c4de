"""A service that asks who calls, by HTTP: calls pass the same gate as gRPC's, and are audited and counted like them."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from reelmill_client import Client
from reelmill_server.api.services import method_descriptors
from tests import servers

pytestmark = pytest.mark.xdist_group("http callers")
ADMIN_TOKEN = "planted-admin-token-0123456789"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A service with API keys."""
    folder = tmp_path_factory.mktemp("http-callers")
    environment = {"REELMILL_ADMIN_TOKEN": ADMIN_TOKEN}
    with servers.serve(folder, "--authentication", "keys", "--worker-slots", "0", environment=environment) as running:
        yield running


@pytest.fixture(scope="module")
def keys(server: servers.Server) -> dict[str, str]:
    """Keys of two callers."""
    with Client(server.grpc, token=ADMIN_TOKEN) as admin:
        grants = {"viewer": ["viewer@default"], "submitter": ["submitter@default"]}
        return {name: admin.keys.create(name, each).secret for name, each in grants.items()}


def call(server: servers.Server, path: str, token: str = "", body: Any = None) -> tuple[int, Any]:
    """Status and answer of a call."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if "?Action=" in path:  # the vendor's protocol, all of whose parameters are in the query
        headers["Content-Type"], sent = "application/x-www-form-urlencoded", b""
    else:
        headers["Content-Type"], sent = "application/json", json.dumps(body or {}).encode()
    request = urllib.request.Request(server.api + path, sent, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        text = error.read().decode()
        return error.code, json.loads(text) if error.headers.get_content_type() == "application/json" else text


@pytest.mark.slow
def test_nobody_gets_in_by_any_address(server: servers.Server) -> None:
    """Every RPC, in each protocol."""
    for path, method in method_descriptors():
        if not method.server_streaming:
            assert call(server, path)[0] == 401, path
            assert call(server, f"/?Action={method.name}")[0] == 401, path
        else:
            request = urllib.request.Request(f"{server.api}{path}", headers={"Accept": "text/event-stream"})
            with pytest.raises(HTTPError) as refused:
                urllib.request.urlopen(request, timeout=30)
            assert refused.value.code == 401, path


def test_keys_have_the_rights_of_their_grants(server: servers.Server, keys: dict[str, str], tmp_path: Path) -> None:
    """A viewer may not cancel, a project without a grant is not there; changes are audited, and calls counted."""
    tasks, projects = "/reelmill.v1.MediaConvertService", "/reelmill.v1.ProjectService"
    assert call(server, f"{projects}/GetProject", keys["viewer"], {"ProjectName": "default"})[0] == 200
    status, answer = call(server, f"{tasks}/CancelTask", keys["viewer"], {"ProjectName": "default", "TaskId": "x"})
    assert (status, answer["code"]) == (403, "permission_denied") and "imm:CancelTask" in answer["message"]
    assert call(server, f"{projects}/GetProject", keys["viewer"], {"ProjectName": "private"})[0] == 404
    status, answer = call(server, f"{tasks}/CancelTask", keys["submitter"], {"ProjectName": "default", "TaskId": "x"})
    assert (status, answer["code"]) == (404, "not_found")
    assert call(server, "/?Action=CancelTask&ProjectName=default&TaskId=x", keys["submitter"])[0] == 400

    def canceled() -> list[dict[str, object]]:
        return [event for event in server.events("audit") if event["action"] == "imm:CancelTask" and "task_id" in event]

    entries = servers.wait_for(lambda: canceled()[2:] and canceled(), "a line for each; a thread writes them")
    seen = [(event["principal"], event["outcome"], event["task_id"]) for event in entries]
    assert seen == [
        ("key:viewer", "PERMISSION_DENIED", "x"),
        ("key:submitter", "NOT_FOUND", "x"),
        ("key:submitter", "NOT_FOUND", "x"),
    ]
    assert all(str(event["peer"]).startswith("ipv4:127.0.0.1:") for event in entries)
    assert 'method="CancelTask"' in server.get("/metrics")[1]
