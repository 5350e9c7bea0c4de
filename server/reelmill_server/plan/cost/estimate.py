"""Estimate what it takes to carry out a plan: CPU, memory and disk, by tables (`plan.cost.tables`).

An estimate never fails, however odd the plan, and never shrinks when frames become larger or media longer.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from reelmill_server.model.cost import Cost
from reelmill_server.model.media_info import AudioStreamInfo, MediaInfo, StreamInfo, VideoStreamInfo
from reelmill_server.model.plan import (
    COPY,
    FrameAccess,
    ImagePlan,
    InputPlan,
    PartPlan,
    Plan,
    StreamPlan,
    TargetPlan,
    VideoOutput,
)
from reelmill_server.model.request import AlignMode
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.cost import steps, tables
from reelmill_server.plan.cost.audio import encoded_audio
from reelmill_server.plan.cost.steps import Work, in_turn
from reelmill_server.plan.cost.tables import MEGA
from reelmill_server.plan.crf_search import MEAN_AGAIN, MEAN_TRIES, MOST_BESIDE
from reelmill_server.plan.hull import MOST_BESIDE as LADDER_BESIDE
from reelmill_server.plan.hull import TRIED_CRFS
from reelmill_server.plan.ladder import OpenLadder, open_ladders
from reelmill_server.plan.samples import EVERY, SCOUTED, sampled_us, scouted_us


def estimate(plan: Plan, infos: Sequence[MediaInfo], threads: int = tables.MEASURED_THREADS) -> Cost:
    """Estimate the cost of carrying out `plan`.

    `infos` are of the request's sources, in order. `threads`: number of cores that libav sees; it starts threads, and holds
    frames for each, accordingly. A source of unknown duration counts with that of its size at 2 Mbit/s, or ten minutes.
    """
    return _Estimate(plan, infos, max(threads - tables.MEASURED_THREADS, 0)).cost()


class _Estimate:
    """One estimate: a plan, its sources, the duration of each input, and how many more threads there are than were measured."""

    def __init__(self, plan: Plan, infos: Sequence[MediaInfo], more_threads: int) -> None:
        self._plan, self._infos, self._more_threads = plan, infos, more_threads
        self._lengths = [steps.length(item, self._info(item)) for item in plan.inputs]
        self._total = sum(length for item, length in zip(plan.inputs, self._lengths, strict=True) if not item.attached)
        for number, item in enumerate(plan.inputs):
            if item.attached and item.align is AlignMode.LOOP:
                self._lengths[number] = max(self._lengths[number], self._total)

    def cost(self) -> Cost:
        """Return the sum of all steps; outputs run in parallel, each on a thread of its own."""
        base = Work(tables.BASE_SECONDS, tables.BASE_SECONDS, tables.BASE_BYTES)
        works = [base, self._decodings(), *map(self._target, self._plan.targets), *map(self._image, self._plan.images)]
        works += [self._ladder(ladder) for ladder in open_ladders(self._plan)]
        total = in_turn(works)
        longest = max(work.wall_seconds for work in works)
        return Cost(
            cores=round(max(1.0, total.core_seconds / longest), 2),
            memory_bytes=round(total.memory),
            scratch_bytes=round(total.scratch),
            core_seconds=round(total.core_seconds, 3),
        )

    def _info(self, item: InputPlan) -> MediaInfo | None:
        return self._infos[item.source] if 0 <= item.source < len(self._infos) else None

    def _source(self, part: PartPlan) -> StreamInfo | None:
        """Return the stream that a part reads, None if it is generated or unknown."""
        if part.file is not None or part.stream < 0 or not 0 <= part.input < len(self._plan.inputs):
            return None
        info = self._info(self._plan.inputs[part.input])
        streams = (*info.video, *info.audio, *info.subtitles, *info.data) if info else ()
        return next((stream for stream in streams if stream.index == part.stream), None)

    def _seconds(self, part: PartPlan) -> float:
        return self._lengths[part.input] if 0 <= part.input < len(self._lengths) else self._total

    def _bitrate(self, part: PartPlan, stream: StreamInfo | None) -> float:
        """Return the bit rate of a source's stream in bit/s: its own, else that of the file, else a guess."""
        if stream is not None and stream.bitrate > 0:
            return stream.bitrate
        if isinstance(stream, AudioStreamInfo):
            return tables.USUAL_SOUND_BITRATE * max(stream.channels, 1)
        known = 0 <= part.input < len(self._plan.inputs)
        info = self._info(self._plan.inputs[part.input]) if known else None
        if info is None or max(info.bitrate, info.size_bytes) <= 0:
            return tables.ASSUMED_BITRATE
        return max(info.bitrate, 0) or info.size_bytes * 8 / max(info.duration_seconds, self._lengths[part.input], 1.0)

    def _decodings(self) -> Work:
        """Return the work of decoding, once per stream for all outputs. Of concatenated inputs, one is decoded at a time."""
        works = list(self._decoded_inputs())
        memory = max((work.memory for attached, work in works if not attached), default=0.0)
        memory += sum(work.memory for attached, work in works if attached)
        return replace(in_turn(work for _, work in works), memory=memory)

    def _decoded_inputs(self) -> Iterator[tuple[bool, Work]]:
        """Yield for each input whether it is attached, and the work of decoding it."""
        wanted: defaultdict[tuple[int, int], float] = defaultdict(float)
        inputs: dict[tuple[int, int], tuple[PartPlan, StreamInfo]] = {}
        for part, seconds in self._decoded_parts():
            stream = self._source(part)
            if stream is not None:
                place = (part.input, part.stream)
                wanted[place] = max(wanted[place], min(seconds, self._seconds(part)))
                inputs[place] = (part, stream)
        for number, item in enumerate(self._plan.inputs):
            works = [self._decoding(*inputs[place], wanted[place]) for place in inputs if place[0] == number]
            yield item.attached, in_turn(works)

    def _decoded_parts(self) -> Iterator[tuple[PartPlan, float]]:
        """Yield the parts that are decoded in order for encoders and images, and for how many seconds."""
        for target in self._plan.targets:
            for stream in target.streams:
                if stream.encoder != COPY:
                    yield from ((part, self._seconds(part)) for part in stream.parts)
        for image in self._plan.images:
            if image.reading.is_sequential:
                until = steps.last_asked(image)
                yield from ((part, until or self._seconds(part)) for part in image.stream.parts)

    def _decoding(self, part: PartPlan, stream: StreamInfo, seconds: float) -> Work:
        if isinstance(stream, AudioStreamInfo):
            return Work.of(tables.SOUND_DECODING * max(stream.channels, 1) * seconds)
        if not isinstance(stream, VideoStreamInfo):
            return Work()
        megabits = self._bitrate(part, stream) * seconds / MEGA
        work = steps.decoding_ms(stream, steps.pixels(stream) * steps.rate(stream) * seconds / MEGA, megabits)
        frames = tables.HELD_FRAMES + tables.DECODER_THREAD_FRAMES * min(self._more_threads, tables.MOST_DECODER_THREADS)
        return Work.of(work, tables.DECODER_THREADS, frames * steps.frame_bytes(stream))

    def _target(self, target: TargetPlan) -> Work:
        """Return the work of one output's thread."""
        return in_turn(self._stream(target, stream) for stream in target.streams)

    def _stream(self, target: TargetPlan, stream: StreamPlan) -> Work:
        seconds = self._stream_seconds(target, stream)
        if stream.encoder == COPY:
            return in_turn([self._copied(stream, seconds), self._edges(stream), *map(self._read_back, stream.parts)])
        if stream.video is not None:
            return self._encoded_video(stream, stream.video, seconds)
        if stream.audio is not None:
            return encoded_audio(stream, seconds)
        return Work.of(tables.COPY_MS_PER_SECOND * seconds, scratch=tables.TEXT_BYTES * seconds)

    def _copied(self, stream: StreamPlan, seconds: float) -> Work:
        bits = max((self._bitrate(part, self._source(part)) for part in stream.parts), default=0.0) * seconds
        return Work.of(steps.copying_ms(bits, seconds), scratch=bits / 8)

    def _edges(self, stream: StreamPlan) -> Work:
        """Return the work of decoding and encoding the frames at the edges of a cut."""
        cut = stream.smart_cut
        if cut is None or not cut.encoded_frames or not stream.parts:  # a child's plan may be any
            return Work()
        source = self._source(stream.parts[0])
        if not isinstance(source, VideoStreamInfo):
            return Work()
        encoded = replace(stream, encoder=cut.encoder, options=cut.options)
        seconds = 2 * (source.key_seconds or tables.USUAL_KEY_SECONDS)
        decoding = self._decoding(stream.parts[0], source, seconds)
        return in_turn((self._encoder(encoded, cut.video, cut.encoded_frames), decoding))

    def _read_back(self, part: PartPlan) -> Work:
        """Return the work of decoding the beginning and end of a copied stream for verification."""
        stream = self._source(part)
        if not isinstance(stream, VideoStreamInfo) or stream.attached_picture:
            return Work()
        group = stream.key_seconds or tables.USUAL_KEY_SECONDS
        seconds = min(self._seconds(part), tables.GROUPS_READ_BACK * group)
        megabits = self._bitrate(part, stream) * seconds / MEGA
        work = steps.decoding_ms(stream, steps.pixels(stream) * steps.rate(stream) * seconds / MEGA, megabits)
        return Work.of(work, 1, megabits * MEGA / 8 + tables.READ_BACK_FRAMES * steps.frame_bytes(stream))

    def _stream_seconds(self, target: TargetPlan, stream: StreamPlan) -> float:
        """Return the duration of an output's stream: the planned one, else that of its parts."""
        read = self._seconds(stream.parts[0]) if len(stream.parts) == 1 else self._total
        return target.duration_us / MICROSECONDS if target.duration_us > 0 else read

    def _encoded_video(self, stream: StreamPlan, video: VideoOutput, seconds: float) -> Work:
        pixels, frames = video.width * video.height, steps.output_rate(video) * seconds
        bits = self._video_bitrate(stream, video) * seconds
        twice = stream.passes > 1
        vmaf = Work.of(tables.VMAF_MS * pixels * frames / MEGA, 4, tables.VMAF_MEMORY * pixels)
        return in_turn(
            (
                self._encoder(stream, video, frames),
                Work.of(tables.FRAME_MS * frames),
                *(self._filters(part, video) for part in stream.parts),
                *(steps.overlay(overlay, video, seconds) for overlay in stream.overlays),
                vmaf if stream.measured else Work(),
                self._first_pass(stream, video, frames) if twice else Work(),
                self._search(stream, video, frames) if stream.quality and stream.quality.crf is None else Work(),
                Work.of(steps.copying_ms(bits, seconds) + self._reading_back_ms(stream, pixels, frames), scratch=bits / 8),
            )
        )

    def _encoder(self, stream: StreamPlan, video: VideoOutput, frames: float) -> Work:
        """Return the work and memory of the encoder itself."""
        pixels = video.width * video.height
        encoder, encoding = steps.encoder(stream), steps.encoding(stream)
        depth = steps.pixel_bytes(video.pixel_format) / steps.USUAL_PIXEL_BYTES
        megapixels = pixels * frames / MEGA
        megabits = sum(self._bitrate(part, self._source(part)) * self._seconds(part) for part in stream.parts) / MEGA
        work = encoding.work * depth * (megapixels + encoder.difficulty * min(megabits, tables.MOST_DIFFICULT * megapixels))
        threads = encoder.threads * min(1.0, (pixels / tables.REFERENCE_PIXELS) ** 0.5)
        frames_held = encoding.memory + encoder.thread_memory * min(self._more_threads, encoder.most_cores)
        return Work.of(work + encoder.frame * frames, threads, frames_held * depth * pixels + encoder.fixed_bytes)

    def _search(self, stream: StreamPlan, video: VideoOutput, frames: float) -> Work:
        """Return the work of encoding samples at several CRFs. Of memory, what they take beside each other more than the
        encode, which comes later.
        """
        sampled, tries = self._searched(stream, video.frame_rate)
        tried = self._sampled(stream, video, video.width * video.height, sampled, tries)
        return replace(tried, memory=tried.memory * (MOST_BESIDE - 1))

    def _ladder(self, given: OpenLadder) -> Work:
        """Return the work of encoding samples of each size at several CRFs, and of comparing them at the largest one.

        Of memory, as for a search: the encode has an encoder for each rung, and more than one of a size only by chance.
        """
        pixels = given.ladder.width * given.ladder.height
        sizes = [(stream, stream.video) for stream in given.streams if stream.video]
        tries = [
            self._sampled(stream, video, pixels, sampled_us(self._duration_us(stream), video.frame_rate), len(TRIED_CRFS))
            for stream, video in sizes
        ]
        total = in_turn(tries)
        return replace(total, memory=total.memory * (LADDER_BESIDE - 1))

    def _searched(self, stream: StreamPlan, rate: Fraction) -> tuple[int, float]:
        """Return how many microseconds of a stream are encoded to find its CRF, and how many times.

        A short video that is alone is scouted, and seldom encoded again.
        """
        duration_us = self._duration_us(stream)
        scouted, scout = scouted_us(duration_us, rate)
        alone = sum(other.encodes_video for target in self._plan.targets for other in target.streams) == 1
        if not alone or not scouted:
            return sampled_us(duration_us, rate), MEAN_TRIES
        tried = max(scouted, 2 * scout) + round(MEAN_AGAIN * duration_us)  # a lone one is tried twice
        return max(tried, round(MEAN_TRIES * SCOUTED * scout)), 1.0  # no less than a shorter video, which is not scouted

    def _duration_us(self, stream: StreamPlan) -> int:
        return round(sum(self._seconds(part) for part in stream.parts) * MICROSECONDS)

    def _sampled(self, stream: StreamPlan, video: VideoOutput, judged: int, sampled: int, tries: float) -> Work:
        """Return the work of encoding `sampled` microseconds of a stream so many times, compared at `judged` pixels; memory for
        one.
        """
        seconds = sum(self._seconds(part) for part in stream.parts)
        share, frames = sampled / MICROSECONDS / max(seconds, 1.0), steps.output_rate(video) * seconds
        once = self._once_more(stream, video, frames, share)
        encoder = self._encoder(stream, video, frames)
        vmaf = Work.of(tables.VMAF_MS * judged * frames / EVERY / MEGA, 4, tables.VMAF_MEMORY * judged)
        again = share * (tries - 1)
        return Work(
            once.core_seconds + encoder.core_seconds * again + vmaf.core_seconds * share * tries,
            once.wall_seconds + encoder.wall_seconds * again + vmaf.wall_seconds * share * tries,
            encoder.memory + vmaf.memory,
        )

    def _first_pass(self, stream: StreamPlan, video: VideoOutput, frames: float) -> Work:
        """Return the work of the first pass, and its statistics on disk. Memory is that of the second, which comes later."""
        left = frames * (tables.PASS_FRAME_BYTES + tables.PASS_PIXEL_BYTES * video.width * video.height)
        return replace(self._once_more(stream, video, frames, tables.FIRST_PASS), scratch=left)

    def _once_more(self, stream: StreamPlan, video: VideoOutput, frames: float, share: float) -> Work:
        """Return the work of decoding, filtering and encoding a share of a stream."""
        parts = [(part, source) for part in stream.parts if (source := self._source(part))]
        decodings = (self._decoding(part, source, self._seconds(part)) for part, source in parts)
        filters = (self._filters(part, video) for part in stream.parts)
        whole = in_turn((self._encoder(stream, video, frames), *decodings, *filters))
        return Work(whole.core_seconds * share, whole.wall_seconds * share)

    def _reading_back_ms(self, stream: StreamPlan, pixels: int, frames: float) -> float:
        """Return the milliseconds to decode the beginning and end of an encoded stream for verification."""
        group = steps.number(stream.options.get("g", ""), tables.USUAL_GROUP, 10_000)
        table = tables.DECODINGS.get(stream.codec, tables.UNKNOWN_DECODING)
        return table.pixels * min(frames, tables.GROUPS_READ_BACK * group) * pixels / MEGA

    def _filters(self, part: PartPlan, video: VideoOutput) -> Work:
        stream = self._source(part)
        into = steps.pixels(stream) * steps.rate(stream) if isinstance(stream, VideoStreamInfo) else 0.0
        megapixels = max(into, video.width * video.height * steps.output_rate(video)) * self._seconds(part) / MEGA
        names = (text.partition("=")[0] for text in part.filters)
        return Work.of(sum(tables.FILTERS.get(name, 0.0) for name in names) * megapixels)

    def _video_bitrate(self, stream: StreamPlan, video: VideoOutput) -> float:
        """Return the bit rate of encoded video in bit/s: the requested one, else the most that its quality takes."""
        average, bound = (steps.number(stream.options.get(name, ""), 0.0, 1e12) for name in ("b", "maxrate"))
        if average:
            return average
        pixels = video.width * video.height * steps.output_rate(video)
        bits = tables.BITS_PER_PIXEL.get(stream.codec, tables.UNKNOWN_BITS_PER_PIXEL)
        most = bits * 2 ** ((tables.USUAL_CRF - steps.crf(stream)) / tables.CRF_STEP) * pixels
        sources = [(part, self._source(part)) for part in stream.parts]
        bitrates = [tables.SOURCE_TIMES * self._bitrate(part, source) for part, source in sources if source is not None]
        bounds = [bound] if bound else []
        bounds += [max(bitrates)] if bitrates and len(bitrates) == len(sources) else []
        return min([most, *bounds])

    def _image(self, image: ImagePlan) -> Work:
        """Return the work of one image entry, on a thread of its own."""
        sources = [(part, stream) for part in image.stream.parts if isinstance(stream := self._source(part), VideoStreamInfo)]
        rate = max((steps.rate(stream) for _, stream in sources), default=tables.ASSUMED_RATE)
        count = steps.pictures(image, self._total, rate)
        pixels = max(image.width * image.height, 1)
        work, disk = tables.STILLS.get(image.format, tables.UNKNOWN_STILL)
        largest = max((steps.pixels(stream) for _, stream in sources), default=tables.ASSUMED_PIXELS)
        drawing = Work.of(
            (work * pixels + tables.FILTERS["scale"] * max(pixels, largest)) * count / MEGA,
            memory=steps.kept_bytes(image, count, largest),
            scratch=disk * count * pixels + tables.FILE_BYTES * count,
        )
        reading = (self._sought(part, stream, image, count / len(sources), rate) for part, stream in sources)
        return in_turn((drawing, *reading))

    def _sought(self, part: PartPlan, stream: VideoStreamInfo, image: ImagePlan, count: float, rate: float) -> Work:
        """Return the work of decoding frames for images alone, 0 if they take frames that are decoded anyway."""
        jump = image.key_us / MICROSECONDS * rate / 2 + tables.SEEK_FRAMES
        every = self._seconds(part) * rate
        frames = {FrameAccess.SEEK: min(count * jump, max(every, count)), FrameAccess.KEYFRAMES: count}.get(image.reading)
        if frames is None:
            return Work()
        megabits = self._bitrate(part, stream) * frames / rate / MEGA
        work = steps.decoding_ms(stream, steps.pixels(stream) * frames / MEGA, megabits)
        return Work.of(work, 2, tables.HELD_FRAMES / 2 * steps.frame_bytes(stream))
