"""Decide which URIs a request lets its task write, without believing the plan: a process that reads hostile media made it."""

import re
from collections.abc import Iterator, Sequence

from reelmill_server.model.plan import Plan
from reelmill_server.model.request import ConvertRequest
from reelmill_server.plan.output.image_files import writable_image_uris
from reelmill_server.plan.output.naming import MARK, Naming, OutputName, fill, source_variables
from reelmill_server.plan.output.package_files import writable_uris

# Stand for what only the media tells; control characters, which no URI contains.
_STREAM, _SIZE, _EXTENSION, _RUNG = "\x01", "\x02", "\x03", "\x04"
# Numbers may be left out with the separator before them: a playlist has the name of its segments without the number.
_NUMBER = r"(?:[-_.]?\d+)?"
_FORMS = {MARK: _NUMBER, _STREAM: _NUMBER, _SIZE: r"(?:\d+x\d+)?", _EXTENSION: "[A-Za-z0-9]{1,8}", _RUNG: r"\d{1,2}"}
_MARKS = re.compile(f"([{''.join(_FORMS)}])")
_SEPARATOR = re.compile(f"[-_.](?=[{MARK}{_STREAM}])")
_LAST_EXTENSION = re.compile(rf"(\.(?:[A-Za-z0-9]+|{_EXTENSION}))?$")
# What derived names have behind the template's: `-audio-1.m3u8`, `-0-init.mp4`, `_0_12.jpg`.
_DERIVED = r"(?:[-_](?:audio|init|\d+))*(?:\.[A-Za-z0-9]{1,8})?"
_LARGE = 99_999
_INIT = r"(?:\d+-)?init\.mp4"  # the init segment has what precedes the number in the names of the others


def foreign_uris(request: ConvertRequest, modified_us: Sequence[int], plan: Plan) -> list[str]:
    """Return those URIs of `plan` that no template of `request` can name; `modified_us` as in `PlanFacts`."""
    number = request.alignment_index
    naming = source_variables(request.sources[number].uri, modified_us[number]), request.tags, request.created_us
    patterns = [_pattern(template, naming) for template in dict.fromkeys(_templates(request)) if template]
    # Of numbered files a second one, so that a number in a name is not taken for theirs.
    uris = (*writable_uris(plan), *writable_image_uris(plan.images), *(image.uri(_LARGE) for image in plan.images))
    return [uri for uri in uris if not any(pattern.fullmatch(uri) for pattern in patterns)]


def _templates(request: ConvertRequest) -> Iterator[str]:
    yield from request.group_uris
    for target in request.targets:
        yield target.uri
        if target.extract:
            yield target.extract.uri
        for image in target.images:
            yield image.uri
            if image.sheet:
                yield from (image.sheet.web_vtt_uri, image.sheet.playlist_uri)


def _pattern(template: str, naming: Naming) -> re.Pattern[str]:
    """Return a pattern of what a template can name: numbers, sizes and extensions vary, all else is known."""
    filled = fill(template, OutputName(_EXTENSION, _SIZE, MARK, _STREAM, _RUNG), *naming)
    extension = _LAST_EXTENSION.search(filled)
    assert extension
    stem = _SEPARATOR.sub("", filled[: extension.start()])
    name = f"{_escaped(stem)}(?:{_escaped(extension[0])})?{_DERIVED}"
    numbered, mark, _ = filled.partition(MARK)
    return re.compile(f"{name}|{_escaped(numbered)}{_INIT}" if mark else name)


def _escaped(text: str) -> str:
    return "".join(_FORMS.get(piece) or re.escape(piece) for piece in _MARKS.split(text))
