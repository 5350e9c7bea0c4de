"""Makes the pictures of docs/console.md and of the README: the console of a service that has something to do.

python -m docs.make_console

Needs Chromium and playwright.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from reelmill_client import Client
from tests import servers
from tests.clips import moving_picture

_FOLDER = Path(__file__).resolve().parent
_FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync".split()
_SIZE = {"width": 1180, "height": 640}
_TALL = {"width": 1180, "height": 700}
_PHONE = {"width": 390, "height": 760}
_FRAMES = "#strip li:nth-child(4) img"
_WAIT_SECONDS = 300


def main() -> None:
    """Make the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with servers.serve(place, "--worker-slots", "2") as server, servers.client(server) as client:
            ended, running = _submit_all(client, place / "files")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
                _shoot(browser, f"{server.api}/console/tasks/default/{running}", "console-running.png", "light", _TALL, _FRAMES)
                for scheme, suffix in (("light", ""), ("dark", "-dark")):
                    _shoot(browser, f"{server.api}/", f"console{suffix}.png", scheme, _SIZE)
                _shoot(browser, f"{server.api}/console/tasks/default/{ended}", "console-task.png", "light", _SIZE)
                _shoot(browser, f"{server.api}/", "console-phone.png", "light", _PHONE)
                browser.close()


def _submit_all(client: Client, files: Path) -> tuple[str, str]:
    """Submit tasks that end in different ways, and return the ids of one that succeeds and of one that runs."""
    short, long = moving_picture(files / "harbor at dawn.mov", 4), moving_picture(files / "interview 12.mov", 120, "1280x720")
    broken = files / "scan 0042.mov"
    broken.write_bytes(short.read_bytes()[:2000])
    ended = [client.submit(_request(files, short, "h264", {"show": "harbor"})).task_id]
    ended.append(client.submit(_request(files, broken, "h264", {"show": "archive"})).task_id)
    for task_id in ended:
        for _ in client.watch(task_id):
            pass
    later = ((long, "h265", "interviews"), (long, "av1", "interviews"), (short, "h264", "harbor"))
    running = [client.submit(_request(files, source, codec, {"show": show})).task_id for source, codec, show in later]
    _until_converting(client)
    return ended[0], running[0]


def _until_converting(client: Client) -> None:
    for task in client.watch_all():
        if task.progress >= 3:
            return


def _request(files: Path, source: Path, codec: str, tags: Mapping[str, str]) -> dict[str, Any]:
    sizes = ("640x360", "320x180")
    targets = [
        {
            "URI": (files / f"{source.stem} {codec} {size}.{'mkv' if codec == 'av1' else 'mp4'}").as_uri(),
            "Container": "mkv" if codec == "av1" else "mp4",
            # The interviews are to run still when their pictures are taken.
            "Video": {
                "TranscodeVideo": {"Codec": codec, "Resolution": size} | ({"Preset": "veryslow"} if codec == "h265" else {})
            },
            "Audio": {"TranscodeAudio": {"Codec": "aac"}},
        }
        for size in sizes
    ]
    return {"ProjectName": "default", "Sources": [{"URI": source.as_uri()}], "Targets": targets, "Tags": tags}


def _shoot(browser: Browser, address: str, name: str, scheme: Any, size: Any, there: str = "body") -> None:
    context = browser.new_context(color_scheme=scheme, viewport=size)
    page = context.new_page()
    page.set_default_timeout(_WAIT_SECONDS * 1000)
    page.goto(address)
    page.wait_for_selector(there)
    page.wait_for_timeout(1500)  # the stream has told more by then
    page.screenshot(path=_FOLDER / name)
    context.close()
    print(f"{name}: {(_FOLDER / name).stat().st_size >> 10} KiB")


if __name__ == "__main__":
    main()
