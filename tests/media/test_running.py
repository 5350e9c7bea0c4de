"""A conversion while it runs: progress, cancellation, and threads."""

import gc
import hashlib
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from av import VideoFrame

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.conversion.feed import Feed
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input import bundle, reader
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.libav.encoder import EncoderDown
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.output.base import Stopped
from reelmill_server.media.track import frame_encoder
from reelmill_server.model.capability import Limits
from reelmill_server.model.overlay_request import PlaceSpec, TextSpec, WatermarkSpec
from reelmill_server.model.request import AudioSpec, ConvertRequest, ExtractSpec, SourceSpec, TargetSpec
from reelmill_server.model.task import TaskPhase
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from reelmill_server.worker.child.progress import ProgressMeter
from tests import judge
from tests.media.converter import Converter, capabilities, encoded, plan_of, target
from tests.sources import Audio, Clip, Shelf, Subtitle, Video

pytestmark = pytest.mark.media

SOURCE = SourceSpec("file:///in/clip.mp4")
LONG = Clip("mp4", (Video(pattern="noise", size=(160, 120), seconds=4, options=(("crf", "10"),)),))
ENCODED = target("mp4", encoded(b_frames=0), AudioSpec("aac"))


def conversion(shelf: Shelf, clip: Clip, folder: Path, *targets: TargetSpec) -> tuple[Conversion, threading.Event]:
    """A conversion that has not begun, and what stops it."""
    path, stop = shelf.get(clip), threading.Event()
    return Conversion(plan_of(path, targets, SOURCE, Limits()), (str(path),), folder, limits=Limits(), stop=stop), stop


def targets_threads() -> list[threading.Thread]:
    """Threads that write targets."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("target-")]


def test_a_stop_ends_a_conversion_soon_and_whole(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before the work would be done all threads are gone."""
    running, stop = conversion(shelf, LONG, tmp_path, ENCODED, ENCODED)
    ended: list[BaseException] = []
    real = frame_encoder.FrameEncoder.encode

    def encode(self: frame_encoder.FrameEncoder, frame: VideoFrame | None) -> Iterator[AnyPacket]:
        stop.wait(0.1)  # so that it takes ten seconds on any machine
        return real(self, frame)

    monkeypatch.setattr(frame_encoder.FrameEncoder, "encode", encode)

    def run() -> None:
        try:
            running.run()
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not any(output.position > 0 for output in list(running.outputs)):
        assert thread.is_alive()
        time.sleep(0.01)
    stop.set()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert isinstance(ended[0], Stopped)
    assert all(output.position < 4 for output in running.outputs)
    assert targets_threads() == []


def test_a_stop_before_the_start_ends_it_at_once(shelf: Shelf, tmp_path: Path) -> None:
    """Nothing is read."""
    running, stop = conversion(shelf, LONG, tmp_path, ENCODED)
    stop.set()
    with pytest.raises(Stopped):
        running.run()
    assert targets_threads() == []


def test_an_encoder_that_fails_midway_ends_the_conversion_and_not_the_attempt(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All threads end; the stop flag stays clear, so that another encoder can be tried."""
    real = frame_encoder.FrameEncoder.encode

    def fail(self: frame_encoder.FrameEncoder, frame: object) -> object:
        if self._written.packets > 5:
            raise EncoderDown("h264_nvenc", "nvenc", "lost")
        return real(self, frame)  # type: ignore[arg-type]

    monkeypatch.setattr(frame_encoder.FrameEncoder, "encode", fail)
    running, stop = conversion(shelf, LONG, tmp_path, target("mp4", encoded(b_frames=0), None), target("mkv"))
    with pytest.raises(EncoderDown):
        running.run()
    assert not stop.is_set()
    assert targets_threads() == []


def test_an_unforeseen_error_while_reading_ends_all_threads(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect surfaces as an error, never as a hang."""

    def fail(self: Feed, *_: object) -> object:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Feed, "_frames", fail)
    running, stop = conversion(shelf, LONG, tmp_path, target("mp4", encoded(), None))
    with pytest.raises(RuntimeError):
        running.run()
    assert not stop.is_set()
    assert targets_threads() == []


def test_progress_never_falls_and_ends_at_ninety_nine(shelf: Shelf, tmp_path: Path) -> None:
    """Told from the media time that the outputs have reached, per target and over all."""
    asked = (target("mp4", encoded(width=320, height=240), AudioSpec("aac")), target("mkv"))
    running, _ = conversion(shelf, LONG, tmp_path, *asked)
    meter = ProgressMeter(len(asked))
    told = [meter.report(TaskPhase.PROBING), meter.report(TaskPhase.PLANNING)]
    meter.begin(running._plan)
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            told.append(meter.measure(running))
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    produced, _ = running.run()
    over.set()
    watcher.join()
    told += [meter.measure(running), *(meter.verified(range(count + 1)) for count in range(len(produced)))]
    for index in range(2):
        percents = [advanced.progress.targets[index].percent for advanced in told]
        assert percents == sorted(percents)
        assert percents[-1] == 99
    overall = [advanced.progress.percent for advanced in told]
    assert overall == sorted(overall)
    assert len({*overall}) > 3
    last = told[-1].progress.targets[0]
    assert last.media_seconds == pytest.approx(4, abs=0.1)
    assert last.encoders == "libx264, aac"


NOISE = Video(pattern="noise", size=(48, 32), seconds=16, b_frames=0)
QUICK = target("mp4", encoded(b_frames=0), AudioSpec("aac"))


def claiming(shelf: Shelf, factor: float) -> Path:
    """A Matroska file whose header promises `factor` of its length."""
    content = bytearray(shelf.get(Clip("matroska", (NOISE,), (Audio(seconds=16),))).read_bytes())
    place = content.index(b"\x44\x89\x88") + 3  # the element Duration, of 8 bytes
    (length,) = struct.unpack(">d", content[place : place + 8])
    content[place : place + 8] = struct.pack(">d", length * factor)
    return shelf.put(f"claiming-{factor}.mkv", bytes(content))


SOURCES: dict[str, Callable[[Shelf], Path]] = {
    "mkv": lambda shelf: claiming(shelf, 1),
    "mkv claims a tenth": lambda shelf: claiming(shelf, 0.1),
    "mkv claims tenfold": lambda shelf: claiming(shelf, 10),
    "mkv live": lambda shelf: shelf.get(Clip("matroska", (NOISE,), (Audio(seconds=16),), options=(("live", "1"),))),
    "flv": lambda shelf: shelf.get(Clip("flv", (NOISE,), (Audio(seconds=16),))),
    "aac": lambda shelf: shelf.get(Clip("adts", (), (Audio(seconds=16),))),
    "h264": lambda shelf: shelf.get(Clip("h264", (NOISE,), ())),
    "mp4": lambda shelf: shelf.get(Clip("mp4", (NOISE,), (Audio(seconds=16),))),
}


def percents_by_bytes(
    paths: Sequence[Path], asked: TargetSpec, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[float, float]]:
    """(share of the sources' bytes that were read, percent) after every packet."""
    infos = [probe_file(str(path), Limits()) for path in paths]
    request = ConvertRequest("t", "p", (SOURCE,) * len(paths), (asked,))
    plan = make_plan(request, PlanFacts(infos, capabilities()))
    running = Conversion(plan, [str(path) for path in paths], folder, limits=Limits(), stop=threading.Event())
    meter = ProgressMeter(1)
    meter.begin(plan)
    told: list[tuple[float, float]] = []
    read, size = [0], sum(path.stat().st_size for path in paths)
    original, all_together = reader.Reader.note, reader.Reader._note_all

    def tell(size_bytes: int) -> None:
        for output in running.outputs:  # what was read before is to be written: a reader may be seconds ahead in what is small
            output.settle()
        read[0] += size_bytes
        told.append((read[0] / size, meter.measure(running).progress.targets[0].percent))

    def note(self: reader.Reader, packet: AnyPacket) -> None:
        original(self, packet)
        tell(packet.size)

    def note_all(self: reader.Reader, run: bundle.Run) -> None:
        before = read[0]
        all_together(self, run)
        if read[0] == before:
            tell(run.size_bytes)

    monkeypatch.setattr(reader.Reader, "note", note)
    monkeypatch.setattr(reader.Reader, "_note_all", note_all)
    monkeypatch.setattr(bundle, "_MOST_PACKETS", 1)
    with suppress(InvalidMedia):  # what promises more than there is fails in the end
        running.run()
    return told


@pytest.mark.sample(every=5)
@pytest.mark.parametrize(
    ("names", "asked"),
    [
        *(((name,), asked) for name in SOURCES for asked in (QUICK, target("mkv"))),
        (("mkv live", "mkv", "mkv live"), QUICK),
        (("mkv live", "flv", "aac"), QUICK),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, tuple) else value.container,
)
def test_percent_follows_the_bytes_where_no_length_is_promised_or_a_wrong_one(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], asked: TargetSpec
) -> None:
    """Near the share of bytes that were read, at the quarters; never falling, never whole before the end."""
    told = percents_by_bytes([SOURCES[name](shelf) for name in names], asked, tmp_path, monkeypatch)
    percents = [percent for _, percent in told]
    assert percents == sorted(percents)
    assert percents[-1] <= 96
    for share in (0.25, 0.5, 0.75):
        percent = next(percent for read, percent in told if read >= share)
        assert share * 100 - 15 <= percent <= share * 100 + 15, share


@pytest.mark.slow
def test_what_is_left_is_told_where_no_length_is_promised(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest at the speed so far."""

    path = SOURCES["mkv live"](shelf)
    running = Conversion(
        plan_of(path, (QUICK,), SOURCE, Limits()), (str(path),), tmp_path, limits=Limits(), stop=threading.Event()
    )
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    meter = ProgressMeter(1)
    meter.begin(running._plan)
    etas: list[tuple[float, float]] = []
    original = reader.Reader.note

    def note(self: reader.Reader, packet: AnyPacket) -> None:
        original(self, packet)
        told = meter.measure(running).progress.targets[0]
        etas.append((told.media_seconds, told.eta_seconds * told.speed))

    monkeypatch.setattr(reader.Reader, "note", note)
    running.run()
    half = next(entry for entry in etas if entry[0] >= 8)
    assert sum(half) == pytest.approx(16, abs=2)


def test_subtitles_beside_pictures_do_not_hold_progress_back(shelf: Shelf, tmp_path: Path) -> None:
    """A stream whose only line comes early is no reason to say that nothing moves."""
    clip = Clip("matroska", (Video(seconds=2),), (), subtitles=(Subtitle("srt", ((0.1, 0.2, "only"),)),))
    asked = replace(target("mkv", encoded(), None), subtitle="none", extract=ExtractSpec("vtt", "file:///out/s"))
    running, _ = conversion(shelf, clip, tmp_path, asked)
    meter = ProgressMeter(1)
    meter.begin(running._plan)
    running.run()
    (progress,) = meter.measure(running).progress.targets
    assert progress.percent == pytest.approx(96, abs=1) and progress.encoders == "libx264"


def test_an_attempt_that_begins_again_does_not_fall_back(shelf: Shelf, tmp_path: Path) -> None:
    """After a change of encoder percentages wait until they are passed."""
    running, _ = conversion(shelf, LONG, tmp_path, target("mkv"))
    meter = ProgressMeter(1)
    meter.begin(running._plan)
    running.run()
    before = meter.measure(running).progress.percent
    again, _ = conversion(shelf, LONG, tmp_path, target("mkv"))
    meter.begin(again._plan)
    assert meter.measure(again).progress.percent == before > 0


def test_many_conversions_leave_nothing_behind(convert: Converter, shelf: Shelf, tmp_path: Path) -> None:
    """Threads and open files do not grow with the number of conversions."""
    descriptors = Path("/proc/self/fd")
    counts = []
    for number in range(6):
        folder = tmp_path / str(number)
        folder.mkdir()
        running, _ = conversion(shelf, Clip(), folder, target("mp4", encoded(), AudioSpec("aac")))
        produced, _ = running.run()
        assert judge.describe(Path(produced[0].path)).streams
        del running, produced
        counts.append((len(threading.enumerate()), len(list(descriptors.iterdir())) if descriptors.exists() else 0))
    assert counts[-1][0] == counts[1][0]
    assert counts[-1][1] <= counts[1][1] + 1


@pytest.mark.slow
def test_encoders_are_given_the_same_frames_in_each_run(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three renditions, two with a watermark, fed from one decode by threads: no frame is changed under another's hands.

    The packets may differ: x264 decides by the progress of its threads.
    """
    seen: dict[str, Any] = {}
    encode = frame_encoder.FrameEncoder._encode

    def noting(self: Any, frame: Any) -> Iterator[AnyPacket]:
        if frame is not None:
            digest = seen.setdefault(self.stream.container.name, hashlib.sha256())
            digest.update(f"{frame.pts} {frame.duration}".encode() + frame.to_ndarray().tobytes())
        yield from encode(self, frame)

    monkeypatch.setattr(frame_encoder.FrameEncoder, "_encode", noting)
    marks = (WatermarkSpec(PlaceSpec(), TextSpec("over", color="#ffffff")),)
    targets = [
        target("mkv", encoded(watermarks=marks)),
        target("mkv", encoded()),
        target("mp4", encoded(width=80, watermarks=marks)),
    ]
    runs = []
    for number in range(6):
        folder = tmp_path / str(number)
        folder.mkdir()
        seen.clear()
        conversion(shelf, LONG, folder, *targets)[0].run()
        runs.append({Path(name).name: digest.hexdigest() for name, digest in seen.items()})
    assert len(runs[0]) == len(targets)
    assert all(run == runs[0] for run in runs)


def test_frames_go_when_they_are_written(shelf: Shelf, tmp_path: Path) -> None:
    """Not when the collector of cycles comes by: until then each would hold its memory, and decoders take more."""
    gc.collect()
    gc.disable()
    try:
        running, _ = conversion(shelf, LONG, tmp_path, target("mp4", encoded(width=64, height=48), AudioSpec("aac")))
        running.run()
        left = sum(isinstance(item, VideoFrame) for item in gc.get_objects())
    finally:
        gc.enable()
    assert left < 10
