"""Decode packets, and count for each stream of the sources those that its decoder refuses."""

import errno
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av import CodecContext
from av.stream import Stream

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.libav.codec_names import canonical_name, check_decoder, codec_name
from reelmill_server.media.libav.errors import LIBAV_ERRORS, meaning
from reelmill_server.media.libav.layouts import keep_layouts
from reelmill_server.media.libav.log import error_text
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.libav.xiph_headers import CODECS, changed_setup
from reelmill_server.plan.stream.alpha import alpha_decoder

BROKEN_SHARE = Fraction(1, 10)
"""More broken than this and the source is not worth calling converted."""

_UNTOLD = frozenset({"qtrle", "svq1", "vp8", "vp9"})  # decoders of these, or libvpx, call no frame a keyframe


class Decoders:
    """Decode packets: with the decoder that PyAV gives to their stream, unless its alpha channel needs another, or a recording
    follows that was encoded with other settings.
    """

    def __init__(self) -> None:
        self._own: dict[Stream, Any] = {}
        self._renewed: dict[Stream, Any] = {}
        # Whether uncompressed; the decoder of the alpha channel; whether recordings may follow each other in the stream.
        self._special: dict[Stream, tuple[bool, str, bool]] = {}

    def decode(self, packet: Any) -> Sequence[Any]:
        """Return the frames that a packet of any stream completes. Raises InvalidDataError for a short uncompressed frame."""
        stream: Any = packet.stream
        known = self._special.get(stream)
        uncompressed, name, several = known or self._special.setdefault(stream, _special(stream))
        if uncompressed:
            refuse_short_frame(packet, stream)
        if not name:
            check_decoder(stream.codec_context)
            if several and (decoder := self._renew(packet, stream)):
                return decoder.decode(packet)  # type: ignore[no-any-return]
            return packet.decode()  # type: ignore[no-any-return]
        # libvpx delays no frames: there is nothing to flush.
        if not packet.size or (stream.codec_context.skip_frame == "NONKEY" and not packet.is_keyframe):
            return ()
        if stream not in self._own:
            self._own[stream] = _decoder(name, stream.codec_context)
        return self._own[stream].decode(packet)  # type: ignore[no-any-return]

    def _renew(self, packet: Any, stream: Any) -> Any:
        """Return the decoder of a recording that follows another one in the same stream; None: that of the stream."""
        before = self._renewed.get(stream)
        extradata = changed_setup(packet, bytes((before or stream.codec_context).extradata or b""))
        if extradata is not None:
            self._renewed[stream] = _decoder(codec_name(stream.codec_context), stream.codec_context, extradata)
        return self._renewed.get(stream)


def _special(stream: Any) -> tuple[bool, str, bool]:
    """Return whether a stream is uncompressed video, the decoder that its alpha channel needs, and whether other recordings
    may follow in it.
    """
    context, alpha = stream.codec_context, ""
    if stream.type == "video":
        alpha = alpha_decoder(canonical_name(context), stream.metadata)
    name = codec_name(context)
    return name == "rawvideo", alpha, stream.container.format.name == "ogg" and name in CODECS


def refuse_short_frame(packet: Any, stream: Any) -> None:
    """Raise InvalidDataError for an uncompressed frame that ends early: in 8 bits and fewer, libav's decoder shows whatever
    the memory behind it held.
    """
    context = stream.codec_context
    if stream.type != "video" or not packet.size or codec_name(context) != "rawvideo" or context.format is None:
        return
    bits = min(context.format.bits_per_pixel, context.bits_per_coded_sample or context.format.bits_per_pixel)
    if packet.size < context.width * context.height * bits // 8:
        raise av.error.InvalidDataError(errno.EINVAL, "an uncompressed frame ends early")


def _tell_keyframe(packet: Any, frames: Sequence[Any]) -> None:
    """Mark the frame of a keyframe's packet where its decoder does not. Of other codecs, decoders know better than files."""
    if codec_name(packet.stream.codec_context) in _UNTOLD:
        for frame in frames:
            frame.key_frame = frame.key_frame or frame.pts == packet.pts


def _decoder(name: str, like: Any, extradata: bytes | None = None) -> Any:
    """Return the decoder `name` with the limits of `like`, and its extradata or other; that itself where this build of libav
    lacks it.
    """
    try:
        decoder: Any = CodecContext.create(name, "r")
    except av.codec.codec.UnknownCodecError:
        return like
    decoder.extradata, decoder.options, decoder.thread_count = extradata or like.extradata, dict(like.options), 0
    return decoder


@dataclass
class StreamDecoding:
    """Counters of reading and decoding one stream.

    `source` is the position in the request's sources, `stream` the index in the container, `kind` "video" or the like.
    `packets` were given to the decoder, which refused `broken` of them, the last one for the reason `last_error`. `damaged`
    packets were marked as such by the demuxer. `expected`: about how many packets there are, where not all are read. `invalid`
    samples of audio were not numbers, or far louder than any sound.
    """

    source: int
    stream: int
    kind: str
    packets: int = 0
    broken: int = 0
    damaged: int = 0
    last_error: str = ""
    expected: int = 0
    invalid: int = 0

    def __post_init__(self) -> None:
        self._decoders = Decoders()
        self._refused = ""

    def check(self) -> list[str]:
        """Return warnings for the user. Raises InvalidMedia when too much was broken."""
        where = f"sources[{self.source}], stream {self.stream} ({self.kind})"
        warnings = [f"{where}: {self.damaged} packets are damaged: what they show may be wrong"] if self.damaged else []
        if self.invalid:
            warnings.append(
                f"{where}: {self.invalid} samples are not numbers, infinite or beyond 1e6 times full scale: they are silent"
            )
        if not self.broken:
            return warnings
        text = f"{where}: {self.broken} of {self.packets} packets could not be decoded ({self.last_error})"
        # A search for one frame reads on past broken packets: among the few that it reads, they may be many.
        if self.broken > max(self.packets, self.expected) * BROKEN_SHARE:
            raise InvalidMedia(text)
        return [*warnings, text]

    def decode(self, packet: AnyPacket) -> Sequence[Any]:
        """Decode a packet of the stream and count it; a packet that the decoder refuses gives no frames, nor does an empty one,
        as encoders of FLAC leave behind, unless it marks the end.
        """
        if not packet.size and packet.dts is not None:
            return ()
        self.packets += packet.size > 0  # an empty packet marks the end of the stream
        try:
            frames = self._decoders.decode(packet)
            keep_layouts(frames)
            if self.kind == "video" and packet.is_keyframe:
                _tell_keyframe(packet, frames)
            return frames
        except av.error.EOFError:
            return ()
        except LIBAV_ERRORS as error:
            refused = meaning(error, InvalidMedia(error_text(error)))
            if not isinstance(refused, InvalidMedia):
                raise refused from error
            self.broken += 1
            self.last_error = self._refused or error_text(error)
            return ()

    def refuse(self, reason: str) -> Sequence[Any]:
        """Count a packet that is not decoded for `reason`; it gives no frames."""
        self.packets += 1
        self.broken += 1
        self.last_error = self._refused = reason
        return ()


class Decoding:
    """Counters of reading and decoding, stream by stream."""

    def __init__(self) -> None:
        self.streams: list[StreamDecoding] = []
        self._by_key: dict[tuple[int, int], StreamDecoding] = {}

    def of(self, source: int, stream: int, kind: str) -> StreamDecoding:
        """Return the counters of a stream, described as in StreamDecoding."""
        counts = self._by_key.get((source, stream))
        if counts is None:
            counts = self._by_key[source, stream] = StreamDecoding(source, stream, kind)
            self.streams.append(counts)
        return counts

    def check(self) -> list[str]:
        """Return warnings for the user. Raises InvalidMedia when too much of a stream was broken."""
        return [text for counts in self.streams for text in counts.check()]

    def add(self, streams: Iterable[StreamDecoding]) -> None:
        """Add what was counted in another span of the sources."""
        self._join(streams, operator.add)

    def merge(self, streams: Iterable[StreamDecoding]) -> None:
        """Take over what was counted in the same span of the sources: a packet that both have seen counts once."""
        self._join(streams, max)

    def _join(self, streams: Iterable[StreamDecoding], join: Callable[[int, int], int]) -> None:
        for other in streams:
            counts = self.of(other.source, other.stream, other.kind)
            counts.packets = join(counts.packets, other.packets)
            counts.broken = join(counts.broken, other.broken)
            counts.damaged = join(counts.damaged, other.damaged)
            counts.invalid = join(counts.invalid, other.invalid)
            counts.last_error = counts.last_error or other.last_error
