"""The console as people use it, in Chromium. `make test-console` runs this.

REELMILL_AXE names the folder in which npm installed axe-core.
"""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.console.conftest import AXE, Service

pytestmark = [pytest.mark.console, pytest.mark.xdist_group("console")]
Open = Callable[..., Any]

# Every value that a bar has had, in order.
RECORD = """
window.seen = [];
const look = () => { const bar = document.querySelector("[data-target] progress"); if (bar) window.seen.push(bar.value); };
new MutationObserver(look).observe(document.getElementById("state"), {childList: true, subtree: true, attributes: true});
"""

SLOW = {"Preset": "veryslow", "Resolution": "1920x1080"}


def submitted(service: Service, request: dict[str, Any]) -> str:
    """The address of a new task's page."""
    with servers.client(service.server) as client:
        return f"{service.server.api}/console/tasks/default/{client.submit(request).task_id}"


def until(shown: Any, script: str) -> None:
    """Return when a script is true. Playwright's own wait needs what the policy of the pages forbids."""
    while not shown.evaluate(script):
        shown.wait_for_timeout(50)


@pytest.mark.slow
def test_bars_rise_and_never_fall(service: Service, long_clip: Path, page: Open) -> None:
    """In one page that is never loaded again. The encode takes minutes: it runs whenever the browser comes to look, and is
    canceled once the bar has risen twice.
    """
    shown = page(submitted(service, service.request(long_clip, "risen.mp4", **SLOW)))
    shown.evaluate(RECORD)
    until(shown, "new Set(window.seen).size > 2")
    seen = shown.evaluate("window.seen")
    shown.click("#cancel")
    assert seen == sorted(seen)
    shown.wait_for_selector("#state .chip.canceled")


def test_cancel_and_retry(service: Service, long_clip: Path, page: Open) -> None:
    """Cancel ends a running task, as its page shows by itself; retry leads to a new task, which names the old one."""
    at = submitted(service, service.request(long_clip, "canceled.mp4", **SLOW))
    shown = page(at)
    shown.wait_for_selector("#state .chip.converting")
    shown.click("#cancel")
    shown.wait_for_selector("#state .chip.canceled")
    shown.click("#retry")
    shown.wait_for_url(lambda url: url != at)
    assert at.rpartition("/")[2] in shown.inner_text("#state")
    shown.click("#cancel")
    shown.wait_for_selector("#state .chip.canceled")


def test_a_press_outlasts_a_change(service: Service, clip: Path, page: Open) -> None:
    """A link in a row that is replaced between the press and the release of the mouse is followed."""
    at = submitted(service, service.request(clip, "pressed.mp4") | {"Tags": {"film": "pressed"}})
    shown = page(f"{service.server.api}/?tag=film%3Dpressed")
    shown.hover("#rows a")
    shown.mouse.down()
    shown.evaluate("document.getElementById('rows').innerHTML += ''")
    shown.mouse.up()
    shown.wait_for_url(at)


@pytest.mark.slow
def test_lists_are_live(service: Service, clip: Path, page: Open) -> None:
    """A new task appears, and ends, in a list that is open; its place stays in the list's order, and filters hold."""
    shown = page(f"{service.server.api}/?tag=film%3Dlive")
    assert shown.inner_text("#rows") == "No tasks."
    at = submitted(service, service.request(clip, "live.mp4") | {"Tags": {"film": "live"}})
    shown.wait_for_selector("#rows .chip.succeeded")
    assert shown.get_attribute("#rows a", "href") in at


def test_requests_are_tried(service: Service, clip: Path, page: Open) -> None:
    """A violation at its field, then the plan, then the task."""
    shown = page(f"{service.server.api}/console/try")
    shown.fill("#body", "ProjectName: default\nSources: [{URI: 'file:///etc/x'}]\n")
    shown.click("text=Plan")
    shown.wait_for_selector("#outcome .violations")
    shown.fill("#body", json.dumps(service.request(clip, "tried.mp4")))
    shown.click("text=Plan")
    shown.wait_for_selector("#outcome table")
    assert "libx264" in shown.inner_text("#outcome")
    shown.click("text=Submit")
    shown.wait_for_selector("#state .chip.succeeded")
    assert "SHA-256" in shown.inner_text("#state")
    shown.click("#play-0")
    until(shown, "document.querySelector('video').readyState >= 2")


def test_pages_connect_again(service: Service, clip: Path, page: Open) -> None:
    """After the api was killed and started, without a reload."""
    shown = page(f"{service.server.api}/?tag=film%3Dagain")
    shown.wait_for_selector("#connection:text-is('live')")
    service.server.kill()
    shown.wait_for_selector("#connection:text-is('reconnecting…')")
    service.start()
    submitted(service, service.request(clip, "again.mp4") | {"Tags": {"film": "again"}})
    shown.wait_for_selector("#rows .chip.succeeded", timeout=120_000)


def test_ten_thousand_tasks(service: Service, clip: Path, page: Open) -> None:
    """A page of a large project shows fifty, the newest first, and leads to the rest."""
    with servers.client(service.server) as client:
        *_, task = client.watch(client.submit(service.request(clip, "many.mp4")).task_id)
    copied(service, task.task_id, 10_000)
    shown = page(f"{service.server.api}/")
    assert shown.locator("#rows tr").count() == 50
    first = shown.get_attribute("#rows tr", "data-task")
    shown.click("text=Older")
    assert shown.locator("#rows tr").count() == 50 and shown.get_attribute("#rows tr", "data-task") != first


def copied(service: Service, task_id: str, count: int) -> None:
    """Make copies of a task's record."""
    with sqlite3.connect(service.folder / "data/reelmill.db", timeout=60) as database:
        columns = [name for _, name, *_ in database.execute("PRAGMA table_info(tasks)")]
        unique = {
            "task_id": "'MediaConvert-' || n",
            "request_key": "'copy-' || n",
            "request_id": "'copy-' || n",
            "event_id": "'copy-' || n",
        }
        chosen = ", ".join(unique.get(name, name) for name in columns)
        database.execute(
            f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
            f" INSERT INTO tasks ({', '.join(columns)}) SELECT {chosen} FROM tasks, numbers WHERE task_id = ?",
            (task_id,),
        )
    database.close()


@pytest.fixture(scope="module")
def sprited(service: Service, clip: Path) -> str:
    """The address of a task that made a video and a sheet of four pictures of it."""
    request = service.request(clip, "sprited.mp4")
    sheet = (service.files / "sheet").as_uri()
    size = {"ScaleWidth": 160, "ScaleHeight": 90, "TileWidth": 2, "TileHeight": 2}
    request["Targets"][0]["Image"] = {"Sprites": [{"URI": sheet, "WebVTTURI": sheet, "Format": "jpg", "Interval": 0.5, **size}]}
    with servers.client(service.server) as client:
        task = client.wait(client.submit(request).task_id)
    return f"{service.server.api}/console/tasks/default/{task.task_id}"


# The pixels of the picture above the line of time; none while it is not drawn.
DRAWN = """(() => {
  const canvas = document.querySelector(".hover:not([hidden]) canvas:not([hidden])");
  return canvas ? Array.from(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).join() : "";
})()"""


def test_sprites_are_shown_above_the_line_of_time(sprited: str, page: Open) -> None:
    """The picture of the time that is pointed at; a click and keys lead there."""
    shown = page(f"{sprited}/play/0")
    shown.wait_for_selector("#scrub")
    until(shown, "document.querySelector('video').duration > 1")
    box = shown.locator("#scrub").bounding_box()
    for part, label in ((0.3, "0:00"), (0.9, "0:01")):
        shown.evaluate(f"window.before = {DRAWN}")
        shown.mouse.move(box["x"] + box["width"] * part, box["y"] + 5)
        until(shown, f"!['', window.before].includes({DRAWN})")
        assert shown.inner_text(".hover") == label
    shown.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + 5)
    until(shown, "document.querySelector('video').currentTime > 1.5")
    shown.keyboard.press("Home")
    until(shown, "document.querySelector('video').currentTime === 0")
    until(shown, "document.getElementById('scrub').ariaValueText === '0:00 of 0:02'")  # with the next event
    shown.mouse.move(0, 0)
    shown.wait_for_selector(".hover", state="hidden")


def test_files_are_shown_in_tabs_of_their_own(sprited: str, page: Open) -> None:
    """By the link of their page: a video plays, an image is there."""
    for number, there in ((0, "video').currentTime > 0.5"), (1, "img').naturalWidth > 160")):
        link = page(f"{sprited}/play/{number}").evaluate("document.getElementById('alone').href")
        shown = page(link)
        until(shown, f"document.querySelector('{there}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_pages_are_for_everybody(service: Service, clip: Path, page: Open, width: int, scheme: str) -> None:
    """Nothing is wider than the screen, the keyboard reaches the content first, and axe finds nothing serious."""
    at = submitted(service, service.request(clip, f"{scheme}{width}.mp4"))
    shown = page(at, color_scheme=scheme, viewport={"width": width, "height": 800})
    shown.wait_for_selector("#state .chip.succeeded")
    for path in ("/", at.removeprefix(service.server.api), "/console/try", "/console/workers", "/console/login"):
        shown.goto(service.server.api + path)
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        paper = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(20, 23, 26)") == (scheme == "dark")
        if path != "/console/login":
            shown.keyboard.press("Tab")
            assert shown.evaluate("document.activeElement.className") == "skip"
        if AXE.exists():
            result = shown.evaluate(f"(() => {{ {AXE.read_text()} }})(), axe.run().then((found) => found.violations)")
            assert not [item["id"] for item in result if item["impact"] in ("serious", "critical")], path
