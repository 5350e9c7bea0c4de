"""Runs a plan: one decode of the sources feeds every target."""

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.container import InputContainer

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.chunk_file import Pack
from reelmill_server.media.image.output import ImageOutput
from reelmill_server.media.image.stills import WrittenImage
from reelmill_server.media.input.decoding import BROKEN_SHARE, Decoding, StreamDecoding
from reelmill_server.media.input.part import OVERRUN, Part, own_parts
from reelmill_server.media.input.reader import Lane, Reader, lanes_of, show_in_turn
from reelmill_server.media.input.seek import read
from reelmill_server.media.input.source import Place, open_source
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.output.base import Halt, Output, Produced, Stopped
from reelmill_server.media.output.file import Beside, FileOutput
from reelmill_server.media.track.base import Track
from reelmill_server.media.track.copy import CopyTrack
from reelmill_server.media.track.cover_art import CoverInputs
from reelmill_server.media.track.joined import IMAGES, Premade, decoding_of
from reelmill_server.media.track.subtitle import SubtitleTrack
from reelmill_server.media.track.subtitle_cues import SubtitleInputs
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import ImagePlan, Plan, TargetPlan
from reelmill_server.plan.clock import UNTIMED_FORMATS
from reelmill_server.plan.output.images import image_folder
from reelmill_server.plan.output.packaging import output_path

_TICK_SECONDS = 1


class Conversion:
    """One run of a plan over its sources. `outputs` can be read at any time for progress."""

    def __init__(
        self,
        plan: Plan,
        places: Sequence[Place],
        directory: Path,
        limits: Limits,
        stop: threading.Event,
        subtitle_places: Sequence[Sequence[Place]] = (),
        watermark_places: Mapping[str, Place] | None = None,
        premade: Premade | None = None,
    ) -> None:
        """`places` follow the sources of the request, `subtitle_places` say where the subtitle files of each lie, and
        `watermark_places` where the files of watermarks do, by URI. `premade`: what units have made of the plan."""
        self._beside = Beside(
            SubtitleInputs(plan.inputs, places, subtitle_places, limits),
            CoverInputs(plan.inputs, places, limits),
            watermark_places or {},
        )
        self.outputs: list[Output] = []
        self._plan, self._places, self._directory = plan, places, directory
        self._limits, self._stop = limits, Halt(stop)
        self._decoding = Decoding()
        self._warnings: list[str] = []
        self._fed: list[Output] = []
        self.images: list[Sequence[WrittenImage]] = []
        self._listening: dict[tuple[int, int], list[tuple[Output, Track]]] = {}
        self._ticked: tuple[Reader | None, float] = (None, 0.0)
        self._main: Lane | None = None
        self._premade = premade
        self._packs: Mapping[tuple[int, int], Sequence[Pack]] = {}

    @property
    def expected_seconds(self) -> float:
        """How long the inputs that follow each other will be together, as far as it can be told now; 0: not at all.

        What their containers promise, corrected by how far reading has come in their bytes.
        """
        return float(self._main.expected()) if self._main else 0.0

    def run(self) -> tuple[list[Produced], list[str]]:
        """Writes every target below the directory; returns the files of media, unverified, and what a user should know. After
        it, `images` has the files of each entry of pictures.

        Raises EncoderDown when an encoder fails, Stopped when asked to stop, and InvalidMedia, MediaLimitExceeded or
        OutputError as they happen.
        """
        self._make_all()
        self.images = [output.files for output in self.outputs if isinstance(output, ImageOutput)]
        return [output.produced() for output in self.outputs if isinstance(output, FileOutput)], self._told()

    def _make_all(self) -> None:
        """Opens all, reads the sources, and waits until every output is written. Raises as `run` does."""
        with ExitStack() as stack:
            places = [self._places[plan.source] for plan in self._plan.inputs]
            sources = [stack.enter_context(open_source(place, self._limits)) for place in places]
            stack.callback(self._close)
            if self._premade:
                self._packs = self._premade.all_packs(self._plan)
                self._decoding.merge(decoding_of(self._packs.values()).streams)
                self._decoding.check()  # before anything is joined in vain
            for slot, target in enumerate(self._plan.targets):
                self.outputs.append(self._file_output(slot, target, sources))
            for slot, image in enumerate(self._plan.images):
                self.outputs.append(self._image_output(slot, image, places))
            for output in self.outputs:
                output.start()
            self._fed = [output for output in self.outputs if output.fed]
            if self._fed:
                self._feed(sources)
            for output in self._fed:
                output.finish()
            for output in self.outputs:
                output.join()

    def _told(self) -> list[str]:
        """What a user should know. Raises InvalidMedia when too much was broken."""
        self._check_order()
        self._check_lines()
        self._check_hidden()
        return [*self._notes(), *self._decoding.check()]

    def _notes(self) -> list[str]:
        """Return what is to be known of what was read and made, whatever the counts of packets and frames say."""
        return [*self._warnings, *dict.fromkeys(note for output in self.outputs for note in output.notes)]

    def _file_output(self, slot: int, plan: TargetPlan, sources: Sequence[InputContainer]) -> Output:
        path = str(self._directory / output_path(slot, plan))
        packs = {number: packs for (place, number), packs in self._packs.items() if place == slot and number >= 0}
        return FileOutput(plan, self._plan, path, sources, self._beside, self._limits, self._stop, packs)

    def _image_output(self, slot: int, plan: ImagePlan, places: Sequence[Place]) -> Output:
        folder = self._directory / image_folder(slot)
        packs = self._packs.get((slot, IMAGES), ())
        return ImageOutput(plan, self._plan, folder, places, self._limits, self._stop, packs)

    def _close(self) -> None:
        """Ends all threads: when all went well they have ended, else they must not go on."""
        self._stop.set()
        for output in self.outputs:
            output.close()

    def _feed(self, sources: Sequence[InputContainer]) -> None:
        """Reads all inputs once, and each packet, and what it decodes to, goes to all that want it."""
        listening = defaultdict(list)
        for output in self._fed:
            for track in output.tracks:
                for part in own_parts(track.plan):
                    listening[part.input, part.stream].append((output, track))
        self._listening = dict(listening)
        main, beside = self._lanes(sources)
        self._main = main
        while not main.exhausted:
            running = [lane for lane in beside if not lane.exhausted]
            self._step(min((main, *running), key=lambda lane: lane.position) if running else main)
            self._tick(main, beside)
        for lane in beside:
            self._finish(lane, main.position)

    def _lanes(self, sources: Sequence[InputContainer]) -> tuple[Lane, list[Lane]]:
        return lanes_of(self._plan.inputs, sources, [track.plan for output in self._fed for track in output.tracks])

    def _step(self, lane: Lane, until: Fraction | None = None) -> None:
        """Reads one packet of a lane; at the end of an input the next one begins, unless the lane ends at `until`."""
        reader = lane.reader or self._begin(lane)
        if reader is None:
            return
        packet, broken = read(reader.packets)
        if self._stop.is_set():
            raise Stopped
        if broken:
            self._warnings.append(broken)
        if packet is None:
            self._check_end(reader)
            self._end(lane, reader)
            return
        reader.note(packet)
        if packet.is_corrupt and (reader.part.number, packet.stream_index) in self._listening:
            self._counted(reader.part, packet).damaged += 1
        self._give(reader.part, packet)
        if until is None and self._enough(reader):
            self._end(lane, reader)

    def _check_end(self, reader: Reader) -> None:
        """Raises InvalidMedia when a source breaks off; pictures are made of what there is."""
        try:
            reader.check_end()
        except InvalidMedia as error:
            if self._plan.targets:
                raise
            self._warnings.append(error.message)

    def _begin(self, lane: Lane) -> Reader | None:
        reader = lane.next()
        if reader is not None:
            for output in self._fed:
                output.begin(reader.part)
        return reader

    def _end(self, lane: Lane, reader: Reader) -> None:
        """The input has given all; one that is filled up stays open until the others have ended."""
        if lane.plan.align == "pad":
            lane.exhausted = True
            return
        for output in self._fed:
            output.end(reader.part, reader.end(), lane.last and not lane.loops)
        self._begin(lane)

    def _finish(self, lane: Lane, until: Fraction) -> None:
        """Reads on in a lane beside when the others have ended: to its end, or as far as they were if it is aligned."""
        while not lane.exhausted and not self._aligned(lane, until):
            self._step(lane, until if lane.aligned else None)
        if lane.aligned and lane.reader is not None:
            for output in self._fed:
                output.end(lane.reader.part, None, True)

    def _aligned(self, lane: Lane, until: Fraction) -> bool:
        """Whether a lane that is aligned has given all before `until`: the last pictures leave the decoder late."""
        if not lane.aligned or lane.position < until:
            return False
        if lane.reader is None:
            return True
        for output in self._fed:  # else what is short and repeated would be over again and again before anybody could say so
            output.settle()
        return self._satisfied(lane.reader.part)

    def _tick(self, main: Lane, beside: Sequence[Lane]) -> None:
        """Tells what is made rather than read how far the others are, once a second of media."""
        reader = main.reader
        if reader is not None and reader is self._ticked[0] and reader.latest - self._ticked[1] < _TICK_SECONDS:
            return
        self._ticked = (reader, reader.latest if reader else 0.0)
        for output in self.outputs:
            output.check()  # those that read by themselves fail unasked
        waiting = [lane.reader for lane in beside if lane.exhausted and lane.aligned and lane.reader]
        for output in self._fed:
            if main.reader:
                output.reach(main.reader.part, max(Fraction(0), main.reader.position - 2 * OVERRUN))
            for reader in waiting:
                output.reach(reader.part, max(Fraction(0), main.position - 2 * OVERRUN))

    def _enough(self, reader: Reader) -> bool:
        return self._satisfied(reader.part)

    def _satisfied(self, part: Part) -> bool:
        """Whether nobody wants more of the input."""
        listeners = [
            (track, stream)
            for (number, stream), entries in self._listening.items()
            if number == part.number
            for _, track in entries
        ]
        return bool(listeners) and not any(part.wanted(track, stream) for track, stream in listeners)

    def _check_order(self) -> None:
        """Raises InvalidMedia when too many pictures were left out because time did not move on."""
        for track in (track for output in self.outputs for track in output.tracks):
            if track.unordered:
                kind = f"packets of {track.plan.type}" if isinstance(track, CopyTrack) else "pictures"
                text = f"{track.unordered} of {track.frames} {kind} of the source go back in time"
                if track.unordered > track.frames * BROKEN_SHARE:
                    raise InvalidMedia(text)
                self._warnings.append(f"{text}: left out")

    def _check_lines(self) -> None:
        """Raises InvalidMedia when too many lines of subtitles could not be read."""
        for output in self.outputs:
            for track in (track for track in output.tracks if isinstance(track, SubtitleTrack) and track.broken):
                text = f"{output.plan.field}: {track.broken} of {track.lines} subtitles are not text in UTF-8"
                if track.broken > track.lines * BROKEN_SHARE:
                    raise InvalidMedia(text)
                self._warnings.append(f"{text}: left out")

    def _check_hidden(self) -> None:
        """Warns when pictures are shown that the source hides."""
        for output in (output for output in self.outputs if isinstance(output, FileOutput)):
            for track in (track for track in output.tracks if isinstance(track, CopyTrack) and track.revealed):
                shown = f"the source hides its first {track.revealed} pictures, which {output.plan.container} cannot"
                self._warnings.append(f"{output.plan.field}: {shown}: they are shown")

    def _give(self, part: Part, packet: AnyPacket) -> None:
        stream = packet.stream.index
        active = [
            (output, track) for output, track in self._listening.get((part.number, stream), ()) if part.wanted(track, stream)
        ]
        if any(track.wants_frames for _, track in active):
            frames = self._decode(part, packet)
            if part.source.format.name in UNTIMED_FORMATS:
                show_in_turn(frames, packet.stream, part.shown)
                part.shown += len(frames)
            for frame in frames:
                for output, track in active:
                    if track.wants_frames:
                        output.give(part, track, stream, frame)
        if packet.size == 0 and packet.dts is None:
            return  # says that the stream ended: only decoders want to know
        for output, track in active:
            if not track.wants_frames:
                output.give(part, track, stream, _twin(packet))

    def _counts(self, packet: AnyPacket) -> bool:
        """Whether it is told when the packet cannot be decoded."""
        return True

    def _counted(self, part: Part, packet: AnyPacket) -> StreamDecoding:
        """Return where a packet is counted."""
        decoding = self._decoding if self._counts(packet) else Decoding()
        return decoding.of(self._plan.inputs[part.number].source, packet.stream_index, packet.stream.type)

    def _decode(self, part: Part, packet: AnyPacket) -> Sequence[Any]:
        return self._counted(part, packet).decode(packet)


def _twin(packet: AnyPacket) -> AnyPacket:
    """A packet with the same bytes (shared) and its own timestamps: writing changes those."""
    twin = AnyPacket(packet)  # type: ignore[arg-type]
    twin.pts, twin.dts, twin.duration = packet.pts, packet.dts, packet.duration
    twin.time_base, twin.is_keyframe = packet.time_base, packet.is_keyframe
    for data in packet.iter_sidedata():
        twin.set_sidedata(data)
    return twin
