"""Decide which URIs a request lets its task write, without believing the plan: a process that reads hostile media made it."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from reelmill_server.model.plan import Plan
from reelmill_server.model.request import ConvertRequest
from reelmill_server.plan.output.image_files import writable_image_uris
from reelmill_server.plan.output.naming import MARK, Naming, OutputName, fill, source_variables
from reelmill_server.plan.output.package_files import writable_uris

# Stand for what only the media tells; control characters, which no URI contains.
_STREAM, _SIZE, _EXTENSION, _RUNG = "\x01", "\x02", "\x03", "\x04"
_MARKS = re.compile(f"([{MARK}{_STREAM}{_SIZE}{_EXTENSION}{_RUNG}])")
_SEPARATOR = re.compile(f"[-_.](?=[{MARK}{_STREAM}])")
_LAST_EXTENSION = re.compile(rf"(\.(?:[A-Za-z0-9]+|{_EXTENSION}))?$")
# What derived names have behind the template's: `-audio-1.m3u8`, `-0-init.mp4`, `_0_12.jpg`.
_DERIVED = re.compile(r"(?:[-_](?:audio|init|[0-9]+))*(?:\.[A-Za-z0-9]{1,8})?")
_LARGE = 99_999
_INIT = re.compile(r"(?:[0-9]+-)?init\.mp4")  # the init segment has what precedes the number in the names of the others
_DIGITS = re.compile("[0-9]+")
_Places = frozenset[int]


def foreign_uris(request: ConvertRequest, modified_us: Sequence[int], plan: Plan) -> list[str]:
    """Return those URIs of `plan` that no template of `request` can name; `modified_us` as in `PlanFacts`."""
    number = request.alignment_index
    naming = source_variables(request.sources[number].uri, modified_us[number]), request.tags, request.created_us
    names = [_Name.of(template, naming) for template in dict.fromkeys(_templates(request)) if template]
    # Of numbered files a second one, so that a number in a name is not taken for theirs.
    uris = (*writable_uris(plan), *writable_image_uris(plan.images), *(image.uri(_LARGE) for image in plan.images))
    return [uri for uri in uris if not any(name.may_be(uri) for name in names)]


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


@dataclass(frozen=True)
class _Name:
    """The file names that a template of a URI can give: numbers, sizes and extensions vary, all else is known.

    Texts and marks in turn: the name without its extension, the extension, and what precedes the number in the names of
    numbered files. Not a regular expression: with several numbers behind each other, one could look forever.
    """

    stem: tuple[str, ...]
    extension: tuple[str, ...]
    numbered: tuple[str, ...]

    @classmethod
    def of(cls, template: str, naming: Naming) -> "_Name":
        filled = fill(template, OutputName(_EXTENSION, _SIZE, MARK, _STREAM, _RUNG), *naming)
        extension = _LAST_EXTENSION.search(filled)
        assert extension
        stem = _SEPARATOR.sub("", filled[: extension.start()])
        numbered, mark, _ = filled.partition(MARK)
        return cls(_pieces(stem), _pieces(extension[0]), _pieces(numbered) if mark else ())

    def may_be(self, uri: str) -> bool:
        """Return whether the template may stand for a URI."""
        ends = _after(self.stem, uri, frozenset({0}))
        if any(_DERIVED.fullmatch(uri, place) for place in ends | _after(self.extension, uri, ends)):
            return True
        return (
            any(_INIT.fullmatch(uri, place) for place in _after(self.numbered, uri, frozenset({0}))) if self.numbered else False
        )


def _pieces(text: str) -> tuple[str, ...]:
    return tuple(piece for piece in _MARKS.split(text) if piece)


def _after(pieces: Sequence[str], text: str, places: _Places) -> _Places:
    """Return where in `text` the pieces may end that begin at one of `places`."""
    for piece in pieces:
        if not places:
            break
        step = _STEPS.get(piece)
        if step is not None:
            places = step(text, places)
        else:
            places = frozenset(place + len(piece) for place in places if text.startswith(piece, place))
    return places


def _behind(characters: str, text: str, places: _Places) -> _Places:
    """Return the places behind one of `characters`."""
    return frozenset(place + 1 for place in places if place < len(text) and text[place] in characters)


def _within(form: re.Pattern[str], text: str, places: _Places) -> _Places:
    """Return where what has the form may end, which is at least one character."""
    ends = ((place, form.match(text, place)) for place in places)
    return frozenset(end for place, match in ends if match for end in range(place + 1, match.end() + 1))


def _digits(text: str, places: _Places) -> _Places:
    """Return where digits may end; each of them is looked at once, however many begin before it."""
    found, reached = set[int](), 0
    for place in sorted(places):
        if place >= reached and (digits := _DIGITS.match(text, place)):
            reached = digits.end()
            found.update(range(place + 1, reached + 1))
    return frozenset(found)


def _number(text: str, places: _Places) -> _Places:
    """Return where a number may end. It may be left out with the separator before it: a playlist has the name of its segments
    without the number.
    """
    return places | _digits(text, places | _behind("-_.", text, places))


def _size(text: str, places: _Places) -> _Places:
    return places | _digits(text, _behind("x", text, _digits(text, places)))


_STEPS: Mapping[str, Callable[[str, _Places], _Places]] = {
    MARK: _number,
    _STREAM: _number,
    _SIZE: _size,
    _EXTENSION: partial(_within, re.compile("[A-Za-z0-9]{1,8}")),
    _RUNG: partial(_within, re.compile("[0-9]{1,2}")),
}
