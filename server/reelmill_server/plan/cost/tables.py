"""What the parts of an attempt cost, measured by `bench.capacity` (docs/capacity.md says where and when).

CPU in core seconds: `MS` is a thousandth of one, here for a megapixel, a megabit or a second of media. Memory in bytes per
pixel of 8 bits in 4:2:0, of which one takes 1.5 bytes: what is deeper or has more chroma takes as much more as its pictures do.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from reelmill_server.model.time import FALLBACK_RATE

MS = 1e-3
MEGA = 1e6
_MB = 1_000_000


MEASURED_THREADS = 2
"""Cores of the machine that the tables were measured on; libav and its encoders start threads by how many there are."""


@dataclass(frozen=True)
class Encoding:
    """One encoder at one preset: `work` in ms per megapixel of an easy picture, `memory` in bytes per pixel."""

    work: float
    memory: float


@dataclass(frozen=True)
class Encoder:
    """One encoder: the `option` that says how hard it tries, and what it costs by its value.

    `difficulty`: pictures that took many bits in the source are harder, so each megabit of it counts as so many megapixels.
    `frame`: ms for each picture whatever its size. `fixed_bytes` of memory whatever the size; `thread_memory` in bytes per
    pixel for each further core, up to `most_cores`. `threads` that it keeps busy at 1080p; fewer for smaller pictures.
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
"""What an encoder in hardware leaves to the CPU, and its driver's memory. Not measured: assumptions."""
REFERENCE_PIXELS = 1920 * 1080
MOST_DIFFICULT = 0.5
"""Bits of the source for each pixel of the output beyond which it does not become harder."""


@dataclass(frozen=True)
class Decoding:
    """One decoder: ms per megapixel and per megabit."""

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
"""Times as much for pictures of more than 8 bits: fewer of the decoders' loops are written for them."""
DECODER_THREADS = 4.0
DECODER_THREAD_FRAMES, MOST_DECODER_THREADS = 2.0, 16
"""Pictures that each further thread of a decoder holds, and how many threads it starts at most."""

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
"""ms per megapixel of the larger of what goes in and what comes out; what is not named costs nothing to speak of."""
FRAME_MS = 0.3
"""For each picture of each output, whatever its size: Python between libav's steps."""

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
"""ms per second and channel, with the filters before the encoder; by encoder."""
UNKNOWN_SOUND = 13.0
SOUND_DECODING = 1.5
"""ms per second and channel."""
LOSSLESS_BITS: Mapping[str, int] = {"flac": 24, "alac": 24, "pcm_s16le": 16, "pcm_s24le": 24}
"""Bits of a sample, uncompressed."""
USUAL_SOUND_BITRATE = 160_000
"""bit/s and channel, for encoders that are given a quality."""

GROUPS_READ_BACK = 2.0
"""The first and the last group of pictures of an output are kept, and decoded."""
USUAL_KEY_SECONDS = 5.0
READ_BACK_FRAMES = 13.0
"""Pictures that a decoder holds by itself."""
COPY_MS_PER_MEGABIT = 0.2
"""To read, write and read back."""
COPY_MS_PER_SECOND = 4.0
"""Of media and stream: packets pass through Python."""

DELOGO_MS, PICTURE_MS = 8.0, 2.7
"""Per megapixel of the rectangle."""
TEXT_SHARE = 0.1
"""Of the picture's area, as a text's size is known when it is drawn."""
LOOKS_PER_SECOND, LOOK_MS = 8.0, 135.0
"""How often a detector of faces or plates looks, and what a look costs."""
DETECTOR_BYTES = 150 * _MB
OVERLAY_BYTES = 40 << 20
"""Arrays and fonts, once an output."""
HELD_BYTES = 256 << 20
VMAF_MS, VMAF_MEMORY = 15.0, 60.0

STILLS: Mapping[str, tuple[float, float]] = {
    "jpg": (12.0, 0.4),
    "png": (80.0, 3.0),
    "webp": (150.0, 0.5),
    "avif": (400.0, 0.4),
    "gif": (60.0, 1.0),
    "apng": (80.0, 3.0),
}
"""Pictures by extension: ms per megapixel, with reading it back, and bytes per pixel on disk (an upper estimate)."""
UNKNOWN_STILL = (400.0, 3.0)
STILL_BYTES = 30 << 20
SEEK_FRAMES = 4.0
"""What a seek costs beside the frames that are decoded up to the wanted one."""

BITS_PER_PIXEL: Mapping[str, float] = {"h264": 0.35, "hevc": 0.25, "vp9": 0.25, "av1": 0.2}
"""At the usual CRF; grain is what needs as many."""
UNKNOWN_BITS_PER_PIXEL = 0.4
USUAL_CRF, CRF_STEP = 23.0, 6.0
"""On the contract's scale of 0 to 51; a step less doubles the bits."""
QUALITIES: Mapping[str, Mapping[str, float]] = {"libvpx-vp9": {"crf": 63.0}, "libsvtav1": {"crf": 63.0}}
UNKNOWN_QUALITY: Mapping[str, float] = {"crf": 51.0, "cq": 51.0, "global_quality": 51.0}
"""The options that say how good pictures are to be, and where their scales end, by encoder."""
SOURCE_TIMES = 3.0
"""An encode of a source that is compressed itself takes at most so many times its bits."""

BASE_SECONDS, BASE_BYTES = 0.15, 60 << 20
"""A child by itself: starting, probing, planning."""
HELD_FRAMES = 37.0
"""Decoded pictures on their way: those that a decoder keeps, and the queues between threads."""

USUAL_GROUP = 150.0
"""Pictures from key frame to key frame of an output that does not say."""
TEXT_BYTES, FILE_BYTES = 100.0, 4096.0
"""A second of subtitles, and what a file takes beside its content."""

ASSUMED_SECONDS, ASSUMED_BITRATE = 600.0, 2_000_000
"""For a source that does not say how long it is: as long as its bytes last at this bit rate, or so long if it has no size."""
ASSUMED_RATE = float(FALLBACK_RATE)
MOST_RATE = 240.0
ASSUMED_PIXELS = 1920 * 1080
