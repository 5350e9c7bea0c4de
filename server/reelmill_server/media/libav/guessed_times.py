"""Give times to the first frames of MPEG video in MPEG-PS, where libav guesses them.

A packet of the container may hold many small frames, and a time for one. Where a file begins within a group of pictures, libav
counts on from the first time that it finds, without knowing how long frames are and in which order they are shown.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from reelmill_server.media.libav.codec_names import codec_name

_MOST = 1024  # frames that are looked at for one with a time of its own
_MOST_HELD = 4096  # packets that wait for one of video, which may have ended
_PICTURE, _TYPE_AT, _B = b"\x00\x00\x01\x00", 5, 3  # ISO 13818-2, 6.2.3
_PICTURES_OF = ("mpeg1video", "mpeg2video")


def timed_from_behind(packets: Iterable[Any], index: int) -> Iterator[Any]:
    """Yield the packets; frames of stream `index` follow each other up to the first that has a time of its own. If there is
    none, none has a time.
    """
    packets = iter(packets)
    held: list[Any] = []
    frames: list[Any] = []
    timed: int | None = None  # the number of that frame
    for packet in packets:
        held.append(packet)
        if len(held) > _MOST_HELD:
            break
        if packet.stream.index != index:
            continue
        frames.append(packet)
        if not packet.size or len(frames) > _MOST:
            break
        if timed is None and packet.pos is not None and packet.dts is not None:
            timed = len(frames) - 1
        # The one behind it that others refer to tells when the last of those before is shown.
        if timed is not None and not _is_b(packet):
            break
    if frames and codec_name(frames[0].stream.codec_context) in _PICTURES_OF:
        _set_times(frames, timed)
    yield from held
    yield from packets


def _set_times(frames: Sequence[Any], timed: int | None) -> None:
    """Set the times of the frames before number `timed`; None: those of no frame are known."""
    if timed is None:
        for frame in frames:
            frame.pts = frame.dts = None
        return
    if any(frame.dts is None or not frame.duration for frame in frames[:timed]):
        return
    end, delay = frames[timed].dts, (frames[timed].pts or frames[timed].dts) - frames[timed].dts
    reordered = any(map(_is_b, frames))
    shown = next((frame.dts for frame in frames[timed:] if not _is_b(frame)), None) if reordered else None
    for frame in reversed(frames[:timed]):
        end -= frame.duration
        frame.dts = frame.pts = end
        if not reordered:
            frame.pts = end + delay
        elif not _is_b(frame):
            # When the next one that others refer to is decoded.
            frame.pts, shown = end + frame.duration if shown is None else shown, end


def _is_b(packet: Any) -> bool:
    data = bytes(packet)
    begin = data.find(_PICTURE)
    return 0 <= begin < len(data) - _TYPE_AT and data[begin + _TYPE_AT] >> 3 & 0x7 == _B
