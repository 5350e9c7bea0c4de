"""Names of outputs: URI templates, and the extension that an output gets.

A template is written like Python's `str.format`: `{name}`, with `{{` and `}}` for braces. The request's tags are
`{tags.<key>}`; the source's variables come from the source at the alignment index.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from string import Formatter
from urllib.parse import urlsplit

from reelmill_server.model.task import TagValue, tag_text

_EXTENSION = re.compile(r"\.[A-Za-z0-9]+$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_FORMATS = {"year": "%Y", "mon": "%m", "day": "%d", "hour": "%H", "min": "%M", "sec": "%S"}
_SOURCE_NAMES = ("bucket", "key", "dirname", "barename", "basename", "ext")
_OUTPUT_NAMES = ("streamindex", "index", "resolution", "autoext")
VARIABLES = frozenset({*_SOURCE_NAMES, *_OUTPUT_NAMES, *_TIME_FORMATS, *(f"t_{name}" for name in _TIME_FORMATS)})
"""Every variable but `tags.*`."""


@dataclass(frozen=True)
class OutputName:
    """What an output's own variables stand for; `index` counts from 1, `stream_index` from 0."""

    extension: str
    resolution: str = ""
    index: int = 1
    stream_index: int = 0


def unknown_variables(template: str, tags: Mapping[str, TagValue]) -> list[str]:
    """The names in `template` that stand for nothing, or one sentence when it cannot be read as a template."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        return [f"not a template: {error}"]
    known = VARIABLES | {f"tags.{key}" for key in tags}
    return [f"unknown variable {{{name}}}" for name in names if name not in known]


def _times(prefix: str, moment_us: int) -> dict[str, str]:
    moment = _EPOCH + timedelta(microseconds=moment_us)
    return {f"{prefix}{name}": moment.strftime(code) for name, code in _TIME_FORMATS.items()}


def source_variables(source_uri: str, modified_us: int) -> dict[str, str]:
    """The variables that the source gives; `modified_us` is when it was stored, microseconds since the epoch."""
    parts = urlsplit(source_uri)
    key = source_uri.split("://", 1)[-1].removeprefix(parts.netloc).lstrip("/")
    dirname, _, basename = key.rpartition("/")
    barename, dot, extension = basename.rpartition(".")
    return {
        "bucket": parts.netloc,
        "key": key,
        "dirname": dirname,
        "basename": basename,
        "barename": barename if dot else basename,
        "ext": extension if dot else "",
        **_times("", modified_us),
    }


def expand(
    template: str,
    output: OutputName,
    source: Mapping[str, str],
    tags: Mapping[str, TagValue],
    created_us: int,
) -> str:
    """The URI that `template` stands for, with the extension added when its last part has none.

    The template must have passed `unknown_variables`.
    """
    uri = fill(template, output, source, tags, created_us)
    return uri if _EXTENSION.search(uri.rpartition("/")[2]) else f"{uri}.{output.extension}"


def fill(
    template: str,
    output: OutputName,
    source: Mapping[str, str],
    tags: Mapping[str, TagValue],
    created_us: int,
) -> str:
    """The text that `template` stands for; it must have passed `unknown_variables`."""
    values = {
        **source,
        **_times("t_", created_us),
        **{f"tags.{key}": tag_text(value) for key, value in tags.items()},
        "index": str(output.index),
        "streamindex": str(output.stream_index),
        "resolution": output.resolution,
        "autoext": output.extension,
    }
    pieces = (literal + ("" if name is None else values[name]) for literal, name, _, _ in Formatter().parse(template))
    return "".join(pieces)
