"""Find which frames of a cut can be copied: those between the first keyframe in it and the last place where no frame before
refers to one after the cut.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, chain
from typing import Any

import av
from av.container import InputContainer

from reelmill_server.media.input.part import TOLERANCE
from reelmill_server.media.input.restarts import begins_again
from reelmill_server.media.input.seek import packets_from, read
from reelmill_server.media.input.source import Location, open_source
from reelmill_server.media.libav.avc_bridge import RecoveryPoint, check_fields, is_lone_field
from reelmill_server.media.libav.codec_names import codec_name
from reelmill_server.media.libav.parameter_sets import CODECS, Unspliceable, spare_number
from reelmill_server.media.libav.random_access import recovers_at, starts_decoding
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.capability import Limits
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.request import ConvertRequest
from reelmill_server.model.smart_cut import CutEdges
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.clock import UNSEEN, Clock
from reelmill_server.plan.stream.smart_cut import edges_needed, span_of

_FARTHEST = Fraction(300)  # seconds from an edge to a keyframe: what is longer is not searched
_STEPS_BACK = 8
_UNTIMED = "not all of its packets say when they are shown"
_FIELDS_APART = "its fields have packets of their own"
_NOTHING = "no keyframe lies between its ends from which on packets could be copied"


class _Objection(Exception):
    """Raised with the reason why a cut cannot be made."""


@dataclass(frozen=True)
class _Entry:
    """A packet near a cut's edge: when it is shown and decoded (None: unknown), in seconds; `clean`: decoding can begin;
    `continues`: so it can, but the packet is a recovery point, which counts on from what is before it.
    """

    shown: Fraction
    decoded: Fraction | None
    clean: bool
    continues: bool

    def after(self, time: Fraction) -> bool:
        """Return whether this and all that follows is decoded, and so shown, at or after `time`."""
        return self.decoded is not None and self.decoded >= time


def edges_of(
    request: ConvertRequest, infos: Sequence[MediaInfo], locations: Sequence[Location], limits: Limits
) -> dict[tuple[int, int], CutEdges]:
    """Return the edges of the cuts that `request` asks for, by the number of the source and the index of each of its video
    streams; empty if no target asks for edges. Raises as `open_source` does.
    """
    if not edges_needed(request):
        return {}
    spans = [span_of(Clock.of(source, info)) for source, info in zip(request.sources, infos, strict=True)]
    return {
        (number, stream.index): cut_edges(locations[number], stream.index, *spans[number], limits)
        for number, info in enumerate(infos)
        if any(spans[number])
        for stream in info.pictures
    }


def cut_edges(location: Location, index: int, begin: Fraction | None, end: Fraction | None, limits: Limits) -> CutEdges:
    """Return the edges of a cut of stream `index` from `begin` to `end`, seconds of the source; None: at its own ends.

    Only what lies around the edges is read, and nothing decoded. Raises as `open_source` does.
    """
    with open_source(location, limits) as container:
        try:
            if begins_again(container):
                raise _Objection("its timestamps begin again")
            key, start_frames, held, holds = (None, 0, (), False) if begin is None else _start(container, index, begin, end)
            until, decode_from, end_frames = (None, None, 0) if end is None else _end(container, index, end)
            if start_frames or end_frames:
                _check_spliceable(container.streams[index])
        except (_Objection, Unspliceable) as objection:
            return CutEdges(objection=str(objection))
    first = key.shown if key else None
    if until is not None and first is not None and until <= first:
        return CutEdges(objection=_NOTHING)
    continues = key is not None and key.continues
    return CutEdges(
        _us(first), _us(until), _us(decode_from), start_frames, end_frames, continues=continues, held=held, holds=holds
    )


def microseconds(shown: int, base: Any) -> int:
    """Return a time in ticks of `base` as edges have it."""
    return round(shown * exact(base) * MICROSECONDS)


def _us(time: Fraction | None) -> int | None:
    return None if time is None else round(time * MICROSECONDS)


def _check_spliceable(stream: Any) -> None:
    """Raise Unspliceable if no encoder's packets can be put beside those of `stream`, as far as it tells."""
    codec, extradata = codec_name(stream.codec_context), bytes(stream.codec_context.extradata or b"")
    if codec in CODECS:
        spare_number(codec, extradata)
    if codec == "h264":
        check_fields(extradata)


def _start(
    container: InputContainer, index: int, begin: Fraction, end: Fraction | None
) -> tuple[_Entry, int, tuple[int, ...], bool]:
    """Return the first frame that is copied, how many frames before it are encoded, `CutEdges.held` and `holds`."""
    least = 1
    reason: Unspliceable | None = None
    while True:
        try:
            key, shown = _first_key(container, index, begin, end, least)
        except _Objection as objection:
            raise reason or objection from None
        inside = [time for time in shown if begin - TOLERANCE <= time < key.shown]
        holds = len(inside) < len(shown) and min((*inside, key.shown)) - begin >= UNSEEN
        frames = len(inside) + holds
        if not key.continues:
            return key, frames, (), holds
        point = RecoveryPoint(bytes(container.streams[index].codec_context.extradata or b""))
        try:
            _look_at(point, container, index, key.shown)
            if frames >= point.least_frames:
                return key, frames, point.held, holds
        except Unspliceable as unusual:
            reason = unusual  # the next one may not be: where a cut began, frames are missing that others drop
        least = frames + 1


def _first_key(
    container: InputContainer, index: int, begin: Fraction, end: Fraction | None, least: int
) -> tuple[_Entry, Sequence[Fraction]]:
    """Return the first keyframe at or after `begin`, a recovery point only behind so many frames at `least`, and when the
    frames before it are shown, from the keyframe at or before `begin` on.
    """
    entries = _entries(container, index, begin)
    first = next(entries, None)
    if first is None or not first.clean:
        raise _Objection("decoding cannot begin with the keyframe before its start")
    shown: list[Fraction] = []
    key: _Entry | None = None
    for entry in chain((first,), entries):
        if key is not None and entry.shown > key.shown:
            break
        begins = entry.clean and entry.shown >= begin - TOLERANCE
        if key is None and begins and (not entry.continues or sum(time >= begin - TOLERANCE for time in shown) >= least):
            key = entry
        elif entry.after(begin + _FARTHEST if end is None else min(end, begin + _FARTHEST)):
            break
        shown.append(entry.shown)
    if key is None or (end is not None and key.shown >= end - TOLERANCE):
        raise _Objection(_NOTHING)
    return key, [time for time in shown if time < key.shown]


def _look_at(point: RecoveryPoint, container: InputContainer, index: int, shown: Fraction) -> None:
    """Find out what must be known to lead into the recovery point that is `shown` then. Raises Unspliceable."""
    stream: Any = container.streams[index]
    packets, begun = packets_from(container, [stream], [], shown).packets, False
    while not point.is_known and (packet := read(packets)[0]) is not None:
        if packet.stream_index == index and packet.size and packet.pts is not None and packet.time_base:
            begun = begun or packet.pts * exact(packet.time_base) == shown
            if begun:
                point.see(bytes(packet))


def _end(container: InputContainer, index: int, end: Fraction) -> tuple[Fraction | None, Fraction | None, int]:
    """Return from when on frames are not copied, with which keyframe decoding them begins, and how many there are; None: all
    are copied.
    """
    entries = _around(container, index, end)
    last = [*accumulate((entry.shown for entry in entries), max)]
    following = [*accumulate((entry.shown for entry in reversed(entries)), min)][::-1]
    if last[-1] < end - TOLERANCE:
        return None, None, 0
    inside = [
        place for place in range(1, len(entries)) if last[place - 1] < following[place] and last[place - 1] < end - TOLERANCE
    ]
    if not inside:
        raise _Objection("its frames are reordered over the end")
    place = inside[-1]
    until = following[place]
    frames = sum(until <= entry.shown < end - TOLERANCE for entry in entries[place:])
    keys = [entry for entry in entries[:place] if entry.clean]
    if entries[place].clean and entries[place].shown == until:
        keys.append(entries[place])
    return until, keys[-1].shown, frames


def _around(container: InputContainer, index: int, end: Fraction) -> Sequence[_Entry]:
    """Return the packets from a keyframe well before `end` up to the first that is decoded after it."""
    before = end
    for _ in range(_STEPS_BACK):
        entries = [*_until(_entries(container, index, before), end)]
        keys = [entry.shown for entry in entries if entry.clean and entry.shown < end - TOLERANCE]
        if not entries:
            break
        # The frames before the last keyframe in time may follow it, and need the group before.
        if entries[0].clean and len(keys) > 1:
            return entries
        front = Fraction(container.start_time or 0, av.time_base)
        if entries[0].shown <= front + TOLERANCE or end - entries[0].shown > _FARTHEST:
            break
        before = entries[0].shown - 2 * TOLERANCE
    if entries and entries[0].clean:
        return entries
    raise _Objection("decoding cannot begin with a keyframe before its end")


def _until(entries: Iterator[_Entry], end: Fraction) -> Iterator[_Entry]:
    for entry in entries:
        yield entry
        if entry.after(end):
            return


def _entries(container: InputContainer, index: int, begin: Fraction) -> Iterator[_Entry]:
    """Yield the packets from the keyframe at or before `begin` on."""
    stream: Any = container.streams[index]
    codec = codec_name(stream.codec_context)
    packets = packets_from(container, [stream], [], begin).packets
    while (packet := read(packets)[0]) is not None:
        if packet.stream_index != index or not packet.size:
            continue
        yield _entry(packet, codec)


def _entry(packet: AnyPacket, codec: str) -> _Entry:
    if packet.pts is None or not packet.time_base:
        raise _Objection(_UNTIMED)
    base = exact(packet.time_base)
    decoded = None if packet.dts is None else packet.dts * base
    if codec == "h264" and is_lone_field(bytes(packet), bytes(packet.stream.codec_context.extradata or b"")):
        raise _Objection(_FIELDS_APART)
    closed = packet.is_keyframe and starts_decoding(packet, codec)
    recovers = packet.is_keyframe and not closed and recovers_at(packet, codec)
    return _Entry(packet.pts * base, decoded, closed or recovers, recovers)
