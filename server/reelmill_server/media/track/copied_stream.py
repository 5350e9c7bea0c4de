"""Add a stream to an output for packets that are copied."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

import av
from av.container import InputContainer, OutputContainer

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.media.input.edited_end import in_several_parts
from reelmill_server.media.input.source import average_rate
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.trial_header import codec_delay, undelayed
from reelmill_server.media.track.base import describe, template_of
from reelmill_server.media.track.measures import PRIMING
from reelmill_server.media.track.one_header import Headers, headers_of
from reelmill_server.media.track.repeated_sets import RepeatedSets
from reelmill_server.model.plan import StreamPlan
from reelmill_server.plan.clock import finer
from reelmill_server.plan.stream.container_fit import plain_rate
from reelmill_server.plan.stream.video import HIGHEST_RATE

# AVI needs start codes, and one tick per frame: its muxer writes an empty packet for every tick without a frame.
_BITSTREAM_FILTERS = {("avi", "h264"): "h264_mp4toannexb"}
_TICKS_PER_PICTURE = ("avi", "mxf")
_IN_PARTS, _MOST_TICK = ("avi",), Fraction(1, 25)  # of MXF, rates are few
# These count audio in samples; where the source's ticks are coarser, several packets may fall on one.
_COUNTING_SAMPLES = ("mp4", "mov", "ipod")
_TAKING_EQUAL_TIMES = ("matroska", "webm", "flv")  # of their muxers in libav, those with AVFMT_TS_NONSTRICT
_SKIPPING = ("matroska", "webm")  # that have decoders skip audio at the beginning (CodecDelay)
_ALONE = ("flac", "alac", "pcm_", "wavpack")  # audio of which each packet is decoded without those before it
_SKIPPING_ALWAYS = ("opus",)  # its own header says how much
# Only their edit lists can say that the first frames are to be decoded, but not shown.
_HIDING = ("mp4", "mov")


@dataclass(frozen=True)
class CopiedStream:
    """A stream of an output, and what becomes of packets of `origin` in it.

    Their times are in ticks of `time_base`, and decode timestamps at least `least_step` of them apart. `skipped`: seconds of
    audio that players skip at the beginning; `priming`: of hidden audio, so much is copied. `reveals`: frames that an edit list
    hides are shown. `filter` brings packets into the container's form, `headers` checks them, `sets` adds parameter sets to
    them, where they need it.
    """

    stream: Any
    origin: Any
    time_base: Fraction
    least_step: int
    skipped: Fraction
    priming: Fraction
    reveals: bool
    filter: av.BitStreamFilterContext | None
    headers: Headers | None
    sets: RepeatedSets | None

    @classmethod
    def add(
        cls,
        plan: StreamPlan,
        output: OutputContainer,
        sources: Sequence[InputContainer],
        keep_metadata: bool,
        midway: bool = False,
    ) -> "CopiedStream":
        """Add the stream of a copy to `output`. `midway`: nothing is copied that the source's front hides.

        Raises UnsupportedFormat for a source whose edit list a copy cannot follow.
        """
        origin: Any = template_of(plan, sources)
        if in_several_parts(origin):
            raise UnsupportedFormat(
                f"the source's edit list shows parts of its {plan.type} again or in another order, which a copy cannot: choose "
                "a codec other than copy"
            )
        muxer, is_audio = output.format.name, plan.type == "audio"
        skipped = codec_delay(origin) if is_audio and muxer in _SKIPPING else Fraction(0)
        hides = midway and skipped > 0 and plan.codec not in _SKIPPING_ALWAYS
        with undelayed(origin, skipped) if hides else nullcontext(origin) as described:
            # opaque=True: PyAV otherwise looks for an encoder, and a codec with a decoder only could not be copied.
            stream: Any = output.add_stream_from_template(described, opaque=True)
        skipped = Fraction(0) if hides else skipped
        if plan.codec_tag:
            stream.codec_context.codec_tag = plan.codec_tag
        if plan.type == "video" and stream.codec_context:
            _describe_video(stream, origin, plan, muxer)
        name = _BITSTREAM_FILTERS.get((muxer, plan.codec))
        copied = cls(
            stream=stream,
            origin=origin,
            time_base=_ticks(origin, is_audio and muxer in _COUNTING_SAMPLES),
            # Where ticks are coarse, and a muxer takes several packets at one, short packets of audio would move ever later.
            least_step=0 if is_audio and muxer in _TAKING_EQUAL_TIMES else 1,
            skipped=skipped,
            priming=skipped if plan.codec.startswith(_ALONE) else max(PRIMING, skipped),
            reveals=plan.type == "video" and muxer not in _HIDING,
            filter=av.BitStreamFilterContext(name, origin, stream) if name else None,
            headers=headers_of(plan.codec, origin, muxer),
            sets=RepeatedSets.needed(plan.codec, origin, output),
        )
        describe(stream, plan, sources, keep_metadata)
        return copied


def _describe_video(stream: Any, origin: Any, plan: StreamPlan, muxer: str) -> None:
    """Say of a video stream what the bitstream of its codec may not carry: the shape of pixels, and the rate of frames."""
    if origin.sample_aspect_ratio:
        stream.codec_context.sample_aspect_ratio = origin.sample_aspect_ratio
    rate = average_rate(origin)
    if not rate and muxer in _TICKS_PER_PICTURE and 0 < (origin.guessed_rate or 0) <= HIGHEST_RATE:
        rate = origin.guessed_rate  # the ticks of such a source (ASF, MPEG-TS) are hundreds a frame
    if rate:
        rate *= plan.speed
        if muxer in _TICKS_PER_PICTURE:
            rate = plain_rate(rate)
            stream.time_base = 1 / (rate * (_parts(origin, 1 / rate) if muxer in _IN_PARTS else 1))
        stream.codec_context.framerate = rate


def _parts(origin: Any, tick: Fraction) -> int:
    """Return into how many parts a tick of a frame's length is divided where slow video begins between two ticks: audio would
    be heard too far from it.
    """
    late = (origin.start_time or 0) * exact(origin.time_base) - Fraction(origin.container.start_time or 0, av.time_base)
    return ceil(tick / _MOST_TICK) if abs(late - round(late / tick) * tick) > _MOST_TICK / 2 else 1


def _ticks(origin: Any, in_samples: bool) -> Fraction:
    """Return the time base for the packets of a copy of `origin`: one in which cuts can be told, or samples."""
    base, context = finer(exact(origin.time_base)), origin.codec_context
    rate = context.sample_rate if in_samples and context else 0
    return min(base, Fraction(1, rate)) if rate else base
