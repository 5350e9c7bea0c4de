"""Tables of results for people."""

from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table

from reelmill.v1.key_service_pb2 import Key
from reelmill.v1.media_convert_service_pb2 import (
    CodecCapability,
    GetCapabilitiesResponse,
    PlanMediaConvertTaskResponse,
    RunningAttempt,
    Sandbox,
    TaskPart,
    Worker,
    WorkerLane,
)
from reelmill.v1.media_info_pb2 import AudioStream, MediaInfo, SubtitleStream, VideoStream
from reelmill.v1.notification_service_pb2 import NotificationState, NotificationStatus
from reelmill.v1.project_service_pb2 import Project
from reelmill.v1.task_pb2 import Artifact, ArtifactKind, FfmpegCommand, PlannedStream, Task, TaskPhase
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
        _print_line(session, artifact.uri)
        _print_line(session, f"  {', '.join(filter(None, facts))}")
        for stream in artifact.streams:
            _print_line(session, f"  {stream_type_word(stream.type):<8} {stream_text(stream)}")
            adjusted = (adjustment_text(adjustment) for adjustment in stream.adjustments)
            for detail in filter(None, (stream.reason, *adjusted)) if session.verbose else ():
                _print_line(session, f"           {detail}")
    print_warnings(session, task.warnings)


def _print_line(session: Session, text: str) -> None:
    """Print a line as it is, so that URIs and ids can be copied from it: the terminal wraps it, nothing else does."""
    session.out.print(text, soft_wrap=True)


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
    _print_pairs(session, rows)
    if task.artifacts:
        print_result(session, task)
    else:
        print_warnings(session, task.warnings)


def print_ladder(session: Session, artifact: Artifact) -> None:
    """Print the rungs of a master playlist that were made for its sources, the best first."""
    ladder = artifact.ladder
    _print_line(session, artifact.uri)
    score = f"{ladder.metric.upper()} at {ladder.width}x{ladder.height}"
    rows = [
        (str(number), f"{rung.width}x{rung.height}", f"{rung.crf:g}", f"{rung.bitrate / 1000:.0f}", f"{rung.score:.1f}")
        for number, rung in enumerate(ladder.rungs, 1)
    ]
    session.out.print(_table(("Rung", "Size", "CRF", "kbit/s", score), rows, whole=("Size",)))


def print_tasks(session: Session, tasks: Sequence[Task]) -> None:
    """Print a list of tasks, one per row."""
    if session.out.width < _TASK_COLUMNS:
        for task in tasks:
            _print_line(session, task.task_id)
            _print_line(session, f"  {_progress_text(task)}, {task_label(task).source}, {time_text(task.start_time)}")
            if task.code:
                _print_line(session, f"  {task.code}: {task.message}")
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
    session.out.print(_table(("Task", "Status", "File", "Created", "Ended", "Error"), rows, whole=("Task", "Created", "Ended")))


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
        _print_line(
            session, f"target {target.target_index}: {destination} ({target.container or 'images, subtitles'}{duration})"
        )
        _print_planned_streams(session, target.streams)
    for image in response.plan.images:
        kind = ArtifactKind.Name(image.kind).removeprefix("ARTIFACT_KIND_").lower()
        size = f"{image.width}x{image.height}"
        _print_line(session, f"target {image.target_index}: {image.uri} ({kind} {size}; {image.reading}: {image.reason})")
        _print_planned_streams(session, [image.stream])
    if response.plan.chunks_reason:
        verb = "split into" if response.plan.chunks else "not split into chunks:"
        _print_line(session, f"{verb} {response.plan.chunks_reason}")
    _print_command(session, response.plan.ffmpeg_command)
    print_warnings(session, response.plan.warnings)


def _print_planned_streams(session: Session, streams: Iterable[PlannedStream]) -> None:
    for stream in streams:
        encoder = encoder_text(stream.encoder, stream.type)
        kind = stream_type_word(stream.type)
        _print_line(session, f"  {kind:<8} stream {stream.source_stream} of the source to {stream.codec}, {encoder}")
        details = [
            ", ".join(stream.filters),
            " ".join(f"{key}={value}" for key, value in sorted(stream.options.items())),
            stream.reason if session.verbose else "",
        ]
        for detail in filter(None, details):
            _print_line(session, f"           {detail}")


def print_media_info(session: Session, info: MediaInfo) -> None:
    """Print what a media file contains."""
    rows = [
        ("Format", info.format_long_name or info.format_name),
        ("Duration", duration_text(info.duration)),
        ("Size", size_text(info.size)),
        ("Bit rate", _rate(info.bitrate)),
        ("Title", info.title),
    ]
    _print_pairs(session, rows)
    streams: list[VideoStream | AudioStream | SubtitleStream] = [*info.video_streams, *info.audio_streams, *info.subtitles]
    cells = [_stream_row(stream) for stream in streams]
    cells.sort(key=lambda row: int(row[0]))
    session.out.print(_table(("#", "Type", "Codec", "Format", "Bit rate", "Duration", "Language"), cells))


def _stream_row(stream: VideoStream | AudioStream | SubtitleStream) -> tuple[str, ...]:
    if isinstance(stream, VideoStream):
        kind, shape = "video", f"{stream.width}x{stream.height} {stream.average_frame_rate} fps"
    elif isinstance(stream, AudioStream):
        kind, shape = "audio", f"{stream.sample_rate} Hz {stream.channel_layout}"
    else:
        kind, shape = "subtitle", ""
    rate, duration = _rate(stream.bitrate), duration_text(stream.duration)
    return str(stream.index), kind, stream.codec_name, shape, rate, duration, stream.language


def print_capabilities(session: Session, response: GetCapabilitiesResponse) -> None:
    """Print which encoders and decoders work, and the limits."""
    session.out.print(f"worker {response.worker}" if response.worker else "worker")
    for title, codecs in (("Encoder", response.encoders), ("Decoder", response.decoders)):
        session.out.print(_table((title, "Codec", "Device", "Available", "Reason"), [_capability(codec) for codec in codecs]))
    if rows := [row for codec in response.encoders for row in _features(codec)]:
        session.out.print(_table(("Accelerator", "Card", "Feature", "Has it", "Reason"), rows))
    session.out.print(_table(("Limit", "Value"), [(name, _limit(value)) for name, value in sorted(response.limits.items())]))
    if response.sandbox.mode:  # older servers do not tell
        session.out.print(_table(("Sandbox", "Confined by", "The kernel lacks"), [_sandbox(response.sandbox)]))
    session.out.print(_table(("Component", "Version"), sorted(response.versions.items())))


def print_workers(session: Session, workers: Sequence[Worker]) -> None:
    """Print workers, and below each what it runs."""
    for worker in workers:
        load = worker.load
        facts = [
            f"{load.slots} of {load.max_slots} slots, {load.cores:g} of {load.max_cores:g} cores",
            f"{load.waiting} waiting" if load.waiting else "",
            "draining" if worker.draining else "",
            f"serves {', '.join(_lane_text(lane) for lane in worker.lanes if lane.available) or 'nothing'}",
            f"since {time_text(worker.start_time)}, seen {time_text(worker.seen_time)}",
        ]
        _print_line(session, f"{worker.name}: {', '.join(filter(None, facts))}")
        for attempt in worker.attempts:
            _print_line(session, f"  {_attempt_text(attempt)}")


def _lane_text(lane: WorkerLane) -> str:
    return f"{lane.name} ({lane.sessions} of {lane.max_sessions} sessions)" if lane.max_sessions else lane.name


def _attempt_text(attempt: RunningAttempt) -> str:
    part = TaskPart.Name(attempt.part).removeprefix("TASK_PART_").lower()
    doing = TaskPhase.Name(attempt.phase).removeprefix("TASK_PHASE_").lower()
    facts = [
        attempt.task_id or "(a task of another project)",
        f"chunk {attempt.chunk}" if attempt.part == TaskPart.TASK_PART_CHUNK else part,
        f"{doing} {attempt.progress}%",
        *dict.fromkeys(target.encoders for target in attempt.targets if target.encoders),
    ]
    return ", ".join(facts)


def _sandbox(sandbox: Sandbox) -> tuple[str, str, str]:
    return sandbox.mode, ", ".join(sandbox.walls) or "nothing", "; ".join(sandbox.lacks)


def print_notifications(session: Session, notifications: Sequence[NotificationStatus]) -> None:
    """Print a list of notifications, one per row."""
    rows = [
        (
            notification.notification_id,
            notification.destination,
            NotificationState.Name(notification.state).removeprefix("NOTIFICATION_STATE_").capitalize(),
            str(notification.attempts),
            time_text(notification.last_attempt_time),
            time_text(notification.next_attempt_time),
            notification.last_error,
        )
        for notification in notifications
    ]
    session.out.print(
        _table(("Notification", "To", "State", "Attempts", "Last", "Next", "Last error"), rows, whole=("Notification",))
    )


def print_projects(session: Session, projects: Sequence[Project]) -> None:
    """Print a list of projects, one per row."""
    rows = [(project.project_name, project.description, time_text(project.create_time), _tags(project)) for project in projects]
    session.out.print(_table(("Project", "Description", "Created", "Tags"), rows))


def print_keys(session: Session, keys: Sequence[Key]) -> None:
    """Print a list of API keys, one per row."""
    rows = [
        (
            key.key_id,
            key.name,
            "\n".join(key.grants),
            time_text(key.create_time),
            time_text(key.expire_time) if key.HasField("expire_time") else "never",
        )
        for key in keys
    ]
    session.out.print(_table(("Key", "Name", "Grants", "Created", "Expires"), rows))


def _of(count: int, limit: int) -> str:
    return f"{count} of at most {limit}" if limit else str(count)


def print_project(session: Session, project: Project) -> None:
    """Print one project."""
    rows = [
        ("Project", project.project_name),
        ("Description", project.description),
        ("Service role", project.service_role),
        ("Template", project.template_id),
        ("Created", time_text(project.create_time)),
        ("Updated", time_text(project.update_time)),
        ("Tags", _tags(project)),
        ("Running", _of(project.running_tasks, project.engine_concurrency)),
        ("Waiting", _of(project.queued_tasks, project.max_queued_tasks)),
        ("Weight", f"{project.fairness_weight:g}"),
    ]
    _print_pairs(session, rows)


def _print_command(session: Session, command: FfmpegCommand) -> None:
    """Print a command to paste into a shell: one line per part on a terminal, else a single line."""
    if command.lines:
        session.out.print((" \\\n  " if session.out.is_terminal else " ").join(command.lines), soft_wrap=True)
    for note in command.notes:
        session.out.print(f"# {note}", soft_wrap=True)


def _capability(codec: CodecCapability) -> tuple[str, str, str, str, str]:
    return codec.name, codec.codec, codec.device, "yes" if codec.available else "no", codec.reason


def _features(codec: CodecCapability) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield rows of what an accelerator was asked for, with its limits."""
    for feature in codec.features:
        yield codec.name, codec.card, feature.name, "yes" if feature.available else "no", feature.reason
    sizes = codec.frame_sizes
    limits = {
        "least size": _size(sizes.min_width, sizes.min_height),
        "largest size": _size(sizes.max_width, sizes.max_height),
        "B-frames in a row": str(codec.max_b_frames or ""),
    }
    yield from ((codec.name, codec.card, name, limit, "") for name, limit in limits.items() if limit)


def _size(width: int, height: int) -> str:
    return f"{width or 'any'}x{height or 'any'}" if width or height else ""


def _limit(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() else f"{value:g}"


def _rate(bits_per_second: int) -> str:
    return f"{bits_per_second / 1000:.0f} kbit/s" if bits_per_second else "-"


def _tags(project: Project) -> str:
    return ", ".join(f"{tag.tag_key}={tag.tag_value}" for tag in project.tags)


def _tag_value(value: object) -> str:
    """Format a tag's value as selectors compare it: 3.0 is 3, True is true."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], whole: Sequence[str] = ()) -> Table:
    """Return a table whose columns fold where they must, but for those in `whole`."""
    table = Table(box=None, pad_edge=False, show_edge=False)
    for title in columns:
        table.add_column(title, overflow="fold", no_wrap=title in whole)
    for row in rows:
        table.add_row(*row)
    return table


def _print_pairs(session: Session, rows: Iterable[tuple[str, str]]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False, show_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        if value and value != "-":
            table.add_row(name, value)
    session.out.print(table)
