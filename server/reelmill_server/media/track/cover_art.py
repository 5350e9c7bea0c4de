"""Copy cover pictures: each is one packet, which some containers must have before all others."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from av.container import InputContainer, OutputContainer
from av.stream import Disposition

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.input.source import Location, open_source
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.base import Track
from reelmill_server.model import tags
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import InputPlan, StreamPlan

_TIME_BASE = Fraction(1, 90_000)
# File extension and media type of Matroska's attachments.
_FILE_TYPES = {"mjpeg": ("jpg", "image/jpeg")}


class CoverInputs:
    """Read cover pictures, each from its own opening of the source, so that the reading of the rest is not disturbed."""

    def __init__(self, inputs: Sequence[InputPlan], sources: Sequence[Location], limits: Limits) -> None:
        """`sources` are locations by the number of the source in the request."""
        self._inputs, self._sources, self._limits = inputs, sources, limits

    def read(self, plan: StreamPlan) -> bytes:
        """Return the picture's file. Raises InvalidMedia when it cannot be read."""
        (part,) = plan.parts
        source = self._inputs[part.input].source
        with open_source(self._sources[source], self._limits) as container:
            packet = next((item for item in container.demux(container.streams[part.stream]) if item.size), None)
            if packet is None:
                raise InvalidMedia(f"sources[{source}]: the cover picture cannot be read")
            return bytes(packet)


class CoverTrack(Track):
    """Copy a cover picture, whatever becomes of the other streams."""

    def __init__(
        self,
        plan: StreamPlan,
        output: OutputContainer,
        sources: Sequence[InputContainer],
        keep_metadata: bool,
        covers: CoverInputs,
    ) -> None:
        super().__init__(plan)
        (part,) = plan.parts
        origin: Any = sources[part.input].streams[part.stream]
        packet: AnyPacket = AnyPacket(covers.read(plan))
        packet.pts = packet.dts = 0
        packet.time_base, packet.is_keyframe = _TIME_BASE, True
        self.written.count(packet)
        self._packet: AnyPacket | None = None
        if output.format.name == "matroska":
            extension, media_type = _FILE_TYPES.get(plan.codec, (plan.codec, f"image/{plan.codec}"))
            count = sum(stream.type == "attachment" for stream in output.streams)
            name = f"cover{f'_{count + 1}' if count else ''}.{extension}"
            stream: Any = output.add_attachment(name, media_type, bytes(packet))
        else:
            size = origin.codec_context
            stream = output.add_mux_stream(plan.codec, width=size.width, height=size.height, time_base=_TIME_BASE)
            stream.disposition = Disposition.attached_pic
            packet.stream, self._packet = stream, packet
        if keep_metadata:
            stream.metadata.update({"title": title} if (title := tags.bounded(origin.metadata).get("title")) else {})

    def finish(self) -> Iterator[AnyPacket]:
        if self._packet is not None:
            yield self._packet
