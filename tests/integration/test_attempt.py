"""One attempt with a real child: fallback between encoders, sessions, stalls, publish guards, and what is left afterwards."""

import asyncio
import errno
import hashlib
import os
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from reelmill_server import process_limit
from reelmill_server.errors import (
    AccessDenied,
    ConditionNotMet,
    EncoderCrashed,
    EncoderFailed,
    HardwareUnavailable,
    InternalError,
    InvalidArgument,
    MediaLimitExceeded,
    OutputError,
    OutputInvalid,
    ReelmillError,
    ServiceUnavailable,
    Stalled,
    StorageUnavailable,
    Timeout,
    UnsupportedFormat,
    WorkerBusy,
)
from reelmill_server.model.capability import SOFTWARE, Capability, Limits
from reelmill_server.model.cost import Cost
from reelmill_server.model.engine_view import ClaimState
from reelmill_server.model.needs import Deferred, Needs
from reelmill_server.model.overlay_request import DesensitizationRule, DesensitizationSpec
from reelmill_server.model.package_plan import PackagePlan
from reelmill_server.model.plan import Plan, TargetPlan
from reelmill_server.model.preview import Preview, jpeg_of
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.model.request import (
    AudioSpec,
    ConvertRequest,
    Credentials,
    Hardware,
    SegmentFormat,
    SegmentSpec,
    SourceSpec,
    TargetSpec,
    VideoSpec,
)
from reelmill_server.model.task import Artifact, Progress, TaskPhase
from reelmill_server.storage.file import FileStorage
from reelmill_server.storage.registry import Registry
from reelmill_server.storage.shared_scratch import SharedScratch
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker import messages
from reelmill_server.worker.parent import child_process, stall_watch
from reelmill_server.worker.parent.admission import Admission, Budget
from reelmill_server.worker.parent.attempt import Attempts
from reelmill_server.worker.parent.capabilities import Capabilities
from reelmill_server.worker.parent.child_usage import ChildUsage, usage_of
from reelmill_server.worker.parent.early_upload import uploads_of
from reelmill_server.worker.parent.stall_watch import Bounds
from reelmill_server.worker.parent.workspace import Scratch
from tests.claims import FakeClaim
from tests.clips import moving_picture
from tests.integration.slow_child import enter_slowly
from tests.integration.trials import discover
from tests.waiting import eventually

ORDER = ("nvenc", "vaapi", "qsv", "software")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds."""
    return moving_picture(tmp_path_factory.mktemp("clips") / "clip.mp4", 2)


def bounds(**changes: Any) -> Bounds:
    """Generous bounds, but for `changes`."""
    return Bounds(
        **{
            "limits": Limits(),
            "timeout_seconds": 60.0,
            "stall_seconds": 60.0,
            "max_source_bytes": 0,
            "encoder_order": ORDER,
            **changes,
        }
    )


class Bench:
    """What an attempt needs, over one folder."""

    def __init__(self, folder: Path, clip: Path, **changes: Any) -> None:
        self.folder, self.metrics, self.reported, self.shown = folder, Metrics(), list[Progress](), list[Preview]()
        (folder / "clip.mp4").write_bytes(clip.read_bytes())
        self.scratch = Scratch(folder / "scratch")
        sessions = changes.pop("sessions", {})
        self.capabilities = Capabilities(Limits(), ORDER, sessions, 300)
        self.admission = Admission(Budget(2, 2.0), self.capabilities.has_sessions)
        storage = Registry({"file": FileStorage([folder])})
        self.shared = SharedScratch(Registry({"file": FileStorage([folder / "shared"])}), (folder / "shared").as_uri())
        self.attempts = Attempts(
            "test",
            storage=storage,
            scratch=self.scratch,
            capabilities=self.capabilities,
            admission=self.admission,
            bounds=bounds(**changes),
            metrics=self.metrics,
            shared=self.shared,
        )

    def claim(self, encoder: str, codec: str, device: str) -> None:
        """Pretends that a trial of `encoder` has succeeded."""
        self.capabilities._encoders[encoder] = Capability(encoder, codec, device, True)

    def request(self, *targets: TargetSpec) -> ConvertRequest:
        """A conversion of the clip."""
        return ConvertRequest("task-1", "default", (SourceSpec((self.folder / "clip.mp4").as_uri()),), targets)

    def target(self, name: str, index: int = 0, **video: Any) -> TargetSpec:
        """An H.264 target below the folder."""
        spec = VideoSpec("h264", preset="ultrafast", **video)
        return TargetSpec(index, f"{self.folder.as_uri()}/{name}", "mp4", spec, AudioSpec("aac"), video_asked=True)

    async def convert(self, request: ConvertRequest, standing: ClaimState = ClaimState.OURS, keeps: bool = False) -> Any:
        """Runs the attempt."""
        claim = FakeClaim(lambda: standing)
        needs = Needs(Cost(), keeps=keeps)
        result = await self.attempts.convert(
            request, report=self.reported.append, claim=claim, lane=SOFTWARE, needs=needs, show=self.shown.append
        )
        self.announced = claim.announced
        return result

    def left(self) -> list[str]:
        """What lies in the folder beside the clip."""
        scratch = [
            path for path in (self.folder / "scratch").rglob("*") if path.name != "lock" and path.parent.name != "scratch"
        ]
        files = [path for path in self.folder.iterdir() if path.name not in ("clip.mp4", "scratch", "shared")]
        return sorted(path.name for path in (*scratch, *files))


@pytest.fixture
async def bench(tmp_path: Path, clip: Path) -> AsyncIterator[Bench]:
    """Software encoders that were really tried."""
    child_process.preload()
    result = Bench(tmp_path, clip)
    await discover(result.capabilities)
    yield result


@pytest.mark.slow
async def test_a_hardware_encoder_that_fails_gives_way_and_the_result_says_why(bench: Bench) -> None:
    """NVENC seemed to work but does not open: software does the work, the warning and the reason name it, and it is out."""
    bench.claim("h264_nvenc", "h264", "nvenc")
    artifacts, warnings = await bench.convert(bench.request(bench.target("out.mp4")))
    video = artifacts[0].streams[0]
    assert video.encoder == "libx264" and "; h264_nvenc: does not open" in video.reason
    assert any("h264_nvenc" in warning and "another encoder was used" in warning for warning in warnings)
    known = {capability.name: capability for capability in bench.capabilities.encoders}
    assert not known["h264_nvenc"].available and "does not open" in known["h264_nvenc"].reason
    assert b'reelmill_encoder_fallback_total{from="h264_nvenc",reason="failed",to="libx264"} 1.0' in bench.metrics.render()
    assert bench.left() == ["out.mp4"]


async def test_the_log_has_the_ffmpeg_command_of_the_plan(bench: Bench) -> None:
    """Once, with the names that the request has and none of the worker's own."""
    with capture_logs() as logged:
        await bench.convert(bench.request(bench.target("out.mp4")))
    (event,) = (event for event in logged if event["event"] == "attempt planned")
    assert event["log_level"] == "info"
    assert event["ffmpeg"].startswith("ffmpeg ") and f"-i {bench.folder}/clip.mp4 " in event["ffmpeg"]
    assert event["ffmpeg"].endswith(f"{bench.folder}/out.mp4") and "scratch" not in event["ffmpeg"]


async def test_required_hardware_that_fails_is_a_clear_error(bench: Bench) -> None:
    """No substitute, nothing left."""
    bench.claim("h264_nvenc", "h264", "nvenc")
    with pytest.raises(HardwareUnavailable, match="h264_nvenc"):
        await bench.convert(bench.request(bench.target("out.mp4", hardware=Hardware.REQUIRED)))
    assert bench.left() == []


@pytest.mark.slow
async def test_faces_are_looked_for_in_the_child_and_only_where_detectors_run(bench: Bench) -> None:
    """The worker's trial at its start decides; without detectors the task fails with the line that installs them."""
    spec = DesensitizationSpec(DesensitizationRule(), DesensitizationRule())
    assert [detector.available for detector in bench.capabilities.detectors] == [True]
    artifacts, warnings = await bench.convert(bench.request(bench.target("out.mp4", desensitization=spec)))
    assert artifacts[0].streams[0].encoder == "libx264" and not warnings
    bench.capabilities.detectors = (
        replace(bench.capabilities.detectors[0], available=False, reason="pip install 'onnxruntime'"),
    )
    with pytest.raises(UnsupportedFormat, match=r"desensitization: pip install 'onnxruntime'"):
        await bench.convert(bench.request(bench.target("other.mp4", desensitization=spec)))
    assert bench.left() == ["out.mp4"]


@pytest.mark.slow
async def test_no_free_session_means_the_next_candidate(tmp_path: Path, clip: Path) -> None:
    """The device's sessions are all leased: software runs, and the reason says so. They come back at the end."""
    bench = Bench(tmp_path, clip, sessions={"nvenc": 1})
    await discover(bench.capabilities)
    bench.claim("h264_nvenc", "h264", "nvenc")
    bench.capabilities._in_use["nvenc"] = 1
    artifacts, _ = await bench.convert(bench.request(bench.target("out.mp4")))
    assert "all 1 sessions of nvenc are in use" in artifacts[0].streams[0].reason
    assert bench.capabilities._in_use["nvenc"] == 1
    assert b'reelmill_encoder_fallback_total{from="h264_nvenc",reason="sessions",to="libx264"} 1.0' in bench.metrics.render()
    known = {capability.name: capability for capability in bench.capabilities.encoders}
    assert known["h264_nvenc"].available


async def test_a_child_that_stands_still_is_ended_as_stalled(tmp_path: Path, clip: Path) -> None:
    """Media time must move; the message names the stage."""
    bench = Bench(tmp_path, clip, stall_seconds=0.0)
    await discover(bench.capabilities)
    with pytest.raises(Stalled, match="while"):
        await bench.convert(bench.request(bench.target("out.mp4")))
    assert bench.left() == []


@pytest.mark.slow
async def test_an_attempt_that_takes_too_long_is_ended(tmp_path: Path, clip: Path) -> None:
    """By the clock, with a code that is not tried again."""
    bench = Bench(tmp_path, clip, timeout_seconds=0.0)
    await discover(bench.capabilities)
    with pytest.raises(Timeout):
        await bench.convert(bench.request(bench.target("out.mp4")))
    assert not Timeout.retryable and bench.left() == []


@pytest.mark.slow
async def test_an_attempt_that_was_taken_over_publishes_nothing(bench: Bench) -> None:
    """The publish guard holds even when all is made and verified."""
    with pytest.raises(InternalError):
        await bench.convert(bench.request(bench.target("out.mp4")), standing=ClaimState.TAKEN_OVER)
    assert bench.left() == []


async def test_what_a_killed_attempt_has_placed_can_be_taken_away(bench: Bench) -> None:
    """By another worker, that is told no more than what was announced; and only once: a file of the same name stays."""
    await bench.convert(bench.request(bench.target("out.mp4"), bench.target("other.mp4", 1)))
    assert bench.left() == ["other.mp4", "out.mp4"]
    await bench.attempts.withdraw(Credentials(), bench.announced[:1])
    assert bench.left() == ["other.mp4"]
    (bench.folder / "out.mp4").write_bytes(b"another's")
    await bench.attempts.withdraw(Credentials(), bench.announced)
    assert bench.left() == ["out.mp4"]


async def test_an_output_that_may_not_be_written_fails_before_work(bench: Bench) -> None:
    """A template can lead anywhere: the expanded URI is checked."""
    request = bench.request(replace(bench.target("out.mp4"), uri="file:///{tags.where}/out.mp4"))
    for where, refusal in (("../../../../etc", InvalidArgument), ("etc", AccessDenied)):
        with pytest.raises(refusal):
            await bench.convert(replace(request, tags={"where": where}))
    assert not any(progress.phase is TaskPhase.CONVERTING for progress in bench.reported)


async def test_one_output_that_cannot_be_placed_means_none_is(bench: Bench, tmp_path: Path) -> None:
    """A folder stands where the second file should go: the first is taken back."""
    (tmp_path / "taken.mp4").mkdir()
    (tmp_path / "taken.mp4" / "x").touch()
    request = bench.request(bench.target("first.mp4"), bench.target("taken.mp4", 1))
    with pytest.raises(AccessDenied):
        await bench.convert(request)
    assert bench.left() == ["taken.mp4"]


async def test_progress_never_falls_and_ends_with_publishing(bench: Bench) -> None:
    """The phases come in order, the percentages do not fall."""
    await bench.convert(bench.request(bench.target("out.mp4")))
    percents = [progress.percent for progress in bench.reported]
    assert percents == sorted(percents)
    assert bench.reported[-1].phase is TaskPhase.PUBLISHING and percents[-1] >= 95


@pytest.mark.slow
async def test_two_passes_write_their_statistics_where_the_child_may(bench: Bench) -> None:
    """In the sandbox; progress goes on from the first to the second, and nothing but the output is left."""
    both = [
        replace(bench.target(f"{codec}.mp4", index), video=VideoSpec(codec, bitrate=200_000, passes=2, preset="ultrafast"))
        for index, codec in enumerate(("h264", "h265"))
    ]
    artifacts, _ = await bench.convert(bench.request(*both))
    assert [artifact.streams[0].encoder for artifact in artifacts] == ["libx264", "libx265"]
    percents = [progress.percent for progress in bench.reported]
    assert percents == sorted(percents)
    assert bench.left() == ["h264.mp4", "h265.mp4"]


@pytest.mark.slow
async def test_a_quality_is_searched_in_the_child_with_progress(bench: Bench) -> None:
    """In the sandbox; the search and the encode share one progress, and nothing of the samples is left."""
    aimed = bench.target("out.mp4", quality=QualityTarget(Metric.XPSNR, 36.0))
    (artifact,), _ = await bench.convert(bench.request(aimed))
    quality = artifact.streams[0].quality
    assert quality is not None and quality.final == pytest.approx(36.0, abs=1.0)
    percents = [progress.percent for progress in bench.reported]
    assert percents == sorted(percents)
    assert bench.left() == ["out.mp4"]


async def test_a_condition_that_is_not_met_publishes_nothing(bench: Bench) -> None:
    """Of any target of the task."""
    large = replace(bench.target("large.mp4"), max_size_ratio=0.001)
    with pytest.raises(ConditionNotMet, match="max_size_ratio"):
        await bench.convert(bench.request(large, bench.target("other.mp4", 1)))
    assert bench.left() == []


async def test_frames_of_a_running_encode_are_shown(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made in the sandbox, while it runs."""
    monkeypatch.setattr(child_process, "enter", partial(enter_slowly, 0.2))
    bench = Bench(tmp_path, clip, previews=True)
    await discover(bench.capabilities)
    work = asyncio.create_task(bench.convert(bench.request(bench.target("out.mp4"))))
    await eventually(lambda: bench.shown or work.done(), "a frame", 60)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert all(jpeg_of(preview.jpeg) and 0 <= preview.seconds <= 2 for preview in bench.shown)


async def test_canceling_ends_the_child(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task that awaits is canceled: when it is over, the process is gone and nothing is left."""
    monkeypatch.setattr(child_process, "enter", partial(enter_slowly, 0.2))
    work = asyncio.create_task(bench.convert(bench.request(bench.target("out.mp4"))))
    await eventually(lambda: any(progress.phase is TaskPhase.CONVERTING for progress in bench.reported), "the encode", 60)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert bench.left() == []


async def test_a_child_that_talks_nonsense_is_as_good_as_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one of our messages: the parent ends it and says that it crashed."""
    monkeypatch.setattr(child_process, "enter", _talk_nonsense)
    with pytest.raises(EncoderCrashed):
        async with child_process.start(messages.Assignment("probe", Limits())):
            pass


def _talk_nonsense(pipe: Any, *_: Any) -> None:
    pipe.send_bytes(b"\x80\x04not json")


@pytest.mark.slow
async def test_a_child_in_an_endless_loop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that neither hears nor heeds SIGTERM is killed and reaped."""
    monkeypatch.setattr(child_process, "enter", _ignore_everything)
    async with child_process.start(messages.Assignment("probe", Limits())) as process:
        pid = process.pid
        assert await process.stop() == "killed"
    assert not Path(f"/proc/{pid}").exists()


def _ignore_everything(pipe: Any, *_: Any) -> None:
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pipe.send_bytes(messages.FROM_CHILD.dump_json(messages.Ready()))
    while True:
        pass


def packaged(bench: Bench) -> TargetSpec:
    """An HLS target below the folder."""
    segment = SegmentSpec(SegmentFormat.HLS, 1_000_000)
    return replace(bench.target("film/x"), container="ts", segment=segment)


@pytest.mark.slow
async def test_an_output_in_segments_is_published_whole(bench: Bench) -> None:
    """The list and all that it names, with the checksums that the result tells."""
    (artifact,), _ = await bench.convert(bench.request(packaged(bench)))
    folder = bench.folder / "film"
    assert sorted(path.name for path in folder.iterdir()) == ["x-0.ts", "x-1.ts", "x.m3u8"]
    assert artifact.sha256 == hashlib.sha256((folder / "x.m3u8").read_bytes()).hexdigest()
    segments = (folder / "x-0.ts").read_bytes() + (folder / "x-1.ts").read_bytes()
    assert artifact.segments_sha256 == hashlib.sha256(segments).hexdigest() and artifact.segments_size_bytes == len(segments)
    assert artifact.segment_count == 2
    assert bench.left() == ["film"]


@pytest.mark.parametrize("lie", ["link", "folder", "name", "elsewhere"])
def test_a_child_that_names_what_is_not_its_own_is_not_believed(tmp_path: Path, lie: str) -> None:
    """Links and foreign names would publish other people's files."""
    package = PackagePlan(SegmentFormat.HLS, 1, "file:///out/x-", ".ts")
    plan = Plan((TargetPlan(0, "file:///out/x.m3u8", "ts", "hls", 1, (), package=package),))
    own, secret = tmp_path / "own", tmp_path / "secret"
    secret.mkdir()
    (secret / "0.ts").write_text("secret")
    (secret / "list.m3u8").write_text("secret")
    (own / "0").mkdir(parents=True)
    (own / "0/list.m3u8").write_text("list")
    (own / "0/0.ts").write_text("media")
    result = messages.Result("0/list.m3u8", Artifact("file:///out/x.m3u8", 0, 4, 1.0, "ts"), ("0/0.ts",))
    assert [upload.uri for upload in uploads_of(messages.Finished((result,)), plan, own)] == [
        "file:///out/x-0.ts",
        "file:///out/x.m3u8",
    ]
    if lie == "link":
        (own / "0/0.ts").unlink()
        (own / "0/0.ts").symlink_to(secret / "0.ts")
    elif lie == "folder":
        (own / "0").rename(own / "1")
        (own / "0").symlink_to(secret)
    elif lie == "name":
        result = replace(result, parts=("../secret/0.ts",))
    else:
        result = replace(result, artifact=replace(result.artifact, uri="file:///out/y.m3u8"))
    with pytest.raises(OutputInvalid):
        uploads_of(messages.Finished((result,)), plan, own)


def kept(bench: Bench) -> list[str]:
    """What lies in shared scratch."""
    return sorted(path.name for path in (bench.folder / "shared").rglob("*") if path.is_file())


async def _fail_to_publish(*_: Any) -> None:
    raise OutputError("the storage is away")


async def test_what_was_verified_is_not_made_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt cannot publish; the second publishes what the first made, and encodes nothing."""
    (bench.folder / "shared").mkdir()
    hls = replace(bench.target("film.m3u8", 1), container="ts", segment=SegmentSpec(SegmentFormat.HLS, 1_000_000))
    request = bench.request(bench.target("out.mp4"), hls)
    with monkeypatch.context() as patched:
        patched.setattr(bench.attempts, "_publish", _fail_to_publish)
        with pytest.raises(OutputError):
            await bench.convert(request, keeps=True)
    assert "manifest.json" in kept(bench) and bench.left() == []
    bench.reported.clear()
    artifacts, _ = await bench.convert(request, keeps=True)
    assert TaskPhase.VERIFYING not in {progress.phase for progress in bench.reported}
    for artifact in artifacts:
        assert artifact.sha256 == hashlib.sha256((bench.folder / Path(artifact.uri).name).read_bytes()).hexdigest()
    assert len(list(bench.folder.glob("*.ts"))) == artifacts[1].segment_count == 2
    await bench.attempts.erase("task-1")
    assert kept(bench) == []


@pytest.mark.slow
async def test_a_retry_takes_over_chunks_that_are_kept(bench: Bench) -> None:
    """In its own scratch, with nothing encoded again; what is gone, it encodes."""
    (bench.folder / "shared").mkdir()
    first = replace(bench.request(bench.target("out.mp4")), parallelism=2)
    claim = FakeClaim(lambda: ClaimState.OURS)

    async def chunk(request: ConvertRequest, number: int) -> tuple[list[tuple[str, bytes]], bool]:
        """The files of a chunk, and whether it was encoded."""
        with pytest.raises(Deferred) as deferred:
            await bench.attempts.convert(request, report=bench.reported.append, claim=claim)
        needs = deferred.value.needs
        with capture_logs() as logged:
            files, _ = await bench.attempts.encode_unit(
                request, needs, number, report=bench.reported.append, claim=claim, lane=SOFTWARE
            )
        assert all(f"/{request.task_id}/" in kept.uri for kept in files)
        results = [(kept.file.path, Path(kept.uri.removeprefix("file://")).read_bytes()) for kept in files]
        return results, "kept chunk reused" not in {entry["event"] for entry in logged}

    encoded = await chunk(first, 0)
    assert encoded[1]
    again = replace(first, task_id="task-2", retry_of="task-1")
    assert await chunk(again, 0) == (encoded[0], False)
    assert (await chunk(again, 1))[1], "that one was never kept"
    await bench.attempts.erase("task-1")
    assert (await chunk(replace(again, task_id="task-3"), 0))[1]
    assert bench.left() == []


async def test_what_was_made_is_kept_though_the_engine_is_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """From before it could be published until long after: the next attempt publishes it, and encodes nothing."""

    def away() -> ClaimState:
        raise ServiceUnavailable("the engine is away")

    monkeypatch.setattr("reelmill_server.worker.parent.publish_guard._PATIENCE_SECONDS", 0.0)
    (bench.folder / "shared").mkdir()
    request, needs = bench.request(bench.target("out.mp4")), Needs(Cost(), keeps=True)
    with pytest.raises(ServiceUnavailable):
        await bench.attempts.convert(request, report=bench.reported.append, claim=FakeClaim(away), lane=SOFTWARE, needs=needs)
    assert "manifest.json" in kept(bench) and bench.left() == []
    bench.reported.clear()
    await bench.convert(request, keeps=True)
    assert TaskPhase.VERIFYING not in {progress.phase for progress in bench.reported} and bench.left() == ["out.mp4"]


@pytest.mark.slow
async def test_what_was_made_of_another_plan_or_source_is_made_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that was replaced meanwhile, and settings that another version of the worker would choose."""
    (bench.folder / "shared").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(bench.attempts, "_publish", _fail_to_publish)
        with pytest.raises(OutputError):
            await bench.convert(bench.request(bench.target("out.mp4")), keeps=True)
    for change in ("crf", "source"):
        bench.reported.clear()
        if change == "source":
            os.utime(bench.folder / "clip.mp4", (1, 1))
        crf = 40.0 if change == "crf" else None
        await bench.convert(bench.request(bench.target("out.mp4", crf=crf)), keeps=True)
        assert TaskPhase.VERIFYING in {progress.phase for progress in bench.reported}


async def test_what_was_kept_and_damaged_is_made_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that cannot be read is as good as none."""
    (bench.folder / "shared").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(bench.attempts, "_publish", _fail_to_publish)
        with pytest.raises(OutputError):
            await bench.convert(bench.request(bench.target("out.mp4")), keeps=True)
    (manifest,) = (bench.folder / "shared").rglob("manifest.json")
    manifest.write_text("{")
    bench.reported.clear()
    artifacts, _ = await bench.convert(bench.request(bench.target("out.mp4")), keeps=True)
    assert TaskPhase.VERIFYING in {progress.phase for progress in bench.reported} and artifacts[0].size_bytes


async def test_what_children_took_and_what_was_expected_is_counted(bench: Bench) -> None:
    """CPU time and memory of the child, beside the estimate; an attempt without room counts as handed back."""
    samples = bench.metrics.registry.get_sample_value
    request = bench.request(bench.target("counted.mp4"))
    needs = Needs(Cost(core_seconds=7.5))
    await bench.attempts.convert(request, report=bench.reported.append, claim=FakeClaim(), lane=SOFTWARE, needs=needs)
    part = {"part": "whole"}
    assert samples("reelmill_estimated_core_seconds_total", part) == 7.5
    cpu_seconds = samples("reelmill_child_cpu_seconds_total", {"lane": SOFTWARE, **part})
    assert cpu_seconds is not None and 0.005 < cpu_seconds < 60
    assert (samples("reelmill_child_memory_bytes_sum", part) or 0) > 10 << 20
    assert samples("reelmill_admission_seconds_count", {"lane": SOFTWARE}) == 1
    with pytest.raises(WorkerBusy):
        await bench.attempts.convert(request, report=bench.reported.append, claim=FakeClaim(), lane="nvenc", needs=needs)
    assert samples("reelmill_admission_busy_total", {"lane": "nvenc"}) == 1


@pytest.mark.parametrize(
    ("error", "refused", "expected"),
    [
        (RuntimeError("can't start new thread"), 1, "no more processes and threads: can't start new thread"),
        (EncoderFailed("libx264: does not open"), 1, "no more processes and threads: libx264: does not open"),
        (EncoderFailed("libx264: does not open"), 0, "libx264: does not open"),
        (StorageUnavailable("slow"), 1, "slow"),
    ],
)
async def test_what_fails_as_no_thread_may_start_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception, refused: int, expected: str
) -> None:
    """Libraries say only that something does not open; the kernel counts what it refused to start meanwhile."""
    refusals = iter([5, 5 + refused])

    async def fail(_: object, uri: str) -> Any:
        raise error

    monkeypatch.setattr(Registry, "open", fail)
    monkeypatch.setattr(process_limit, "refused", lambda: next(refusals))
    with pytest.raises(ReelmillError, match=f"^{re.escape(expected)}|may start {re.escape(expected)}$") as caught:
        await bench.convert(bench.request(bench.target("out")))
    assert caught.value.retryable is bool(refused)


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_worker_without_descriptors_is_busy(bench: Bench, monkeypatch: pytest.MonkeyPatch, wrapped: bool) -> None:
    """Whatever the lack led to, the task goes to another worker, and the attempt does not count."""

    async def refuse(_: object, uri: str) -> Any:
        lack = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        if wrapped:
            raise AccessDenied(f"{uri} cannot be read") from lack
        raise lack

    monkeypatch.setattr(Registry, "open", refuse)
    request = bench.request(bench.target("out"))
    with pytest.raises(WorkerBusy, match="descriptors"):
        await bench.convert(request)
    with pytest.raises(WorkerBusy, match="descriptors"):
        await bench.attempts.inspect("probe", request)
    assert bench.left() == []


@pytest.mark.parametrize(
    ("usage", "words"), [(ChildUsage(2 << 30, 1.0), "1024 MiB of memory"), (ChildUsage(1 << 20, 21.0), "20 s of CPU")]
)
async def test_a_look_that_takes_too_much_is_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, usage: ChildUsage, words: str
) -> None:
    """A probe, a plan and the first look alike; what follows the look may take more."""
    request = bench.request(bench.target("out"))
    monkeypatch.setattr(stall_watch, "usage_of", lambda _: usage)
    for action in ("probe", "plan"):
        with pytest.raises(MediaLimitExceeded, match=words):
            await bench.attempts.inspect(action, request)
    with pytest.raises(MediaLimitExceeded, match=words):
        await bench.convert(request)
    assert bench.left() == []


def test_the_usage_of_a_process_is_read() -> None:
    """Of this one; of one that is gone there is none."""
    usage = usage_of(os.getpid())
    assert usage.memory_bytes > 10 << 20 and usage.core_seconds > 0
    assert usage_of(2**22 + 1) == ChildUsage()
