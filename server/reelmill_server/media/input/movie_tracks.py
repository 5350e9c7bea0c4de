"""Read what the tables of MP4 and QuickTime say of tracks that libav does not hand out (ISO/IEC 14496-12, 8.5, 8.7.4)."""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, BinaryIO

from av.container import InputContainer

from reelmill_server.media.input.boxes import boxes, content_of
from reelmill_server.media.input.movie_lengths import Edit, edits_of, media_scale, movie_lengths, track_number
from reelmill_server.model.media_info import MediaInfo, StreamInfo

_MOVIES = "mov,mp4,m4a,3gp,3g2,mj2"
_TABLES = (b"mdia", b"minf", b"stbl")
# Sample entries of what is encrypted: by Common Encryption (ISO/IEC 23001-7), and FairPlay.
_ENCRYPTED = (b"encv", b"enca", b"enct", b"encs", b"drms", b"drmi", b"drmt")
_COUNT_AT, _ENTRIES_AT = 4, 8
_BIT_RATE = re.compile(rb"\0\0\0\x14btrt.{12}", re.DOTALL)
_USUAL_RATE = 0x1_0000
_CHUNK_BYTES, _DESCRIPTION_AT = 12, 8  # of an entry of `stsc`


@dataclass(frozen=True)
class Track:
    """A track: `encrypted`, or in so many `descriptions` (parameters of its codec), which follow each other;
    `described_until`: when the second of them begins, seconds of the file. `unfollowed`: what its edit list does that libav
    ignores.
    """

    encrypted: bool = False
    descriptions: int = 1
    described_until: float | None = None
    unfollowed: str = ""


def with_tracks(info: MediaInfo, container: InputContainer) -> MediaInfo:
    """Return `info` of an open file with what the tables of its tracks say."""
    file: Any = getattr(getattr(container, "file", None), "file", None)
    if container.format.name != _MOVIES or file is None:
        return info
    position = file.tell()
    try:
        tracks, whole = dict(_tracks(file)), not _is_fragmented(file)
    finally:
        file.seek(position)  # libav goes on there
    told = {stream.index: tracks[stream.id] for stream in container.streams if stream.id in tracks}
    lasting = {stream.index for stream in container.streams if stream.duration}  # with what an edit list waits for them

    def known(stream: StreamInfo) -> dict[str, Any]:
        track = told.get(stream.index, Track())
        nothing = whole and (not stream.frame_count or (stream.index in lasting and not stream.duration_seconds))
        return {**vars(track), "empty": nothing}

    return replace(
        info,
        video=tuple(replace(stream, **known(stream)) for stream in info.video),
        audio=tuple(replace(stream, **known(stream)) for stream in info.audio),
    )


def _tracks(file: BinaryIO) -> Iterator[tuple[int, Track]]:
    end = file.seek(0, 2)
    for movie in boxes(file, 0, end, b"moov"):
        for track in boxes(file, *movie, b"trak"):
            for table in _inside(file, track, _TABLES):
                unfollowed = "".join(_unfollowed(edits) for edits in edits_of(file, track))
                found = replace(_track(file, table), unfollowed=unfollowed)
                if found.descriptions > 1:
                    found = replace(found, described_until=_until(file, track, table))
                yield track_number(file, track), found
        return


def _is_fragmented(file: BinaryIO) -> bool:
    """Return whether samples may be in fragments."""
    movies = boxes(file, 0, file.seek(0, 2), b"moov")
    return any(True for movie in movies for _ in boxes(file, *movie, b"mvex"))


def _unfollowed(edits: Sequence[Edit]) -> str:
    if any(edit.rate != _USUAL_RATE for edit in edits if not edit.is_empty and edit.length):
        return "changes its speed"
    shown = [edit.is_empty for edit in edits if edit.length]
    return "pauses it midway" if False in shown and True in shown[shown.index(False) :] else ""


def _inside(file: BinaryIO, span: tuple[int, int], way: tuple[bytes, ...]) -> Iterator[tuple[int, int]]:
    if not way:
        yield span
        return
    for inner in boxes(file, *span, way[0]):
        yield from _inside(file, inner, way[1:])


def _track(file: BinaryIO, table: tuple[int, int]) -> Track:
    for begin, end in boxes(file, *table, b"stsd"):
        kinds = [kind for kind in _ENCRYPTED for _ in boxes(file, begin + _ENTRIES_AT, end, kind)]
        file.seek(begin + _COUNT_AT)
        several = int.from_bytes(file.read(4)) > 1
        return Track(bool(kinds), _different(file, (begin + _ENTRIES_AT, end), _used(file, table)) if several else 1)
    return Track()


def _different(file: BinaryIO, span: tuple[int, int], used: set[bytes]) -> int:
    """Return how many of the sample descriptions that are used say something else, whatever their bit rates are."""
    entries = _entries(file, span)
    numbers = (int.from_bytes(which) - 1 for which in used)
    return len({entries[number] for number in numbers if 0 <= number < len(entries)}) or 1


def _entries(file: BinaryIO, span: tuple[int, int]) -> list[bytes]:
    """Return the sample descriptions in `span`, without their bit rates."""
    content, entries, at = content_of(file, *span), list[bytes](), 0
    while (size := int.from_bytes(content[at : at + 4])) >= _ENTRIES_AT:
        entries.append(_BIT_RATE.sub(b"", content[at + 4 : at + size]))
        at += size
    return entries


def _until(file: BinaryIO, track: tuple[int, int], table: tuple[int, int]) -> float | None:
    """Return when the first sample with another description than the first one is decoded, seconds of the file."""
    entries = next((_entries(file, (begin + _ENTRIES_AT, end)) for begin, end in boxes(file, *table, b"stsd")), [])
    chunks = _rows(file, table, b"stsc", 3)
    samples = 0
    for (first, each, which), (following, _, other) in pairwise(chunks):
        samples += (following - first) * each
        if not min(which, other) or max(which, other) > len(entries) or entries[other - 1] != entries[chunks[0][2] - 1]:
            break
    else:
        return None
    ticks = 0
    for count, length in _rows(file, table, b"stts", 2):
        ticks += min(count, samples) * length
        samples -= min(count, samples)
    number = track_number(file, track)
    moved = next((each.delay - each.skipped for each in movie_lengths(file).tracks if each.number == number), Fraction(0))
    return float(Fraction(ticks, media_scale(file, track)) + moved)


def _rows(file: BinaryIO, table: tuple[int, int], kind: bytes, columns: int) -> list[tuple[int, ...]]:
    """Return the rows of a table of numbers of 32 bits."""
    for begin, end in boxes(file, *table, kind):
        content = content_of(file, begin + _ENTRIES_AT, end)
        row = struct.Struct(f">{columns}I")
        return [*row.iter_unpack(content[: len(content) // row.size * row.size])]
    return []


def _used(file: BinaryIO, table: tuple[int, int]) -> set[bytes]:
    """Return the numbers of the sample descriptions that a track uses."""
    for begin, end in boxes(file, *table, b"stsc"):
        chunks = content_of(file, begin + _ENTRIES_AT, end)
        return {chunks[at + _DESCRIPTION_AT : at + _CHUNK_BYTES] for at in range(0, len(chunks), _CHUNK_BYTES)}
    return set()
