"""What is shown while tasks run, and how numbers are written."""

import io
import re
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table

from reelmill.v1.task_pb2 import (
    STREAM_TYPE_AUDIO,
    TASK_PHASE_CONVERTING,
    TASK_PHASE_QUEUED,
    TASK_STATUS_RUNNING,
    TASK_STATUS_SUCCEEDED,
    Artifact,
    ArtifactKind,
    ArtifactStream,
    FailedAttempt,
    StreamAdjustment,
    TargetProgress,
    Task,
    TaskStatus,
)
from reelmill_client import formatting
from reelmill_client.cli.session import _console
from reelmill_client.labels import TaskLabel, file_name
from reelmill_client.progress import BarReporter, JsonReporter, LineReporter, choose_reporter


def console(*, terminal: bool) -> Console:
    """A console that writes to memory."""
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, markup=False, highlight=False, color_system=None)


def printed(on: Console) -> str:
    """Everything that was written to a console."""
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def converting(progress: int, *percents: float, task_id: str = "MediaConvert-12345678") -> Task:
    """A task at work on some targets."""
    targets = [
        TargetProgress(target_index=index, percent=percent, speed=2, frames_per_second=60, eta=5)
        for index, percent in enumerate(percents)
    ]
    return Task(
        task_id=task_id, status=TASK_STATUS_RUNNING, phase=TASK_PHASE_CONVERTING, progress=progress, targets=targets, attempt=1
    )


DONE = Task(task_id="MediaConvert-12345678", status=TASK_STATUS_SUCCEEDED, progress=100)


def test_plain_lines_are_few() -> None:
    """A line for a new phase and for every 5 percent, not for every change."""
    on = console(terminal=False)
    with LineReporter(on, named=False) as reporter:
        reporter.show(Task(status=TASK_STATUS_RUNNING, phase=TASK_PHASE_QUEUED))
        for progress in range(13):
            reporter.show(converting(progress, progress))
        reporter.show(DONE)
    lines = [line.split()[:2] for line in printed(on).splitlines()]
    assert lines == [
        ["queued", "0%"],
        ["converting", "0%"],
        ["converting", "5%"],
        ["converting", "10%"],
        ["succeeded", "100%"],
    ]


def test_a_slow_task_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """After 10 seconds without a line, any change makes one; the slowest target sets the pace."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    on = console(terminal=False)
    reporter = LineReporter(on, named=True)
    for moment, progress in ((0, 1), (9, 2), (10, 3)):
        clock[0] = moment
        reporter.show(converting(progress, 50, 10))
    assert [line.split(": ")[1].split()[1] for line in printed(on).splitlines()] == ["1%", "3%"]
    assert printed(on).startswith("MediaConvert-12345678: converting 1% 2.00x 60 fps eta 0:00:05\n")


def screen(reporter_console: Console) -> list[str]:
    """The lines that were drawn, without colors and bars, one space between words."""
    text = re.sub(r"\x1b\[[0-9?]*[A-Za-z]|[━╸╺]", "", printed(reporter_console))
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def label_of(task_id: str) -> TaskLabel:
    """Names as the request of a task with two targets gives them."""
    return TaskLabel("film.mov", ("film-720p", "film-audio")) if task_id.startswith("Media") else TaskLabel(task_id)


def test_bars_show_the_task_and_each_target() -> None:
    """One bar for all, with the longest time left, and one for each target by its name; all full at the end."""
    on = console(terminal=True)
    task = converting(20, 30, 10)
    task.targets[0].eta = 65
    with BarReporter(on, label_of=label_of, keep=True) as reporter:
        reporter.show(task)
        reporter.pause()
        moving = screen(on)
        reporter.resume()
        reporter.show(DONE)
        reporter.show(Task(task_id="x", status=TASK_STATUS_RUNNING, phase=TASK_PHASE_QUEUED))
    assert moving[-3:] == [
        "film.mov converting 20% 2.00x 60 fps eta 0:01:05",
        "film-720p 30% 2.00x 60 fps",
        "film-audio 10% 2.00x 60 fps",
    ]
    assert screen(on)[-4:] == ["film.mov succeeded 100%", "film-720p 100%", "film-audio 100%", "x queued 0%"]


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_bars_fit_the_terminal(columns: int) -> None:
    """No row wraps, however long the names: those are cut, percent and time left are not."""
    on = Console(file=io.StringIO(), force_terminal=True, width=columns, color_system=None)
    long = "a name that is far longer than the terminal is wide, as names of episodes are.mov"
    with BarReporter(on, label_of=lambda _: TaskLabel(long, (long, long)), keep=True) as reporter:
        reporter.show(converting(20, 30, 10))
    rows = [re.sub(r"\x1b\[[0-9?]*[A-Za-z]", "", line) for line in printed(on).splitlines()]
    assert max(map(len, rows)) <= columns
    assert "20% 2.00x 60 fps eta 0:00:05" in rows[-4] or "20% 2.00x 60 fps eta 0:00:05" in "".join(rows)
    assert "…" in "".join(rows)


def test_bars_can_give_way_to_a_line() -> None:
    """When all tasks of a project are watched, the ended ones do not pile up."""
    on = console(terminal=True)
    with BarReporter(on, label_of=label_of, keep=False) as reporter:
        reporter.show(converting(20, 30))
        reporter.show(DONE)
        reporter.pause()
        reporter.resume()
        on.file.seek(0)
        on.file.truncate()
    assert "MediaConvert-12345678: succeeded" not in printed(on)
    assert "target 0" not in printed(on)


@pytest.mark.parametrize("terminal", [False, True])
def test_failed_attempts_are_told_once(terminal: bool) -> None:
    """Each in a line of its own."""
    on = console(terminal=terminal)
    task = converting(20, 30)
    task.failed_attempts.append(FailedAttempt(attempt=1, code="Stalled", message="[stuck]"))
    with choose_reporter(on, as_json=False, named=False, label_of=label_of) as reporter:
        reporter.show(task)
        reporter.show(task)
    assert printed(on).count("attempt 1 failed: Stalled: [stuck]") == 1


def test_the_reporter_fits_the_output() -> None:
    """Bars need a terminal; JSON comes before all."""
    assert isinstance(choose_reporter(console(terminal=True), as_json=True, named=False, label_of=label_of), JsonReporter)
    assert isinstance(choose_reporter(console(terminal=True), as_json=False, named=False, label_of=label_of), BarReporter)
    assert isinstance(choose_reporter(console(terminal=False), as_json=False, named=False, label_of=label_of), LineReporter)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_550_000, "1.6 MB"), (2 * 10**12, "2.0 TB")]
)
def test_sizes(size: int, text: str) -> None:
    """Decimal units."""
    assert formatting.size_text(size) == text


@pytest.mark.parametrize(
    ("kind", "count", "size", "text"),
    [
        (ArtifactKind.ARTIFACT_KIND_PLAYLIST, 3, 1_550_000, "3 segments of 1.6 MB"),
        (ArtifactKind.ARTIFACT_KIND_PLAYLIST, 1, 999, "1 segment of 999 B"),
        (ArtifactKind.ARTIFACT_KIND_SPRITE_WEB_VTT, 1, 0, "1 image"),
        (ArtifactKind.ARTIFACT_KIND_IMAGE_PLAYLIST, 1200, 0, "1,200 images"),
        (ArtifactKind.ARTIFACT_KIND_MEDIA, 0, 0, ""),
    ],
)
def test_what_lists_name(kind: Any, count: int, size: int, text: str) -> None:
    """Segments or images, one or many."""
    assert formatting.listed_text(Artifact(kind=kind, segment_count=count, segments_size=size)) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "-"), (0.04, "0:00:00.0"), (59.96, "0:01:00.0"), (65.25, "0:01:05.2"), (36000, "10:00:00.0")]
)
def test_durations(seconds: float, text: str) -> None:
    """Rounded before they are split, so that no part reaches 60."""
    assert formatting.duration_text(seconds) == text


def test_other_texts() -> None:
    """Unknown is a dash; a newer server's words do not break anything."""
    assert formatting.eta_text(0) == "-:--:--"
    assert formatting.eta_text(3661.4) == "1:01:01"
    assert formatting.time_text(Timestamp()) == "-"
    assert formatting.time_text(Timestamp(seconds=1769860800)) == "2026-01-31 12:00:00Z"
    assert formatting.status_word(Task(status=TaskStatus.TASK_STATUS_UNSPECIFIED)) == "-"
    assert formatting.phase_word(Task(phase=TASK_PHASE_QUEUED, cancel_requested=True)) == "canceling"
    audio = ArtifactStream(type=STREAM_TYPE_AUDIO, codec="aac", encoder="aac", sample_rate=48000, channels=2)
    assert formatting.stream_text(audio) == "aac 48000 Hz 2 ch, aac"
    audio.loudness.after.integrated, audio.loudness.after.true_peak = -16.04, -1.2
    assert formatting.stream_text(audio) == "aac 48000 Hz 2 ch, aac, -16.0 LUFS, peaks -1.2 dBTP"
    video = ArtifactStream(codec="h264", width=320, height=180, vmaf=93.06)
    assert formatting.stream_text(video) == "h264 320x180, VMAF 93.1"
    video.quality.metric, video.quality.final, video.quality.crf = "xpsnr", 38.02, 24.5
    assert formatting.stream_text(video) == "h264 320x180, XPSNR 38.0 at CRF 24.5"
    added = StreamAdjustment(reason="repeated", count=3, unit="frames", added=True)
    assert formatting.adjustment_text(added) == "added 3 frames: repeated"


@pytest.mark.parametrize(
    "reporter",
    [LineReporter(console(terminal=False), named=True), BarReporter(console(terminal=True), label_of=label_of, keep=False)],
)
def test_nothing_of_an_ended_task_is_kept(reporter: LineReporter | BarReporter) -> None:
    """A watch of a project may last for months."""
    for number in range(100):
        for status in (TASK_STATUS_RUNNING, TASK_STATUS_SUCCEEDED):
            reporter.show(Task(task_id=str(number), status=status, failed_attempts=[FailedAttempt(attempt=1, code="Stalled")]))
    kept = [value for value in (*vars(reporter).values(), *vars(reporter._attempts).values()) if isinstance(value, dict)]
    assert kept and not any(kept)


def test_texts_of_others_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A title, the name of a file or a message could move the cursor, set the window's title, or show another name."""
    evil = "\x1b]0;owned\x07 \u202egnp.mp4 \x9b2J\r"
    table = Table()
    table.add_column(evil)
    table.add_row(evil)
    _console(stderr=False).print(evil, table)
    shown = capsys.readouterr().out
    assert shown.count(r"\x1b]0;owned\x07 \u202egnp.mp4 \x9b2J\r") == 3
    assert not set(evil) & set(shown) - set(r"\x1b]0;owned\x07 \u202egnp.mp4 \x9b2J\r")
    assert file_name("file:///a%0Ab%1B.mp4") == r"a\nb\x1b.mp4"
