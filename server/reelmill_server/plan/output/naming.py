"""Names of outputs: URI templates, and the extension that an output gets.

A template is written like Python's `str.format`: `{name}`, with `{{` and `}}` for braces. The request's tags are
`{tags.<key>}`; the source's variables come from the source at the alignment index. Variables stand for names, which are encoded
where the scheme of the template wants it; the rest of a template is a URI as it is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from string import Formatter

from reelmill_server.model.task import TagValue, tag_text
from reelmill_server.uris import Resource, encoded, scheme_of

_EXTENSION = re.compile(r"\.[A-Za-z0-9]+$")
_SEPARATOR = re.compile(r"[-_.]$")
MARK = "\0"
"""Stands for a number that is not known yet; no URI has it."""
_MEDIA_EXTENSIONS = frozenset("ts mp4 m4s m4v m4a mkv mov webm".split())
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_FORMATS = {"year": "%Y", "mon": "%m", "day": "%d", "hour": "%H", "min": "%M", "sec": "%S"}
_SOURCE_NAMES = ("bucket", "key", "dirname", "barename", "basename", "ext")
Naming = tuple[Mapping[str, str], Mapping[str, TagValue], int]
"""What templates are filled with beside the output's own variables: the source's, the tags, and the time of creation, µs."""
_NUMBERS = ("streamindex", "index")
_OUTPUT_NAMES = (*_NUMBERS, "resolution", "autoext")
VARIABLES = frozenset({*_SOURCE_NAMES, *_OUTPUT_NAMES, *_TIME_FORMATS, *(f"t_{name}" for name in _TIME_FORMATS)})
"""Every variable but `tags.*`."""


@dataclass(frozen=True)
class OutputName:
    """What an output's own variables stand for; `index` counts from 1 (or is a text in its place), `stream_index` from 0."""

    extension: str
    resolution: str = ""
    index: int | str = 1
    stream_index: int = 0


def unknown_variables(template: str, tags: Mapping[str, TagValue]) -> list[str]:
    """The names in `template` that stand for nothing, or one sentence when it cannot be read as a template."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        return [f"not a template: {error}"]
    known = VARIABLES | {f"tags.{key}" for key in tags}
    return [f"unknown variable {{{name}}}: known are {', '.join(sorted(known))}" for name in names if name not in known]


def variables_in(template: str) -> frozenset[str]:
    """The names in `template`, which must have passed `unknown_variables`."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name is not None)


def has_extension(uri: str) -> bool:
    """Whether the name at the end of `uri` ends in a dot followed by letters and digits."""
    return bool(_EXTENSION.search(Resource.of(uri).name))


def _times(prefix: str, moment_us: int) -> dict[str, str]:
    moment = _EPOCH + timedelta(microseconds=moment_us)
    return {f"{prefix}{name}": moment.strftime(code) for name, code in _TIME_FORMATS.items()}


def source_variables(source_uri: str, modified_us: int) -> dict[str, str]:
    """The variables that the source gives, not encoded; `modified_us` is when it was stored, microseconds since the epoch."""
    resource = Resource.of(source_uri)
    key = resource.path.lstrip("/")
    dirname, _, basename = key.rpartition("/")
    barename, dot, extension = basename.rpartition(".")
    return {
        "bucket": resource.authority,
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
    several: bool = False,
) -> str:
    """The URI that `template` stands for, with the extension added when its last part has none.

    `several`: the output is one of several of its target; then `_<streamindex>` goes before it, unless the template has a
    number.
    The template must have passed `unknown_variables`.
    """
    uri = fill(template, output, source, tags, created_us)
    if has_extension(uri):
        return uri
    numbered = any(name in _NUMBERS for _, name, _, _ in Formatter().parse(template))
    number = f"_{output.stream_index}" if several and not numbered else ""
    return f"{uri}{number}.{output.extension}"


@dataclass(frozen=True)
class PackageName:
    """Where the playlist of an output in segments goes, and what stands before and after the number of a segment."""

    playlist: str
    prefix: str
    suffix: str


def expand_package(
    template: str,
    playlist: OutputName,
    segment_extension: str,
    source: Mapping[str, str],
    tags: Mapping[str, TagValue],
    created_us: int,
) -> PackageName:
    """The URIs that `template` stands for when the output is in segments; `playlist` has the playlist's extension.

    Without `{index}` the segments are `<base>-<n>.<extension>`, with the playlist's name without its extension as base. With it
    the template names the segments, and the playlist is called the same without the number and the `-`, `_` or `.` before it.
    The template must have passed `unknown_variables` and `package_problems`.
    """
    playlist = replace(playlist, index=MARK)
    listed = fill(template, playlist, source, tags, created_us)
    head, _, tail = _last(listed).partition(MARK)
    folder = listed[: len(listed) - len(_last(listed))]
    uri = folder + _SEPARATOR.sub("", head) + tail if MARK in listed else listed
    if not uri.lower().endswith(f".{playlist.extension}"):
        uri = f"{uri}.{playlist.extension}"
    if MARK not in listed:
        return PackageName(uri, f"{uri[: -len(playlist.extension) - 1]}-", f".{segment_extension}")
    named = fill(template, replace(playlist, extension=segment_extension), source, tags, created_us)
    prefix, _, suffix = named.partition(MARK)
    stem = suffix[: -len(playlist.extension) - 1] if suffix.lower().endswith(f".{playlist.extension}") else suffix
    return PackageName(uri, prefix, stem if stem.endswith(f".{segment_extension}") else f"{stem}.{segment_extension}")


def package_problems(template: str, playlist_extension: str) -> list[str]:
    """Why `template` cannot name an output in segments; it must have passed `unknown_variables`."""
    parsed = list(Formatter().parse(template))
    places = [number for number, (_, name, _, _) in enumerate(parsed) if name == "index"]
    if len(places) > 1 or (places and any("/" in literal for literal, _, _, _ in parsed[places[0] + 1 :])):
        return ["{index} may stand once, in the last part: segments lie beside their playlist"]
    extension = _EXTENSION.search(_last(template))
    if extension and extension[0].lower().lstrip(".") in _MEDIA_EXTENSIONS:
        expected = f"names a playlist: leave the extension {extension[0]} out, or write .{playlist_extension} or .{{autoext}}"
        return [expected]
    return []


def fill(
    template: str,
    output: OutputName,
    source: Mapping[str, str],
    tags: Mapping[str, TagValue],
    created_us: int,
) -> str:
    """The URI that `template` stands for; it must have passed `unknown_variables`."""
    names = {**source, **{f"tags.{key}": tag_text(value) for key, value in tags.items()}}
    values = {
        **{key: encoded(name, scheme_of(template)) for key, name in names.items()},
        **_times("t_", created_us),
        "index": str(output.index),
        "streamindex": str(output.stream_index),
        "resolution": output.resolution,
        "autoext": output.extension,
    }
    return "".join(literal + ("" if name is None else values[name]) for literal, name, _, _ in Formatter().parse(template))


def _last(uri: str) -> str:
    return uri.rpartition("/")[2]
