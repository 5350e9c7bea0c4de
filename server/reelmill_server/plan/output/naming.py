"""Name outputs: expand URI templates and add extensions.

A template is written like Python's `str.format`: `{name}`, with `{{` and `}}` for braces. The request's tags are
`{tags.<key>}`; variables of the source are those of the source at the alignment index. Values are names, which are encoded
where the template's scheme requires it; the rest of a template is a URI already.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from string import Formatter

from reelmill_server.errors import InvalidArgument
from reelmill_server.model.task import TagValue, tag_text
from reelmill_server.uris import Resource, dot_steps, encoded, scheme_of

_EXTENSION = re.compile(r"\.[A-Za-z0-9]+$")
_SEPARATOR = re.compile(r"[-_.]$")
MARK = "\0"
"""Placeholder for a number that is not known yet; no URI contains it."""
_MEDIA_EXTENSIONS = frozenset("ts mp4 m4s m4v m4a mkv mov webm".split())
# Extensions in what a variable stands for; anything else there, as the end of `Movie 2.0`, is part of a name.
_KNOWN_EXTENSIONS = _MEDIA_EXTENSIONS | frozenset(
    "3gp aac ac3 aif aiff amr ape asf avi eac3 f4v flac flv m2ts m4b mka mkv mp2 mp3 mpeg mpg mts mxf oga ogg ogv opus vob wav "
    "wma wmv m3u8 mpd ass json srt sup vtt apng avif bmp gif jpeg jpg png tif tiff webp".split()
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_FORMATS = {"year": "%Y", "mon": "%m", "day": "%d", "hour": "%H", "min": "%M", "sec": "%S"}
_SOURCE_NAMES = ("bucket", "key", "dirname", "barename", "basename", "ext")
Naming = tuple[Mapping[str, str], Mapping[str, TagValue], int]
"""Values for templates besides the output's own: variables of the source, tags, and time of creation in microseconds."""
_NUMBERS = ("streamindex", "index")
_OUTPUT_NAMES = (*_NUMBERS, "resolution", "autoext")
_MOST_VARIABLES = 32  # in one template; each costs time wherever names are compared
RUNG = "rung"
"""The variable that numbers the rungs of a ladder, known only there."""
VARIABLES = frozenset({*_SOURCE_NAMES, *_OUTPUT_NAMES, *_TIME_FORMATS, *(f"t_{name}" for name in _TIME_FORMATS)})
"""All variables but `tags.*`."""


@dataclass(frozen=True)
class OutputName:
    """Values of an output's own variables; `index` and `rung` count from 1, `stream_index` from 0; texts may replace them."""

    extension: str
    resolution: str = ""
    index: int | str = 1
    stream_index: int | str = 0
    rung: int | str = 0


def unknown_variables(template: str, tags: Mapping[str, TagValue], extra: Collection[str] = ()) -> list[str]:
    """Return one message per unknown variable in `template`, or one if it cannot be parsed; `extra` are known here, too."""
    try:
        fields = [field for field in Formatter().parse(template) if field[1] is not None]
    except ValueError as error:
        return [f"not a template: {error}"]
    known = VARIABLES | {f"tags.{key}" for key in tags} | {*extra}
    return [
        *([f"has {len(fields)} variables, more than {_MOST_VARIABLES}"] if len(fields) > _MOST_VARIABLES else ()),
        *(f"unknown variable {{{name}}}: known are {', '.join(sorted(known))}" for _, name, *_ in fields if name not in known),
        *(f"{{{name}}} takes no format: leave out what follows its name" for _, name, *form in fields if any(form)),
    ]


def variables_in(template: str) -> frozenset[str]:
    """Return the names of the variables in `template`, which must have passed `unknown_variables`."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name is not None)


def has_extension(uri: str) -> bool:
    """Return whether the name at the end of `uri` ends in a dot followed by letters and digits."""
    return bool(_EXTENSION.search(Resource.of(uri).name))


def _times(prefix: str, moment_us: int) -> dict[str, str]:
    moment = _EPOCH + timedelta(microseconds=moment_us)
    return {f"{prefix}{name}": moment.strftime(code) for name, code in _TIME_FORMATS.items()}


def source_variables(source_uri: str, modified_us: int) -> dict[str, str]:
    """Return the variables of a source, not encoded; `modified_us`: its time of last modification, microseconds since the
    epoch.
    """
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
    """Expand `template` to a URI, and add the extension if its last part has none.

    `several`: the output is one of several of its target; `_<streamindex>` then precedes the extension unless the template
    has a number. The template must have passed `unknown_variables`.
    """
    uri = fill(template, output, source, tags, created_us)
    if _names_extension(template, uri):
        return uri
    numbered = any(name in _NUMBERS for _, name, _, _ in Formatter().parse(template))
    number = f"_{output.stream_index}" if several and not numbered else ""
    return f"{uri}{number}.{output.extension}"


def _names_extension(template: str, uri: str) -> bool:
    """Return whether `template`, which stands for `uri`, says how the name at its end is extended.

    Its own text does, `{ext}` and `{autoext}`; the value of another variable only with a known extension, `{barename}` never.
    """
    extension = _EXTENSION.search(Resource.of(uri).name)
    fields = [*Formatter().parse(template)]
    variables = [name for _, name, *_ in fields if name is not None]
    own_end = fields[-1][0] if fields and fields[-1][1] is None else ""
    if extension is None or not variables or "." in own_end or variables[-1] in ("ext", "autoext"):
        return extension is not None
    return variables[-1] != "barename" and extension[0][1:].lower() in _KNOWN_EXTENSIONS


@dataclass(frozen=True)
class PackageName:
    """URI of a segmented output's playlist, and the URIs of segments before and after their number."""

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
    """Expand `template` to the URIs of a segmented output; `playlist` has the extension of the playlist.

    Without `{index}`, segments are named `<base>-<n>.<extension>` after the playlist without its extension. With it, the
    template names the segments, and the playlist has the same name without the number and a `-`, `_` or `.` before it. The
    template must have passed `unknown_variables` and `package_problems`.
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
    """Return why `template`, which must have passed `unknown_variables`, cannot name a segmented output; empty if it can."""
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
    """Expand `template`, which must have passed `unknown_variables`, to a URI.

    Raises InvalidArgument if what variables stand for leads to another folder: `{barename}` of `...mp4` is `..`.
    """
    names = {**source, **{f"tags.{key}": tag_text(value) for key, value in tags.items()}}
    values = {
        **{key: encoded(name, scheme_of(template)) for key, name in names.items()},
        **_times("t_", created_us),
        "index": str(output.index),
        "streamindex": str(output.stream_index),
        "resolution": output.resolution,
        "autoext": output.extension,
        RUNG: str(output.rung),
    }
    uri = "".join(literal + ("" if name is None else values[name]) for literal, name, _, _ in Formatter().parse(template))
    # Whoever may write in a folder only has that checked before the names are known.
    if dot_steps(uri) > dot_steps(template):
        raise InvalidArgument(
            "a target's URI has a step `.` or `..` with the names that its variables stand for: choose another name"
        )
    return uri


def with_tags(template: str, tags: Mapping[str, TagValue]) -> str:
    """Return `template` with the values of its tags; other variables, and what is no template, stay as they are."""
    try:
        parsed = [*Formatter().parse(template)]
    except ValueError:
        return template
    scheme = scheme_of(template)
    values = {f"tags.{key}": encoded(tag_text(value), scheme) for key, value in tags.items()}
    return "".join(text + ("" if name is None else values.get(name, f"{{{name}}}")) for text, name, _, _ in parsed)


def _last(uri: str) -> str:
    return uri.rpartition("/")[2]
