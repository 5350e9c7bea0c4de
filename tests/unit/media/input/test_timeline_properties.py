"""Random recordings put behind each other, against a slow and obvious reference: each begins where all before it ended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reelmill_server.media.input.timeline import Timeline

VIDEO, AUDIO = 0, 1
BASES = {VIDEO: Fraction(1, 90000), AUDIO: Fraction(1, 48000)}
LENGTHS = {VIDEO: 9001, AUDIO: 4801}


@dataclass
class Packet:
    """What is read of a packet; `recording` and `number` say where it was."""

    recording: int
    number: int
    stream_index: int
    pts: int
    dts: int
    duration: int
    time_base: Fraction
    size: int = 10


class Source:
    """A container with given packets."""

    def __init__(self, packets: Sequence[Packet]) -> None:
        self.format = SimpleNamespace(name="matroska,webm")
        self._packets = packets

    def demux(self, streams: object) -> Iterator[Packet]:
        """Yield all packets."""
        return iter(self._packets)


@st.composite
def recordings(draw: st.DrawFn) -> list[list[Packet]]:
    """Recordings of one to three seconds, in the order of decoding; each begins well before the last one ended."""
    results: list[list[Packet]] = []
    for recording in range(draw(st.integers(1, 4))):
        begin = Fraction(draw(st.integers(0, 400)), 1000)
        seconds, apart = draw(st.integers(1, 3)), Fraction(draw(st.integers(0, 80)), 1000)
        packets = []
        for stream, base in BASES.items():
            first = round((begin + (apart if stream == AUDIO else 0)) / base)
            for number in range(int(seconds / (LENGTHS[stream] * base))):
                time = first + number * LENGTHS[stream]
                packets.append(Packet(recording, number, stream, time, time, LENGTHS[stream], base))
        results.append(sorted(packets, key=lambda packet: packet.dts * packet.time_base))
    return results


@settings(deadline=None, max_examples=25)
@given(recordings())
def test_each_recording_begins_where_all_before_it_ended(made: list[list[Packet]]) -> None:
    """Nothing is lost, doubled or out of order, and all of a recording is moved alike, to half a tick at each seam."""
    expected: list[tuple[Packet, Fraction]] = []
    reached: Fraction | None = None
    for packets in made:
        first = min(packet.pts * packet.time_base for packet in packets)
        shift = Fraction(0) if reached is None else reached - first
        expected += [(packet, packet.pts * packet.time_base + shift) for packet in packets]
        reached = max((packet.pts + packet.duration) * packet.time_base + shift for packet in packets)
    flat = [packet for packets in made for packet in packets]
    kinds = ((VIDEO, "video"), (AUDIO, "audio"))
    streams: Any = [SimpleNamespace(index=index, type=kind, codec_context=None) for index, kind in kinds]
    seams: list[Fraction] = []
    source: Any = Source(flat)
    timeline: Any = Timeline(source, streams, seams)
    given_packets = [
        (packet.recording, packet.stream_index, packet.number, packet.pts * packet.time_base) for packet in timeline.packets()
    ]
    assert [entry[:3] for entry in given_packets] == [(p.recording, p.stream_index, p.number) for p, _ in expected]
    assert len(seams) == len(made) - 1
    for (*_, time), (packet, right) in zip(given_packets, expected, strict=True):
        assert abs(time - right) <= packet.time_base * len(made)
