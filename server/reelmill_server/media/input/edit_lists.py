"""Write into QuickTime files what libav's muxer leaves out."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import BinaryIO

from reelmill_server.media.input.boxes import boxes

# Since QuickTime 7 a language is a Macintosh code or, from 0x400, an ISO 639-2 code in three times five bits (QuickTime File
# Format, "Language code values"). libav reads both, but writes the former only, which has no swe, deu or zho.
_UNSPECIFIED = 0x7FFF
_LETTER_BASE = 0x60
# Offset of the language in the contents of `mdhd`, with times of 32 and of 64 bits.
_LANGUAGE_AT = {0: 20, 1: 32}
# The same of the time scale of `mvhd`, of the lengths of `mvhd` and `tkhd`, and the bytes of these, by version.
_SCALE_AT, _MOVIE_AT, _TRACK_AT, _WIDTH = (12, 20), (16, 24), (20, 28), (4, 8)
_EDITS_AT = 8  # in `elst`, behind version and count


def name_languages(path: str, languages: Sequence[str]) -> None:
    """Write the languages (ISO 639-2; empty: unknown) of the first tracks into a finished file where it has none."""
    with open(path, "r+b") as file:
        end = file.seek(0, 2)
        tracks = [span for movie in boxes(file, 0, end, b"moov") for span in boxes(file, *movie, b"trak")]
        for track, language in zip(tracks, languages, strict=False):
            if len(language) != 3 or not (language.isascii() and language.islower()):
                continue
            for media in boxes(file, *track, b"mdia"):
                for begin, _ in boxes(file, *media, b"mdhd"):
                    _name(file, begin, language)


def _name(file: BinaryIO, header: int, language: str) -> None:
    file.seek(header)
    position = header + _LANGUAGE_AT[file.read(1)[0]]
    file.seek(position)
    if int.from_bytes(file.read(2)) != _UNSPECIFIED:
        return
    first, second, third = (ord(letter) - _LETTER_BASE for letter in language)
    file.seek(position)
    file.write((first << 10 | second << 5 | third).to_bytes(2))


def end_tracks(path: str, ends: Mapping[int, Fraction]) -> None:
    """Have tracks of a finished file, by number, be shown until `ends`, seconds, at most: frames after that are there for
    those that refer to them.
    """
    with open(path, "r+b") as file:
        for movie in boxes(file, 0, file.seek(0, 2), b"moov"):
            ((header, _),) = boxes(file, *movie, b"mvhd")
            version = _number(file, header, 1)
            scale = _number(file, header + _SCALE_AT[version], 4)
            longest = 0
            for number, track in enumerate(boxes(file, *movie, b"trak")):
                ((place, _),) = boxes(file, *track, b"tkhd")
                wide = _number(file, place, 1)
                place, width = place + _TRACK_AT[wide], _WIDTH[wide]
                length = _number(file, place, width)
                if number in ends and (until := round(ends[number] * scale)) < length:
                    edits = [span for box in boxes(file, *track, b"edts") for span in boxes(file, *box, b"elst")]
                    for begin, _ in edits:
                        _shorten(file, begin, until)
                        length = until
                    _write(file, place, width, length)
                longest = max(longest, length)
            _write(file, header + _MOVIE_AT[version], _WIDTH[version], longest)


def _shorten(file: BinaryIO, begin: int, until: int) -> None:
    """Let the edits of a list end at `until`, in ticks of the movie."""
    width, count = _WIDTH[_number(file, begin, 1)], _number(file, begin + 4, 4)
    for number in range(count):
        place = begin + _EDITS_AT + number * (2 * width + 4)
        length = min(_number(file, place, width), until)
        _write(file, place, width, length)
        until -= length


def _number(file: BinaryIO, place: int, width: int) -> int:
    file.seek(place)
    return int.from_bytes(file.read(width))


def _write(file: BinaryIO, place: int, width: int, value: int) -> None:
    file.seek(place)
    file.write(value.to_bytes(width))
