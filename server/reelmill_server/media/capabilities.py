"""Find out what this machine can encode and decode, by trying it."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import av.logging
from av import VideoFrame

from reelmill_server.extras import install_command
from reelmill_server.media.feature_trials import Budget, FeatureTrials
from reelmill_server.media.libav.encoder import configure_video, hardware_frames, is_full
from reelmill_server.media.libav.errors import LIBAV_ERRORS
from reelmill_server.media.libav.libvmaf import LibvmafError
from reelmill_server.media.libav.log import captured_log, driver_words, error_text
from reelmill_server.media.libav.meters import Meter, VmafMeter, XpsnrMeter
from reelmill_server.model.capability import PRIVACY, SOFTWARE, Capability, Feature
from reelmill_server.model.plan import VideoOutput
from reelmill_server.model.request import VideoSpec
from reelmill_server.model.time import FALLBACK_RATE
from reelmill_server.plan.codec import encoder_options, video_encoders
from reelmill_server.plan.codec.audio_encoders import AUDIO_ENCODERS, BETTER_AUDIO_ENCODERS, AudioEncoder
from reelmill_server.plan.stream.quality import XPSNR_FILTER
from reelmill_server.plan.stream.video import VMAF_FILTER

_SIZE = 256  # the smallest width that NVENC takes is 145, QSV 128
_FRAMES = 8
_AUDIO_FRAMES = 10
_ALIKE_XPSNR = 60
_ALIKE_VMAF = 90  # of equal frames; the first, which has no motion, scores below 100
_FRAME_SAMPLES = 1024  # for an encoder that takes any number
_STEPS: tuple[tuple[str, ...], ...] = ((), ("bf",), ("bf", "refs"))
"""Options of libav that are left out, one step after the other, until an accelerator takes the others."""
_NOT_BUILT_IN = "is not built in"
_OFTEN = {
    "nvenc": "no NVIDIA GPU that encodes, or no driver",
    "qsv": "no Intel GPU at /dev/dri, or no oneVPL runtime",
    "vaapi": "no GPU that encodes at /dev/dri, or no VA driver",
}
_NO_PRIVACY = f"the detectors need a library that the worker does not have: {install_command('privacy')}"
_DECODERS = {
    "h264": "h264",
    "hevc": "hevc",
    "vp8": "vp8",
    "vp9": "vp9",
    "av1": "av1",
    "mpeg2video": "mpeg2video",
    "mpeg4": "mpeg4",
    "prores": "prores",
    "aac": "aac",
    "mp3": "mp3",
    "opus": "opus",
    "vorbis": "vorbis",
    "flac": "flac",
    "ac3": "ac3",
    "eac3": "eac3",
    "amr_nb": "amrnb",
    "amr_wb": "amrwb",
}


def try_video(codec: str, device: str, encoder: str, budget: Budget | None = None) -> Capability:
    """Encode a few frames with `encoder`, as a task would; return whether packets came out.

    Older accelerators go without B-frames and a choice of references; which pixel formats one takes is tried one by one. What
    else it has is asked within the `budget`.
    """
    formats = video_encoders.PIXEL_FORMATS[encoder]
    try:
        known = av.Codec(encoder, "w")
    except ValueError:
        return _capability(encoder, codec, device, _NOT_BUILT_IN)
    reasons: list[str] = []
    for lacks in _STEPS if device != SOFTWARE else _STEPS[:1]:
        if not (reason := _trial(encoder, device, codec, formats["yuv420p"], lacks)):
            break
        reasons.append(reason)
    else:
        return _capability(encoder, codec, device, _explained(reasons[0], device))
    # libvpx, for one, is built with or without more than 8 bits.
    built = {form.name for form in known.video_formats or ()}
    names = [name for name, own in formats.items() if own in built]
    if device == SOFTWARE:
        return replace(_capability(encoder, codec, device, ""), pixel_formats=tuple(names))
    deeper = ((name, _trial(encoder, device, codec, formats[name], lacks)) for name in names if name != "yuv420p")
    # One that found no session left may have the format: a task learns it.
    tried = [Feature(name, reason) for name, reason in deeper if not is_full(device, reason)]
    without = {feature.name for feature in tried if not feature.available}
    trials = FeatureTrials(codec, device, encoder, formats["yuv420p"], lacks, budget or Budget())
    steps = () if codec in video_encoders.WITHOUT_REFERENCES else _STEPS[-1]
    named = (Feature(name, reasons[number] if name in lacks else "") for number, name in enumerate(steps))
    return replace(
        _capability(encoder, codec, device, ""),
        pixel_formats=tuple(name for name in names if name not in without),
        lacks=lacks,
        features=(*tried, *named, *trials.features()),
        sizes=trials.sizes(),
        max_b_frames=trials.max_b_frames(),
        card=trials.card,
    )


def _trial(encoder: str, device: str, codec: str, pixel_format: str, lacks: tuple[str, ...]) -> str:
    """Encode a few frames without the options in `lacks`; return why that failed, in the driver's own words, or nothing."""
    choice = video_encoders.EncoderChoice(encoder, device, pixel_format, "trial", lacks)
    output = VideoOutput(_SIZE, _SIZE, pixel_format, time_base=1 / FALLBACK_RATE, frame_rate=FALLBACK_RATE)
    with captured_log(av.logging.ERROR if device == SOFTWARE else av.logging.VERBOSE) as lines:
        try:
            context: Any = av.CodecContext.create(encoder, "w", hwaccel=hardware_frames(device, encoder))
            configure_video(context, output, encoder)
            context.options = encoder_options.options(choice, VideoSpec(codec, preset="ultrafast"))
            context.open(strict=False)
            packets = sum(len(context.encode(frame)) for frame in _pictures(pixel_format))
            packets += len(context.encode(None))
        except (*LIBAV_ERRORS, OSError) as error:
            return driver_words(error, lines, encoder)
    return "" if packets == _FRAMES else f"gave {packets} packets for {_FRAMES} pictures"


def still_works(encoder: str) -> bool:
    """Return whether an encoder works for usual settings: then it refused those of a task."""
    known = {name: (codec, device) for codec, names in video_encoders.VIDEO_ENCODERS.items() for device, name in names.items()}
    return encoder in known and try_video(*known[encoder], encoder, Budget(0.0)).available


def _explained(reason: str, device: str) -> str:
    """Add to libav's message what it often means for hardware: a bare error code tells nobody that a driver is missing."""
    return f"{reason.rstrip('.')} ({_OFTEN[device]}?)" if device in _OFTEN else reason


def _pictures(pixel_format: str) -> Iterable[VideoFrame]:
    for number in range(_FRAMES):
        frame = VideoFrame(_SIZE, _SIZE, pixel_format)
        for plane in frame.planes:
            plane.update(bytes([(number * 8 + 64) % 256]) * plane.buffer_size)
        frame.pts, frame.time_base = number, 1 / FALLBACK_RATE
        yield frame


def _try_audio(name: str, known: AudioEncoder) -> Capability:
    """Encode a little silence with `known`, in a format that it takes."""
    rate = known.sample_rates[-1] if known.sample_rates else 48000
    layout = "stereo" if "stereo" in known.layouts else known.layouts[0]
    try:
        context: Any = av.CodecContext.create(known.encoder, "w")
    except LIBAV_ERRORS:
        return _capability(known.encoder, name, SOFTWARE, _NOT_BUILT_IN)
    try:
        context.sample_rate, context.layout, context.format = rate, layout, known.sample_format
        context.time_base, context.options = Fraction(1, rate), dict(known.options)
        context.open(strict=False)
        size = context.frame_size or _FRAME_SAMPLES
        packets = 0
        for number in range(_AUDIO_FRAMES):
            frame = av.AudioFrame(format=known.sample_format, layout=layout, samples=size)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts, frame.time_base = rate, number * size, Fraction(1, rate)
            packets += len(context.encode(frame))
        packets += len(context.encode(None))
    except LIBAV_ERRORS as error:
        return _capability(known.encoder, name, SOFTWARE, error_text(error))
    return _capability(known.encoder, name, SOFTWARE, "" if packets else "gave no packets")


def _try_decoder(name: str, codec: str) -> Capability:
    try:
        av.CodecContext.create(name, "r")
    except LIBAV_ERRORS:
        return _capability(name, codec, SOFTWARE, _NOT_BUILT_IN)
    return _capability(name, codec, SOFTWARE, "")


def _capability(name: str, codec: str, device: str, reason: str) -> Capability:
    return Capability(name, codec, device, not reason, reason, time.time_ns() // 1000)


def try_encoders(order: Sequence[str], only: frozenset[str] = frozenset()) -> tuple[Capability, ...]:
    """Try every candidate encoder, in the order in which tasks try them; with `only`, those named in it."""
    video = (
        (codec, device, candidates[device])
        for codec, candidates in video_encoders.VIDEO_ENCODERS.items()
        for device in order
        if device in candidates
    )
    budget = Budget()
    tried = [try_video(*candidate, budget) for candidate in video if not only or candidate[2] in only]
    audio = (*BETTER_AUDIO_ENCODERS.items(), *AUDIO_ENCODERS.items())
    return (*tried, *(_try_audio(name, known) for name, known in audio if not only))


def list_decoders() -> tuple[Capability, ...]:
    """Return the decoders that sources usually need, and whether they are there."""
    return tuple(_try_decoder(name, codec) for codec, name in _DECODERS.items())


def try_filters() -> tuple[Capability, ...]:
    """Try what measures quality: only some builds of libav have the filters, and only some systems libvmaf."""
    return (_try_vmaf(), _try_xpsnr())


def _try_vmaf() -> Capability:
    try:
        return _try_meter(VMAF_FILTER, VmafMeter("yuv420p"), _ALIKE_VMAF)
    except LibvmafError as error:
        return _capability(VMAF_FILTER, "vmaf", SOFTWARE, str(error.strerror))


def _try_xpsnr() -> Capability:
    if XPSNR_FILTER not in av.filter.filters_available:
        return _capability(XPSNR_FILTER, "xpsnr", SOFTWARE, "is not in this build of libav")
    return _try_meter(XPSNR_FILTER, XpsnrMeter("yuv420p"), _ALIKE_XPSNR)


def _try_meter(name: str, meter: Meter, least: float) -> Capability:
    """Compare a few frames with themselves; their score is at least `least`."""
    try:
        with captured_log():
            for frame in _pictures("yuv420p"):
                meter.compare(frame, frame)
            score = meter.mean()
        reason = "" if score and score > least else f"finds {score} for equal pictures"
    except (*LIBAV_ERRORS, OSError) as error:
        reason = error_text(error)
    return _capability(name, meter.metric.value, SOFTWARE, reason)


def try_privacy() -> Capability:
    """Run the detectors of faces and license plates on a frame without any."""
    try:
        from reelmill_server.media.overlay.privacy import detect

        detect.try_detectors()
    except ImportError:
        return _capability(PRIVACY, "", SOFTWARE, _NO_PRIVACY)
    except Exception as error:  # whatever the runtime raises must not keep the worker from starting
        return _capability(PRIVACY, "", SOFTWARE, f"the detectors do not run: {error}")
    return _capability(PRIVACY, "", SOFTWARE, "")


def library_versions() -> dict[str, str]:
    """Return the versions of PyAV and of FFmpeg's libraries."""
    return {"pyav": av.__version__, **{name: ".".join(map(str, version)) for name, version in av.library_versions.items()}}
