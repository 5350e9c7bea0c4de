"""Checks of a file that was read back that need nothing but the file and what was said of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

from av import AudioLayout

from reelmill_server.media.input.decoding import BROKEN_SHARE
from reelmill_server.media.input.letters import TEXT_CODECS, text_in
from reelmill_server.media.libav.a53 import CODECS
from reelmill_server.media.libav.caption_search import CaptionSearch
from reelmill_server.media.libav.layouts import layout_of
from reelmill_server.media.libav.timestamps import Extent
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.result.tolerances import MILLISECONDS, half_frame
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.plan import StreamPlan, StreamType, TargetPlan
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.stream.alpha import alpha_decoder, has_alpha

# AVI knows no times, so that audio that lies before 0 begins there. Of several streams in Ogg, libav's demuxer tells the delay
# of the encoder for one only.
_FROM_ZERO = ("avi", "oga", "opus")
_LINE_SECONDS = Fraction(1, 10)
_TIMED = (StreamType.VIDEO, StreamType.AUDIO)
# AAC, AC-3 and FLAC call surround channels "back" or "side" as their own tables say.
_UNTOLD = " channels"  # libav's name of a layout that says no more than their number
_SIDE, _BACK = "(side)", "(back)"
# H.273 numbers by the names of PyAV's attributes; each of these values says nothing.
_TAGS: Mapping[str, str] = {
    "color_range": "color_range",
    "colorspace": "color_space",
    "color_primaries": "color_primaries",
    "color_trc": "color_transfer",
}
_UNSAID = (0, 2)
_BESIDE = ("vp8", "vp9")
_ALPHA: Final = "matroska_block_additional"


def out_of_order(times: Sequence[int]) -> bool:
    """Return whether decoded frames with these timestamps are shown in another order: more than a seam or two explains."""
    falls = sum(later < earlier for earlier, later in pairwise(times))
    return falls > len(times) * BROKEN_SHARE


def moved_apart(plan: TargetPlan, written: Sequence[StreamStats], extents: Sequence[Extent]) -> Iterator[str]:
    """Yield what is wrong with where the streams begin beside each other, and on the clock that segments share."""
    shifts: list[tuple[StreamPlan, Fraction]] = []
    for planned, went_in, extent in zip(plan.streams, written, extents, strict=True):
        sent = went_in.extent
        if planned.type in _TIMED and sent.first is not None and extent.first is not None:
            shifts.append((planned, extent.first - sent.first))
    tolerance = min((half_frame(planned) for planned, _ in shifts), default=MILLISECONDS)
    if len(shifts) > 1:
        apart = max(shift for _, shift in shifts) - min(shift for _, shift in shifts)
        if apart > tolerance + (_before_zero(plan, written) if plan.container in _FROM_ZERO else 0):
            yield f"audio and video lie {float(apart):.3f} s further apart in the file than they were written"
    yield from _lines_moved(plan, written, extents, shifts)
    if plan.package and not plan.package.rendition:
        for planned, shift in shifts:
            off = abs(shift - Fraction(plan.package.clock_us, MICROSECONDS))
            if off > tolerance:
                yield f"the {planned.type} is {float(off):.3f} s off the clock that all renditions share"


def _lines_moved(
    plan: TargetPlan, written: Sequence[StreamStats], extents: Sequence[Extent], shifts: Sequence[tuple[StreamPlan, Fraction]]
) -> Iterator[str]:
    """Yield what is wrong with where text subtitles begin beside the other streams, by which the file was moved."""
    moved = shifts[0][1] if shifts else Fraction(0)
    for planned, went_in, extent in zip(plan.streams, written, extents, strict=True):
        begin, read = went_in.extent.first, extent.first
        if planned.codec not in TEXT_CODECS or begin is None or read is None:
            continue
        if (off := abs(read - begin - moved)) > _LINE_SECONDS:
            yield f"the subtitles lie {float(off):.3f} s apart from where they were written"


def _before_zero(plan: TargetPlan, written: Sequence[StreamStats]) -> Fraction:
    """Return how far audio lies before 0: the delay of its encoder."""
    pairs = zip(plan.streams, written, strict=True)
    begins = (went_in.extent.first for planned, went_in in pairs if planned.type == StreamType.AUDIO)
    return max(Fraction(0), *(-begin for begin in begins if begin is not None))


def described(stream: Any, planned: StreamPlan) -> Iterator[str]:
    """Yield what is wrong with how an encoded stream describes itself: channels, colors, shape of pixels."""
    context = stream.codec_context
    if planned.audio:
        (layout, channels), wanted = layout_of(context), planned.audio.layout
        named = channels != AudioLayout(wanted).nb_channels or not layout.endswith(_UNTOLD)
        if named and _plain(layout) != _plain(wanted):
            yield f"the audio has the channels {layout}, planned were {wanted}"
    if planned.video:
        for attribute, name in _TAGS.items():
            tag, planned_tag = int(getattr(context, attribute)), int(getattr(planned.video, name))
            if tag not in _UNSAID and planned_tag not in _UNSAID and tag != planned_tag:
                yield f"the video's {name.replace('_', ' ')} is {tag}, planned was {planned_tag}"
        shape, square = planned.video.sample_aspect_ratio or Fraction(1), Fraction(1)
        pixel_shape = stream.sample_aspect_ratio or context.sample_aspect_ratio or square
        pixel_shape = Fraction(pixel_shape.numerator, pixel_shape.denominator)
        if abs(pixel_shape / shape - 1) > Fraction(1, 100):
            yield f"the video's pixels have the shape {pixel_shape}, planned was {shape}"


def lost_captions(stream: Any, planned: StreamPlan, written: StreamStats, packets: Sequence[AnyPacket]) -> Iterator[str]:
    """Yield what is wrong with an encode of frames with closed captions: none of some of its `packets` has, and there are more
    of these than twice the frames without. Not every accelerator writes them.
    """
    in_software = planned.video is not None and planned.device in ("", SOFTWARE) and planned.codec in CODECS
    if not in_software or not written.captioned or 2 * (written.taken - written.caption_data) >= len(packets):
        return
    search = CaptionSearch(planned.codec, bytes(stream.codec_context.extradata or b""))
    if not any(map(search.of, packets)):
        yield f"the closed captions of {written.captioned} frames of the source are lost"


def misread(planned: StreamPlan, written: StreamStats, packets: Iterable[AnyPacket]) -> Iterator[str]:
    """Yield what is wrong with the letters of text subtitles, of which some `packets` were read."""
    if written.letters is None or planned.codec not in TEXT_CODECS:
        return
    if strange := written.letters.strange(text_in(bytes(packet), planned.codec) for packet in packets):
        yield f"the subtitles have letters that their source has not: {strange[:20]}"


def lost_alpha(stream: Any, planned: StreamPlan, packets: Sequence[AnyPacket]) -> Iterator[str]:
    """Yield what is wrong with the transparency of an encoded stream, of which `packets` are the first: VP8 and VP9 have it
    beside the frames.
    """
    if planned.video is None or not has_alpha(planned.video.pixel_format):
        return
    if planned.codec in _BESIDE:
        kept = alpha_decoder(planned.codec, stream.metadata) and all(packet.has_sidedata(_ALPHA) for packet in packets)
    else:
        kept = has_alpha(stream.codec_context.pix_fmt or "")
    if not kept:
        yield f"the video has lost its alpha channel: planned was {planned.video.pixel_format}"


def _plain(layout: str) -> str:
    return layout.replace(_SIDE, "").replace(_BACK, "")
