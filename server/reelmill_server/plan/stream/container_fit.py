"""Adapt video to what its container supports beyond the codec (B-frames, frame rates), and refuse what cannot be adapted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from reelmill_server.errors import InvalidArgument, UnsupportedFormat, Violation
from reelmill_server.model.media_info import AudioStreamInfo, StreamInfo, VideoStreamInfo
from reelmill_server.model.plan import StreamPlan, StreamType
from reelmill_server.model.request import VideoSpec
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS, rational_text
from reelmill_server.plan.clock import UNINDEXED_FORMATS, UNTIMED_FORMATS, Clock
from reelmill_server.plan.codec.channel_layouts import alike, channels_of
from reelmill_server.plan.codec.containers import Container
from reelmill_server.plan.codec.video_encoders import LIBAV_CODEC
from reelmill_server.plan.stream import dolby
from reelmill_server.plan.stream.alpha import alpha_decoder, has_alpha
from reelmill_server.plan.stream.geometry import turn_asked
from reelmill_server.plan.stream.video import COMMON_RATES, usual_rate

_NEAR_US = 1000  # a request's times are decimal
_SAME = Fraction(1, 1000)  # rates nearer than this share are one: headers round them
# Codecs without a sample aspect ratio that players respect, and containers in which libav writes none either.
_SHAPELESS_CODECS = ("vp8", "vp9", "av1", "prores", "dnxhd")
_SHAPELESS_CONTAINERS = ("mkv", "webm", "avi", "flv", "ts")
# Only their headers can say how pictures are to be turned and cropped for display.
_TURNING_CONTAINERS = ("mp4", "mov", "mkv", "webm")
# Where libav writes Dolby Vision's configuration, and the projection of spherical video.
_DOLBY_CONTAINERS, _PROJECTING_CONTAINERS = ("mp4", "mkv"), ("mp4", "mov", "mkv", "webm")
_STEREO_CONTAINERS = ("mkv", "webm")
_UNCOMPRESSED = "rawvideo"  # of which nothing but the container says how its pixels lie
# The codes of layouts of pixels that libav writes into Matroska: those of YUV and gray in 8 bits, none of RGB.
_LAID_OUT = "I420 IYUV YV12 NV12 Y42B YV16 YUY2 UYVY HDYC Y422 2vuy Y41B YVU9 Y800 GREY".split()
# Whose order of decoding libav has no parser to find out.
_GUESSED_ORDER, _ORDERED_SOURCES = ("vvc",), "mov"
# Audio that a container describes in a form of its own.
_OWN_FORM: Mapping[str, str] = {"caf": "flac", "nut": "eac3"}
# Samples that lie in an order of channels that libav has no name for, as CAF may tell: other containers take the usual one.
_SAMPLES, _OWN_ORDER = "pcm_", " channels ("
_NUMBERING = ("flac",)
_DESCRIBING_CONTAINERS = ("mp4", "mov")
_ONE_VIDEO_CONTAINERS = ("mxf",)
# Whose muxers in libav, unlike others, do not turn AAC in ADTS into what they hold.
_CONFIGURED_CONTAINERS = ("asf", "avi")
# Audio whose packets these containers do not part: what is read of it begins and ends anywhere.
_UNPARTED: Mapping[str, tuple[str, ...]] = {"wav": ("vorbis", "aac"), "w64": ("vorbis", "aac")}


def fit_video(spec: VideoSpec, stream: VideoStreamInfo, container: Container, field: str) -> tuple[VideoSpec, tuple[str, ...]]:
    """Return `spec` adapted to the container, and warnings; `field` is the path of the TranscodeVideo message.

    Raises InvalidArgument if it requests what the container does not support, UnsupportedFormat if no rate is requested and
    the source's cannot be used.
    """
    notes: list[str] = []
    if LIBAV_CODEC[spec.codec] in container.unordered:
        spec = replace(spec, b_frames=0)
    if spec.codec == "vp9" and not spec.pixel_format and has_alpha(stream.pixel_format) and not container.alpha:
        spec = replace(spec, pixel_format="yuv420p")
    if not container.steady:
        return spec, tuple(notes)
    if not spec.frame_rate:
        rate = _steady_rate(usual_rate(stream), container, field)
        if not _is_steady(stream):
            notes.append(
                f"{container.name} has one frame rate: pictures are repeated or left out to have {float(rate):.6g} a second"
            )
        spec = replace(spec, frame_rate=rate)
    elif container.frame_rates and spec.frame_rate not in container.frame_rates:
        expected = f"container {container.name} takes {', '.join(map(str, container.frame_rates))} pictures a second"
        raise InvalidArgument(violations=[Violation(f"{field}.frame_rate", expected)])
    return spec, tuple(notes)


def check_copied_video(stream: VideoStreamInfo, container: Container, field: str) -> None:
    """Check that the container can contain a stream as it is; raise UnsupportedFormat."""
    if stream.codec == _UNCOMPRESSED and stream.codec_tag not in _LAID_OUT and container.name == "mkv":
        raise UnsupportedFormat(
            f"{field}: the source's video is uncompressed, and {container.name} has no code for how its pixels lie: choose a "
            "codec other than copy"
        )
    if stream.codec in container.unordered and stream.has_b_frames:
        raise UnsupportedFormat(
            f"{field}: the source's {stream.codec} has B-frames, and {container.name} one time per picture, which they do not "
            "fit: choose a codec other than copy"
        )
    if container.steady:
        if not _is_steady(stream):
            raise UnsupportedFormat(
                f"{field}: the source's frame rate varies, and {container.name} has only one: choose a codec other than copy"
            )
        _steady_rate(usual_rate(stream), container, field)


def pixel_code(stream: StreamInfo, container: Container) -> str:
    """Return the code by which the container says how the pixels of a copy lie; empty: it needs none."""
    return stream.codec_tag if stream.codec == _UNCOMPRESSED and container.name == "mkv" else ""


def check_times(stream: VideoStreamInfo, source_format: str, cut: bool, field: str) -> None:
    """Check that a copy needs no timestamps that only decoding yields; raise UnsupportedFormat."""
    if cut and source_format in UNINDEXED_FORMATS:
        raise UnsupportedFormat(f"{field}: {stream.codec} without a container cannot be copied from a start on: choose a codec")
    if stream.codec in _GUESSED_ORDER and stream.has_b_frames and not source_format.startswith(_ORDERED_SOURCES):
        raise UnsupportedFormat(
            f"{field}: {stream.codec} with B-frames is copied from mp4 and mov only, which tell the order of decoding: "
            "choose a codec"
        )
    if stream.has_b_frames and source_format in UNTIMED_FORMATS:
        raise UnsupportedFormat(
            f"{field}: {stream.codec} without a container cannot be copied with its B-frames: choose a codec"
        )
    if stream.decoding_times:
        raise UnsupportedFormat(
            f"{field}: the source's {stream.codec} has B-frames, and {source_format} does not say when they are shown: choose "
            "a codec other than copy"
        )


def check_one(stream: StreamInfo, clock: Clock, container: Container, segmented: bool, field: str) -> None:
    """Check that a copied stream has one codec, if it is copied to its end, and no more parameters of it than the container can
    contain; raise UnsupportedFormat. `clock`: the range that is copied.
    """
    if stream.becomes and not clock.cuts:
        raise UnsupportedFormat(
            f"{field}: the codec of the source's stream {stream.index} changes to {stream.becomes} midway, and a copy has one: "
            "cut it before that, or leave it out"
        )
    until_us = MICROSECONDS * (stream.described_until or 0) - clock.origin_us
    described_once = 0 < clock.end_us <= until_us + _NEAR_US
    if stream.descriptions > 1 and not described_once and (segmented or container.name not in _DESCRIBING_CONTAINERS):
        where = f"segments of {container.name}" if segmented else container.name
        raise UnsupportedFormat(
            f"{field}: the parameters of the source's {stream.codec} change midway (it has {stream.descriptions} sample "
            f"descriptions), and {where} would have the first ones only: choose a codec other than copy"
        )


def loses_shape(stream: VideoStreamInfo, container: Container) -> bool:
    """Return whether a copy of the stream would be displayed with square pixels although the source's are not."""
    shaped = stream.sample_aspect_ratio not in (0, 1)
    unsaid = stream.codec in _SHAPELESS_CODECS or stream.header_aspect
    return shaped and unsaid and container.name in _SHAPELESS_CONTAINERS


def copy_warnings(stream: VideoStreamInfo, container: Container) -> Iterator[str]:
    """Yield warnings about what a copy of the stream into the container loses."""
    if loses_shape(stream, container):
        ratio_text = rational_text(stream.sample_aspect_ratio).replace("/", ":")
        yield f"{container.name} does not keep the shape of the source's pixels, {ratio_text}"
    if stream.transparent and alpha_decoder(stream.codec, stream.metadata) and not container.alpha:
        yield f"{container.name} cannot hold the alpha channel of {stream.codec}: hidden colors show"
    if stream.crop and container.name not in _TURNING_CONTAINERS:
        size = f"{stream.width}x{stream.height} of {stream.crop.width}x{stream.crop.height}"
        yield f"{container.name} cannot say that {size} pixels are to be shown: players show all of them"
    if stream.turned and container.name not in _TURNING_CONTAINERS:
        yield f"{container.name} cannot say that pictures are to be {turn_asked(stream)}: players show them as they are coded"
    elif stream.tilt:
        yield f"{container.name} keeps that frames are to be {turn_asked(stream)}: most players turn by multiples of 90° only"
    if (metadata := stream.dolby_vision) is not None and container.name not in _DOLBY_CONTAINERS:
        yield f"{container.name} cannot say that the video is {dolby.name_of(metadata)}: {dolby.shown_as(metadata)}"
    if stream.projection and container.name not in _PROJECTING_CONTAINERS:
        yield f"{container.name} cannot say that the video is spherical ({stream.projection}): players show it flat"
    if (mode := dolby.stereo_mode(stream)) and container.name not in _STEREO_CONTAINERS:
        yield f"{container.name} cannot say that the video is stereoscopic ({mode}): players show both views"


def check_whole(container: Container, whole: bool, field: str) -> None:
    """Check that a copy is of a whole recording where the container's frames are numbered; raise UnsupportedFormat."""
    if container.name in _NUMBERING and not whole:
        raise UnsupportedFormat(
            f"{field}: {container.name} numbers its frames, and says how many samples follow: those of a part, or of several "
            "recordings, cannot be copied; encode them, which loses nothing"
        )


def check_packets(stream: AudioStreamInfo, source_format: str, field: str) -> None:
    """Check that the source says where packets of the stream begin; raise UnsupportedFormat."""
    framed = stream.codec == "aac" and not stream.configuration  # ADTS, whose headers say it
    if stream.codec in _UNPARTED.get(source_format, ()) and not framed:
        raise UnsupportedFormat(
            f"{field}: the source's audio is {stream.codec}, and {source_format} does not say where its packets begin"
        )


def check_count(streams: Sequence[StreamPlan], container: Container, field: str) -> None:
    """Check that a file has as many video streams as the container must have; raise UnsupportedFormat."""
    count = sum(stream.type == StreamType.VIDEO for stream in streams)
    if container.name in _ONE_VIDEO_CONTAINERS and count != 1:
        raise UnsupportedFormat(f"{field}: {container.name} has exactly one video stream, and this target would have {count}")


def check_copied_audio(stream: AudioStreamInfo, container: Container, source_format: str, field: str) -> None:
    """Check that the container supports the stream's codec at its sample rate and in its channel layout.

    Raises UnsupportedFormat.
    """
    if stream.codec == "aac" and not stream.configuration and container.name in _CONFIGURED_CONTAINERS:
        raise UnsupportedFormat(
            f"{field}: {container.name} needs the parameters of AAC ahead of it, and {source_format} has them in each packet: "
            "choose a codec other than copy"
        )
    if _OWN_FORM.get(source_format) == stream.codec:
        raise UnsupportedFormat(
            f"{field}: {source_format} describes {stream.codec} in a form that no other container has: choose a codec other "
            "than copy"
        )
    rates = container.sample_rates.get(stream.codec)
    if rates and stream.sample_rate not in rates:
        raise UnsupportedFormat(
            f"{field}: the source has {stream.sample_rate} Hz, and {container.name} holds {stream.codec} at "
            f"{', '.join(map(str, rates))} Hz: choose a codec other than copy"
        )
    if stream.codec.startswith(_SAMPLES) and _OWN_ORDER in stream.layout:
        raise UnsupportedFormat(
            f"{field}: the source's audio has an order of channels that no output can signal, {stream.layout}: choose a codec "
            "other than copy"
        )
    layouts = container.layouts.get(stream.codec)
    if layouts and channels_of(stream.layout) and not any(alike(stream.layout, name) for name in layouts):
        raise UnsupportedFormat(
            f"{field}: the source has {stream.layout}, and {container.name} holds {stream.codec} in {', '.join(layouts)}: "
            "choose a codec other than copy"
        )


def _is_steady(stream: VideoStreamInfo) -> bool:
    average, base = stream.average_rate, stream.frame_rate
    return not average or not base or abs(average - base) <= base * _SAME


def _steady_rate(rate: Fraction, container: Container, field: str) -> Fraction:
    """Return the constant rate that `rate` stands for; raise UnsupportedFormat if the container does not support it."""
    plain = plain_rate(rate)
    if container.frame_rates and plain not in container.frame_rates:
        raise UnsupportedFormat(
            f"{field}: the source has {float(rate):.6g} pictures a second, and {container.name} takes only "
            f"{', '.join(map(str, container.frame_rates))}: set frame_rate"
        )
    return plain or FALLBACK_RATE


def plain_rate(rate: Fraction) -> Fraction:
    """Return the common frame rate that `rate`, measured on rounded timestamps, stands for; else `rate` itself."""
    near = min(COMMON_RATES, key=lambda known: abs(known - rate))
    return near if abs(near - rate) <= near * _SAME else rate
