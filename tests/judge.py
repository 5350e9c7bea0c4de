"""The independent judge: reads files with the FFmpeg command line of another version, and says what is in them."""

import re
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from tests.sources import CODE_COLUMNS, CODE_ROWS

_STREAM = re.compile(
    r"Stream #0:(?P<index>\d+)(?:\[0x[0-9a-f]+\])?(?:\((?P<language>\w+)\))?: (?P<kind>Video|Audio|Subtitle|Data|Attachment): "
    r"(?P<codec>\w+)(?P<rest>.*)"
)
_CHAPTER = re.compile(r"Chapter #0:\d+: start ([-\d.]+), end ([-\d.]+)")
_DURATION = re.compile(r"Duration: (\d+):(\d+):([\d.]+)(?:, start: ([-\d.]+))?")
_SIZE = re.compile(r" (\d+)x(\d+)[ ,]")
_LINE = re.compile(r"(?:(\d+):)?(\d+):(\d+)[,.](\d+) --> (?:(\d+):)?(\d+):(\d+)[,.](\d+)")
# Of so many files decoded frames and samples are kept: of all tests, they would take gigabytes.
_DECODED = 32
_DISPOSITION = re.compile(r"\((default|forced|attached pic|comment|hearing impaired|original)\)")


@dataclass(frozen=True)
class Stream:
    """One stream as the judge describes it; `rest` is the text after the codec."""

    index: int
    kind: str
    codec: str
    language: str
    rest: str
    rotation: float = 0.0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        match = _SIZE.search(self.rest)
        assert match, self.rest
        return int(match[1]), int(match[2])

    @property
    def dispositions(self) -> frozenset[str]:
        """Words such as default and forced."""
        return frozenset(_DISPOSITION.findall(self.rest))


@dataclass(frozen=True)
class Description:
    """A file's header: seconds, streams, chapters as (start, end)."""

    duration: float
    start: float
    streams: tuple[Stream, ...]
    chapters: tuple[tuple[float, float], ...]

    def of(self, kind: str) -> list[Stream]:
        """The streams of a kind (Video, Audio, Subtitle, Data)."""
        return [stream for stream in self.streams if stream.kind == kind]


@dataclass(frozen=True)
class Unit:
    """One packet or one decoded frame; times in seconds."""

    stream: int
    dts: Fraction
    pts: Fraction
    duration: Fraction
    size: int
    checksum: str
    key: bool


class Judgement(Exception):
    """The judge met an error in a file."""


def _run(*arguments: str | Path, strict: bool = True) -> subprocess.CompletedProcess[bytes]:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-v", "error", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False)
    if strict and (done.returncode or done.stderr.strip()):
        raise Judgement(f"{' '.join(command[5:])}: {done.stderr.decode(errors='replace')}")
    return done


@cache
def header(path: Path) -> str:
    """What the judge prints of the file."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-i", str(path)]
    return subprocess.run(command, capture_output=True, check=False).stderr.decode(errors="replace")


@cache
def describe(path: Path) -> Description:
    """The header of the file."""
    text = header(path)
    match = _DURATION.search(text)
    seconds = int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else 0.0
    streams: list[Stream] = []
    for line in text.splitlines():
        result = _STREAM.search(line)
        if result:
            streams.append(
                Stream(int(result["index"]), result["kind"], result["codec"], result["language"] or "", result["rest"] + " ")
            )
        turned = re.search(r"rotation of ([-\d.]+) degrees", line)
        if turned and streams:
            streams[-1] = Stream(**{**vars(streams[-1]), "rotation": float(turned[1])})
    chapters = tuple((float(begin), float(end)) for begin, end in _CHAPTER.findall(text))
    return Description(seconds, float(match[4] or 0) if match else 0.0, tuple(streams), chapters)


@cache
def metadata(path: Path) -> dict[str, dict[str, str]]:
    """Tags: of the file under "", of chapters under chapter0, chapter1, …; keys in lower case."""
    text = _run("-i", path, "-f", "ffmetadata", "-").stdout.decode()
    results: dict[str, dict[str, str]] = {"": {}}
    section, chapters, streams = "", 0, 0
    for line in text.splitlines()[1:]:
        if line == "[CHAPTER]":
            section, chapters = f"chapter{chapters}", chapters + 1
        elif line == "[STREAM]":
            section, streams = f"stream{streams}", streams + 1
        else:
            key, _, value = line.partition("=")
            results.setdefault(section, {})[key.lower()] = value
    return results


def _units(text: str) -> list[Unit]:
    bases: dict[int, Fraction] = {}
    units = []
    for line in text.splitlines():
        base = re.match(r"#tb (\d+): (\d+)/(\d+)", line)
        if base:
            bases[int(base[1])] = Fraction(int(base[2]), int(base[3]))
        elif not line.startswith("#") and line.strip():
            parts = [part.strip() for part in line.split(",")]
            index, tick = int(parts[0]), bases[int(parts[0])]
            dts, pts, length = (Fraction(int(part)) * tick for part in parts[1:4])
            key = not (len(parts) > 6 and parts[6].startswith("F=") and not int(parts[6][2:], 16) & 1)
            units.append(Unit(index, dts, pts, length, int(parts[4]), parts[5], key))
    return units


@cache
def packets(path: Path, stream: str = "0") -> tuple[Unit, ...]:
    """The packets of a stream (`v:0`, `a:0`, `s:0`; all by default), as they lie in the file."""
    which = "0" if stream == "0" else f"0:{stream}"
    return tuple(_units(_run("-copyts", "-i", path, "-map", which, "-c", "copy", "-f", "framecrc", "-").stdout.decode()))


@cache
def frames(path: Path, stream: str = "v:0", strict: bool = True) -> tuple[Unit, ...]:
    """The decoded frames of a stream. Raises Judgement when the decoder complains."""
    done = _run(
        *("-copyts", "-noautorotate", "-i", path, "-map", f"0:{stream}", "-fps_mode", "passthrough"),
        *("-enc_time_base", "demux", "-f", "framecrc", "-"),
        strict=strict,
    )
    return tuple(_units(done.stdout.decode()))


@cache
def times(path: Path) -> tuple[Fraction, ...]:
    """When each picture of the first video stream is shown."""
    return tuple(frame.pts for frame in frames(path))


@lru_cache(_DECODED)
def pictures(path: Path, pixel_format: str = "gray", upright: bool = False) -> NDArray[np.uint8]:
    """The pictures of the first video stream as (number, height, width[, channel]); `upright`: turned as players do."""
    size = describe(path).of("Video")[0].size
    turned = upright and round(describe(path).of("Video")[0].rotation) % 180
    width, height = (size[1], size[0]) if turned else size
    rotate = () if upright else ("-noautorotate",)
    raw = _run(
        *(
            *rotate,
            "-i",
            path,
            "-map",
            "0:v:0",
            "-fps_mode",
            "passthrough",
            "-enc_time_base",
            "demux",
            "-sws_flags",
            "accurate_rnd+full_chroma_int",
        ),
        *("-pix_fmt", pixel_format, "-f", "rawvideo", "-"),
    ).stdout
    shape = (-1, height, width) if pixel_format.startswith("gray") else (-1, height, width, 3)
    return np.frombuffer(raw, np.uint16 if pixel_format.endswith("48le") else np.uint8).reshape(shape)


def cropped(path: Path) -> bytes:
    """The luma of the first picture, cropped as the container says."""
    return _run("-i", path, "-frames:v", "1", "-pix_fmt", "gray", "-f", "rawvideo", "-").stdout


@lru_cache(_DECODED)
def planes(path: Path, pixel_format: str, decoder: str = "") -> tuple[NDArray[np.integer], ...]:
    """The pictures of the first video stream, which must be in this planar format: one (number, height, width) per plane."""
    width, height = describe(path).of("Video")[0].size
    chosen = ("-c:v", decoder) if decoder else ()
    raw = _run(
        *(*chosen, "-noautorotate", "-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "demux"),
        *("-pix_fmt", pixel_format, "-f", "rawvideo", "-"),
    ).stdout
    across, down = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[re.sub(r"\D", "", pixel_format)[:3]]
    small = (height // down, width // across)
    shapes = [(height, width), small, small, *([(height, width)] if "yuva" in pixel_format else [])]
    samples = np.frombuffer(raw, np.uint16 if pixel_format.endswith("10le") else np.uint8)
    samples = samples.reshape(-1, sum(high * wide for high, wide in shapes))
    ends = np.cumsum([high * wide for high, wide in shapes])
    parts = np.split(samples, ends[:-1], axis=1)
    return tuple(part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True))


def first_picture_side_data(path: Path) -> str:
    """What comes with the first decoded picture, in the words of the judge's `showinfo`."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-i", str(path), "-map", "0:v:0", "-frames:v", "1"]
    return subprocess.run([*command, "-vf", "showinfo", "-f", "null", "-"], capture_output=True, check=False).stderr.decode()


def numbers(path: Path) -> list[int]:
    """The numbers that the pictures carry (see `tests.sources`)."""
    return list(_numbers(path))


@cache
def _numbers(path: Path) -> tuple[int, ...]:
    return tuple(_codes(pictures(path)).tolist())


def number_of(luma: NDArray[np.uint8]) -> int:
    """The number that one picture carries."""
    return int(_codes(luma))


def _codes(luma: NDArray[np.uint8]) -> NDArray[np.integer]:
    """The numbers of pictures, of which height and width are the last dimensions."""
    height, width = luma.shape[-2:]
    result = np.zeros(luma.shape[:-2], np.int64)
    for bit in range(CODE_ROWS * CODE_COLUMNS):
        row, column = divmod(bit, CODE_COLUMNS)
        middle = int((row + 0.5) * height / CODE_ROWS)
        centre = int((column + 0.5) * width / CODE_COLUMNS)
        reach_y, reach_x = max(1, height // CODE_ROWS // 4), max(1, width // CODE_COLUMNS // 4)
        block = luma[..., middle - reach_y : middle + reach_y, centre - reach_x : centre + reach_x]
        result |= (block.mean((-2, -1)) > 125).astype(np.int64) << bit
    return result


@lru_cache(_DECODED)
def sound(path: Path, stream: int = 0) -> NDArray[np.float32]:
    """The decoded samples of an audio stream as (sample, channel)."""
    rest = describe(path).of("Audio")[stream].rest
    channels = _channels(rest)
    # In containers that count milliseconds, short frames overlap by a tick, of which the muxer would complain.
    counted = ("-af", "asetpts=N/SR/TB")
    raw = _run("-i", path, "-map", f"0:a:{stream}", *counted, "-f", "f32le", "-").stdout
    return np.frombuffer(raw, np.float32).reshape(-1, channels)


def sample_rate(path: Path, stream: int = 0) -> int:
    """Hz of an audio stream."""
    match = re.search(r"(\d+) Hz", describe(path).of("Audio")[stream].rest)
    assert match
    return int(match[1])


def _layout(rest: str) -> str:
    match = re.search(r"Hz, ([^,]+)", rest)
    assert match, rest
    return re.sub(r" \((default|forced|[a-z ]+)\).*", "", match[1]).strip()


def _channels(rest: str) -> int:
    words = {"mono": 1, "stereo": 2, "downmix": 2, "quad": 4, "hexagonal": 6, "octagonal": 8, "cube": 8}
    name = _layout(rest).split("(")[0]
    return words[name] if name in words else int(name.split()[0]) if " " in name else sum(map(int, name.split(".")))


def layout(path: Path, stream: int = 0) -> str:
    """The layout of an audio stream's channels, in FFmpeg's words."""
    return _layout(describe(path).of("Audio")[stream].rest)


def channels(path: Path, stream: int = 0) -> int:
    """How many channels an audio stream has."""
    return _channels(describe(path).of("Audio")[stream].rest)


def sound_start(path: Path, stream: int = 0) -> Fraction:
    """When the first decoded sample is heard."""
    return frames(path, f"a:{stream}")[0].pts


def clicks(path: Path, stream: int = 0, threshold: float = 0.4) -> list[float]:
    """The seconds at which clicks begin, on the file's own clock."""
    wave = np.abs(sound(path, stream)).max(axis=1)
    loud = np.flatnonzero(wave > threshold)
    starts = [int(position) for number, position in enumerate(loud) if number == 0 or position - loud[number - 1] > 400]
    begin = float(sound_start(path, stream))
    return [begin + start / sample_rate(path, stream) for start in starts]


def lines_of(text: str) -> list[tuple[float, float, str]]:
    """The lines of SubRip or WebVTT (begin and end in seconds, text), without styling."""
    results = []
    for block in re.split(r"\n\s*\n", text.replace("\r", "").strip()):
        match = _LINE.search(block)
        if match:
            parts = [int(part or 0) for part in match.groups()]
            begin, end = (h * 3600 + m * 60 + s + ms / 1000 for h, m, s, ms in (parts[:4], parts[4:]))
            results.append((round(begin, 3), round(end, 3), re.sub(r"<[^>]*>|\{\\an0\}", "", block[match.end() :]).strip()))
    return results


def lines(path: Path, stream: int = 0) -> list[tuple[float, float, str]]:
    """The lines of a subtitle stream, counted from the first picture if there is one.

    Muxers move all of a file whose sound begins before 0.
    """
    text = _run("-copyts", "-i", path, "-map", f"0:s:{stream}", "-f", "srt", "-").stdout.decode()
    first = float(times(path)[0]) if describe(path).of("Video") else 0.0
    return [(round(begin - first, 3), round(end - first, 3), line) for begin, end, line in lines_of(text)]


def pitch(wave: NDArray[np.float32], rate: int) -> float:
    """The loudest frequency, Hz."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.fft.rfftfreq(len(wave), 1 / rate)[int(spectrum.argmax())])


def psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Likeness of pictures in dB; 99 for equal ones."""
    error = float(np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def vmaf(path: Path, reference: Path, pixel_format: str = "yuv420p") -> float:
    """Mean VMAF of the first video stream against that of `reference`, picture by picture."""
    sides = "".join(f"[{number}:v:0]settb=1/25,setpts=N,format={pixel_format}[{number}];" for number in (0, 1))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-i", str(path), "-i", str(reference)]
    said = subprocess.run(
        [*command, "-lavfi", f"{sides}[0][1]libvmaf", "-f", "null", "-"], capture_output=True, check=False, text=True
    ).stderr
    match = re.search(r"VMAF score: ([\d.]+)", said)
    assert match, said
    return float(match[1])


def check(path: Path) -> None:
    """Decodes everything. Raises Judgement when anything is wrong with the file."""
    _run("-xerror", "-i", path, "-map", "0:v?", "-map", "0:a?", "-f", "null", "-")


def content(path: Path, stream: str) -> bytes:
    """The bytes of all packets of a stream, such as a cover picture or data."""
    return _run("-i", path, "-map", f"0:{stream}", "-c", "copy", "-f", "data", "-").stdout
