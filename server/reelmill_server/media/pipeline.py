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
from reelmill_server.media.output import Halt, Output, Produced, Stopped, span_of
from reelmill_server.media.seek import packets_from
from reelmill_server.media.source import open_source
from reelmill_server.media.subtitle_lines import SubtitleInputs
from reelmill_server.media.subtitles import SubtitleTrack
from reelmill_server.media.tracks import Track
from reelmill_server.media.types import AnyPacket
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import Plan

# More broken packets than this share and the source is not worth calling converted.
_BROKEN_SHARE = Fraction(1, 10)
# What a container promises for a whole file is no more exact than this.
_CLAIM_SECONDS, _CLAIM_SHARE = Fraction(1), Fraction(2, 100)
_MICROSECONDS = 1_000_000
_ROUNDING = Fraction(1, _MICROSECONDS)


@dataclass
class Decoding:
    """How reading and decoding went: packets given to decoders, those that they refused, and those known to be damaged."""

    packets: int = 0
    broken: int = 0
    damaged: int = 0
    last_error: str = ""

    def check(self) -> list[str]:
        """What a user should know. Raises InvalidMedia when too much was broken."""
        said = [f"{self.damaged} packets of the source are damaged: what they show may be wrong"] if self.damaged else []
        if not self.broken:
            return said
        text = f"{self.broken} of {self.packets} packets of the source could not be decoded ({self.last_error})"
        if self.broken > self.packets * _BROKEN_SHARE:
            raise InvalidMedia(text)
        return [*said, text]


class Conversion:
    """One run of a plan over one source. `outputs` can be read at any time for progress."""

    def __init__(
        self,
        plan: Plan,
        source_path: str,
        directory: Path,
        limits: Limits,
        stop: threading.Event,
        subtitle_paths: Sequence[Sequence[str]] = (),
    ) -> None:
        """`subtitle_paths`: where the subtitle files of each source lie."""
        self.outputs: list[Output] = []
        self._subtitles = SubtitleInputs(plan.inputs, (source_path,), subtitle_paths, limits)
        self._plan, self._source_path, self._directory = plan, source_path, directory
        self._limits, self._stop = limits, Halt(stop)
        self._decoding = Decoding()
        self._warnings: list[str] = []

    def run(self) -> tuple[list[Produced], list[str]]:
        """Writes every target below the directory; returns them, unverified, and what a user should know.

        Raises EncoderDown when an encoder fails, Stopped when asked to stop, and InvalidMedia, MediaLimitExceeded or
        OutputError as they happen.
        """
        with ExitStack() as stack:
            source = stack.enter_context(open_source(self._source_path, self._limits))
            stack.callback(self._close)
            packets, key = self._packets(source)
            for number, target in enumerate(self._plan.targets):
                path = str(self._directory / f"{number}.{target.container}")
                files = [other for other in self._plan.targets if other.index == target.index]
                span = span_of(files, self._plan.inputs[0], key)
                self.outputs.append(Output(target, span, path, source, self._subtitles, self._limits, self._stop))
            for output in self.outputs:
                self._note_early_start(output)
                output.start()
            self._feed(packets)
            for output in self.outputs:
                output.finish()
            produced = [output.join() for output in self.outputs]
        self._check_order()
        self._check_lines()
        return produced, [*self._warnings, *self._decoding.check()]

    def _note_early_start(self, output: Output) -> None:
        """Says where copied video begins, when that is not where it was asked to."""
        plan = self._plan.inputs[0]
        begins = output.span.begin - Fraction(plan.origin_us, _MICROSECONDS)
        early = Fraction(plan.start_us, _MICROSECONDS) - begins
        if early > _ROUNDING:
            text = f"begins at {float(begins):.3f} s of the source, {float(early):.3f} s before the asked start"
            warning = f"targets[{output.plan.index}]: {text}"
            self._warnings += [warning] if warning not in self._warnings else []

    def _close(self) -> None:
        """Ends all threads: when all went well they have ended, else they must not go on."""
        self._stop.set()
        for output in self.outputs:
            output.close()

    def _packets(self, source: InputContainer) -> tuple[Any, Fraction]:
        used = {
            stream.parts[0].streams[0]
            for target in self._plan.targets
            for stream in target.streams
            if stream.parts[0].file is None
        }
        streams = [stream for stream in source.streams if stream.index in used]
        for stream in streams:
            if stream.type == "video":
                stream.thread_type = "AUTO"  # type: ignore[attr-defined]
        # Read, not decoded: their timestamps tell how far the source reaches.
        others = [stream for stream in source.streams if stream.type in ("video", "audio") and stream.index not in used]
        first = self._plan.inputs[0]
        return packets_from(source, streams, others, Fraction(first.origin_us + first.start_us, _MICROSECONDS))

    def _feed(self, packets: Any) -> None:
        """Reads the source once and gives each packet, and what it decodes to, to all that want it."""
        wanting: defaultdict[int, list[tuple[Output, Track]]] = defaultdict(list)
        for output in self.outputs:
            for track in (track for track in output.tracks if track.plan.parts[0].file is None):
                wanting[track.plan.parts[0].streams[0]].append((output, track))
        tracks = [track for output in self.outputs for track in output.tracks]
        reached = Fraction(0)
        try:
            for packet in packets:
                if self._stop.is_set():
                    raise Stopped
                reached = max(reached, _end(packet))
                self._decoding.damaged += packet.is_corrupt
                self._give(packet, wanting[packet.stream_index])
                if all(track.done for track in tracks):
                    return
        except av.error.FFmpegError as error:
            self._warnings.append(f"the source could not be read to its end: {error}")
        self._check_end(reached)

    def _check_end(self, reached: Fraction) -> None:
        """Raises InvalidMedia when the source ended at `reached` (its own seconds), clearly before the end it promises."""
        target = self._plan.inputs[0]
        begin = Fraction(target.origin_us + target.start_us, _MICROSECONDS)
        claimed = Fraction(target.duration_us, _MICROSECONDS)
        if claimed and reached - begin + max(_CLAIM_SECONDS, claimed * _CLAIM_SHARE) < claimed:
            got = max(reached - begin, Fraction(0))
            raise InvalidMedia(
                f"the source promises {float(claimed):.3f} s in the span, but only {float(got):.3f} s could be read: "
                "it is truncated or broken"
            )

    def _check_order(self) -> None:
        """Raises InvalidMedia when too many pictures were left out because time did not move on."""
        for track in (track for output in self.outputs for track in output.tracks):
            if track.unordered:
                text = f"{track.unordered} of {track.frames} pictures of the source go back in time"
                if track.unordered > track.frames * _BROKEN_SHARE:
                    raise InvalidMedia(text)
                self._warnings.append(f"{text}: left out")

    def _check_lines(self) -> None:
        """Raises InvalidMedia when too many lines of subtitles could not be read."""
        for output in self.outputs:
            for track in (track for track in output.tracks if isinstance(track, SubtitleTrack) and track.broken):
                text = f"targets[{output.plan.index}]: {track.broken} of {track.lines} subtitles are not text in UTF-8"
                if track.broken > track.lines * _BROKEN_SHARE:
                    raise InvalidMedia(text)
                self._warnings.append(f"{text}: left out")

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
        except (av.error.FFmpegError, ValueError) as error:  # ValueError: of a decoder that did not open before
            self._decoding.broken += 1
            self._decoding.last_error = str(error)
            return ()


def _end(packet: AnyPacket) -> Fraction:
    if packet.pts is None or not packet.time_base:
        return Fraction(0)
    return (packet.pts + (packet.duration or 0)) * packet.time_base


def _twin(packet: AnyPacket) -> AnyPacket:
    """A packet with the same bytes (shared) and its own timestamps: writing changes those."""
    twin = AnyPacket(packet)  # type: ignore[arg-type]
    twin.pts, twin.dts, twin.duration = packet.pts, packet.dts, packet.duration
    twin.time_base, twin.is_keyframe = packet.time_base, packet.is_keyframe
    for data in packet.iter_sidedata():
        twin.set_sidedata(data)
    return twin
