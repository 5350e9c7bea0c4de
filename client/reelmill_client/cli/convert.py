"""Commands that create tasks: convert, submit and plan."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from reelmill.v1 import media_convert_service_pb2 as media_convert
from reelmill_client.cli import tables
from reelmill_client.cli.documents import read_document
from reelmill_client.cli.session import Session, session_of
from reelmill_client.cli.wait import wait_for
from reelmill_client.client import Client
from reelmill_client.conversion import AUDIO_FIELDS, COPIED_VIDEO_FIELDS, VIDEO_FIELDS, Conversion, is_uri
from reelmill_client.errors import ReelmillError, Violation, from_problems
from reelmill_client.labels import TaskLabel, request_label
from reelmill_client.requests import build_request, pairs

_VIDEO = "Video"
_AUDIO = "Audio"
DETACH = typer.Option("--detach", help="Print the task's id and do not wait for it to end.")


def _option(help_: str, panel: str | None = None, **settings: Any) -> Any:
    return typer.Option(help=help_, rich_help_panel=panel, **settings)


_Destination = Annotated[
    str, typer.Argument(metavar="DST", help="A URI or path; the service fills in templates such as {barename}.")
]
_Ladder = Annotated[
    Literal["auto"] | None,
    _option("auto: choose variants that fit SRC; DST is their master playlist (.m3u8). Instead of --crf.", _VIDEO),
]
_SmartCut = Annotated[
    # A word that is forgotten would be the next flag, whose value is then one argument too many.
    Literal["preferred", "required"] | None,
    _option("Cut copied video at the frame. Default: at the keyframe.", _VIDEO),
]


def convert(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SRC", help="A URI, or a path on the server's machine.")],
    destination: _Destination,
    *,
    container: Annotated[str | None, _option("Container: mp4, mkv, webm… Default: from DST's extension.")] = None,
    start: Annotated[float | None, _option("Seconds of SRC to skip.")] = None,
    duration: Annotated[float | None, _option("Seconds to convert. Default: to the end.")] = None,
    video: Annotated[str | None, _option("h264, h265, vp9, av1, copy or none. Default: copy.", _VIDEO)] = None,
    crf: Annotated[float | None, _option("Constant quality, 0 (best) to 51.", _VIDEO)] = None,
    bitrate: Annotated[str | None, _option("Average bit rate, for example 2M; instead of --crf.", _VIDEO)] = None,
    vmaf: Annotated[float | None, _option("Quality to encode at, 1 to 99; instead of --crf.", _VIDEO)] = None,
    xpsnr: Annotated[float | None, _option("The same in dB, where VMAF cannot be measured.", _VIDEO)] = None,
    ladder: _Ladder = None,
    passes: Annotated[int | None, _option("2: encode twice to meet --bitrate.", _VIDEO)] = None,
    size: Annotated[str | None, _option("1280x720, 1280x or x720.", _VIDEO)] = None,
    scale_type: Annotated[str | None, _option("stretch, crop, fill or fit. Default: stretch.", _VIDEO)] = None,
    fps: Annotated[float | None, _option("Frames per second.", _VIDEO)] = None,
    gop: Annotated[int | None, _option("Frames from one keyframe to the next.", _VIDEO)] = None,
    b_frames: Annotated[int | None, _option("Longest run of B frames.", _VIDEO)] = None,
    refs: Annotated[int | None, _option("Reference frames.", _VIDEO)] = None,
    pixel_format: Annotated[str | None, _option("yuv420p, yuv420p10le…", _VIDEO)] = None,
    rotate: Annotated[int | None, _option("Degrees clockwise: 0, 90, 180 or 270.", _VIDEO)] = None,
    preset: Annotated[str | None, _option("Effort, from ultrafast to veryslow. Default: medium.", _VIDEO)] = None,
    hardware: Annotated[str | None, _option("preferred, required or never. Default: preferred.", _VIDEO)] = None,
    smart_cut: _SmartCut = None,
    audio: Annotated[str | None, _option("aac, mp3, opus, flac, …, copy or none. Default: copy.", _AUDIO)] = None,
    audio_bitrate: Annotated[str | None, _option("For example 128k.", _AUDIO)] = None,
    sample_rate: Annotated[int | None, _option("Hz.", _AUDIO)] = None,
    channels: Annotated[int | None, _option("1 to 8.", _AUDIO)] = None,
    loudness: Annotated[
        str | None, _option("Target loudness in LUFS, such as -23; ebu (-23), podcast (-16), or measure.", _AUDIO)
    ] = None,
    subtitles: Annotated[str | None, _option("copy or none. Default: copy.")] = None,
    strip_metadata: Annotated[bool, typer.Option("--strip-metadata", help="Leave out the title and other metadata.")] = False,
    tag: Annotated[list[str] | None, _option("A label; may be repeated.", metavar="KEY=VALUE")] = None,
    user_data: Annotated[str | None, _option("Text stored with the task and returned unchanged.")] = None,
    priority: Annotated[int | None, _option("1 (first) to 5 (last). Default: 3.")] = None,
    parallelism: Annotated[
        int | None, _option("Number of chunks for a long encode; 1: not split. Default: when it pays off.")
    ] = None,
    request_id: Annotated[
        str | None, _option("A UUID; sending the same one again returns the same task. Default: random.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would run, without creating a task.")] = False,
    detach: Annotated[bool, DETACH] = False,
) -> None:
    """Convert one file to one file, and wait for the result."""
    options = {_OPTIONS[name]: value for name, value in context.params.items() if name in _OPTIONS and value is not None}
    session = session_of(context)
    with _flags_named("vmaf" if xpsnr is None else "xpsnr"), session.client() as client:
        request = build_request(None, session.project, cast(Conversion, {**options, "tags": pairs(tag or [])}))
        if dry_run:
            _print_plan(session, client.plan(request))
            return
        _require_source(client, source)
        submit_request(session, client, request, detach)


def _require_source(client: Client, source: str) -> None:
    """Raise NotFound for a path that exists neither here nor, by the server's word, on its machine."""
    if not is_uri(source) and not Path(source).exists():
        client.probe(source)


@contextmanager
def _flags_named(quality: str) -> Iterator[None]:
    """Name the flag in errors about the fields of a conversion, whether the client found them or the server; `quality`: the one
    that sets a quality target.
    """
    try:
        yield
    except ReelmillError as error:
        # The text of an error that lists its violations is made of them, and must change with them.
        listed = error.message == "; ".join(map(str, error.violations))
        error.violations = tuple(Violation(_flag(fault.field, quality), fault.description) for fault in error.violations)
        error.message = "; ".join(map(str, error.violations)) if listed else _with_flag(error.message, quality)
        raise


def _with_flag(message: str, quality: str) -> str:
    """Name the flag in a message that begins with the path of a field."""
    field, colon, rest = message.partition(": ")
    return f"{_flag(field, quality)}{colon}{rest}"


def _flag(field: str, quality: str) -> str:
    """Return the flag that sets a field, or the field itself if none does."""
    field = field.replace("target_groups[0].targets[0]", "targets[0]")
    if field.startswith(_QUALITY_FIELD):
        return f"--{quality}"
    name = _FLAG_FIELDS.get(field, field)
    if name in _ARGUMENTS:
        return _ARGUMENTS[name]
    return f"--{name.replace('_', '-')}" if name in _FLAGS else field


_QUALITY_FIELD = "targets[0].video.transcode_video.quality_target"
_ARGUMENTS = {"source": "SRC", "destination": "DST"}
_FLAGS = frozenset(inspect.signature(convert).parameters) - {"context"} - _ARGUMENTS.keys()

# Field of the request, or keyword of Conversion -> parameter of `convert`.
_FLAG_FIELDS = {
    "start_seconds": "start",
    "duration_seconds": "duration",
    "tags": "tag",
    "source_uri": "source",
    "sources[0].uri": "source",
    "sources[0].start_time": "start",
    "sources[0].duration": "duration",
    "targets[0].uri": "destination",
    "target_groups[0].uri": "destination",
    "target_groups[0].auto_ladder": "ladder",
    "targets[0].container": "container",
    "targets[0].strip_metadata": "strip_metadata",
    "targets[0].subtitle": "subtitles",
    "targets[0].video.transcode_video": "video",
    "targets[0].video.transcode_video.codec": "video",
    "targets[0].audio.transcode_audio.codec": "audio",
    **{f"targets[0].video.transcode_video.{field}": name for name, field in (VIDEO_FIELDS | COPIED_VIDEO_FIELDS).items()},
    **{f"targets[0].audio.transcode_audio.{field}": name for name, field in AUDIO_FIELDS.items()},
    "targets[0].audio.filter_audio.loudness": "loudness",
    "targets[0].audio.filter_audio.loudness.integrated": "loudness",
}


# Parameter of `convert` -> keyword of Conversion.
_OPTIONS = {
    "start": "start_seconds",
    "duration": "duration_seconds",
    **{name: name for name in Conversion.__annotations__ if name not in ("start_seconds", "duration_seconds", "tags")},
}


def submit(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON or YAML, in the vendor's form or snake_case; - for stdin.")],
    detach: Annotated[bool, DETACH] = False,
) -> None:
    """Create a task from a request file, and wait for the result. A project in the file takes precedence over --project."""
    session = session_of(context)
    request = build_request(read_document(file), session.project, {})
    with session.client() as client:
        submit_request(session, client, request, detach)


def plan(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON or YAML, in the vendor's form or snake_case; - for stdin.")],
) -> None:
    """Print what submit would do with a request file, without creating a task. (For convert: convert --dry-run.)"""
    session = session_of(context)
    request = build_request(read_document(file), session.project, {})
    with session.client() as client:
        _print_plan(session, client.plan(request))


def submit_request(
    session: Session, client: Client, request: media_convert.CreateMediaConvertTaskRequest, detach: bool
) -> None:
    """Create a task and, unless `detach`, show it until it ends."""
    follow_created(session, client, client.submit(request), request.project_name, detach, request_label(request))


def follow_created(
    session: Session,
    client: Client,
    created: media_convert.CreateMediaConvertTaskResponse | media_convert.RetryTaskResponse,
    project: str,
    detach: bool,
    label: TaskLabel | None = None,
) -> None:
    """Print which task was created and, unless `detach`, show it until it ends; `label`: names of its files, if known."""
    if session.json:
        session.print_json(created)
    elif detach:
        session.out.print(created.task_id, soft_wrap=True)
    else:
        session.err.print(f"task {created.task_id}", soft_wrap=True)
    if not detach:
        labels = {created.task_id: label} if label else {}
        wait_for(session, client, [created.task_id], project=project, offer_cancel=True, labels=labels)


def _print_plan(session: Session, response: media_convert.PlanMediaConvertTaskResponse) -> None:
    """Print a plan; raises what is wrong with the request."""
    if session.json:
        session.print_json(response)
    elif response.valid:
        tables.print_plan(session, response)
    if not response.valid:
        raise from_problems(response.problems)
