"""Find out whether what a target copies is broken in its source already: copies are not decoded on their way."""

from collections.abc import Sequence

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.input.decoders import may_decode
from reelmill_server.media.input.decoding import StreamDecoding
from reelmill_server.media.input.part import own_parts
from reelmill_server.media.input.seek import read
from reelmill_server.media.input.source import Location, open_source
from reelmill_server.media.libav.demuxing import packets_of
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import COPY, Plan, TargetPlan

_MOST_PACKETS = 500


def check_copied(plan: Plan, target: TargetPlan, locations: Sequence[Location], limits: Limits, fault: str) -> None:
    """Decode the first packets of what `target` copies. Raises InvalidMedia if the source has some that cannot be decoded; the
    `fault` of the output is told, too, as it may have another cause.
    """
    copied = [part for planned in target.streams if planned.encoder == COPY for part in own_parts(planned)]
    for part in copied:
        number = plan.inputs[part.input].source
        with open_source(locations[number], limits) as container:
            stream = container.streams[part.stream]
            if not may_decode(stream):
                continue
            counts = StreamDecoding(number, part.stream, stream.type)
            packets = packets_of(container, [stream])
            while counts.packets < _MOST_PACKETS and (packet := read(packets)[0]) is not None:
                counts.decode(packet)
        if counts.broken:
            where = f"sources[{number}], stream {part.stream} ({counts.kind})"
            broken = f"{counts.broken} of {counts.packets} packets cannot be decoded ({counts.last_error})"
            raise InvalidMedia(f"{where}: {broken}, and the copy is not valid: {fault}")
