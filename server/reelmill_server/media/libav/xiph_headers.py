"""The headers of Vorbis and Theora, as they lie in a stream's extradata."""

from collections.abc import Sequence
from typing import Any

CODECS = ("vorbis", "theora")
_KIND = "new_extradata"
_HEADERS = 3  # what it is, comments, setup
_LACED = 2  # so many sizes follow: that of the last header is what remains


def headers(extradata: bytes) -> Sequence[bytes]:
    """Return the headers, which lie behind each other after their sizes, or each after its own; none if there are not three."""
    laced = extradata[:1] == bytes((_LACED,))
    sizes, at, parts = list[int](), 1, list[bytes]()
    while laced and len(sizes) < _LACED and at < len(extradata):
        size = 0
        while at < len(extradata) and extradata[at] == 0xFF:
            size, at = size + 0xFF, at + 1
        sizes.append(size + (extradata[at] if at < len(extradata) else 0))
        at += 1
    at = at if laced else 0
    for number in range(_HEADERS):
        if not laced:
            sizes.append(int.from_bytes(extradata[at : at + 2]))
            at += 2
        end = at + sizes[number] if number < len(sizes) else len(extradata)
        parts.append(extradata[at:end])
        at = end
    return parts if all(parts) else ()


def changed_setup(packet: Any, extradata: bytes) -> bytes | None:
    """Return the extradata from a packet on with which another recording begins that is set up in another way, or None;
    comments may differ.
    """
    if not packet.size or not packet.has_sidedata(_KIND):
        return None
    new = bytes(packet.get_sidedata(_KIND))
    before, after = headers(extradata), headers(new)
    return new if after and (not before or (before[0], before[2]) != (after[0], after[2])) else None
