"""Collect the letters of subtitles as they are in the source: those of an output are among them, whoever reads and writes."""

from collections.abc import Iterable

TEXT_CODECS = ("subrip", "webvtt", "ass", "ssa", "text", "mov_text")
_LENGTH_BYTES = 2  # ahead of the text of mov_text, behind which its styles are
_MOST = 10_000
ADDED = frozenset("\u00a0\u200e\u200f\ufeff\ufffd")
"""Letters that decoders write for escapes, and for bytes that are no text."""


class Letters:
    """The letters outside of ASCII in texts of UTF-8; `known`: all texts were UTF-8."""

    def __init__(self) -> None:
        self.known = True
        self.found: set[str] = set()

    def add(self, text: bytes) -> None:
        """Add a text."""
        if not self.known or text.isascii():
            return
        try:
            self.found.update(character for character in text.decode("utf-8-sig") if not character.isascii())
        except UnicodeDecodeError:
            self.known = False
        self.known = self.known and len(self.found) < _MOST

    def strange(self, texts: Iterable[bytes]) -> str:
        """Return the letters in `texts` that are not among these; empty: none, or it is not known."""
        others = Letters()
        for text in texts:
            others.add(text)
        return "".join(sorted(others.found - self.found - ADDED)) if self.known and others.known else ""


def text_in(packet: bytes, codec: str) -> bytes:
    """Return the text of a packet of `codec`."""
    if codec != "mov_text":
        return packet
    return packet[_LENGTH_BYTES : _LENGTH_BYTES + int.from_bytes(packet[:_LENGTH_BYTES])]
