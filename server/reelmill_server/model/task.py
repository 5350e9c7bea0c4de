"""Tasks: the record, its progress, its outcome."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reelmill_server.model.colour import Transfer
from reelmill_server.model.ladder import Ladder
from reelmill_server.model.loudness import LoudnessResult
from reelmill_server.model.quality import QualityResult
from reelmill_server.model.waiting import Wait

TagValue = str | int | float | bool | None


def tag_text(value: TagValue) -> str:
    """Return a tag's value as selectors write it: strings unchanged, true, false, null, and numbers as JSON, 1.0 as 1."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        value += 0.0  # turn -0.0 into 0.0
    return json.dumps(value).removesuffix(".0")


class TaskStatus(StrEnum):
    """Status of a task. A queued task is RUNNING."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def final(self) -> bool:
        """Whether the status never changes again."""
        return self is not TaskStatus.RUNNING


class TaskPhase(StrEnum):
    """Current work of a running task."""

    NONE = ""
    QUEUED = "Queued"
    PROBING = "Probing"
    PLANNING = "Planning"
    CONVERTING = "Converting"
    VERIFYING = "Verifying"
    PUBLISHING = "Publishing"


@dataclass(frozen=True)
class TargetProgress:
    """Progress of one target: percent 0..100, seconds of media, media seconds per second, frames per second, seconds left."""

    target_index: int
    percent: float = 0.0
    media_seconds: float = 0.0
    speed: float = 0.0
    frames_per_second: float = 0.0
    eta_seconds: float = 0.0
    encoders: str = ""


@dataclass(frozen=True)
class Progress:
    """Progress of an attempt; `percent` 0..100 over all targets. `problem`: why the task does not go on, empty if it does;
    `wait`: what it waits for, None if it does not. Workers report neither.
    """

    phase: TaskPhase = TaskPhase.QUEUED
    percent: int = 0
    attempt: int = 0
    targets: tuple[TargetProgress, ...] = ()
    problem: str = ""
    wait: Wait | None = None


@dataclass(frozen=True)
class ReportedProgress:
    """The progress of an unfinished task as workers told it; `working`: a worker has the task; `lane`: in whose queue it waits,
    empty if unknown.
    """

    progress: Progress = Progress()
    working: bool = False
    lane: str = ""


UNREPORTED = ReportedProgress()
"""Of a task that no worker had yet."""


@dataclass(frozen=True)
class StreamAdjustment:
    """A deliberate difference between a stream and its source: `count` frames, packets or samples (`unit`) were left out, or
    `added`, for a `reason` in words."""

    reason: str
    count: int
    unit: str
    added: bool = False

    def __str__(self) -> str:
        return f"{self.count} {self.unit} {'added' if self.added else 'left out'}: {self.reason}"


@dataclass(frozen=True)
class ArtifactStream:
    """A stream of a published file and how it was produced; `type` is video, audio or subtitle. `vmaf` 0..100, None: not
    measured. `color_transfer` as in H.273. `adjustments`: all that was left out or added on purpose. `quality`: what became of
    its quality target. `loudness`: None: not measured."""

    type: str
    codec: str
    encoder: str
    reason: str
    packet_count: int
    duration_seconds: float
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0
    bitrate: int = 0
    frame_rate: float = 0.0
    language: str = ""
    vmaf: float | None = None
    color_transfer: int = Transfer.UNSPECIFIED
    adjustments: tuple[StreamAdjustment, ...] = ()
    quality: QualityResult | None = None
    loudness: LoudnessResult | None = None


class ArtifactKind(StrEnum):
    """Kind of a published file: a media file, playlists and manifests, or images and the files that list them."""

    MEDIA = "media"
    PLAYLIST = "playlist"
    MASTER_PLAYLIST = "master_playlist"
    MANIFEST = "manifest"
    SNAPSHOT = "snapshot"
    SPRITE = "sprite"
    ANIMATION = "animation"
    SPRITE_WEB_VTT = "sprite_web_vtt"
    IMAGE_PLAYLIST = "image_playlist"


@dataclass(frozen=True)
class Artifact:
    """A published file; for a playlist or manifest also the totals of its segments.

    `segment_count` and `segments_size_bytes` (init segments included) are 0 for a single media file. `sha256` is that of the
    file, `segments_sha256` that of init segment and segments concatenated in order, stream by stream; both in hexadecimal.
    `bitrate` in bit/s, measured over all of the media. For images: `width` and `height` in pixels, and the times of their
    frames in seconds of the concatenated sources. `ladder`: of a master playlist whose variants were made for the sources.
    """

    uri: str
    target_index: int
    size_bytes: int
    duration_seconds: float
    container: str
    streams: tuple[ArtifactStream, ...] = ()
    kind: ArtifactKind = ArtifactKind.MEDIA
    segment_count: int = 0
    segments_size_bytes: int = 0
    sha256: str = ""
    segments_sha256: str = ""
    bitrate: int = 0
    width: int = 0
    height: int = 0
    frame_times: tuple[float, ...] = ()
    ladder: Ladder | None = None


@dataclass(frozen=True)
class FailedAttempt:
    """Error of an attempt that did not finish; attempts count from 1."""

    attempt: int
    code: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """Outcome of a task: its final status, the error unless it succeeded, and its artifacts.

    `percent` is how far a failed task had come, 0..100, as far as its attempts reported.
    """

    status: TaskStatus
    code: str = ""
    message: str = ""
    artifacts: tuple[Artifact, ...] = ()
    warnings: tuple[str, ...] = ()
    attempt: int = 0
    failed_attempts: tuple[FailedAttempt, ...] = ()
    first_attempt_time: datetime | None = None
    percent: int = 0


@dataclass(frozen=True)
class TaskRecord:
    """A row of the task table. Times are UTC. `request_json` is the request in the vendor's JSON form, `work_json` the plain
    data that the engine passes to workers. A task that is not `admitted` waits for others of its project. `created_by` is the
    name of the principal, empty where nobody is asked who calls. `retry_of` is the id of the task that it retries, if any.
    `report` is what is known beside the row."""

    task_id: str
    project_name: str
    request_id: str
    event_id: str
    status: TaskStatus
    start_time: datetime
    request_json: str
    work_json: str
    user_data: str = ""
    tags: Mapping[str, TagValue] = field(default_factory=dict)
    priority: int = 0
    end_time: datetime | None = None
    admitted: bool = True
    engine_started: bool = False
    cancel_requested: bool = False
    outcome: Outcome | None = None
    created_by: str = ""
    retry_of: str = ""
    report: ReportedProgress = UNREPORTED


@dataclass(frozen=True)
class TaskQuery:
    """Filter, order and page of ListTasks; `sort` is task_id, start_time or end_time; times are inclusive; `limit` 1..100.

    `requests`: records have their `request_json`, which is empty otherwise.
    """

    project_name: str
    statuses: frozenset[TaskStatus] = frozenset()
    tags: tuple[tuple[str, str], ...] = ()
    start_from: datetime | None = None
    start_to: datetime | None = None
    end_from: datetime | None = None
    end_to: datetime | None = None
    sort: str = "task_id"
    descending: bool = False
    limit: int = 100
    next_token: str = ""
    requests: bool = False


@dataclass(frozen=True)
class TaskPage:
    """One page of tasks; `next_token` is empty on the last page."""

    tasks: tuple[TaskRecord, ...]
    next_token: str = ""
