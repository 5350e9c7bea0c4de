"""Costs of the parts of an attempt, measured by `bench.capacity` (docs/capacity.md says where and when).

CPU in milliseconds of one core (`MS` in seconds) per megapixel, per megabit or per second of media. Memory in bytes per
pixel of 8-bit 4:2:0, which itself takes 1.5 bytes per pixel; deeper formats and those with more chroma take proportionally
more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from reelmill_server.model.time import FALLBACK_RATE

MS = 1e-3
MEGA = 1e6
_MB = 1_000_000


MEASURED_THREADS = 2
"""Cores of the machine that the tables were measured on; libav and its encoders start threads by the number of cores."""


@dataclass(frozen=True)
class Encoding:
    """Cost of an encoder at one preset: `work` in ms per megapixel of easy content, `memory` in bytes per pixel."""

    work: float
    memory: float


@dataclass(frozen=True)
class Encoder:
    """Cost of an encoder, by the value of the `option` that sets its effort.

    `difficulty`: content that took many bits in the source is harder to encode, so each megabit of it counts as so many
    megapixels. `frame`: ms per frame regardless of its size. `fixed_bytes`: memory regardless of the size; `thread_memory`:
    bytes per pixel for each further core, up to `most_cores`. `threads`: cores that it keeps busy at 1080p; fewer for
    smaller frames.
    """

    option: str
    presets: Mapping[str, Encoding]
    difficulty: float
    frame: float
    fixed_bytes: int
    thread_memory: float
    most_cores: int
    threads: float


def _presets(names: str, works: tuple[float, ...], memories: tuple[float, ...]) -> Mapping[str, Encoding]:
    return {name: Encoding(work, memory) for name, work, memory in zip(names.split(), works, memories, strict=True)}


_X26X = "ultrafast superfast veryfast faster fast medium slow slower veryslow"
_X264 = _presets(_X26X, (4.5, 6, 8, 11, 13, 15, 20, 24, 28), (65, 90, 120, 150, 175, 220, 245, 260, 280))
_X265 = _presets(_X26X, (18, 22, 29, 31, 36, 37, 75, 290, 460), (135, 150, 170, 180, 180, 190, 210, 290, 340))
_SVT = _presets("10 9 8 7 5 4 3", (13, 17, 22, 28, 48, 80, 130), (210, 220, 300, 380, 420, 450, 480))
_VPX = _presets("8 7 6 5 4 3 2 1 0", (65, 65, 65, 65, 65, 68, 72, 90, 150), (145,) * 9)

ENCODERS: Mapping[str, Encoder] = {
    "libx264": Encoder("preset", _X264, 5.0, 0.5, 15 * _MB, 12.0, 64, 12),
    "libx265": Encoder("preset", _X265, 2.5, 1.0, 40 * _MB, 5.0, 64, 8),
    "libsvtav1": Encoder("preset", _SVT, 1.8, 4.0, 50 * _MB, 55.0, 8, 8),
    "libvpx-vp9": Encoder("cpu-used", _VPX, 0.8, 20.0, 30 * _MB, 2.0, 16, 4),
}

UNKNOWN_ENCODER = Encoder("", {"": Encoding(60, 250)}, 2.5, 5.0, 50 * _MB, 10.0, 64, 4)
HARDWARE: Mapping[str, Encoder] = {
    device: Encoder("", {"": Encoding(1.5, 40)}, 0.0, 0.5, megabytes * _MB, 0.0, 1, 1)
    for device, megabytes in (("nvenc", 400), ("qsv", 150), ("vaapi", 100))
}
"""CPU work left by hardware encoders, and memory of their drivers. Assumptions, not measured."""
REFERENCE_PIXELS = 1920 * 1080
MOST_DIFFICULT = 0.5
"""Bits of the source per pixel of the output beyond which content does not become harder."""


@dataclass(frozen=True)
class Decoding:
    """Cost of a decoder: ms per megapixel and ms per megabit."""

    pixels: float
    bits: float


DECODINGS: Mapping[str, Decoding] = {
    "h264": Decoding(1.4, 10.0),
    "hevc": Decoding(1.8, 12.0),
    "vp9": Decoding(2.0, 12.0),
    "vp8": Decoding(2.5, 10.0),
    "av1": Decoding(1.2, 12.0),
    "mpeg2video": Decoding(0.8, 4.0),
    "mpeg4": Decoding(1.5, 6.0),
    "mjpeg": Decoding(1.2, 2.5),
    "prores": Decoding(1.2, 3.5),
    "rawvideo": Decoding(0.5, 0.01),
}
UNKNOWN_DECODING = Decoding(8.0, 8.0)
DEEP = 1.5
"""Factor for more than 8 bits, for which decoders have fewer optimized loops."""
DECODER_THREADS = 4.0
DECODER_THREAD_FRAMES, MOST_DECODER_THREADS = 2.0, 16
"""Frames held by each further thread of a decoder, and its maximum number of threads."""

FILTERS: Mapping[str, float] = {
    "scale": 3.0,
    "format": 0.5,
    "bwdif": 8.0,
    "estdif": 8.0,
    "lut3d": 40.0,
    "transpose": 2.0,
    "hflip": 1.0,
    "vflip": 0.1,
    "pad": 1.0,
}
"""ms per megapixel of the larger of input and output; filters not listed cost next to nothing."""
FRAME_MS = 0.3
"""ms per frame of each output regardless of its size: Python between libav's steps."""

SOUND: Mapping[str, float] = {
    "aac": 13.0,
    "libmp3lame": 19.0,
    "libopus": 9.0,
    "flac": 2.5,
    "alac": 3.0,
    "ac3": 5.0,
    "libvorbis": 10.0,
    "vorbis": 10.0,
    "libopencore_amrnb": 10.0,
}
"""ms per second and channel, including the filters before the encoder; by encoder."""
UNKNOWN_SOUND = 13.0
SOUND_DECODING = 1.5
"""ms per second and channel."""
LOUDNESS = 7.0
"""ms per second and channel that measuring loudness and true peaks takes (docs/loudness.md)."""
PEAK_TRIALS, CROWDED_DB = 4, 19.0
"""Trials of an encoder for its peaks, where the limit lies less than so many dB above the loudness: usual audio has its peaks
16 dB above it, and those that come within 3 dB of the limit are tried (`plan.passes`)."""
LOSSLESS_BITS: Mapping[str, int] = {"flac": 24, "alac": 24, "pcm_s16le": 16, "pcm_s24le": 24}
"""Bits per uncompressed sample."""
USUAL_SOUND_BITRATE = 160_000
"""bit/s per channel, for encoders with a quality setting."""

GROUPS_READ_BACK = 2.0
"""Verification decodes the first and the last GOP of an output."""
USUAL_KEY_SECONDS = 5.0
READ_BACK_FRAMES = 13.0
"""Frames that a decoder holds."""
COPY_MS_PER_MEGABIT = 0.2
"""ms to read, write and read back a megabit."""
COPY_MS_PER_SECOND = 4.0
"""ms per second of each stream, as packets pass through Python."""

DELOGO_MS, PICTURE_MS = 8.0, 2.7
"""ms per megapixel of the rectangle."""
TEXT_SHARE = 0.1
"""Assumed share of the frame's area, as the size of a text is known only when it is drawn."""
LOOKS_PER_SECOND, LOOK_MS = 8.0, 135.0
"""How often faces or license plates are detected per second, and ms per detection."""
DETECTOR_BYTES = 150 * _MB
OVERLAY_BYTES = 40 << 20
"""Arrays and fonts, once per output."""
HELD_BYTES = 256 << 20
VMAF_MS, VMAF_MEMORY = 15.0, 60.0
FIRST_PASS = 0.9
"""Share of a pass that the first of two takes: x265's, measured (docs/quality.md); x264's takes 0.4."""
PASS_FRAME_BYTES, PASS_PIXEL_BYTES = 250.0, 1 / 128
"""Statistics of the first pass on disk: text for each frame, and two bytes for each block of 16 x 16."""

STILLS: Mapping[str, tuple[float, float]] = {
    "jpg": (12.0, 0.4),
    "png": (80.0, 3.0),
    "webp": (150.0, 0.5),
    "avif": (400.0, 0.4),
    "gif": (60.0, 1.0),
    "apng": (80.0, 3.0),
}
"""Images by extension: ms per megapixel including reading back, and bytes per pixel on disk (an upper estimate)."""
UNKNOWN_STILL = (400.0, 3.0)
STILL_BYTES = 30 << 20
SEEK_FRAMES = 4.0
"""Cost of a seek in frames, besides those decoded up to the wanted one."""

BITS_PER_PIXEL: Mapping[str, float] = {"h264": 0.35, "hevc": 0.25, "vp9": 0.25, "av1": 0.2}
"""At the usual CRF, for grainy content."""
UNKNOWN_BITS_PER_PIXEL = 0.4
USUAL_CRF, CRF_STEP = 23.0, 6.0
"""On the contract's scale of 0 to 51; `CRF_STEP` less doubles the bits."""
QUALITIES: Mapping[str, Mapping[str, float]] = {"libvpx-vp9": {"crf": 63.0}, "libsvtav1": {"crf": 63.0}}
UNKNOWN_QUALITY: Mapping[str, float] = {"crf": 51.0, "cq": 51.0, "global_quality": 51.0}
"""Quality options by encoder, and the maximum of their scales."""
SOURCE_TIMES = 3.0
"""Encoding a compressed source takes at most so many times its bits."""

BASE_SECONDS, BASE_BYTES = 0.15, 60 << 20
"""A child process without work: starting, probing, planning."""
HELD_FRAMES = 37.0
"""Decoded frames in flight: in the decoder, and in queues between threads."""

USUAL_GROUP = 150.0
"""Frames per GOP of an output that does not set it."""
TEXT_BYTES, FILE_BYTES = 100.0, 4096.0
"""Bytes of a second of subtitles, and overhead of a file on disk."""

ASSUMED_SECONDS, ASSUMED_BITRATE = 600.0, 2_000_000
"""For a source of unknown duration: that of its size at this bit rate, or so many seconds if its size is unknown, too."""
ASSUMED_RATE = float(FALLBACK_RATE)
MOST_RATE = 240.0
ASSUMED_PIXELS = 1920 * 1080
