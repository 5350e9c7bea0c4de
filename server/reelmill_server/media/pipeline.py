"""Runs a plan: one decode of the source feeds every target."""

import threading
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.output import Halt, Output, Produced, Stopped
from reelmill_server.media.seek import packets_from
from reelmill_server.media.source import open_source
from reelmill_server.media.tracks import Track
from reelmill_server.media.types import AnyPacket
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import Plan

# More broken packets than this share and the source is not worth calling converted.
_BROKEN_SHARE = Fraction(1, 10)
_MICROSECONDS = 1_000_000


@dataclass
class Decoding:
    """How decoding went: packets given to decoders, and those that they refused."""

    packets: int = 0
    broken: int = 0
    last_error: str = ""

    def check(self) -> str:
        """What a user should know, or "". Raises InvalidMedia when too much was broken."""
        if not self.broken:
            return ""
        text = f"{self.broken} of {self.packets} packets of the source could not be decoded ({self.last_error})"
        if self.broken > self.packets * _BROKEN_SHARE:
            raise InvalidMedia(text)
        return text


class Conversion:
    """One run of a plan over one source. `outputs` can be read at any time for progress."""

    def __init__(self, plan: Plan, source_path: str, directory: Path, limits: Limits, stop: threading.Event) -> None:
        self.outputs: list[Output] = []
        self._plan, self._source_path, self._directory = plan, source_path, directory
        self._limits, self._stop = limits, Halt(stop)
        self._decoding = Decoding()

    def run(self) -> tuple[list[Produced], list[str]]:
        """Writes every target below the directory; returns them, unverified, and what a user should know.

        Raises EncoderDown when an encoder fails, Stopped when asked to stop, and InvalidMedia, MediaLimitExceeded or
        OutputError as they happen.
        """
        with ExitStack() as stack:
            source = stack.enter_context(open_source(self._source_path, self._limits))
            stack.callback(self._close)
            packets, key = self._packets(source)
            for target in self._plan.targets:
                path = str(self._directory / f"{target.index}.{target.container}")
                self.outputs.append(Output(target, path, source, key, self._limits, self._stop))
            for output in self.outputs:
                output.start()
            self._feed(packets)
            for output in self.outputs:
                output.finish()
            produced = [output.join() for output in self.outputs]
        warning = self._decoding.check()
        return produced, [warning] if warning else []

    def _close(self) -> None:
        """Ends all threads: when all went well they have ended, else they must not go on."""
        self._stop.set()
        for output in self.outputs:
            output.close()

    def _packets(self, source: InputContainer) -> tuple[Any, Fraction]:
        used = {stream.source_stream for target in self._plan.targets for stream in target.streams}
        streams = [stream for stream in source.streams if stream.index in used]
        for stream in source.streams:
            if stream.index in used and stream.type == "video":
                stream.thread_type = "AUTO"  # type: ignore[attr-defined]
        # All targets of a task share the source and so its span.
        first = self._plan.targets[0]
        return packets_from(source, streams, Fraction(first.origin_us + first.start_us, _MICROSECONDS))

    def _feed(self, packets: Any) -> None:
        """Reads the source once and gives each packet, and what it decodes to, to all that want it."""
        wanting: defaultdict[int, list[tuple[Output, Track]]] = defaultdict(list)
        for output in self.outputs:
            for track in output.tracks:
                wanting[track.plan.source_stream].append((output, track))
        try:
            for packet in packets:
                if self._stop.is_set():
                    raise Stopped
                self._give(packet, wanting[packet.stream_index])
                if all(track.done for listeners in wanting.values() for _, track in listeners):
                    break
        except av.error.FFmpegError as error:
            self._decoding.broken += 1
            self._decoding.last_error = f"reading ended early: {error}"

    def _give(self, packet: AnyPacket, listeners: Sequence[tuple[Output, Track]]) -> None:
        active = [(output, track) for output, track in listeners if not track.done]
        if any(track.wants_frames for _, track in active):
            for frame in self._decode(packet):
                for output, track in active:
                    if track.wants_frames:
                        output.give(track, frame)
        if packet.size == 0 and packet.dts is None:
            return  # says that the stream ended: only decoders want to know
        for output, track in active:
            if not track.wants_frames:
                output.give(track, _twin(packet))

    def _decode(self, packet: AnyPacket) -> Sequence[Any]:
        self._decoding.packets += 1
        try:
            return packet.decode()
        except av.error.EOFError:
            return ()
        except av.error.FFmpegError as error:
            self._decoding.broken += 1
            self._decoding.last_error = str(error)
            return ()


def _twin(packet: AnyPacket) -> AnyPacket:
    """A packet with the same bytes (shared) and its own timestamps: writing changes those."""
    twin = AnyPacket(packet)  # type: ignore[arg-type]
    twin.pts, twin.dts, twin.duration = packet.pts, packet.dts, packet.duration
    twin.time_base, twin.is_keyframe = packet.time_base, packet.is_keyframe
    for data in packet.iter_sidedata():
        twin.set_sidedata(data)
    return twin
