"""A browser, and a running service with a console."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reelmill_server.engine.ports import ReservedPort
from tests import servers
from tests.clips import moving_picture

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
AXE = Path(os.environ.get("REELMILL_AXE", "") or "missing") / "node_modules/axe-core/axe.min.js"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --autoplay-policy=no-user-gesture-required"
).split()


class Service:
    """A service that can be killed and started again on the same addresses."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, folder / "files"
        self.files.mkdir(parents=True)
        self._port = ReservedPort()
        self.start()

    def start(self) -> None:
        """Start it."""
        data = self.folder / "data"
        flags = ("--data-dir", str(data), "--file-root", str(self.files), "--worker-slots", "1", "--listen", "127.0.0.1:0")
        self.server = servers.Server("serve", data, *flags, "--http-api", f"127.0.0.1:{self._port.number}")

    def request(self, clip: Path, name: str, **video: object) -> dict[str, Any]:
        """One output of a clip."""
        return {
            "ProjectName": "default",
            "Sources": [{"URI": clip.as_uri()}],
            "Targets": [
                {
                    "URI": (self.files / name).as_uri(),
                    "Container": "mp4",
                    "Video": {"TranscodeVideo": {"Codec": "h264", "Resolution": "320x180"} | video},
                    "Audio": {"TranscodeAudio": {"Codec": "aac"}},
                }
            ],
        }


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A whole service with one slot."""
    running = Service(tmp_path_factory.mktemp("console"))
    yield running
    running.server.stop()


@pytest.fixture(scope="module")
def clip(service: Service) -> Path:
    """Two seconds."""
    return moving_picture(service.files / "clip.mp4", 2)


@pytest.fixture(scope="module")
def long_clip(service: Service) -> Path:
    """A minute, which takes long enough to be looked at."""
    return moving_picture(service.files / "long.mp4", 60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM:
        pytest.skip("no Chromium")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens pages; what a page complains of fails the test."""
    contexts, complaints = [], []

    def opened(address: str, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}} | options)
        contexts.append(context)
        shown = context.new_page()
        shown.set_default_timeout(120_000)  # a bound for machines that are busy
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
        shown.goto(address)
        return shown

    yield opened
    for context in contexts:
        context.close()
    assert not complaints
