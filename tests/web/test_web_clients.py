"""Clients of other makers call the HTTP front: in Node, and connect-web and grpc-web in Chromium. `make test-web`.

REELMILL_WEB names the folder in which npm installed them.
"""

import base64
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reelmill.v1 import task_pb2
from tests import servers
from tests.clips import moving_picture

FOLDER = os.environ.get("REELMILL_WEB", "")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
_LACKS = [name for name, there in (("REELMILL_WEB", FOLDER), ("node", shutil.which("node"))) if not there]

pytestmark = [
    pytest.mark.web,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(_LACKS), reason=f"make test-web installs what is missing: {', '.join(_LACKS)}"),
]
in_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium (Debian: apt install chromium)")
SUCCEEDED = task_pb2.TASK_STATUS_SUCCEEDED


@pytest.fixture(scope="module")
def scripts() -> Path:
    """The scripts beside the packages that they use, the page in one file."""
    folder = Path(FOLDER)
    for path in Path(__file__).parent.glob("*.mjs"):
        shutil.copy(path, folder)
    bundle = [folder / "node_modules/.bin/esbuild", "page.mjs", "--bundle", "--outfile=page.js", "--log-level=warning"]
    subprocess.run(bundle, cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def page() -> Iterator[servers.ReservedPort]:
    """The port of the page, whose origin the service allows."""
    port = servers.ReservedPort()
    yield port
    port.release()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the service."""
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="module")
def server(folder: Path, page: servers.ReservedPort) -> Iterator[servers.Server]:
    """A service that pages of one other origin may call."""
    with servers.serve(folder, "--worker-slots", "1", "--http-api-origin", f"http://127.0.0.1:{page.number}") as running:
        yield running


@pytest.fixture(scope="module")
def image(folder: Path, server: servers.Server) -> Path:
    """The API's descriptors, as the service gives them."""
    path = folder / "descriptor.binpb"
    with urllib.request.urlopen(f"{server.api}/descriptor.binpb", timeout=30) as response:
        path.write_bytes(response.read())
    return path


@pytest.fixture(scope="module")
def clip(folder: Path, server: servers.Server) -> Path:
    """Two seconds of video."""
    return moving_picture(folder / "files" / "clip.mp4", 2)


def check(result: dict[str, Any]) -> None:
    """Compare what a client saw with what it should have seen."""
    assert result["project"] == "default"
    watched = result["watched"]
    assert (watched["status"], watched["userData"], watched["artifacts"]) == (SUCCEEDED, "ü€ & + %", 1)
    assert watched["progress"] == sorted(watched["progress"]) and watched["progress"][-1] == 100
    assert result["left"] == "Canceled"
    for missing in (result["missing"], result["missingStream"]):
        assert (missing["code"], missing["reason"]) == ("NotFound", "RESOURCE_NOT_FOUND") and len(missing["requestId"]) == 36
    assert (result["invalid"]["code"], result["invalid"]["fields"]) == ("InvalidArgument", ["", "sources"])
    assert result["listed"] and result["late"]["code"] == "DeadlineExceeded"


def check_nobody_watches(server: servers.Server) -> None:
    """Streams that were left are closed."""
    servers.wait_for(lambda: "reelmill_watchers 0.0" in server.get("/metrics")[1], "the end of all streams")


def test_connect_in_node(server: servers.Server, scripts: Path, image: Path, clip: Path) -> None:
    """Its transports for Connect, with JSON and protobuf and with GET, and for gRPC-Web."""
    output = clip.with_name("node.mp4").as_uri()
    command = ["node", "node.mjs", server.api, image, clip.as_uri(), output]
    done = subprocess.run(command, cwd=scripts, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results.keys() == {"connect json", "connect proto", "grpc-web"}
    for result in results.values():
        check(result)
    check_nobody_watches(server)


def test_the_vendors_older_sdk(server: servers.Server, scripts: Path, clip: Path) -> None:
    """It converts by GET and by POST, sends lists flat, and throws errors by their codes."""
    command = ["node", "vendor.mjs", server.api, clip.as_uri(), clip.with_name("older.mp4").as_uri()]
    done = subprocess.run(command, cwd=scripts, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    ended = ["Succeeded", 100, "ü€ & + % *'()!"]
    assert json.loads(done.stdout) == {
        "GET": ended,
        "POST": ended,
        "tags": ["kind", "team"],
        "missing": ["ResourceNotFoundError", "ResourceNotFound", 36],
    }


@pytest.fixture(scope="module")
def chromium(scripts: Path, page: servers.ReservedPort) -> Iterator[subprocess.Popen[str]]:
    """A page in Chromium."""
    page.release()
    command = ["node", "browser.mjs", str(page.number), CHROMIUM]
    with subprocess.Popen(command, cwd=scripts, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        assert "Chrome" in process.stdout.readline()
        yield process
        process.stdin.close()


def ask(chromium: subprocess.Popen[str], *call: str) -> Any:
    """Run a function of the page."""
    assert chromium.stdin and chromium.stdout
    chromium.stdin.write(json.dumps(call) + "\n")
    chromium.stdin.flush()
    result = json.loads(chromium.stdout.readline())
    assert not isinstance(result, dict) or "thrown" not in result, result
    return result


@in_chromium
@pytest.mark.parametrize("kind", ["connect json", "connect proto", "grpc-web"])
def test_connect_in_a_browser(
    kind: str, server: servers.Server, chromium: subprocess.Popen[str], image: Path, clip: Path
) -> None:
    """The same from a page of another origin."""
    output = clip.with_name(f"{kind}.mp4").as_uri()
    check(ask(chromium, "connect", kind, server.api, base64.b64encode(image.read_bytes()).decode(), clip.as_uri(), output))
    check_nobody_watches(server)


@pytest.fixture(scope="module")
def task_id(server: servers.Server, clip: Path) -> str:
    """A task that has ended."""
    with servers.client(server) as client:
        task = client.submit(source=clip, destination=clip.with_name("ended.mp4"), video="h264", size="80x46").task_id
        *_, last = client.watch(task)
        assert last.status == SUCCEEDED
        return task


@in_chromium
@pytest.mark.parametrize("form", ["binary", "text"])
def test_grpc_web_in_a_browser(
    form: str, server: servers.Server, chromium: subprocess.Popen[str], image: Path, task_id: str
) -> None:
    """Google's client, in both forms: a call, an error with its details, a stream, one that is left, one that fails."""
    encoded = base64.b64encode(image.read_bytes()).decode()
    result = ask(chromium, "grpcWeb", form, server.api, encoded, task_id)
    assert result["task"] == task_id and result["watched"] == [SUCCEEDED]
    assert result["missing"]["code"] == 5 and "nobody is not found" in result["missing"]["message"]
    assert result["missing"]["details"] == ["type.googleapis.com/google.rpc.ErrorInfo"]
    assert bool(result["left"]) == (form == "text") and result["missingStream"] == [5]
    check_nobody_watches(server)


@in_chromium
def test_events_in_a_browser(server: servers.Server, chromium: subprocess.Popen[str], task_id: str) -> None:
    """EventSource reads a stream to its end; of a task that is not there it says that it failed."""
    url = f"{server.api}/reelmill.v1.MediaConvertService/WatchTask?ProjectName=default&TaskId="
    assert ask(chromium, "events", url + task_id) == ["TASK_STATUS_SUCCEEDED"]
    assert ask(chromium, "events", url + "nobody") == ["error"]
