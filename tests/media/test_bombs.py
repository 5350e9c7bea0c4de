"""Small files that would cost gigabytes or minutes to look at."""

import asyncio
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from reelmill_server.errors import MediaLimitExceeded, ReelmillError
from reelmill_server.media.input import first_frames, source
from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import AudioSpec, ConvertRequest, SourceSpec
from reelmill_server.model.tags import MOST_CHARACTERS
from reelmill_server.worker import messages
from reelmill_server.worker.child import look
from reelmill_server.worker.parent import child_process
from tests import bombs
from tests.media.converter import Converter, target
from tests.remote import LocalFiles
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media

GIB = 1 << 30
BOMBS: dict[str, Callable[[], bytes]] = {
    "a canvas of a GIF": lambda: bombs.gif(6500, 6500, 10),
    "a canvas of an APNG": lambda: bombs.apng(6500, 6500, 10),
    "a canvas of a WebP": lambda: bombs.webp(16384, 16384),
    "configurations that are compressed": lambda: bombs.matroska(
        90, private=zlib.compress(bytes(9_900_000), 9), compressed=True
    ),
    "edits": lambda: bombs.mp4(bombs.track(100_000, bombs.edits(10_001)), data=100_000),
    "edits times samples": lambda: bombs.mp4(bombs.track(500_000, bombs.edits(9_000, 500_000)), data=500_000),
}
# FFmpeg 9 has a demuxer of animated WebP, which draws nothing to say how large it is.
READABLE = (
    "a canvas of a GIF",
    "a canvas of an APNG",
    *(["a canvas of a WebP"] if av.library_versions["libavformat"][0] > 62 else []),
)


@pytest.fixture(scope="module")
def files() -> Iterator[LocalFiles]:
    """For children that start quickly."""
    child_process.preload()
    files = LocalFiles()
    yield files
    files.forget()


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("name", BOMBS)
async def test_a_look_has_bounds(name: str, files: LocalFiles, tmp_path: Path) -> None:
    """A child that probes takes less than a gigabyte; what would need more is refused, with a code that says so."""
    path = tmp_path / "bomb"
    path.write_bytes(BOMBS[name]())
    request = ConvertRequest("task", "default", (SourceSpec(path.as_uri()),), ())
    task = messages.Assignment("probe", Limits(), request, (files.ref(path),), (0,), subtitles=((),))
    peak, said = 0, None
    async with child_process.start(task, files) as process:
        while said is None:
            said = await process.receive(0.05)
            peak = max(peak, _most_bytes(process.pid))
    assert peak <= GIB
    if name in READABLE:
        assert isinstance(said, messages.Probed)
    else:
        assert isinstance(said, messages.Failed) and said.code == "MediaLimitExceeded", said


def _most_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [(messages.LookBounds(core_seconds=0), "0 s of CPU"), (messages.LookBounds(memory_bytes=1 << 20), "1 MiB of memory")],
    ids=["CPU", "memory"],
)
async def test_both_bounds_end_a_look(bounds: messages.LookBounds, words: str) -> None:
    """On a thread of their own, whatever libav does meanwhile."""
    failed: asyncio.Future[ReelmillError] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def fail(error: ReelmillError) -> None:
        if not failed.done():
            loop.call_soon_threadsafe(lambda: failed.done() or failed.set_result(error))

    attempt: Any = SimpleNamespace(assignment=SimpleNamespace(look=bounds), fail=fail)
    with look.bounded_look(attempt):
        error = await asyncio.wait_for(failed, 10)
    assert isinstance(error, MediaLimitExceeded) and words in error.message


def test_what_was_used_before_a_look_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look within the process of the tests ended that, once they had taken 20 s of CPU together."""
    monkeypatch.setattr(look, "usage", lambda: messages.Usage(1e6, 1 << 40))
    failed: list[ReelmillError] = []
    attempt: Any = SimpleNamespace(assignment=SimpleNamespace(look=messages.LookBounds()), fail=failed.append)
    with look.bounded_look(attempt):
        time.sleep(0.1)
    assert not failed


def test_more_streams_than_the_limit_are_called_that(tmp_path: Path) -> None:
    """libav calls it a lack of memory."""
    path = tmp_path / "streams.mp4"
    path.write_bytes(bombs.mp4(*[bombs.track(edits=bytes(4))] * 200))
    with pytest.raises(MediaLimitExceeded, match="more than 100 streams"):
        probe_file(str(path), Limits())


def test_a_long_edit_list_is_named(tmp_path: Path) -> None:
    """One of 10,000 entries is read."""
    path = tmp_path / "edits.mp4"
    path.write_bytes(bombs.mp4(bombs.track(1, bombs.edits(10_000))))
    assert probe_file(str(path), Limits()).video
    path.write_bytes(bombs.mp4(bombs.track(1, bombs.edits(10_001))))
    with pytest.raises(MediaLimitExceeded, match=r"edit list has 10001 entries, more than 10000"):
        probe_file(str(path), Limits())


@pytest.mark.parametrize("form", ["srt", "webvtt", "ass"])
def test_subtitles_as_a_source_are_short(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """libav reads such files whole when it opens them."""
    heads = {"srt": b"", "webvtt": b"WEBVTT\n\n", "ass": b"[Script Info]\nScriptType: v4.00+\n\n[Events]\n"}
    cue = b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n"
    cues = {"srt": cue, "webvtt": cue.replace(b",", b"."), "ass": b"Dialogue: 0,0:00:01.00,0:00:02.00,D,,0,0,0,,Hello\n"}
    path = tmp_path / "subtitles"
    path.write_bytes(heads[form] + cues[form] * 100)
    assert probe_file(str(path), Limits()).subtitles
    monkeypatch.setattr(source, "MOST_TEXT_BYTES", 1000)
    with pytest.raises(MediaLimitExceeded, match=rf"subtitles of {path.stat().st_size} bytes are more than 1000"):
        probe_file(str(path), Limits())


def test_long_tags_are_left_out_with_a_warning(convert: Converter) -> None:
    """Those that fit are taken over."""
    path = convert.shelf.get(Clip("mp3", (), (Audio("libmp3lame"),), metadata=(("title", "Kept"), ("comment", "x" * 70_000))))
    info = probe_file(str(path), Limits())
    assert info.metadata["title"] == "Kept" and info.tags_left_out == 1
    assert sum(map(len, (*info.metadata, *info.metadata.values()))) <= MOST_CHARACTERS
    converted = convert(path, target("mp4", None, AudioSpec("aac")))
    assert any("1 tags of sources[0] are left out" in text for text in converted.warnings)
    tags = probe_file(str(converted.path), Limits()).metadata
    assert tags["title"] == "Kept" and "comment" not in tags


def test_frames_are_looked_at_within_a_budget(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of pixels, of all streams together, and at least one frame."""
    video = Video("libx265", seconds=1)  # where headers do not tell all
    path = shelf.get(Clip("matroska", (video, video), ()))
    seen: list[object] = []
    add = first_frames.FirstFrames.add
    monkeypatch.setattr(first_frames.FirstFrames, "add", lambda self, frame: (seen.append(frame.pts), add(self, frame)))
    probe_file(str(path), Limits())
    assert len(seen) >= 16
    seen.clear()
    monkeypatch.setattr(first_frames, "_MOST_PIXELS", 1)
    assert probe_file(str(path), Limits()).video[0].field_order == "progressive"
    assert 1 <= len(seen) <= 2
