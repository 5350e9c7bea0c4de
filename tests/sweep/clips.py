"""The clips of the sweep, made by the judge's FFmpeg: each container that the service reads with each codec that it takes."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import imageio_ffmpeg

from tests.sources import CODE_COLUMNS, CODE_ROWS

# The judge's muxers, by the service's demuxers, and what their files are called.
MIXED = {
    "matroska": "mkv", "webm": "webm", "mp4": "mp4", "mov": "mov", "3gp": "3gp", "mpegts": "ts", "mpeg": "mpg", "avi": "avi",
    "flv": "flv", "asf": "asf", "mxf": "mxf", "ogg": "ogg", "nut": "nut", "rm": "rm",
}  # fmt: skip
AUDIO_ONLY = {
    "wav": "wav", "w64": "w64", "aiff": "aiff", "au": "au", "caf": "caf", "mp3": "mp3", "adts": "aac", "ac3": "ac3",
    "eac3": "eac3", "flac": "flac", "opus": "opus", "oga": "oga", "amr": "amr", "wv": "wv", "tta": "tta", "dts": "dts",
    "ipod": "m4a", "matroska": "mka", "mov": "mov", "nut": "nut", "mpegts": "ts", "avi": "avi", "asf": "wma", "webm": "weba",
}  # fmt: skip
VIDEO_ONLY = {
    "yuv4mpegpipe": "y4m", "h264": "h264", "hevc": "hevc", "m4v": "m4v", "mpeg2video": "m2v", "ivf": "ivf", "gif": "gif",
    "apng": "apng", "webp": "webp", "image2pipe": "bin",
}  # fmt: skip
# Encoders of hardware, of codecs that nobody decodes, and slow doubles of others.
_SKIPPED = re.compile(
    r"_(?:nvenc|qsv|amf|vaapi|vulkan|v4l2m2m|mf)$|^(?:a64multi5?|alias_pix|anull|vnull|wrapped_avframe|comfortnoise|librav1e|"
    r"libaom-av1|pcm_dvd|vorbis|xface|avui|libxavs2|rawvideo|vbn|libopenh264|libkvazaar)$"
)
_PIPED_IMAGES = ("png", "mjpeg", "bmp", "tiff", "libwebp", "jpeg2000")
# The arguments without which an encoder refuses, or takes minutes.
_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "libx264": ("-preset", "ultrafast"),
    "libx265": ("-preset", "ultrafast", "-x265-params", "log-level=none"),
    "libsvtav1": ("-preset", "12"),
    "libvvenc": ("-preset", "faster"),
    "dnxhd": ("-profile:v", "dnxhr_sq", "-s", "256x144", "-pix_fmt", "yuv422p"),
    "dvvideo": ("-s", "720x576", "-pix_fmt", "yuv420p"),
    "libvpx": ("-deadline", "realtime"),
    "libvpx-vp9": ("-deadline", "realtime", "-cpu-used", "8"),
    "h261": ("-s", "176x144"),
    "speedhq": ("-pix_fmt", "yuv422p"),
    "libopencore_amrnb": ("-ar", "8000", "-ac", "1"),
    "g723_1": ("-ar", "8000", "-ac", "1", "-b:a", "6300"),
    "real_144": ("-ar", "8000", "-ac", "1"),
    "nellymoser": ("-ar", "44100", "-ac", "1"),
    "wmav1": ("-b:a", "128k"),
    "wmav2": ("-b:a", "128k"),
    "adpcm_swf": ("-ar", "44100"),
}
_VARIANTS: dict[str, tuple[str, ...]] = {
    "B-frames": ("-bf", "2", "-g", "12"),
    "10 bits": ("-pix_fmt", "yuv420p10le"),
    "4:4:4": ("-pix_fmt", "yuv444p"),
    "wide pixels": ("-vf", "setsar=4/3"),
    "BT.709": ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
    "30000/1001": ("-r", "30000/1001"),
}
_VARIED = ("libx264", "libx265", "mpeg4", "mpeg2video", "ffv1", "prores_ks", "libvpx-vp9", "libsvtav1")
# How many channels a layout has, and which of them is the LFE.
_CHANNELS = {
    "mono": (1, -1),
    "stereo": (2, -1),
    "2.1": (3, 2),
    "quad": (4, -1),
    "5.0": (5, -1),
    "5.1": (6, 3),
    "6.1": (7, 3),
    "7.1": (8, 3),
}
_LAYOUTS = ("mono", "2.1", "quad", "5.0", "5.1", "6.1", "7.1")
_LAID_OUT = ("aac", "ac3", "eac3", "flac", "libopus", "libvorbis", "pcm_s16le", "pcm_s24le", "wavpack", "alac", "tta")
_PAIRS = (
    ("libx264", "aac"),
    ("mpeg4", "libmp3lame"),
    ("mpeg2video", "mp2"),
    ("libvpx", "libvorbis"),
    ("libvpx-vp9", "libopus"),
    ("flv", "adpcm_swf"),
    ("wmv2", "wmav2"),
    ("libx265", "ac3"),
)
FRAMES = 12
_RATE, _SIZE = 25, "176x144"


@dataclass(frozen=True)
class Case:
    """One clip: a container, its codecs by the names of encoders, and what is special about it."""

    muxer: str
    extension: str
    video: str = ""
    audio: str = ""
    variant: str = ""
    arguments: tuple[str, ...] = ()
    layout: str = "stereo"

    @property
    def name(self) -> str:
        """How tables name it."""
        codecs = " + ".join(word for word in (self.video, self.audio) if word)
        return f"{self.muxer}: {codecs}{f', {self.variant}' if self.variant else ''}"

    @property
    def rate(self) -> Fraction:
        """How many pictures a second it was made with."""
        _, told, rate = " ".join(self.arguments).partition("-r ")
        return Fraction(rate) if told else Fraction(_RATE)


def cases() -> Iterator[Case]:
    """All clips that the judge may be able to make."""
    yield from _pictures()
    yield from _sound()
    for muxer, extension in MIXED.items():
        for video, audio in _PAIRS:
            yield Case(muxer, extension, video, audio)


def _pictures() -> Iterator[Case]:
    codecs = _encoders("V")
    for muxer, extension in MIXED.items():
        for codec in codecs:
            yield Case(muxer, extension, codec)
            for word, arguments in _VARIANTS.items() if codec in _VARIED else ():
                yield Case(muxer, extension, codec, "", word, arguments)
    for muxer, extension in VIDEO_ONLY.items():
        for codec in _PIPED_IMAGES if muxer == "image2pipe" else codecs:
            yield Case(muxer, extension, codec)


def _sound() -> Iterator[Case]:
    for muxer, extension in AUDIO_ONLY.items():
        for codec in _encoders("A"):
            yield Case(muxer, extension, "", codec)
            for layout in _LAYOUTS if codec in _LAID_OUT else ():
                yield Case(muxer, extension, "", codec, layout, layout=layout)


@cache
def _encoders(kind: str) -> tuple[str, ...]:
    text = subprocess.run([_ffmpeg(), "-hide_banner", "-encoders"], capture_output=True, check=True, text=True).stdout
    match = re.findall(rf"^ {kind}[.A-Z]{{5}} (\S+)", text.partition("------")[2], re.MULTILINE)
    return tuple(name for name in match if not _SKIPPED.search(name))


def _ffmpeg() -> str:
    path: str = imageio_ffmpeg.get_ffmpeg_exe()
    return path


def make(case: Case, path: Path) -> bool:
    """Write the clip; False when the judge cannot: then there is no such combination."""
    seconds = FRAMES / _RATE
    inputs: list[str] = []
    outputs: list[str] = []
    if case.video:
        bit = f"floor(Y*{CODE_ROWS}/H)*{CODE_COLUMNS}+floor(X*{CODE_COLUMNS}/W)"
        picture = f"color=gray:s={_SIZE}:r={_RATE}:d={seconds},format=yuv444p"
        code = f"geq=lum='16+219*mod(floor((N+1)/pow(2,{bit})),2)':cb=128:cr=128,format=yuv420p"
        inputs += ["-f", "lavfi", "-i", f"{picture},{code}"]
        outputs += ["-c:v", case.video, "-q:v", "3", *_ARGUMENTS.get(case.video, ()), "-threads", "1"]
        frames = 1 if case.muxer == "image2pipe" else FRAMES
        outputs += ["-frames:v", str(frames)]
    if case.audio:
        tones = "|".join(f"0.3*sin(2*PI*{tone}*t)" for tone in tones_of(case.layout))
        inputs += ["-f", "lavfi", "-i", f"aevalsrc={tones}:c={case.layout}:s=48000:d={seconds}"]
        outputs += ["-c:a", case.audio, *_ARGUMENTS.get(case.audio, ())]
    command = [_ffmpeg(), "-hide_banner", "-nostdin", "-y", "-v", "error", *inputs, *outputs, *case.arguments]
    command += ["-strict", "-2", "-f", case.muxer, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=20)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and path.exists() and path.stat().st_size > 0


def tones_of(layout: str) -> Sequence[int]:
    """Return the tone in Hz of each channel; codecs filter the LFE."""
    channels, low = _CHANNELS[layout]
    return [60 if number == low else 300 + 200 * number for number in range(channels)]
