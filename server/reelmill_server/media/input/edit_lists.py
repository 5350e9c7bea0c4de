"""Write into QuickTime files what libav's muxer leaves out."""

from collections.abc import Sequence
from typing import BinaryIO

from reelmill_server.media.input.boxes import boxes

# Since QuickTime 7 a language is a Macintosh code or, from 0x400, an ISO 639-2 code in three times five bits (QuickTime File
# Format, "Language code values"). libav reads both, but writes the former only, which has no swe, deu or zho.
_UNSPECIFIED = 0x7FFF
_LETTER_BASE = 0x60
# Offset of the language in the contents of `mdhd`, with times of 32 and of 64 bits.
_LANGUAGE_AT = {0: 20, 1: 32}


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
