"""Tables of workers, capabilities, projects, keys and notifications."""

from collections.abc import Iterator, Sequence

from reelmill.v1.key_service_pb2 import Key
from reelmill.v1.media_convert_service_pb2 import (
    CodecCapability,
    GetCapabilitiesResponse,
    RunningAttempt,
    Sandbox,
    TaskPart,
    Worker,
    WorkerLane,
)
from reelmill.v1.notification_service_pb2 import NotificationState, NotificationStatus
from reelmill.v1.project_service_pb2 import Project
from reelmill.v1.task_pb2 import TaskPhase
from reelmill_client.cli.layout import print_line, print_pairs, table_of
from reelmill_client.cli.session import Session
from reelmill_client.formatting import (
    time_text,
)


def print_capabilities(session: Session, response: GetCapabilitiesResponse) -> None:
    """Print which encoders and decoders work, and the limits."""
    session.out.print(f"worker {response.worker}" if response.worker else "worker")
    for title, codecs in (("Encoder", response.encoders), ("Decoder", response.decoders)):
        session.out.print(table_of((title, "Codec", "Device", "Available", "Reason"), [_capability(codec) for codec in codecs]))
    if rows := [row for codec in response.encoders for row in _features(codec)]:
        session.out.print(table_of(("Accelerator", "Card", "Feature", "Has it", "Reason"), rows))
    session.out.print(table_of(("Limit", "Value"), [(name, _limit(value)) for name, value in sorted(response.limits.items())]))
    if response.sandbox.mode:  # older servers do not tell
        session.out.print(table_of(("Sandbox", "Confined by", "The kernel lacks"), [_sandbox(response.sandbox)]))
    session.out.print(table_of(("Component", "Version"), sorted(response.versions.items())))


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
        print_line(session, f"{worker.name}: {', '.join(filter(None, facts))}")
        for attempt in worker.attempts:
            print_line(session, f"  {_attempt_text(attempt)}")


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
        table_of(("Notification", "To", "State", "Attempts", "Last", "Next", "Last error"), rows, whole=("Notification",))
    )


def print_projects(session: Session, projects: Sequence[Project]) -> None:
    """Print a list of projects, one per row."""
    rows = [(project.project_name, project.description, time_text(project.create_time), _tags(project)) for project in projects]
    session.out.print(table_of(("Project", "Description", "Created", "Tags"), rows))


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
    session.out.print(table_of(("Key", "Name", "Grants", "Created", "Expires"), rows))


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
    print_pairs(session, rows)


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


def _tags(project: Project) -> str:
    return ", ".join(f"{tag.tag_key}={tag.tag_value}" for tag in project.tags)
