"""Keep what remains of an ASS event, libav's form of all text subtitles, in formats that hold text and little else.

Drawings and comments are no text, and are taken out; so is what other formats cannot express. An event's place becomes the
settings of a WebVTT cue, and the other way around.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

TEXT_FIELD, STYLE_FIELD = 8, 2
"""Positions of the text and of the style's name in an event as libav passes it."""

_BRACE, _LITERAL_BRACE = re.compile(rb"\{(?!\\)"), rb"\{"
_BLOCK = re.compile(rb"(?<!\\)\{([^{}]*)\}")
_TAG = re.compile(rb"\\([0-9]?[a-zA-Z]+)(\([^)]*\)?|[^\\]*)")
_KEPT_TAGS = frozenset({b"b", b"i", b"u", b"s", b"c", b"1c", b"an", b"a"})
_SAID_OTHERWISE = _KEPT_TAGS | {b"p", b"r"}  # drawings have a warning of their own; what is reset without a style ends there
_RESET = re.compile(rb"^r[^nN]|^r$")
_HARD_SPACE, _NO_BREAK_SPACE = rb"\h", "\u00a0".encode()
_PLAIN_FONT = {b"Fontname": b"Arial", b"Fontsize": b"16"}  # those that libav takes for no font at all
# The alignments of SSA's \a: 1 to 3 at the bottom, 5 to 7 at the top, 9 to 11 in the middle.
_SSA_ROWS = {0: 0, 4: 6, 8: 3}
_BOTTOM_CENTER = 2
_PLACE = re.compile(rb"\\pos\(\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*\)")
_ALIGNED = re.compile(rb"\\an([1-9])|\\a(\d+)")
_LINE = re.compile(rb"(?:^|\s)line:(-?[\d.]{1,20})(%?)")
_NUMBER = re.compile(rb"\d{1,2}")
_ALIGN = re.compile(rb"(?:^|\s)align:(start|left|center|middle|end|right)")
_COLUMNS = {b"start": 0, b"left": 0, b"end": 2, b"right": 2}
_ALIGN_WORDS, _LINE_WORDS = ("left", "center", "right"), ("end", "center", "start")
_POSITION_WORDS = ("line-left", "center", "line-right")
_MARKUP_OF_WEBVTT = re.compile(rb"<(?:c[ .>]|v[ .]|ruby|lang|\d)")
_SETTINGS_OF_ASS = re.compile(rb"^(?:\s*(?:line:(?:0|-1)|align:\w+|position:50%))*\s*$")


@dataclass(frozen=True)
class Readable:
    """The text of an event with the tags that other formats know; `drawings`: something drawn was taken out; `plainer`: the
    looks of the text were.
    """

    text: bytes
    drawings: bool = False
    plainer: bool = False

    @property
    def empty(self) -> bool:
        """Return whether nothing can be read."""
        return not _BLOCK.sub(b"", self.text).replace(rb"\N", b"").replace(rb"\n", b"").strip()


def literal(event: bytes) -> bytes:
    """Return an event from a format other than ASS, in which braces are text: in ASS they would hide what is in them."""
    *fields, text = event.split(b",", TEXT_FIELD)
    return b",".join([*fields, _BRACE.sub(rb"\\{", text)])


def readable(text: bytes) -> Readable:
    """Return what can be read of an event's text."""
    pieces: list[bytes] = []
    drawing = drawings = plainer = False
    for number, piece in enumerate(_BLOCK.split(text)):
        if number % 2:
            tags = _TAG.findall(piece)
            override = b"".join(b"\\" + name + value for name, value in tags if name in _KEPT_TAGS or _RESET.search(name))
            plainer = plainer or any(name not in _SAID_OTHERWISE for name, _ in tags)
            drawing = next((value.strip() not in (b"", b"0") for name, value in reversed(tags) if _is_drawing(name)), drawing)
            pieces.append(b"{" + override + b"}" if override else b"")
        elif drawing:
            drawings = drawings or bool(piece.strip())
        else:
            pieces.append(piece.replace(_HARD_SPACE, _NO_BREAK_SPACE).replace(_LITERAL_BRACE, b"{"))
    return Readable(b"".join(pieces), drawings, plainer)


def _is_drawing(name: bytes) -> bool:
    return name == b"p"


@dataclass(frozen=True)
class Styles:
    """Canvas size of an ASS script, and the alignment of each of its styles: 1 to 9, as on a numeric keypad."""

    width: int = 384
    height: int = 288
    alignments: Mapping[bytes, int] = field(default_factory=dict)

    @classmethod
    def of(cls, header: bytes) -> "Styles":
        """Read a header."""
        sizes = {key: int(value) for key, value in re.findall(rb"^PlayRes([XY]):\s*(\d{1,5})\s*$", header, re.MULTILINE)}
        old = b"[V4 Styles]" in header
        alignments = {
            style[b"Name"].lstrip(b"*"): _from_ssa(int(style[b"Alignment"])) if old else int(style[b"Alignment"])
            for style in _styles(header)
            if _NUMBER.fullmatch(style.get(b"Alignment", b""))
        }
        return cls(sizes.get(b"X") or cls.width, sizes.get(b"Y") or cls.height, alignments)

    def settings(self, event: bytes) -> bytes:
        """Return the settings of a WebVTT cue at the place of an event; empty: that of a cue without settings."""
        fields = event.split(b",", TEXT_FIELD)
        alignment = _alignment(fields[-1]) or self.alignments.get(fields[STYLE_FIELD], _BOTTOM_CENTER)
        row, column = divmod(min(max(alignment, 1), 9) - 1, 3)
        place = _PLACE.search(fields[-1])
        if place:
            x, y = _share(place[1], self.width), _share(place[2], self.height)
            words = f"line:{y}%,{_LINE_WORDS[row]} position:{x}%,{_POSITION_WORDS[column]} align:{_ALIGN_WORDS[column]}"
        else:
            line = ("", "line:50%,center", "line:0")[row]
            words = " ".join(word for word in (line, "" if column == 1 else f"align:{_ALIGN_WORDS[column]}") if word)
        return words.encode()


def placed(event: bytes, settings: bytes) -> bytes:
    """Return an event that stands, as nearly as an alignment can say, where the settings of a WebVTT cue put it."""
    line, align = _LINE.search(settings), _ALIGN.search(settings)
    row = 0
    if line:
        number = Fraction(line[1].decode().strip(".") or "0") if line[1].count(b".") < 2 else Fraction(0)
        row = (2 if number >= 0 else 0) if not line[2] else 2 if number < 33 else 1 if number < 67 else 0
    column = _COLUMNS.get(align[1], 1) if align else 1
    alignment = row * 3 + column + 1
    if alignment == _BOTTOM_CENTER:
        return event
    *fields, text = event.split(b",", TEXT_FIELD)
    return b",".join([*fields, rb"{\an%d}" % alignment + text])


def loses_looks(text: bytes, settings: bytes) -> bool:
    """Return whether a WebVTT cue has more than an ASS event keeps of it: classes, voices, ruby, places within the picture."""
    return bool(_MARKUP_OF_WEBVTT.search(text)) or not _SETTINGS_OF_ASS.match(settings)


def without_fonts(header: bytes) -> bytes:
    """Return an ASS header whose styles have no fonts and sizes of their own: those are for a canvas that no other has."""
    lines = []
    names: list[bytes] = []
    for line in header.splitlines(keepends=True):
        key, colon, values = line.partition(b":")
        if colon and key == b"Format" and b"Fontname" in values:
            names = [name.strip() for name in values.split(b",")]
        elif colon and key == b"Style" and names:
            fields = values.rstrip(b"\r\n")
            parts = [_PLAIN_FONT.get(name, value) for name, value in zip(names, fields.split(b","), strict=False)]
            lines.append(b"Style:" + b",".join(parts) + values[len(fields) :])
            continue
        lines.append(line)
    return b"".join(lines)


def _styles(header: bytes) -> Iterator[Mapping[bytes, bytes]]:
    names: list[bytes] = []
    for line in header.splitlines():
        key, _, values = line.partition(b":")
        if key == b"Format" and b"Fontname" in values:
            names = [name.strip() for name in values.split(b",")]
        elif key == b"Style" and names:
            style = dict(zip(names, (value.strip() for value in values.split(b",")), strict=False))
            if b"Name" in style:
                yield style


def _alignment(text: bytes) -> int | None:
    """Return the alignment that an event's text sets; its first one counts."""
    alignment = next((match for block in _BLOCK.finditer(text) for match in _ALIGNED.finditer(block[1])), None)
    if alignment is None:
        return None
    return int(alignment[1]) if alignment[1] else _from_ssa(int(alignment[2][:2]))


def _from_ssa(alignment: int) -> int:
    row = alignment & 12
    return _SSA_ROWS.get(row, 0) + min(max(alignment & 3, 1), 3)


def _share(value: bytes, whole: int) -> str:
    number = float(value) if value.count(b".") < 2 and value.strip(b"-.") else 0.0
    return f"{min(max(number * 100 / whole, 0.0), 100.0):.4g}"
