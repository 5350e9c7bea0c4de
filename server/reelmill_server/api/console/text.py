"""Values as people read them, and requests as they would be sent by hand. Everything here returns plain text."""

import json
import pprint
import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from google.protobuf.timestamp_pb2 import Timestamp

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import task_pb2

_NONE = "–"
_UNITS = ("B", "kB", "MB", "GB", "TB")  # of 1000 each, as the command line says it, and as bit rates are
_STEP = 1000
_TITLE_CHARACTERS = 80
_UNSEEN = re.compile("[\0-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # control characters, and what turns the text behind it
_IMAGE_LISTS = (task_pb2.ARTIFACT_KIND_SPRITE_WEB_VTT, task_pb2.ARTIFACT_KIND_IMAGE_PLAYLIST)
_CREATE = "/reelmill.v1.MediaConvertService/CreateMediaConvertTask"


def size(count: float) -> str:
    """Return a number of bytes in the decimal unit that suits it, as `1.5 MB`."""
    value, units = float(count), iter(_UNITS)
    unit = next(units)
    while value >= _STEP and unit != _UNITS[-1]:
        value, unit = value / _STEP, next(units)
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def rate(bits: float) -> str:
    """Return bits per second."""
    if not bits:
        return _NONE
    return f"{bits / 1e6:.2f} Mbit/s" if bits >= 1e6 else f"{bits / 1e3:.0f} kbit/s"


def span(seconds: float) -> str:
    """Return a length of time, as 1:02:03 or 0:07."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def speed(value: float) -> str:
    """Return a speed in times of real time."""
    return f"{value:.2f}×" if value else _NONE


def number(value: float) -> str:
    """Return a whole number with separators."""
    return f"{round(value):,}"


def moment(time: Timestamp) -> str:
    """Return a point in time in UTC, to the second; a dash for none."""
    return f"{time.ToDatetime(UTC):%Y-%m-%d %H:%M:%S}" if time.seconds else _NONE


def took(task: task_pb2.Task) -> str:
    """Return how long a task has been there, or was."""
    end = task.end_time.ToDatetime(UTC) if task.end_time.seconds else datetime.now(UTC)
    return span((end - task.start_time.ToDatetime(UTC)).total_seconds())


def word(value: int, enum: str) -> str:
    """Return a value of an enum as a word: `converting` for TASK_PHASE_CONVERTING."""
    kind: Any = getattr(task_pb2, enum, None) or getattr(pb, enum)
    prefix = kind.Name(0).removesuffix("UNSPECIFIED")
    return str(kind.Name(value)).removeprefix(prefix).replace("_", " ").lower()


def state(task: task_pb2.Task) -> str:
    """Return the word for where a task stands: its phase while it runs, else its status."""
    if task.status != task_pb2.TASK_STATUS_RUNNING:
        return word(task.status, "TaskStatus")
    if task.cancel_requested:
        return "canceling"
    return word(task.phase, "TaskPhase") if task.phase else "queued"


def name_of(uri: str) -> str:
    """Return the last step of a URI's path, never its query; what cannot be seen is escaped: it could show another name."""
    path = urlsplit(uri).path if "://" in uri else uri
    name = unquote(path.rstrip("/").rpartition("/")[2])
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), name)


def listed(artifact: task_pb2.Artifact) -> str:
    """Return what a playlist, a manifest or a WebVTT file of sprites lists; "" for what lists nothing."""
    count = artifact.segment_count
    if not count:
        return ""
    noun = "image" if artifact.kind in _IMAGE_LISTS else "segment"
    total = f", {size(artifact.segments_size)}" if artifact.segments_size else ""
    return f"{number(count)} {noun}{'s' if count > 1 else ''}{total}"


def title(definition: str) -> str:
    """Return what to call a task, from its request: the names of its sources."""
    try:
        sources = json.loads(definition).get("Sources", ())
    except ValueError:
        return ""
    names = [name_of(str(source.get("URI", ""))) for source in sources]
    first = names[0] if names else ""
    shown = first if len(first) <= _TITLE_CHARACTERS else f"{first[: _TITLE_CHARACTERS - 1]}…"
    return f"{shown} + {len(names) - 1}" if len(names) > 1 else shown


def tags(task: task_pb2.Task) -> Sequence[str]:
    """Return the tags of a task as `name=value`."""
    return [f"{name}={value}" for name, value in sorted(dict(task.tags).items())]


def percent(value: float) -> str:
    """Return a percentage without digits after the point."""
    return f"{int(value)} %"


def copies(definition: str, origin: str, grpc_port: int, asks: bool) -> Mapping[str, str]:
    """Return how to send a request by curl, by the command line and in Python, to the host of `origin`.

    `asks`: the service wants a token.
    """
    url = urlsplit(origin)
    target = f"{url.netloc.removesuffix(f':{url.port}')}:{grpc_port}"
    flags = f"--server {target}{' --tls' if url.scheme == 'https' else ''}"
    arguments = [json.dumps(target)]
    arguments += ["tls=True"] if url.scheme == "https" else []
    arguments += ['token=os.environ["REELMILL_TOKEN"]'] if asks else []
    imports = "import os\n\n" if asks else ""
    request = json.loads(definition)
    request.pop("RequestId", None)  # it stands for one task
    text = json.dumps(request, ensure_ascii=False, indent=2)
    header = ' -H "authorization: Bearer $REELMILL_TOKEN"' if asks else ""
    shell = f"<<'REQUEST'\n{text}\nREQUEST"
    literal = pprint.pformat(request, width=100, sort_dicts=False)
    return {
        "curl": f"curl -sS{header} --data-binary @- {shlex.quote(origin + _CREATE)} {shell}",
        "CLI": f"reelmill {flags} submit - {shell}",
        "Python": (
            f"{imports}from reelmill_client import Client\n\n"
            f"request = {literal}\n\n"
            f"with Client({', '.join(arguments)}) as client:\n"
            "    for state in client.watch(client.submit(request).task_id):\n"
            "        print(state.progress)\n"
        ),
    }
