"""Open encoders as a plan says, and tell which one failed."""

import re
from contextlib import nullcontext
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av.logging
from av import FFmpegError, VideoFrame
from av.codec.context import Flags
from av.codec.hwaccel import HWAccel
from av.container import OutputContainer

from reelmill_server.errors import EncoderFailed, ReelmillError
from reelmill_server.media.libav.errors import LIBAV_ERRORS, is_memory, memory_was_short, too_little_memory
from reelmill_server.media.libav.log import captured_log, driver_words, error_text
from reelmill_server.media.libav.render_nodes import device_of
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.plan import StreamPlan, VideoOutput

_NOT_CAPTURED = nullcontext[list[Any]]([])
_FULL = re.compile(r"out of memory \(10\)|incompatible client key", re.IGNORECASE)
_AVX512_WIDTH = 128  # of x264's frames, or a multiple: others have macroblock trees that vary with AVX-512


class EncoderDown(EncoderFailed):
    """Raised when an encoder failed; `encoder` and `device` name it, so that another can be tried. `failure`: the message
    without its name.

    `opening`: it did not open, which may be due to the settings of the target `target` (its index; -1: unknown).
    """

    def __init__(self, encoder: str, device: str, message: str, *, opening: bool = False) -> None:
        super().__init__(f"{encoder}: {message}")
        self.encoder, self.device, self.opening, self.target = encoder, device, opening, -1
        self.failure = message

    @property
    def full(self) -> bool:
        """Whether an accelerator says that it has no session left. NVENC calls that a lack of memory."""
        return self.opening and is_full(self.device, self.message)


def is_full(device: str, words: str) -> bool:
    """Return whether these words of an accelerator of the family `device` mean that it has no session left."""
    return device == "nvenc" and bool(_FULL.search(words))


def open_encoder(plan: StreamPlan, output: OutputContainer, global_header: bool | None = None) -> Any:
    """Add a stream with an opened encoder.

    `global_header`: whether what decoders must know goes beside the packets and not into them; None: as the container wants
    it. Raises EncoderDown when the encoder does not open or does not know an option.
    """
    stream = _open(plan, output, global_header)
    unknown = dict(stream.codec_context.options)
    if unknown:
        raise EncoderDown(plan.encoder, plan.device, f"does not know the options {sorted(unknown)}")
    return stream


def _open(plan: StreamPlan, output: OutputContainer, global_header: bool | None) -> Any:
    hardware = plan.device not in ("", SOFTWARE)
    with captured_log(av.logging.VERBOSE if hardware else av.logging.ERROR) as lines:
        try:
            return _opened(plan, output, global_header)
        except LIBAV_ERRORS as error:
            words = driver_words(error, lines, plan.encoder) if hardware else ""
            failure = failure_of_encoder(error, plan, "does not open", words)
            if isinstance(failure, EncoderDown):
                failure.opening = True
            raise failure from error


def encode(stream: Any, plan: StreamPlan, frame: VideoFrame | None) -> list[AnyPacket]:
    """Give a frame to the opened encoder `stream`; None: the end. Return the packets that are ready.

    Raises EncoderDown, with the words of an accelerator's driver.
    """
    hardware = plan.device not in ("", SOFTWARE)
    with captured_log() if hardware else _NOT_CAPTURED as lines:
        try:
            packets: list[AnyPacket] = stream.encode(frame)
        except FFmpegError as error:
            words = driver_words(error, lines, plan.encoder) if hardware else ""
            raise failure_of_encoder(error, plan, "failed while encoding", words) from error
    return packets


def _opened(plan: StreamPlan, output: OutputContainer, global_header: bool | None) -> Any:
    stream: Any
    if plan.video:
        stream = output.add_stream(
            plan.encoder,
            rate=plan.video.frame_rate,
            options=_options(plan),
            hwaccel=hardware_frames(plan.device, plan.encoder),
        )
        configure_video(stream.codec_context, plan.video, plan.encoder)
    else:
        assert plan.audio
        stream = output.add_stream(
            plan.encoder, rate=plan.audio.sample_rate, layout=plan.audio.layout, options=dict(plan.options)
        )
        stream.codec_context.format = plan.audio.sample_format
        stream.codec_context.time_base = Fraction(1, plan.audio.sample_rate)
    if plan.codec_tag:
        stream.codec_context.codec_tag = plan.codec_tag
    if global_header is not None:
        flag = int(Flags.global_header)
        stream.codec_context.flags = int(stream.codec_context.flags) & ~flag | (flag if global_header else 0)
    stream.codec_context.open(strict=False)
    return stream


def _options(plan: StreamPlan) -> dict[str, str]:
    """Return the encoder's options. Where a CRF is searched, the same frames must give the same packets each time.

    x264's code for AVX-512 does not ensure that at other widths than multiples of 128. It takes 5 percent less time, which
    counts where nothing is searched.
    """
    options = dict(plan.options)
    if plan.encoder == "libx264" and plan.quality and plan.video and plan.video.width % _AVX512_WIDTH and _has_avx512():
        options["x264-params"] = ":".join(filter(None, (options.get("x264-params"), "asm=avx2")))
    return options


@cache
def _has_avx512() -> bool:
    """Return whether this machine has AVX-512, and so AVX2; False where the kernel does not tell."""
    try:
        return "avx512" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def failure_of_encoder(error: Exception, plan: StreamPlan, what: str, words: str = "") -> ReelmillError:
    """Classify a failure of an encoder: EncoderDown, or too little memory in this process.

    `words`: of its driver, instead of the error's. ENOMEM from an accelerator may concern its own memory or its sessions: then
    another encoder may take over.
    """
    down = EncoderDown(plan.encoder, plan.device, f"{what}: {words or error_text(error)}")
    short = memory_was_short() if plan.device not in ("", SOFTWARE) else is_memory(error)
    return too_little_memory(down.message) if short else down


def hardware_frames(device: str, encoder: str) -> HWAccel | None:
    """Return where `encoder`, of the family `device`, takes its frames from; None: from memory."""
    return device_of(encoder) if device == "vaapi" else None


def configure_video(context: Any, video: VideoOutput, encoder: str) -> None:
    """Set what a video encoder must know before it is opened."""
    context.time_base = video.time_base
    describe_video(context, video)
    if encoder == "libx264":
        context.thread_type = "FRAME"  # slice threads, the default, are slower and compress worse


def describe_video(context: Any, video: VideoOutput) -> None:
    """Set what a container must know of encoded video."""
    context.width, context.height, context.pix_fmt = video.width, video.height, video.pixel_format
    context.framerate = video.frame_rate
    context.sample_aspect_ratio = video.sample_aspect_ratio
    context.colorspace, context.color_range = video.color_space, video.color_range
    context.color_trc, context.color_primaries = video.color_transfer, video.color_primaries
