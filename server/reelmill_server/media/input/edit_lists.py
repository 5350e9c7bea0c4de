"""Write into QuickTime files what libav's muxer leaves out."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

# Since QuickTime 7 a language is a Macintosh code or, from 0x400, an ISO 639-2 code in three times five bits (QuickTime File
# Format, "Language code values"). libav reads both, but writes the former only, which has no swe, deu or zho.
_UNSPECIFIED = 0x7FFF
_LETTER_BASE = 0x60
_HEAD_BYTES, _LONG_HEAD_BYTES = 8, 16
# Offset of the language in the contents of `mdhd`, with times of 32 and of 64 bits.
_LANGUAGE_AT = {0: 20, 1: 32}


def name_languages(path: str, languages: Sequence[str]) -> None:
    """Write the languages (ISO 639-2; empty: unknown) of the first tracks into a finished file where it has none."""
    with open(path, "r+b") as file:
        end = file.seek(0, 2)
        tracks = [span for movie in _boxes(file, 0, end, b"moov") for span in _boxes(file, *movie, b"trak")]
        for track, language in zip(tracks, languages, strict=False):
            if len(language) != 3 or not (language.isascii() and language.islower()):
                continue
            for media in _boxes(file, *track, b"mdia"):
                for begin, _ in _boxes(file, *media, b"mdhd"):
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


def _boxes(file: BinaryIO, begin: int, end: int, kind: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the contents of the boxes of `kind` between two positions begin and end."""
    while begin + _HEAD_BYTES <= end:
        file.seek(begin)
        head = file.read(_LONG_HEAD_BYTES)
        size, content = int.from_bytes(head[:4]), begin + _HEAD_BYTES
        if size == 1:
            size, content = int.from_bytes(head[8:]), begin + _LONG_HEAD_BYTES
        size = size or end - begin  # 0: the box extends to the end
        if size < content - begin:
            return
        if head[4:8] == kind:
            yield content, begin + size
        begin += size
