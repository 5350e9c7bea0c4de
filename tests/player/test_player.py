"""A ladder in hls.js in Chromium: it plays, changes its rendition and shows its subtitles. `make test-player` runs this.

REELMILL_PLAYER names the folder in which npm installed hls.js; REELMILL_SCREENSHOT, if set, the file that the picture goes to.
"""

import asyncio
import base64
import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from reelmill.v1 import task_pb2
from tests import servers
from tests.clips import moving_picture

FOLDER = os.environ.get("REELMILL_PLAYER", "")
SCREENSHOT = os.environ.get("REELMILL_SCREENSHOT", "")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""

pytestmark = [pytest.mark.player, pytest.mark.skipif(not (FOLDER and CHROMIUM), reason="no hls.js, or no Chromium")]

SIZES = ("80x46", "160x90", "320x180")
LINES = ((0.5, 1.5, "over a border"), (4.25, 5.75, "Segmented WebVTT"), (6.5, 6.9, "last"))
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required --window-size=640,500 "
    "--hide-scrollbars --remote-debugging-port=0"
).split()
PICTURE = {"x": 0, "y": 0, "width": 640, "height": 360, "scale": 1}
_SECONDS = 60


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a log."""

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a folder with the page, hls.js and a ladder in MPEG-TS and one in fragmented MP4, which a service made."""
    folder = tmp_path_factory.mktemp("player")
    files = folder / "files"
    clip = moving_picture(files / "clip.mp4", 8, options=",format=yuv420p")
    stamps = [[f"00:00:{seconds:06.3f}".replace(".", ",") for seconds in line[:2]] for line in LINES]
    text = [f"{a} --> {b}\n{line[2]}\n" for (a, b), line in zip(stamps, LINES, strict=True)]
    (files / "clip.srt").write_text("\n".join(f"{number}\n{block}" for number, block in enumerate(text, 1)))
    with servers.serve(folder) as server, servers.client(server) as client:
        *_, task = client.watch(client.submit(request(files, clip)).task_id)
        assert task.status == task_pb2.TASK_STATUS_SUCCEEDED, task.message
    for path in (Path(__file__).with_name("page.html"), Path(FOLDER) / "node_modules/hls.js/dist/hls.min.js"):
        shutil.copy(path, files)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(files))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


def request(files: Path, clip: Path) -> dict[str, Any]:
    """Two ladders of three rungs."""

    def rung(container: str, size: str) -> dict[str, Any]:
        base = f"{files.as_uri()}/{container}"
        results = {
            "URI": f"{base}/{size}",
            "Container": container,
            "Segment": {"Format": "hls", "Duration": 1},
            "Video": {"TranscodeVideo": {"Codec": "h264", "Resolution": size, "PixelFormat": "yuv420p"}},
            "Audio": {"TranscodeAudio": {"Codec": "aac"}},
        }
        extract = {"ExtractSubtitle": {"Format": "vtt", "URI": f"{base}/lines"}}
        return results | ({"Subtitle": extract} if size == SIZES[0] else {})

    source = {"URI": clip.as_uri(), "Subtitles": [{"URI": (files / "clip.srt").as_uri(), "Language": "eng"}]}
    groups = [
        {"URI": f"{files.as_uri()}/{container}/main.m3u8", "Targets": [rung(container, size) for size in SIZES]}
        for container in ("ts", "mp4")
    ]
    return {"ProjectName": "default", "Sources": [source], "TargetGroups": groups}


class Page:
    """A page of the browser, by the protocol of its tools."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number = socket, 0

    async def call(self, method: str, **parameters: Any) -> Any:
        """What the browser answers."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            answer = await self._socket.receive_json(timeout=_SECONDS)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    async def run(self, script: str) -> Any:
        """The value of a script's promise."""
        done = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")


@contextlib.asynccontextmanager
async def browser(folder: Path, address: str) -> AsyncIterator[Page]:
    """Chromium without a window, and with nothing of anybody's, showing `address`."""
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", address]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        port = await asyncio.to_thread(servers.wait_for, lambda: _port(folder), "Chromium's start")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                (page, *_) = (entry for entry in await answer.json() if entry["type"] == "page")
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        process.terminate()
        process.wait(_SECONDS)


def _port(folder: Path) -> str:
    path = folder / "DevToolsActivePort"
    return path.read_text().partition("\n")[0] if path.exists() else ""


@pytest.mark.parametrize("container", ["ts", "mp4"])
async def test_a_ladder_plays_with_subtitles_in_every_rendition(site: str, tmp_path: Path, container: str) -> None:
    """To the end, from the smallest to the largest, each line at its time."""
    async with browser(tmp_path, f"{site}/page.html") as page:
        while not await page.run("document.readyState === 'complete' && 'begin' in window"):
            await asyncio.sleep(0.05)
        offered = await page.run(f"begin('{container}/main.m3u8')")
        heights = [int(size.partition("x")[2]) for size in SIZES]
        assert offered == {"levels": heights, "tracks": ["eng"]}
        assert await page.run("rise(5)") == ["Segmented WebVTT"]
        picture = await page.call("Page.captureScreenshot", clip=PICTURE)
        if SCREENSHOT:
            Path(re.sub(r"(\.\w+)$", rf"-{container}\1", SCREENSHOT)).write_bytes(base64.b64decode(picture["data"]))
        report = await page.run("end()")
    assert report["switched"][0] == 0 and report["switched"][-1] == len(SIZES) - 1, report
    assert report["sizes"][0] == heights[0] and report["sizes"][-1] == heights[-1], report
    assert not [error for error in report["errors"] if "fatal" in error or "pars" in error.lower()], report
    assert report["time"] == pytest.approx(8 + report["zero"], abs=0.05)
    cues = {tuple(cue) for cue in report["cues"]}
    assert sorted(cues) == [(pytest.approx(a, abs=0.002), pytest.approx(b, abs=0.002), text) for a, b, text in LINES]
