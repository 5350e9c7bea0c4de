"""Tables of tasks, their results and plans, and of media."""

from collections.abc import Iterable, Sequence

from reelmill.v1.media_convert_service_pb2 import (
    PlanMediaConvertTaskResponse,
)
from reelmill.v1.media_info_pb2 import AudioStream, MediaInfo, SubtitleStream, VideoStream
from reelmill.v1.task_pb2 import Artifact, ArtifactKind, FfmpegCommand, PlannedStream, Task, TaskPhase
from reelmill_client.cli.layout import print_line, print_pairs, table_of
from reelmill_client.cli.session import Session
from reelmill_client.formatting import (
    adjustment_text,
    duration_text,
    encoder_text,
    listed_text,
    phase_word,
    place_text,
    size_text,
    status_word,
    stream_text,
    stream_type_word,
    time_text,
)
from reelmill_client.labels import task_label
from reelmill_client.watch import is_final


def print_result(session: Session, task: Task) -> None:
    """Print a block for each artifact of a task that succeeded, and its warnings."""
    for artifact in task.artifacts:
        facts = [artifact.container, size_text(artifact.size)]
        facts += [duration_text(artifact.duration)] if artifact.duration else []
        facts += [f"{artifact.width}x{artifact.height}"] if artifact.width else []
        facts.append(listed_text(artifact))
        print_line(session, artifact.uri)
        print_line(session, f"  {', '.join(filter(None, facts))}")
        for stream in artifact.streams:
            print_line(session, f"  {stream_type_word(stream.type):<8} {stream_text(stream)}")
            adjusted = (adjustment_text(adjustment) for adjustment in stream.adjustments)
            for detail in filter(None, (stream.reason, *adjusted)) if session.verbose else ():
                print_line(session, f"           {detail}")
    print_warnings(session, task.warnings)


def print_warnings(session: Session, warnings: Iterable[str]) -> None:
    """Print warnings on standard error."""
    for warning in warnings:
        session.err.print(f"warning: {warning}", soft_wrap=True)


def print_task(session: Session, task: Task) -> None:
    """Print everything about one task."""
    rows = [
        ("Task", task.task_id),
        ("Status", status_word(task)),
        ("Phase", phase_word(task) if task.phase else ""),
        ("Waits", task.wait.message),
        ("Progress", f"{task.progress}%"),
        ("Attempt", str(task.attempt or "")),
        ("Created", time_text(task.start_time)),
        ("Ended", time_text(task.end_time)),
        ("Problem", task.problem),
        *((f"Attempt {failed.attempt}", f"{failed.code}: {failed.message}") for failed in task.failed_attempts),
        ("Error", f"{task.code}: {task.message}" if task.code else ""),
        ("Tags", ", ".join(f"{key}={_tag_value(value)}" for key, value in sorted(task.tags.items()))),
        ("User data", task.user_data),
        ("Request", task.task_request_definition),
    ]
    print_pairs(session, rows)
    if task.artifacts:
        print_result(session, task)
    else:
        print_warnings(session, task.warnings)


def print_ladder(session: Session, artifact: Artifact) -> None:
    """Print the rungs of a master playlist that were made for its sources, the best first."""
    ladder = artifact.ladder
    print_line(session, artifact.uri)
    score = f"{ladder.metric.upper()} at {ladder.width}x{ladder.height}"
    rows = [
        (str(number), f"{rung.width}x{rung.height}", f"{rung.crf:g}", f"{rung.bitrate / 1000:.0f}", f"{rung.score:.1f}")
        for number, rung in enumerate(ladder.rungs, 1)
    ]
    session.out.print(table_of(("Rung", "Size", "CRF", "kbit/s", score), rows, whole=("Size",)))


def print_tasks(session: Session, tasks: Sequence[Task]) -> None:
    """Print a list of tasks, one per row."""
    if session.out.width < _TASK_COLUMNS:
        for task in tasks:
            print_line(session, task.task_id)
            print_line(session, f"  {_progress_text(task)}, {task_label(task).source}, {time_text(task.start_time)}")
            if task.code:
                print_line(session, f"  {task.code}: {task.message}")
        return
    rows = [
        (
            task.task_id,
            _progress_text(task),
            task_label(task).source,
            time_text(task.start_time),
            time_text(task.end_time),
            f"{task.code}: {task.message}" if task.code else "",
        )
        for task in tasks
    ]
    session.out.print(
        table_of(("Task", "Status", "File", "Created", "Ended", "Error"), rows, whole=("Task", "Created", "Ended"))
    )


# Columns below which a list of tasks has two lines for each: an id and two times take 89.
_TASK_COLUMNS = 130


def _progress_text(task: Task) -> str:
    """Return the status, with the progress while it says something; a task that waits for a worker is queued."""
    if is_final(task):
        return status_word(task)
    queued = task.phase == TaskPhase.TASK_PHASE_QUEUED and not task.progress
    return f"Queued {place_text(task)}".rstrip() if queued else f"{status_word(task)} {task.progress}%"


def print_plan(session: Session, response: PlanMediaConvertTaskResponse) -> None:
    """Print the plan of a request: a block for each output, with its streams, their filters and the encoder's options."""
    for target in response.plan.targets:
        duration = "" if target.duration <= 0 else f", {duration_text(target.duration)}"
        destination = target.uri or "(no media file)"
        print_line(
            session, f"target {target.target_index}: {destination} ({target.container or 'images, subtitles'}{duration})"
        )
        _print_planned_streams(session, target.streams)
    for image in response.plan.images:
        kind = ArtifactKind.Name(image.kind).removeprefix("ARTIFACT_KIND_").lower()
        size = f"{image.width}x{image.height}"
        print_line(session, f"target {image.target_index}: {image.uri} ({kind} {size}; {image.reading}: {image.reason})")
        _print_planned_streams(session, [image.stream])
    if response.plan.chunks_reason:
        verb = "split into" if response.plan.chunks else "not split into chunks:"
        print_line(session, f"{verb} {response.plan.chunks_reason}")
    _print_command(session, response.plan.ffmpeg_command)
    print_warnings(session, response.plan.warnings)


def _print_planned_streams(session: Session, streams: Iterable[PlannedStream]) -> None:
    for stream in streams:
        encoder = encoder_text(stream.encoder, stream.type)
        kind = stream_type_word(stream.type)
        print_line(session, f"  {kind:<8} stream {stream.source_stream} of the source to {stream.codec}, {encoder}")
        details = [
            ", ".join(stream.filters),
            " ".join(f"{key}={value}" for key, value in sorted(stream.options.items())),
            stream.reason if session.verbose else "",
        ]
        for detail in filter(None, details):
            print_line(session, f"           {detail}")


def print_media_info(session: Session, info: MediaInfo) -> None:
    """Print what a media file contains."""
    rows = [
        ("Format", info.format_long_name or info.format_name),
        ("Duration", duration_text(info.duration)),
        ("Size", size_text(info.size)),
        ("Bit rate", _rate(info.bitrate)),
        ("Title", info.title),
    ]
    print_pairs(session, rows)
    streams: list[VideoStream | AudioStream | SubtitleStream] = [*info.video_streams, *info.audio_streams, *info.subtitles]
    cells = [_stream_row(stream) for stream in streams]
    cells.sort(key=lambda row: int(row[0]))
    session.out.print(table_of(("#", "Type", "Codec", "Format", "Bit rate", "Duration", "Language"), cells))


def _stream_row(stream: VideoStream | AudioStream | SubtitleStream) -> tuple[str, ...]:
    if isinstance(stream, VideoStream):
        kind, shape = "video", f"{stream.width}x{stream.height} {stream.average_frame_rate} fps"
    elif isinstance(stream, AudioStream):
        kind, shape = "audio", f"{stream.sample_rate} Hz {stream.channel_layout}"
    else:
        kind, shape = "subtitle", ""
    rate, duration = _rate(stream.bitrate), duration_text(stream.duration)
    return str(stream.index), kind, stream.codec_name, shape, rate, duration, stream.language


def _print_command(session: Session, command: FfmpegCommand) -> None:
    """Print a command to paste into a shell: one line per part on a terminal, else a single line."""
    if command.lines:
        session.out.print((" \\\n  " if session.out.is_terminal else " ").join(command.lines), soft_wrap=True)
    for note in command.notes:
        session.out.print(f"# {note}", soft_wrap=True)


def _rate(bits_per_second: int) -> str:
    return f"{bits_per_second / 1000:.0f} kbit/s" if bits_per_second else "-"


def _tag_value(value: object) -> str:
    """Format a tag's value as selectors compare it: 3.0 is 3, True is true."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
