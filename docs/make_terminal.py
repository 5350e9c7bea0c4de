"""Makes the pictures of docs/terminal.md, by the command line's own code: python -m docs.make_terminal."""

import io
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from reelmill.v1.media_convert_service_pb2 import PlanMediaConvertTaskResponse
from reelmill.v1.task_pb2 import (
    STREAM_TYPE_AUDIO,
    STREAM_TYPE_VIDEO,
    TASK_PHASE_CONVERTING,
    TASK_STATUS_FAILED,
    TASK_STATUS_RUNNING,
    TASK_STATUS_SUCCEEDED,
    Artifact,
    ArtifactStream,
    FfmpegCommand,
    Plan,
    PlannedStream,
    PlannedTarget,
    TargetProgress,
    Task,
)
from reelmill_client.cli import tables
from reelmill_client.cli.failures import report
from reelmill_client.cli.session import Session
from reelmill_client.errors import InvalidArgument, Violation
from reelmill_client.labels import TaskLabel
from reelmill_client.progress import BarReporter

FOLDER = Path(__file__).resolve().parent / "terminal"
_COLUMNS = 80
# Rich's form loads a font from elsewhere; the pictures take one that is here. Some programs drop spaces without the attribute.
_FORM = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace("Fira Code, ", "")
_FORM = _FORM.replace("<svg ", '<svg xml:space="preserve" ', 1)
_VIDEOS = "file:///home/me/Videos"
_IDS = [f"MediaConvert-{head}-6d1f-4f0e-9c55-0c3b7d2f8e41" for head in ("a3f0c9e2", "77b1d405", "e92c6b18")]


def _submit(session: Session) -> None:
    session.err.print(f"task {_IDS[0]}", soft_wrap=True)
    label = TaskLabel("holiday.mov", ("holiday-1080p.mp4", "holiday-720p.mp4", "holiday.m4a"))
    reporter = BarReporter(session.err, label_of=lambda _: label, keep=True)
    targets = [
        TargetProgress(target_index=index, percent=percent, speed=speed, frames_per_second=frames, eta=eta)
        for index, (percent, speed, frames, eta) in enumerate(((38, 1.6, 48, 92), (52, 2.2, 66, 51), (71, 9.8, 0, 4)))
    ]
    state = Task(task_id=_IDS[0], status=TASK_STATUS_RUNNING, phase=TASK_PHASE_CONVERTING, progress=38, targets=targets)
    reporter.show(state)
    session.err.print(reporter.bars)


def _convert(session: Session) -> None:
    video = ArtifactStream(type=STREAM_TYPE_VIDEO, codec="h264", encoder="libx264", width=1280, height=720, frame_rate=30)
    audio = ArtifactStream(type=STREAM_TYPE_AUDIO, codec="aac", encoder="aac", sample_rate=48000, channels=2)
    made = Artifact(uri=f"{_VIDEOS}/small.mp4", container="mp4", size=18_400_000, duration=151.2, streams=[video, audio])
    session.err.print(f"task {_IDS[0]}", soft_wrap=True)
    reporter = BarReporter(session.err, label_of=lambda _: TaskLabel("holiday.mov"), keep=True)
    final = Task(task_id=_IDS[0], status=TASK_STATUS_SUCCEEDED, progress=100, artifacts=[made])
    reporter.show(final)
    session.err.print(reporter.bars)
    tables.print_result(session, final)


def _list(session: Session) -> None:
    def task(number: int, name: str, minute: int, **fields: object) -> Task:
        definition = json.dumps({"Sources": [{"URI": f"{_VIDEOS}/{name}"}]})
        begin = Timestamp(seconds=1_767_348_000 + 60 * minute)
        return Task(task_id=_IDS[number], start_time=begin, task_request_definition=definition, **fields)  # type: ignore[arg-type]

    tables.print_tasks(
        session,
        [
            task(0, "holiday.mov", 21, status=TASK_STATUS_RUNNING, phase=TASK_PHASE_CONVERTING, progress=38),
            task(1, "interview.mkv", 12, status=TASK_STATUS_SUCCEEDED, progress=100),
            task(2, "scan.tif", 3, status=TASK_STATUS_FAILED, code="InvalidMedia", message="no stream can be decoded"),
        ],
    )


def _plan(session: Session) -> None:
    video = PlannedStream(
        type=STREAM_TYPE_VIDEO,
        codec="h265",
        encoder="libx265",
        filters=["scale=1280:720:flags=bicubic"],
        options={"crf": "26", "preset": "medium", "g": "150"},
    )
    audio = PlannedStream(type=STREAM_TYPE_AUDIO, source_stream=1, codec="aac", encoder="copy")
    target = PlannedTarget(uri=f"{_VIDEOS}/film.mp4", container="mp4", duration=5412, streams=[video, audio])
    command = FfmpegCommand(
        lines=[
            "ffmpeg",
            "-i film.mov",
            "-map 0:0 -filter:v scale=1280:720 -c:v libx265 -crf:v 26",
            "-map 0:1 -c:a copy",
            "film.mp4",
        ]
    )
    reason = "64 chunks: 19340 s of work for one core, by estimate"
    plan = Plan(targets=[target], chunks=64, chunks_reason=reason, ffmpeg_command=command)
    tables.print_plan(session, PlanMediaConvertTaskResponse(valid=True, plan=plan))


def _error(session: Session) -> None:
    faults = [Violation("--crf", "must be from 0 to 51"), Violation("DST", "expected an extension or --container")]
    report(session, InvalidArgument(violations=faults))


SCENES: Mapping[str, tuple[str, Callable[[Session], None]]] = {
    "convert": ("reelmill convert holiday.mov small.mp4 --video h264 --size 1280x720", _convert),
    "submit": ("reelmill submit request.yaml", _submit),
    "list": ("reelmill list", _list),
    "plan": ("reelmill convert film.mov film.mp4 --video h265 --crf 26 --size x720 --dry-run", _plan),
    "error": ("reelmill convert holiday.mov small --video h264 --crf 99", _error),
}
"""By the name of the picture: the command, and what prints its output."""


def screen(name: str) -> Console:
    """Return a terminal on which a scene was played, recorded."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    console = Console(
        record=True,
        width=_COLUMNS,
        force_terminal=True,
        color_system="standard",
        legacy_windows=False,
        file=io.StringIO(),
        markup=False,
        highlight=False,
        emoji=False,
    )
    command, play = SCENES[name]
    console.print(f"$ {command}", style="bold", soft_wrap=True)
    session = Session(
        server="", project="", json=False, verbose=False, timeout_seconds=1, tls=False, ca_file=None, out=console, err=console
    )
    play(session)
    return console


def picture(name: str) -> str:
    """Return a scene as SVG."""
    svg = screen(name).export_svg(title="", code_format=_FORM, unique_id=f"terminal-{name}")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for scene in SCENES:
        (FOLDER / f"{scene}.svg").write_text(picture(scene))
