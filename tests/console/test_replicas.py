"""The console of a cluster behind a proxy that ends TLS: two replicas, callers with keys, and outputs in a bucket."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from examples.local_cluster.cluster import Cluster
from reelmill.v1 import task_pb2
from reelmill_client import Client
from reelmill_server.api.signature import hmac_sha1
from tests import postgres
from tests.clips import moving_picture
from tests.console.conftest import AXE
from tests.console.proxy import Proxy
from tests.console.test_console import until
from tests.stores import KEYS, Front, Moto, as_s3, forward

pytestmark = [pytest.mark.console, pytest.mark.cluster, pytest.mark.xdist_group("console replicas")]
Open = Callable[..., Any]
ADMIN, SECRET = "an administrator's token", "a-secret-of-sixteen"
LARGE, SMALL = {"Codec": "h264", "Resolution": "1920x1080", "Preset": "veryslow"}, {"Codec": "h264", "Resolution": "320x180"}


class World:
    """A cluster, a proxy before each of its replicas, and a key of a caller."""

    def __init__(self, folder: Path, moto: Moto) -> None:
        store = Front(forward(moto.url, as_s3)).start()
        moto.bucket("films")
        clip = moving_picture(folder / "clip.mp4", 8)
        moto.client.put_object(Bucket="films", Key="in/clip.mp4", Body=clip.read_bytes())
        replica = "--http-api-proxy 127.0.0.0/8 --console yes".split()
        secrets = {
            "REELMILL_AUTHENTICATION": "keys,access-keys",
            "REELMILL_ADMIN_TOKEN": ADMIN,
            "REELMILL_CONSOLE_SECRET": "shared by the replicas",
            "REELMILL_ACCESS_KEYS": f"LTAI1:{SECRET}",
            "REELMILL_GRANT": "access-key:LTAI1=viewer@default",
        }
        self.cluster = Cluster(
            folder,
            postgres.started(),
            workers=1,
            storage=("--bucket", f"s3://*=s3://*?endpoint={store.url}"),
            replica_settings=replica,
            environment={"REELMILL_FILE_ROOT": "", **secrets, **{name.upper(): value for name, value in KEYS.items()}},
        )
        self.cluster.start()
        self.replicas = [one.server.api for one in self.cluster.replicas]
        self.proxies = [Proxy(url, folder).start().url for url in self.replicas]
        self.client = Client(self.cluster.replicas[0].server.grpc, token=ADMIN)
        self.key = self.client.keys.create("looks", ["submitter@default"]).secret

    def request(self, name: str, video: dict[str, str], **more: Any) -> dict[str, Any]:
        """A conversion of the clip."""
        target = {"URI": f"s3://films/{name}", "Container": "mp4", "Video": {"TranscodeVideo": video}, **more}
        return {"ProjectName": "default", "Sources": [{"URI": "s3://films/in/clip.mp4"}], "Targets": [target]}

    def done(self, request: dict[str, Any]) -> task_pb2.Task:
        """The task once it has ended."""
        return self.client.wait(self.client.submit(request).task_id)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, moto: Moto) -> Iterator[World]:
    """Two replicas and a worker."""
    result = World(tmp_path_factory.mktemp("replicas"), moto)
    yield result
    result.client.close()
    result.cluster.stop()


def logged_in(world: World, page: Open, path: str, proxy: int = 0) -> Any:
    """A page that was reached with a key."""
    shown = page(world.proxies[proxy] + path, ignore_https_errors=True)
    assert "/console/login?next=" in shown.url
    shown.fill("input[name=token]", world.key)
    shown.click("button.main")
    shown.wait_for_url(world.proxies[proxy] + path)
    return shown


def test_a_caller_logs_in_through_the_proxy(world: World, page: Open) -> None:
    """A wrong key leads nowhere; the right one is kept where no script reads it, for TLS only, until the caller logs out."""
    shown = page(f"{world.proxies[0]}/console/workers", ignore_https_errors=True)
    shown.fill("input[name=token]", "rmk_nobodys_key")
    shown.click("button.main")
    assert "not valid" in shown.inner_text(".failure")
    shown = logged_in(world, page, "/console/workers")
    (cookie,) = shown.context.cookies()
    assert cookie["secure"] and cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    assert shown.evaluate("document.cookie") == ""
    shown.click("text=Log out")
    shown.wait_for_url(lambda url: "/console/login" in url)
    assert shown.context.cookies() == []


def test_frames_of_a_running_encode_are_on_both_replicas(world: World, page: Open) -> None:
    """They come without loading the page again, and go when the task ends."""
    task = world.client.submit(world.request("slow.mp4", LARGE)).task_id
    pages = [logged_in(world, page, f"/console/tasks/default/{task}", proxy) for proxy in (0, 1)]
    for shown in pages:
        until(shown, "[...document.querySelectorAll('#strip img')].some((image) => image.naturalWidth === 192)")
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
        axe(shown)
    pages[1].click("#cancel")
    for shown in pages:
        shown.wait_for_selector("#state .chip.canceled")
        until(shown, "document.querySelector('#strip').children.length === 0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_outputs_in_a_bucket_are_played(world: World, page: Open, scheme: str) -> None:
    """A file and HLS; axe finds nothing serious on the pages that play them."""
    hls = world.request(f"{scheme}/hls.m3u8", SMALL, Segment={"Format": "hls", "Duration": 2})
    hls["Targets"][0]["Container"] = "ts"
    for request in (world.request(f"{scheme}/file.mp4", SMALL), hls):
        task = world.done(request)
        assert task.status == task_pb2.TASK_STATUS_SUCCEEDED, task.message
        shown = logged_in(world, page, f"/console/tasks/default/{task.task_id}/play/0")
        shown.emulate_media(color_scheme=scheme)
        for width in (1200, 390):
            shown.set_viewport_size({"width": width, "height": 800})
            plays(shown)
            axe(shown)
            assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_links_hold_on_the_other_replica(world: World, page: Open) -> None:
    """Which has the same secret; a link that was changed holds nowhere, and neither does one without a signature."""
    task = world.done(world.request("linked.mp4", SMALL))
    shown = logged_in(world, page, f"/console/tasks/default/{task.task_id}/play/0")
    link = shown.evaluate("document.querySelector('video').dataset.source")
    until_, _, rest = link.removeprefix("/console/media/").partition(".")
    for path, expected in (
        (link, 200),
        (f"/console/media/{int(until_) + 1}.{rest}", 403),
        (link.replace("linked.mp4", "other.mp4"), 404),
    ):
        assert status(world.replicas[1] + path) == expected, path
    other = page(f"{world.proxies[1]}/console/login", ignore_https_errors=True)
    other.evaluate("(at) => document.body.append(Object.assign(document.createElement('video'), {src: at}))", link)
    plays(other)


def test_a_signed_request_counts_once_on_all_replicas(world: World) -> None:
    """Whichever has it first."""
    parameters = {
        "Action": "ListProjects",
        "AccessKeyId": "LTAI1",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": uuid.uuid4().hex,
        "Timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "Version": "2020-09-30",
    }
    signature = hmac_sha1("GET", [*parameters.items(), ("Signature", "")]).expected(SECRET).decode()
    query = urlencode(parameters | {"Signature": signature})
    assert [status(f"{replica}/?{query}") for replica in (*world.replicas, world.replicas[0])] == [200, 401, 401]


def plays(shown: Any) -> None:
    """Return once the video runs."""
    shown.evaluate("const video = document.querySelector('video'); video.muted = true; video.play()")
    until(shown, "document.querySelector('video').currentTime > 0.2")


def axe(shown: Any) -> None:
    """Have axe look at a page."""
    if AXE.exists():
        result = shown.evaluate(f"(() => {{ {AXE.read_text()} }})(), axe.run().then((found) => found.violations)")
        assert not [item["id"] for item in result if item["impact"] in ("serious", "critical")], shown.url


def status(url: str) -> int:
    """The status that a plain request gets."""
    try:
        with urlopen(url) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code
