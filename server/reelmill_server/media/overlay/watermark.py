"""Watermarks: texts, pictures and videos drawn on the frames of an output."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av import CodecContext, VideoFrame
from PIL import Image

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.input.decoders import decoder_options
from reelmill_server.media.input.decoding import refuse_short_frame
from reelmill_server.media.input.part import TOLERANCE
from reelmill_server.media.input.source import Location, open_source
from reelmill_server.media.libav.codec_names import check_decoder
from reelmill_server.media.libav.errors import LIBAV_ERRORS, check_memory, meaning
from reelmill_server.media.libav.filter_graph import Chain
from reelmill_server.media.libav.log import error_text
from reelmill_server.media.overlay.base import writable
from reelmill_server.media.overlay.bitmap import Bitmap
from reelmill_server.media.overlay.text import draw_text
from reelmill_server.model.capability import Limits
from reelmill_server.model.overlay_plan import PicturePlan, TextPlan
from reelmill_server.model.overlay_request import AT_BOTTOM, AT_RIGHT
from reelmill_server.model.plan import VideoOutput
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS


def text_bitmap(plan: TextPlan, video: VideoOutput, note: Callable[[str], None]) -> Bitmap:
    """Return a text in its corner; `note` takes warnings for the user."""
    aspect = video.sample_aspect_ratio or Fraction(1)
    rgba = draw_text(plan.text, plan.corner, (video.width, video.height), aspect, note)
    high, wide = rgba.shape[:2]
    x = video.width - wide - plan.dx if plan.corner in AT_RIGHT else plan.dx
    y = video.height - high - plan.dy if plan.corner in AT_BOTTOM else plan.dy
    return Bitmap(rgba, x, y, video)


class PictureWatermark:
    """Draw the frames of a picture or video file, the first from the beginning of the plan's window on; the last one stays.

    One frame is held at a time.
    """

    def __init__(self, plan: PicturePlan, video: VideoOutput, place: Location, limits: Limits) -> None:
        self._plan, self._video = plan, video
        self._pictures = _pictures(plan, place, limits)
        self._begin = Fraction(plan.begin_us, MICROSECONDS)
        self._stamp: Bitmap | None = None
        self._next: tuple[Fraction, VideoFrame] | None = None

    def draw(self, frame: VideoFrame) -> None:
        """Draw the watermark of the frame's time. Raises InvalidMedia when the file has none at all."""
        assert frame.pts is not None and frame.time_base
        picture = self._at(frame.pts * frame.time_base - self._begin + TOLERANCE)
        if picture is not None:
            self._stamp = self._stamped(picture)
        if self._stamp is None:
            raise InvalidMedia(f"{self._plan.uri} has no picture that can be decoded")
        self._stamp.draw(frame)

    def _at(self, time: Fraction) -> VideoFrame | None:
        """Return the watermark shown at `time`; None when it is the one before."""
        picture: VideoFrame | None = None
        if self._next is None:
            self._next = next(self._pictures, None)
        while self._next is not None and (self._next[0] <= time or (self._stamp is None and picture is None)):
            picture = self._next[1]
            self._next = next(self._pictures, None)
        return picture

    def _stamped(self, picture: VideoFrame) -> Bitmap:
        box = self._plan.box
        # Pillow premultiplies by the opacity when it scales: transparent pixels have no color that could bleed.
        image = Image.fromarray(writable(picture).to_ndarray())
        if image.size != (box.width, box.height):
            image = image.resize((box.width, box.height), Image.Resampling.LANCZOS)
        return Bitmap(np.asarray(image), box.x, box.y, self._video)


def _pictures(plan: PicturePlan, place: Location, limits: Limits) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Yield the frames of the file as RGBA, with their times from the first one on; broken ones are left out.

    Raises InvalidMedia when they cannot be converted to RGBA.
    """
    with open_source(place, limits) as container:
        stream: Any = container.streams[plan.stream]
        aspect, rate = stream.sample_aspect_ratio or Fraction(1), stream.average_rate or FALLBACK_RATE
        chain = Chain(lambda: plan.filters, Fraction(aspect), Fraction(rate))
        first: Fraction | None = None
        for decoded in _decoded(container, stream, plan.decoder, limits):
            for picture in _pushed(chain, decoded, plan.uri):
                time = (picture.pts or 0) * (picture.time_base or Fraction(0))
                first = time if first is None else first
                yield time - first, picture


def _pushed(chain: Chain, picture: VideoFrame, uri: str) -> Iterator[Any]:
    try:
        yield from chain.push(picture)
    except LIBAV_ERRORS as error:
        raise meaning(error, InvalidMedia(f"{uri}: its pictures cannot be drawn: {error_text(error)}")) from error


def _decoded(container: Any, stream: Any, decoder: str, limits: Limits) -> Iterator[VideoFrame]:
    context = stream.codec_context
    if decoder:
        context = CodecContext.create(decoder, "r")
        context.extradata = stream.codec_context.extradata
        context.options = decoder_options(limits)
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            refuse_short_frame(packet, stream)
            check_decoder(context)
            yield from context.decode(packet if packet.size or not decoder else None)
        except av.error.EOFError:
            return
        except LIBAV_ERRORS as error:
            check_memory(error)
