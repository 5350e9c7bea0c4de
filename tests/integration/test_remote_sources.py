"""Reading through the parent: a real child converts what only its parent reaches, and reads no more of it than is needed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest

from reelmill_server.errors import (
    AccessDenied,
    ReelmillError,
    ResourceNotFound,
    ServiceUnavailable,
    Stalled,
    StorageUnavailable,
    Timeout,
)
from reelmill_server.model.capability import Limits
from reelmill_server.model.image_request import FramesSpec, ImageKind, ImageSpec
from reelmill_server.model.request import (
    AudioSpec,
    ConvertRequest,
    SegmentFormat,
    SegmentSpec,
    SourceSpec,
    SubtitleFileSpec,
    TargetSpec,
    VideoSpec,
)
from reelmill_server.model.task import Progress, TaskPhase
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker.parent import child_process, pace
from reelmill_server.worker.parent.admission import Admission, Budget
from reelmill_server.worker.parent.attempt import Attempts
from reelmill_server.worker.parent.capabilities import Capabilities
from reelmill_server.worker.parent.stall_watch import Bounds
from reelmill_server.worker.parent.workspace import Scratch
from tests.claims import FakeClaim
from tests.integration.slow_child import enter_slowly
from tests.integration.trials import discover
from tests.remote import RemoteStorage
from tests.waiting import eventually

ORDER = ("software",)
_RATE = 25
MIDDLE = 10_000_000, 25_000_000  # between the front of the film, with its first pictures, and the index


def long_film(path: Path, seconds: int, bytes_a_second: int) -> Path:
    """Two seconds of pictures again and again, and sound without compression, which makes the file as large as is wished."""
    channels = 8
    rate = bytes_a_second // (2 * channels)
    with av.open(str(path), "w", format="mov") as film:
        video = film.add_stream("libx264", rate=_RATE, options={"preset": "ultrafast", "g": str(2 * _RATE)})
        video.width, video.height, video.pix_fmt = 160, 90, "yuv420p"
        sound = film.add_stream("pcm_s16le", rate=rate, layout="7.1")
        group = [bytes(packet) for picture in _pictures(2 * _RATE) for packet in video.encode(picture)]
        group += [bytes(packet) for packet in video.encode(None)]
        silence = bytes(rate // _RATE * channels * 2)
        for number in range(seconds * _RATE):
            for stream, data in ((video, group[number % len(group)]), (sound, silence)):
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.duration = stream, Fraction(1, _RATE), 1
                packet.pts = packet.dts = number
                packet.is_keyframe = stream is sound or number % len(group) == 0
                film.mux(packet)
    return path


def _pictures(count: int) -> Iterator[av.VideoFrame]:
    for number in range(count):
        picture = av.VideoFrame(160, 90, "yuv420p")
        for plane, value in zip(picture.planes, (number * 4 + 16, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        picture.pts, picture.time_base = number, Fraction(1, _RATE)
        yield picture


class Bench:
    """An attempt's surroundings over a remote storage."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        self.storage = RemoteStorage(folder)
        self.scratch = Scratch(folder / "scratch", changes.pop("quota", 0), changes.pop("cache", 1 << 30))
        self.capabilities = Capabilities(Limits(), ORDER, {}, 300)
        bounds = Bounds(Limits(), 60.0, changes.pop("stall", 60.0), 0, ORDER, fast_core_seconds=1e9)
        self.reported: list[Progress] = []
        admission = Admission(Budget(2, 2.0), self.capabilities.has_sessions)
        self.attempts = Attempts(
            "test",
            storage=self.storage,
            scratch=self.scratch,
            capabilities=self.capabilities,
            admission=admission,
            bounds=bounds,
            metrics=Metrics(),
        )

    def request(self, film: Path, *targets: TargetSpec, **source: Any) -> ConvertRequest:
        """A conversion of a file that lies in the storage."""
        return ConvertRequest("task-1", "default", (SourceSpec(self.storage.uri(film), **source),), targets)

    def target(self, name: str = "out.mp4", index: int = 0, **changes: Any) -> TargetSpec:
        """A quick encode of the picture, and no sound."""
        video = VideoSpec("h264", preset="ultrafast")
        plain = TargetSpec(index, self.storage.uri(self.folder / name), "mp4", video, None, video_asked=True)
        return replace(plain, **changes)

    def snapshot(self, at: float, **changes: Any) -> TargetSpec:
        """One picture."""
        frames = FramesSpec(start_us=round(at * 1_000_000), number=1)
        image = ImageSpec(ImageKind.SNAPSHOT, 0, self.storage.uri(self.folder / "shot"), "jpg", frames)
        return TargetSpec(0, "", "", None, None, images=(image,), **changes)

    async def convert(self, request: ConvertRequest) -> Any:
        """Runs the attempt."""
        return await self.attempts.convert(request, report=self.reported.append, claim=FakeClaim())


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """With encoders that were tried."""
    child_process.preload()
    result = Bench(tmp_path)
    await discover(result.capabilities)
    yield result
    assert result.storage.open_count == 0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """25 MB in 50 s."""
    return long_film(tmp_path_factory.mktemp("films") / "film.mov", 50, 512_000)


async def test_a_snapshot_reads_what_it_needs(bench: Bench, film: Path) -> None:
    """The index, and the group of pictures around: of 25 MB less than two and a half."""
    artifacts, _ = await bench.convert(bench.request(film, bench.snapshot(40)))
    assert len(artifacts) == 1
    assert bench.storage.bytes_read < 2_500_000


async def test_a_snapshot_of_250_mb_reads_less_than_three(bench: Bench, tmp_path: Path) -> None:
    """What is read does not grow with the file."""
    film = long_film(tmp_path / "film.mov", 490, 512_000)
    assert film.stat().st_size > 250_000_000
    await bench.convert(bench.request(film, bench.snapshot(300)))
    assert bench.storage.bytes_read < 3_000_000


async def test_a_cut_reads_in_proportion(bench: Bench, film: Path) -> None:
    """5 s of 50: the way from the key frame before, what was read ahead, and what waits for a slow encoder come on top."""
    await bench.convert(bench.request(film, bench.target(), start_us=30_000_000, duration_us=5_000_000))
    assert bench.storage.bytes_read < 16 * 512_000  # from there to the end are 22 s


@pytest.mark.slow
async def test_several_targets_read_every_byte_once(bench: Bench, film: Path) -> None:
    """Looking at it, two files and a picture elsewhere, and in some tens of requests."""
    targets = [bench.target(), bench.target("b.mp4", 1), replace(bench.snapshot(10), index=2)]
    await bench.convert(bench.request(film, *targets))
    assert bench.storage.bytes_read == film.stat().st_size
    assert len(bench.storage.reads) < 60


async def test_what_is_made_is_what_a_local_file_gives(bench: Bench, film: Path) -> None:
    """Byte by byte, with a cache that holds next to nothing, and a subtitle file from elsewhere."""
    text = bench.folder / "text.srt"
    text.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    results = []
    for storage in (RemoteStorage(bench.folder), RemoteStorage(bench.folder, local=True)):
        scratch = Scratch(bench.folder / f"scratch-{storage.local}", cache_bytes=1 << 20)
        for part in (bench.attempts, bench.attempts._opener):
            part._storage, part._scratch = storage, scratch
        subtitles = (SubtitleFileSpec(storage.uri(text)),)
        target = bench.target(audio=AudioSpec("aac"))
        (artifact,), _ = await bench.convert(bench.request(film, target, duration_us=3_000_000, subtitles=subtitles))
        assert [stream.type for stream in artifact.streams] == ["video", "audio", "subtitle"]
        results.append((bench.folder / "out.mp4").read_bytes())
    assert results[0] == results[1]


async def test_looking_at_a_file_reads_little(bench: Bench, film: Path) -> None:
    """As `GetMediaInfo` and the preview of a plan do."""
    seen = await bench.attempts.inspect("plan", bench.request(film, bench.target()))
    assert seen.plan and seen.infos[0].video[0].width == 160
    assert bench.storage.bytes_read < 2_000_000


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("at", [0, 10_000_000, 25_600_000])
@pytest.mark.parametrize("kind", [AccessDenied, ResourceNotFound, ServiceUnavailable])
async def test_a_storage_that_fails_is_named_with_its_reason(
    bench: Bench, film: Path, at: int, kind: type[ReelmillError]
) -> None:
    """At the front, in the middle and in the index at the end: never as a source that is broken, and nothing is left."""
    uri = bench.storage.uri(film)
    bench.storage.fails_at, bench.storage.failure = at, kind(f"{uri}: the storage says no")
    with pytest.raises(kind, match=f"{uri}: the storage says no"):
        await bench.convert(bench.request(film, bench.target()))
    assert not (bench.folder / "out.mp4").exists()


async def test_a_picture_whose_storage_fails_says_so(bench: Bench, film: Path) -> None:
    """Pictures read by themselves and make do with broken sources, but not with this."""
    bench.storage.failure = ServiceUnavailable("the storage is away")
    bench.storage.fails_at, bench.storage.fails_until = MIDDLE
    with pytest.raises(ServiceUnavailable, match="the storage is away"):
        await bench.convert(bench.request(film, bench.snapshot(40)))


async def test_an_object_that_is_not_there_is_not_found(bench: Bench) -> None:
    """Before any child starts."""
    with pytest.raises(ResourceNotFound, match="nowhere"):
        await bench.convert(bench.request(bench.folder / "nowhere.mp4", bench.target()))


async def test_half_an_answer_is_no_answer(bench: Bench, film: Path) -> None:
    """A backend that gives too little is not believed."""
    bench.storage.shortens = True
    with pytest.raises(ServiceUnavailable, match="bytes came"):
        await bench.convert(bench.request(film, bench.target()))


async def test_an_error_that_nobody_foresaw_keeps_its_words(bench: Bench, film: Path) -> None:
    """A library's text can hold a signed address."""
    bench.storage.fails_at, bench.storage.failure = 0, RuntimeError("https://host/?signature=secret")
    with pytest.raises(ReelmillError) as failed:
        await bench.convert(bench.request(film, bench.target()))
    assert "RuntimeError" in failed.value.message and "secret" not in failed.value.message


async def test_a_cancel_is_heard_while_a_read_waits(bench: Bench, film: Path) -> None:
    """The child ends by itself when asked: it is not held by a storage that says nothing."""
    bench.storage.fails_at, bench.storage.fails_until = MIDDLE
    work = asyncio.create_task(bench.convert(bench.request(film, bench.target())))
    await eventually(lambda: any(progress.phase is TaskPhase.CONVERTING for progress in bench.reported), "the encode", 60)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_a_storage_that_says_nothing_is_a_stall(tmp_path: Path, film: Path) -> None:
    """Nothing moves, neither media nor bytes."""
    child_process.preload()
    bench = Bench(tmp_path, stall=1.0)
    await discover(bench.capabilities)
    bench.storage.fails_at, bench.storage.fails_until = MIDDLE
    with pytest.raises(Stalled):
        await bench.convert(bench.request(film, bench.target()))


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("look", ["probe", "plan", "convert"])
async def test_a_storage_that_gives_drops_is_given_up(
    bench: Bench, film: Path, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the source is looked at; a conversion that runs may wait."""
    monkeypatch.setattr(pace, "PATIENCE_SECONDS", 0.1)
    bench.storage.seconds = 30.0
    request = bench.request(film, bench.target())
    with pytest.raises(StorageUnavailable, match=r"film.* KiB came in .* s of waiting"):
        await (bench.convert(request) if look == "convert" else bench.attempts.inspect(look, request))
    bench.storage.seconds, bench.storage.reads = 0.0, []
    monkeypatch.setattr(pace, "PATIENCE_SECONDS", 20.0)
    await bench.convert(request)


async def test_a_look_has_a_clock(bench: Bench, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening, and probing and planning; the rest of an attempt has another."""
    bench.attempts._bounds = replace(bench.attempts._bounds, look_seconds=0.2)
    bench.attempts._supervisor._bounds = bench.attempts._opener._bounds = bench.attempts._bounds
    bench.storage.seconds = 30.0
    with pytest.raises(Timeout, match="looking at the sources took longer"):
        await bench.attempts.inspect("probe", bench.request(film, bench.target()))

    async def never(uri: str) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(bench.storage, "open", never)
    with pytest.raises(Timeout, match="opening the sources took longer"):
        await bench.attempts.inspect("probe", bench.request(film, bench.target()))


def packaged(bench: Bench, form: SegmentFormat) -> TargetSpec:
    """Segments of a second."""
    return bench.target("film/x", container="ts" if form == SegmentFormat.HLS else "mp4", segment=SegmentSpec(form, 1_000_000))


@pytest.mark.slow
@pytest.mark.parametrize("form", [SegmentFormat.HLS, SegmentFormat.DASH])
async def test_segments_are_sent_while_others_are_made(
    bench: Bench, film: Path, form: SegmentFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is visible before all are verified; each is sent once; lists come last."""
    monkeypatch.setattr(child_process, "enter", partial(enter_slowly, 0.02))
    sent_early: list[int] = []

    def report(progress: Progress) -> None:
        if progress.phase is TaskPhase.CONVERTING:
            sent_early.append(len(bench.storage.staged))
        assert progress.phase is TaskPhase.PUBLISHING or not (bench.folder / "film").exists()

    request = bench.request(film, packaged(bench, form), duration_us=8_000_000)
    (artifact,), _ = await bench.attempts.convert(request, report=report, claim=FakeClaim())
    assert sent_early[-1] > 0 and artifact.segment_count == 8
    names = [staged.uri for staged in bench.storage.staged]
    assert len(names) == len(set(names)) and not any(staged.undone for staged in bench.storage.staged)
    assert {f"remote://{path}" for path in (bench.folder / "film").iterdir()} == set(names)


@pytest.mark.slow
async def test_a_canceled_attempt_takes_back_what_it_sent(bench: Bench, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stays half uploaded."""
    monkeypatch.setattr(child_process, "enter", partial(enter_slowly, 0.04))
    work = asyncio.create_task(bench.convert(bench.request(film, packaged(bench, SegmentFormat.HLS))))
    await eventually(lambda: bench.storage.staged, "an upload", 60)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert all(staged.undone for staged in bench.storage.staged) and not (bench.folder / "film").exists()
