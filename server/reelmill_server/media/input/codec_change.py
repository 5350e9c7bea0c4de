"""Tell packets of MPEG-TS that are of another codec than their stream: libav has one for all of it."""

from fractions import Fraction
from typing import Any

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.libav.codec_names import canonical_name
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.plan import InputPlan
from reelmill_server.model.time import MICROSECONDS

_ALIKE = {"mp3": "mp2", "mpeg1video": "mpeg2video"}  # tables mix them up


class CodecChanges:
    """The changes of one source that is read from some place on."""

    def __init__(self, plan: InputPlan, source: Any, key: Fraction) -> None:
        """`key`: when the keyframe is shown from which on packets are copied, seconds of the source."""
        self._key, self._stop = key, Fraction(plan.origin_us + plan.end_us, MICROSECONDS) if plan.end_us else None
        self._source, self._changes = plan.source, {change.stream: change for change in plan.changes}
        names = {index: canonical_name(source.streams[index].codec_context) for index in self._changes}
        # In small files, libav has come to the new codec before it begins to read.
        self._new = {index for index, name in names.items() if _ALIKE.get(name, name) == self._changes[index].codec}
        self._places: dict[int, int] = {}

    def of(self, packet: AnyPacket) -> str:
        """Return what a packet suffers from that is of another codec than its stream; nothing of others."""
        index = packet.stream.index
        change = self._changes.get(index)
        if change is None or not packet.size:
            return ""
        place = self._places[index] = packet.pos if packet.pos is not None else self._places.get(index, -1)
        other = 0 <= place < change.last if index in self._new else place >= change.first
        return f"the stream's codec changes to {change.codec} midway" if other else ""

    def check(self, packet: AnyPacket) -> None:
        """Raise InvalidMedia for a packet of the span that cannot be copied."""
        if (text := self.of(packet)) and self._spans(packet):
            where = f"sources[{self._source}], stream {packet.stream.index}"
            raise InvalidMedia(f"{where}: {text}, within what is to be copied: cut it before or after that")

    def _spans(self, packet: AnyPacket) -> bool:
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is None or not packet.time_base:
            return True
        time = ticks * packet.time_base
        return time >= self._key and (self._stop is None or time < self._stop)
