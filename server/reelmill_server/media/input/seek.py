"""Find where to begin reading so that a span can be cut exactly."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain
from typing import Any

import av
from av import VideoFrame
from av.container import InputContainer
from av.stream import Disposition, Stream

from reelmill_server.errors import InvalidMedia, MediaLimitExceeded
from reelmill_server.media.input.decoding import StreamDecoding
from reelmill_server.media.input.frame_times import VideoTimes
from reelmill_server.media.input.part import TOLERANCE
from reelmill_server.media.input.restarts import begins_again
from reelmill_server.media.input.timeline import continuous
from reelmill_server.media.input.video_clock import counts_all, counts_decoding, one_after_another, timed_by_decoding
from reelmill_server.media.libav.codec_names import canonical_name
from reelmill_server.media.libav.demuxing import forget, packets_of
from reelmill_server.media.libav.errors import check_memory
from reelmill_server.media.libav.log import error_text
from reelmill_server.media.libav.random_access import refreshes_gradually
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.trial_header import codec_delay
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.time import FALLBACK_RATE
from reelmill_server.plan.clock import DECODING_FORMATS, UNINDEXED_FORMATS, UNSURE_FORMATS

# Audio decoders need some packets before the span: Opus has 80 ms of pre-roll, AAC one frame; rounded up.
_PREROLL = Fraction(1, 2)
# MPEG-TS seeks by time alone and may land in the middle of a long GOP: step back this far further, then to the front.
_STEPS_BACK = (Fraction(0), Fraction(10), Fraction(60))
_REORDERING = Fraction(10)
_MICROSECOND = Fraction(1, av.time_base)
# Where times begin again, they do not say where the front is; FLV does not find it when its first keyframe is later.
_ONE_WAY = "matroska,webm"  # of which libav finds the first recording no more once it has come to the next
_SEEKING_EACH = ("mov,mp4,m4a,3gp,3g2,mj2",)  # of which libav finds what each stream has at a time
_BY_POSITION = ("mpegts", "mpeg", "ogg", "flv")
_WAVES = ("wav", "w64")
_ANIMATED_WEBP = "webp_anim"
# Seconds since 1970 are less, and more do not fit into 64 bits in the ticks of every container.
_FAR = 2.0**32
_MOST_KEPT_BYTES = 256 << 20
_MOST_REORDERED = 17  # frames: no codec shows more before one that it decodes first


@dataclass(frozen=True)
class SeekResult:
    """`packets` from a position from which everything at and after a time (seconds of the source) can be decoded.

    `key`: the time of the last keyframe at or before it; the time itself without video, or at the front of the source.
    `needed`: packets of frames shown before this time to which no other frame refers are not needed; None: unknown.
    """

    packets: Iterator[AnyPacket]
    key: Fraction
    needed: Fraction | None = None
    seams: list[Fraction] = field(default_factory=list)


def packets_from(container: InputContainer, streams: Sequence[Stream], others: Sequence[Stream], begin: Fraction) -> SeekResult:
    """Return the packets of `streams` for everything shown from `begin` on, interleaved with those of `others`."""
    result, videos = _packets_from(container, streams, others, begin), counts_all(streams)
    if not videos:
        return result
    packets, front, counts = result.packets, list[AnyPacket](), True
    if container.format.name in UNSURE_FORMATS:
        packets, first = one_after_another(videos, packets), None
        while first is None and (packet := read(packets)[0]) is not None:
            front.append(packet)
            first = packet if packet.stream_index == videos[0].index else None
        counts = first is not None and first.size > 0 and first.pts is None
    # Frames that are shown before the keyframe cannot be decoded: where it is that near, reading begins with one before it.
    after = Fraction(container.start_time or 0, av.time_base) + _MICROSECOND
    early = max(
        begin - _MOST_REORDERED / (exact(videos[0].average_rate or videos[0].guessed_rate or 0) or FALLBACK_RATE), after
    )
    if not (counts and begin > early and result.key > early):
        return replace(result, packets=chain(front, packets))
    result = _packets_from(container, streams, others, early)
    sure = container.format.name not in UNSURE_FORMATS
    return result if sure else replace(result, packets=one_after_another(videos, result.packets))


def _seeks_wrongly(container: InputContainer) -> bool:
    """Return whether libav looks for times at other places than they are: G.722 in WAV has half the bytes that it expects, and
    animated WebP has ended for FFmpeg 9 wherever it looks.
    """
    if container.format.name not in _WAVES:
        return container.format.name == _ANIMATED_WEBP
    return any(canonical_name(stream.codec_context) == "adpcm_g722" for stream in container.streams.audio)


def _packets_from(
    container: InputContainer, streams: Sequence[Stream], others: Sequence[Stream], begin: Fraction
) -> SeekResult:
    wanted = [*streams, *others]
    front = Fraction(container.start_time or 0, av.time_base)
    video = next((stream for stream in streams if stream.type == "video"), None)
    if begin > front and begins_again(container):
        return _from_front(container, wanted, video, begin)
    unindexed = container.format.name in UNINDEXED_FORMATS or _seeks_wrongly(container)
    if begin <= front or unindexed or _is_passed_over(container, wanted, begin):
        seams: list[Fraction] = []
        return SeekResult(continuous(container, wanted, seams), begin, seams=seams)
    delay = _skipped(streams)
    lead = _PREROLL + delay
    if video is None:
        target = max(front - delay, begin - lead)
        _seek(container, target)
        _hear_from(container, streams, target)
        return SeekResult(continuous(container, wanted), begin)
    # With B-frames, decoding begins before the first PTS, and MPEG-TS seeks by DTS.
    before = front - _REORDERING
    for target in (*(max(before, begin - lead - step) for step in _STEPS_BACK), before, front):
        if _seek(container, target):
            timed = timed_by_decoding(container, [video], packets_of(container, [video]))
            key, needed = _last_key(timed, video, begin, target in (before, front))
            if key is not None:
                _seek(container, target)
                _hear_from(container, streams, target, key)
                return SeekResult(_without_video_before(continuous(container, wanted), video, key), key, needed)
    if not _seek(container, before) and not _seek(container, front):
        _rewind_any(container)
    return SeekResult(continuous(container, wanted), begin)


def _hear_from(container: InputContainer, streams: Iterable[Stream], target: Fraction, key: Fraction | None = None) -> None:
    """Read from further ahead than where seeking to `target` leads if that is past audio after `key`, or without it `target`.

    Most formats pass over all that lies in the file before a keyframe of video, also audio that is heard after it.
    """
    audio = next((stream for stream in streams if stream.type == "audio"), None)
    if container.format.name in _SEEKING_EACH or audio is None:
        return
    base = exact(audio.time_base)
    wanted = max(target if key is None else key, (audio.start_time or 0) * base)
    for earlier in (target, *(wanted - _PREROLL - step for step in _STEPS_BACK)):
        if _seek(container, earlier) and _is_audible_at(container, audio, wanted):
            _seek(container, earlier)
            return
    if container.format.name in _BY_POSITION:
        rewind(container)
    elif not _seek(container, (audio.start_time or 0) * base - 1, audio):
        _seek(container, target)


def _is_audible_at(container: InputContainer, audio: Stream, time: Fraction) -> bool:
    """Return whether the next packet of a stream, or one as long before it, is heard at `time`, or the stream has ended."""
    packet, base = read(packets_of(container, [audio]))[0], exact(audio.time_base)
    begin = None if packet is None else _time(packet)
    if packet is None or begin is None:
        return not audio.duration or ((audio.start_time or 0) + audio.duration) * base <= time
    return begin - (packet.duration or 0) * base <= time


def _is_passed_over(container: InputContainer, wanted: Iterable[Stream], begin: Fraction) -> bool:
    """Return whether seeking would lead to the first keyframe of video that begins later, past audio that begins before it."""
    videos = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    late = any(stream.start_time is not None and stream.start_time * exact(stream.time_base) > begin for stream in videos)
    return late and any(stream.type != "video" for stream in wanted)


def _skipped(streams: Sequence[Stream]) -> Fraction:
    """Return how much audio decoders leave out wherever reading begins: what the front hides (Matroska; FFmpeg 9: MP4)."""
    return max((codec_delay(stream) for stream in streams if stream.type == "audio"), default=Fraction(0))


def _from_front(container: InputContainer, wanted: Sequence[Stream], video: Stream | None, begin: Fraction) -> SeekResult:
    """Return as `packets_from` packets of a source whose times begin again: what lies where is known from its front only."""
    everything = [stream for stream in container.streams if stream in wanted or stream.type in ("video", "audio")]
    key, needed, seams = None, None, list[Fraction]()
    once, kept = container.format.name == _ONE_WAY, list[AnyPacket]()
    if video is not None and not once:
        rewind(container)
        key, needed = _last_key(continuous(container, everything), video, begin)
    rewind(container)
    indexes = {stream.index for stream in wanted}
    packets: Iterator[Any] = (packet for packet in continuous(container, everything, seams) if packet.stream.index in indexes)
    if video is not None and once:
        key, needed = _last_key(_keeping(packets, video, begin, kept), video, begin)
        packets = chain(kept, packets)
    if video is None or key is None:
        return SeekResult(packets, begin, seams=seams)
    return SeekResult(_without_video_before(packets, video, key), key, needed, seams)


def _keeping(packets: Iterator[Any], video: Stream, begin: Fraction, kept: list[AnyPacket]) -> Iterator[Any]:
    """Yield `packets`, and keep those from the last keyframe at or before `begin` on, from which all is decoded."""
    codec, size = canonical_name(video.codec_context), 0
    for packet in packets:
        time = _time(packet)
        key = packet.stream.index == video.index and packet.is_keyframe and not refreshes_gradually(packet, codec)
        if key and time is not None and time <= begin + TOLERANCE:
            early = time - _PREROLL
            kept[:] = [other for other in kept if other.stream.type != "video" and (_time(other) or early) >= early]
            size = sum(other.size for other in kept)
        kept.append(packet)
        size += packet.size
        if size > _MOST_KEPT_BYTES:
            raise MediaLimitExceeded(
                f"a cut of concatenated Matroska is read from its front: {size} bytes from the keyframe before it on do not fit"
            )
        yield packet


def read(packets: Iterator[Any]) -> tuple[AnyPacket | None, str]:
    """Return the next packet, None at the end; and why reading broke off, if it did."""
    try:
        return next(packets, None), ""
    except av.error.FFmpegError as error:
        check_memory(error)
        return None, broken_off(error)


def broken_off(error: Exception) -> str:
    """Say why reading broke off."""
    return f"the source could not be read to its end: {error_text(error)}"


def frames_from(
    container: InputContainer,
    stream: Any,
    begin: Fraction,
    decoding: StreamDecoding,
    note: Callable[[str], None],
    keys: bool = False,
) -> Iterator[VideoFrame]:
    """Yield the frames of `stream` from the one shown at `begin` (seconds of the source), or an earlier one, on; keyframes only
    with `keys`.

    Frames without a timestamp and packets that cannot be decoded are left out; `decoding` counts the latter, `note` is told
    why reading broke off.
    """
    context = stream.codec_context
    if not context.is_open:
        stream.thread_type = "AUTO"
    start = packets_from(container, [stream], [], begin)
    times, by_decoding = VideoTimes(stream, keys), container.format.name in DECODING_FORMATS
    one_by_one = container.format.name in UNSURE_FORMATS and bool(counts_all([stream]))  # all frames count
    while (packet := _noted(start.packets, note)) is not None:
        # Before the wanted frame, decode reference frames only: the result is the same.
        early = (
            start.needed is not None
            and not by_decoding
            and packet.pts is not None
            and packet.pts * packet.time_base < start.needed
        )
        context.skip_frame = "NONKEY" if keys and not one_by_one else "NONREF" if early else "DEFAULT"
        decoding.damaged += packet.is_corrupt
        frames = [frame for frame in decoding.decode(packet) if isinstance(frame, VideoFrame)]
        for frame in times.complete(packet, frames):
            if one_by_one and keys and not frame.key_frame:
                continue
            if frame.pts is not None and frame.time_base:
                yield frame


def _noted(packets: Iterator[AnyPacket], note: Callable[[str], None]) -> AnyPacket | None:
    packet, broken = read(packets)
    if broken:
        note(broken)
    if packet is not None and packet.pts is not None and packet.time_base:
        check_near(packet.pts * packet.time_base)
    return packet


def check_near(time: Fraction | float) -> None:
    """Raise InvalidMedia for a time, seconds, that is beyond all that can be reckoned with."""
    if not -_FAR < time < _FAR:
        raise InvalidMedia(f"the source has a frame at {float(time):.3g} s: its times are broken")


def rewind(container: InputContainer) -> None:
    """Read from the front again."""
    forget(container)
    if container.format.name in _BY_POSITION:
        container.seek(0, unsupported_byte_offset=True)
        return
    front = Fraction(container.start_time or 0, av.time_base)
    if _is_passed_over(container, container.streams, front + _PREROLL):
        first: Any = min(container.streams, key=lambda stream: (stream.start_time or 0) * exact(stream.time_base or 1))
        container.seek(first.start_time or 0, stream=first)
    else:
        container.seek(container.start_time or 0)


def _rewind_any(container: InputContainer) -> None:
    """Read from the front again, by whatever stream has frames; raise InvalidMedia if none has."""
    if container.format.name in _BY_POSITION:
        rewind(container)
        return
    for stream in container.streams:
        try:
            container.seek(stream.start_time or 0, stream=stream)
            return
        except av.error.FFmpegError as error:
            check_memory(error)
    raise InvalidMedia("no stream of the source has a frame")


def _seek(container: InputContainer, time: Fraction, stream: Stream | None = None) -> bool:
    forget(container)
    try:
        container.seek(int(time / (exact(stream.time_base) if stream else _MICROSECOND)), backward=True, stream=stream)
    except av.error.FFmpegError as error:
        check_memory(error)
        return False
    return True


def _time(packet: AnyPacket) -> Fraction | None:
    by_decoding = counts_decoding(packet.stream)
    stamp = packet.pts if packet.pts is not None and not (by_decoding and packet.dts is not None) else packet.dts
    return stamp * packet.time_base if stamp is not None and packet.time_base else None


def _last_key(
    packets: Iterator[Any], video: Stream, begin: Fraction, from_front: bool = True
) -> tuple[Fraction | None, Fraction | None]:
    """Return the time of the last key frame at or before `begin` among these packets, or None; and `SeekResult.needed`.

    Where that begins a gradual refresh, the one before it: decoders show nothing until all of a frame is refreshed, which is
    by the next one. `from_front`: if there is none before it, nothing lies before it.
    """
    last: Fraction | None = None
    before: Fraction | None = None  # the keyframe
    gradual = False
    shown: list[Fraction] = []
    timed, codec = True, canonical_name(video.codec_context)
    while (packet := read(packets)[0]) is not None:  # whoever reads from there is told why it breaks off
        time = _time(packet) if packet.stream.index == video.index else None
        if time is None:
            continue
        if packet.is_keyframe and time <= begin + TOLERANCE:
            last, before, gradual = time, last, refreshes_gradually(packet, codec)
        if packet.dts is not None and packet.dts * packet.time_base > begin + TOLERANCE:
            break
        timed = timed and packet.pts is not None
        if time <= begin:
            shown = sorted((*shown, time))[-2:]  # the last two, as each field of a frame may be a packet
    if gradual:
        last = before if before is not None or not from_front else last
    return last, shown[0] if timed and shown else None


def _without_video_before(packets: Iterator[AnyPacket], video: Stream, key: Fraction) -> Iterator[AnyPacket]:
    """Drop the video before the keyframe at `key`: it belongs to an earlier group of pictures."""
    begun = False
    for packet in packets:
        if packet.stream.index == video.index and not begun:
            begun = (packet.is_keyframe and _time(packet) == key) or (packet.size == 0 and packet.dts is None)
            if not begun:
                continue
        yield packet
