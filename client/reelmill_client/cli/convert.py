"""The commands that make tasks: convert, submit and plan."""

from typing import Annotated, Any, cast

import typer

from reelmill.v1 import media_convert_service_pb2 as media_convert
from reelmill_client.cli import tables
from reelmill_client.cli.documents import read_document
from reelmill_client.cli.session import Session, session_of
from reelmill_client.cli.waiting import wait_for
from reelmill_client.client import Client
from reelmill_client.conversion import Conversion
from reelmill_client.errors import InvalidArgument, Violation
from reelmill_client.requests import build_request, pairs

_VIDEO = "Video"
_AUDIO = "Audio"
_DETACH = typer.Option("--detach", help="Print the task's id and do not wait for its end.")


def _option(help_: str, panel: str | None = None, **settings: Any) -> Any:
    return typer.Option(help=help_, rich_help_panel=panel, **settings)


def convert(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SRC", help="A URI, or a path on the server's machine.")],
    destination: Annotated[
        str, typer.Argument(metavar="DST", help="A URI or path; templates such as {barename} are filled in by the service.")
    ],
    *,
    container: Annotated[str | None, _option("Container: mp4, mkv, webm… Default: by DST's extension.")] = None,
    start: Annotated[float | None, _option("Seconds of SRC to skip.")] = None,
    duration: Annotated[float | None, _option("Seconds to take. Default: until the end.")] = None,
    video: Annotated[str | None, _option("h264, h265, vp9, av1, copy or none. Default: copy.", _VIDEO)] = None,
    crf: Annotated[float | None, _option("Constant quality, 0 (best) to 51.", _VIDEO)] = None,
    bitrate: Annotated[str | None, _option("Mean bit rate, for example 2M; instead of --crf.", _VIDEO)] = None,
    size: Annotated[str | None, _option("1280x720, 1280x or x720.", _VIDEO)] = None,
    scale_type: Annotated[str | None, _option("stretch, crop, fill or fit. Default: stretch.", _VIDEO)] = None,
    fps: Annotated[float | None, _option("Frames per second.", _VIDEO)] = None,
    gop: Annotated[int | None, _option("Frames between key frames.", _VIDEO)] = None,
    b_frames: Annotated[int | None, _option("Longest run of B frames.", _VIDEO)] = None,
    refs: Annotated[int | None, _option("Reference frames.", _VIDEO)] = None,
    pixel_format: Annotated[str | None, _option("yuv420p, yuv420p10le…", _VIDEO)] = None,
    rotate: Annotated[int | None, _option("Degrees clockwise: 0, 90, 180 or 270.", _VIDEO)] = None,
    preset: Annotated[str | None, _option("Effort, from ultrafast to veryslow. Default: medium.", _VIDEO)] = None,
    hardware: Annotated[str | None, _option("preferred, required or never. Default: preferred.", _VIDEO)] = None,
    audio: Annotated[str | None, _option("aac, mp3, opus, flac, …, copy or none. Default: copy.", _AUDIO)] = None,
    audio_bitrate: Annotated[str | None, _option("For example 128k.", _AUDIO)] = None,
    sample_rate: Annotated[int | None, _option("Hz.", _AUDIO)] = None,
    channels: Annotated[int | None, _option("1 to 8.", _AUDIO)] = None,
    subtitles: Annotated[str | None, _option("copy or none. Default: copy.")] = None,
    strip_metadata: Annotated[bool, typer.Option("--strip-metadata", help="Leave title and similar out.")] = False,
    tag: Annotated[list[str] | None, _option("A label; may be repeated.", metavar="KEY=VALUE")] = None,
    user_data: Annotated[str | None, _option("Kept and given back as it is.")] = None,
    priority: Annotated[int | None, _option("1 (first) to 5 (last). Default: 3.")] = None,
    parallelism: Annotated[
        int | None, _option("Into how many chunks a long encode is cut; 1: not at all. Default: as it pays.")
    ] = None,
    request_id: Annotated[str | None, _option("A UUID; the same one makes the same task. Default: a new one.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would run.")] = False,
    detach: Annotated[bool, _DETACH] = False,
) -> None:
    """Convert one file into one file, and wait for the result."""
    given = {_OPTIONS[name]: value for name, value in context.params.items() if name in _OPTIONS and value is not None}
    session = session_of(context)
    request = build_request(None, session.project, cast(Conversion, {**given, "tags": pairs(tag or [])}))
    with session.client() as client:
        if dry_run:
            _print_plan(session, client.plan(request))
        else:
            _submit(session, client, request, detach)


# Parameter of `convert` -> keyword of Conversion.
_OPTIONS = {
    "start": "start_seconds",
    "duration": "duration_seconds",
    **{name: name for name in Conversion.__annotations__ if name not in ("start_seconds", "duration_seconds", "tags")},
}


def submit(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON or YAML, in the vendor's form or snake_case; - for stdin.")],
    detach: Annotated[bool, _DETACH] = False,
) -> None:
    """Create a task from a request file, and wait for the result. The file's project comes before --project."""
    session = session_of(context)
    request = build_request(read_document(file), session.project, {})
    with session.client() as client:
        _submit(session, client, request, detach)


def plan(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="As for submit.")],
) -> None:
    """Print what submit would do with a request file, and create nothing. (For convert: convert --dry-run.)"""
    session = session_of(context)
    request = build_request(read_document(file), session.project, {})
    with session.client() as client:
        _print_plan(session, client.plan(request))


def _submit(session: Session, client: Client, request: media_convert.CreateMediaConvertTaskRequest, detach: bool) -> None:
    created = client.submit(request)
    if session.json:
        session.print_json(created)
    elif detach:
        session.out.print(created.task_id, soft_wrap=True)
    else:
        session.err.print(f"task {created.task_id}", soft_wrap=True)
    if not detach:
        wait_for(session, client, [created.task_id], project=request.project_name, offer_cancel=True)


def _print_plan(session: Session, answer: media_convert.PlanMediaConvertTaskResponse) -> None:
    """Prints a plan; an invalid request ends like one that was sent."""
    if session.json:
        session.print_json(answer)
    elif answer.valid:
        tables.print_plan(session, answer)
    if not answer.valid:
        violations = [Violation(problem.field, problem.description) for problem in answer.problems]
        code = answer.problems[0].code if answer.problems else ""
        raise InvalidArgument(code=code, violations=violations)
