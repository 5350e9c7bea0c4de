"""Read the lengths that an MP4 or QuickTime file claims (ISO/IEC 14496-12, 8.2.2, 8.3.2, 8.4.2, 8.6.6)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, NamedTuple

from reelmill_server.media.input.boxes import boxes

# Where the time scale and the length lie in a box, with times of 32 and of 64 bits. `tkhd` counts in the scale of `mvhd`.
_SCALE_AT = (12, 20)
_LENGTH_AT = {b"mvhd": (16, 24), b"mdhd": (16, 24), b"tkhd": (20, 28)}
_NUMBER_AT = (12, 20)  # of the track, in `tkhd`
_EMPTY = -1  # where an edit begins that shows nothing
_EDITS_AT = 8  # in `elst`, behind version and count


class Edit(NamedTuple):
    """An entry of an edit list: its `length` in ticks of the movie, where it begins in the media, and its `rate` (16.16)."""

    length: int
    begin: int
    rate: int

    @property
    def is_empty(self) -> bool:
        """Whether it shows nothing."""
        return self.begin == _EMPTY


@dataclass(frozen=True)
class TrackLengths:
    """Lengths of the track `number`, seconds: `shown` as its header says, that of its `media`, and of its `edits`, None: it has
    none.

    `delay` is how much of the edits is empty, `skipped` what of the media lies before the first one that is not.
    """

    number: int
    shown: Fraction
    media: Fraction
    edits: Fraction | None = None
    delay: Fraction = Fraction(0)
    skipped: Fraction = Fraction(0)


@dataclass(frozen=True)
class MovieLengths:
    """The length of a movie, seconds (0: none is claimed, as in fragmented files), and those of its tracks."""

    seconds: Fraction
    tracks: tuple[TrackLengths, ...] = ()


def has_segment_index(file: BinaryIO) -> bool:
    """Return whether a file has an index of its fragments (`sidx`) ahead of them."""
    end = file.seek(0, 2)
    fragment = next((begin for begin, _ in boxes(file, 0, end, b"moof")), 0)
    return any(begin < fragment for begin, _ in boxes(file, 0, fragment, b"sidx"))


def movie_lengths(file: BinaryIO) -> MovieLengths:
    """Return what the headers of a file claim."""
    for span in boxes(file, 0, file.seek(0, 2), b"moov"):
        length, scale = _length(file, span, b"mvhd")
        tracks = [_track(file, track, scale) for track in boxes(file, *span, b"trak")]
        return MovieLengths(Fraction(length, scale), tuple(tracks))
    return MovieLengths(Fraction(0))


def _track(file: BinaryIO, span: tuple[int, int], scale: int) -> TrackLengths:
    number, shown = track_number(file, span), Fraction(_length(file, span, b"tkhd")[0], scale)
    length, media_scale = next((_length(file, box, b"mdhd") for box in boxes(file, *span, b"mdia")), (0, 1))
    media = Fraction(length, media_scale)
    for edits in edits_of(file, span):
        total = sum(edit.length for edit in edits)
        delay = sum(edit.length for edit in edits if edit.is_empty)
        skipped = next((edit.begin for edit in edits if not edit.is_empty), 0)
        delays = Fraction(delay, scale), Fraction(skipped, media_scale)
        return TrackLengths(number, shown, media, Fraction(total, scale), *delays)
    return TrackLengths(number, shown, media)


def track_number(file: BinaryIO, span: tuple[int, int]) -> int:
    """Return the number of a track, which is the ID of libav's stream; 0: it has none."""
    for begin, end in boxes(file, *span, b"tkhd"):
        file.seek(begin)
        content = file.read(end - begin)
        place = _NUMBER_AT[content[:1] == b"\1"]
        return int.from_bytes(content[place : place + 4])
    return 0


def media_scale(file: BinaryIO, span: tuple[int, int]) -> int:
    """Return how many ticks of a track's media are a second."""
    return next((_length(file, box, b"mdhd")[1] for box in boxes(file, *span, b"mdia")), 1)


def _length(file: BinaryIO, span: tuple[int, int], kind: bytes) -> tuple[int, int]:
    """Return the length in the box of `kind`, and the time scale; 0: it is not known."""
    for begin, end in boxes(file, *span, kind):
        file.seek(begin)
        content = file.read(end - begin)
        wide = content[:1] == b"\1"
        scale, length = _SCALE_AT[wide], _LENGTH_AT[kind][wide]
        width = 8 if wide else 4
        ticks = int.from_bytes(content[length : length + width])
        return (0 if ticks == (1 << 8 * width) - 1 else ticks), int.from_bytes(content[scale : scale + 4]) or 1
    return 0, 1


def edits_of(file: BinaryIO, track: tuple[int, int]) -> Iterator[Sequence[Edit]]:
    """Yield the edit list of a track, if it has one."""
    for edits in boxes(file, *track, b"edts"):
        for begin, end in boxes(file, *edits, b"elst"):
            yield list(_edits(file, begin, end))


def _edits(file: BinaryIO, begin: int, end: int) -> Iterator[Edit]:
    file.seek(begin)
    content = file.read(end - begin)
    width = 8 if content[:1] == b"\1" else 4
    for place in range(_EDITS_AT, len(content) - 2 * width - 3, 2 * width + 4):
        length, media, rate = (
            content[at : at + size] for at, size in ((place, width), (place + width, width), (place + 2 * width, 4))
        )
        yield Edit(int.from_bytes(length), int.from_bytes(media, signed=True), int.from_bytes(rate, signed=True))
