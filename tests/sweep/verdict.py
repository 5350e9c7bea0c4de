"""Whether a conversion gave what the judge sees in the source."""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from reelmill_server.errors import ReelmillError
from reelmill_server.model.request import AudioSpec, TargetSpec, VideoSpec
from tests import judge
from tests.media.converter import COPIED_AUDIO, COPIED_VIDEO, Converter, encoded, target
from tests.sweep.clips import FRAMES

_MOST_WORDS = 240  # characters of an error; of longer ones, the middle is left out
_TICK = 0.0011  # s: Matroska counts milliseconds
_SAME_TICKS = 2
_OVERRUN = 0.06  # s of sound beside pictures: it ends with them
_CODEC_FRAME = 2048  # samples: a copy takes whole packets
_SAME_SOUND = 0.02
_LIKENESS = 0.98
_MOST_CHANNELS = 64
_SAME, _SIDES_AND_BACK = {"SL": "BL", "SR": "BR", "DL": "FL", "DR": "FR"}, 8

MODES = ("encode", "copy")


def run(convert: Converter, path: Path, mode: str, rate: Fraction) -> tuple[str, str]:
    """Convert a clip, made with `rate` pictures a second; return ok, refused or wrong, and the words."""
    kinds: set[str] = set()
    try:
        kinds = {stream.kind for stream in judge.describe(path).streams}
        reference = judge.times(path) if "Video" in kinds else judge.frames(path, "a:0")
        for kind, read in (("Video", judge.numbers), ("Audio", judge.sound)):
            if kind in kinds:
                read(path)
    except judge.Judgement as error:
        return _unread(convert, path, kinds, mode, rate, _short(str(error)))
    if not reference:
        return _unread(convert, path, kinds, mode, rate, "the judge reads nothing")
    try:
        converted = convert(path, _target(kinds, mode))
    except ReelmillError as error:
        return "refused", f"{type(error).__name__}: {_short(str(error), path)}"
    except Exception as error:
        return "wrong", f"{type(error).__name__}: {_short(str(error), path)}"
    try:
        faults = [*_pictures(path, converted.path, rate)] if "Video" in kinds else []
        faults += _sound(path, converted.path, "Video" in kinds, mode) if "Audio" in kinds else []
    except judge.Judgement as error:
        return "wrong", f"the judge cannot read the output: {_short(str(error), path)}"
    said = [text for text in converted.warnings if "the source has no" not in text]
    if not faults:
        return "ok", "; ".join(said)
    return ("told" if said else "wrong"), "; ".join([*faults, *(f"told: {text}" for text in said)])


def _unread(convert: Converter, path: Path, kinds: set[str], mode: str, rate: Fraction, why: str) -> tuple[str, str]:
    """Convert a clip that the judge does not read: it is to be refused, or to give the pictures that were put into it."""
    try:
        converted = convert(path, _target(kinds or {"Video", "Audio"}, mode))
    except ReelmillError as error:
        return "refused", f"{type(error).__name__}: {_short(str(error), path)}"
    except Exception as error:
        return "wrong", f"{type(error).__name__}: {_short(str(error), path)}"
    if kinds != {"Video"}:
        return "unjudged", why
    try:
        numbers, apart = judge.numbers(converted.path), _apart(judge.times(converted.path), _made(rate))
    except judge.Judgement as error:
        return "wrong", f"the judge cannot read the output: {_short(str(error), path)}"
    whole = numbers == [*range(1, FRAMES + 1)] and apart <= _TICK * _SAME_TICKS
    return ("ok", "") if whole else ("wrong", f"pictures {numbers}, up to {apart:.3f} s away, of {FRAMES}")


def _made(rate: Fraction) -> list[Fraction]:
    """Return when the pictures are shown that were put into a clip."""
    return [number / rate for number in range(FRAMES)]


def _short(text: str, path: Path | None = None) -> str:
    text = re.sub(r" ?@ 0x[0-9a-f]+|/\S*/(?=(\d+|clip)\.\w+)", "", " ".join(text.split()))
    text = text.replace(str(path), "the clip") if path else text
    if len(text) <= _MOST_WORDS:
        return text
    return f"{text[: _MOST_WORDS // 2].rpartition(' ')[0]} … {text[-_MOST_WORDS // 2 :].partition(' ')[2]}"


def _target(kinds: set[str], mode: str) -> TargetSpec:
    video: VideoSpec | None = (encoded(crf=8) if mode == "encode" else COPIED_VIDEO) if "Video" in kinds else None
    audio: AudioSpec | None = (AudioSpec("flac") if mode == "encode" else COPIED_AUDIO) if "Audio" in kinds else None
    result = target("mkv", video, audio)
    return replace(result, video_asked=video is not None, audio_asked=audio is not None)


def _pictures(source: Path, output: Path, rate: Fraction) -> list[str]:
    wanted, given = judge.numbers(source), judge.numbers(output)
    faults = []
    if len(wanted) != len(given):
        faults.append(f"{len(given)} of {len(wanted)} pictures")
    elif wanted != given:
        faults.append(f"pictures {given} instead of {wanted}")
    after = judge.times(output)
    apart = min(_apart(after, judge.times(source)), _apart(after, _made(rate)))
    if apart > _TICK * _SAME_TICKS:
        faults.append(f"pictures are up to {apart:.3f} s away")
    for what in ("SAR", "DAR"):
        old, new = (_after(judge.describe(file).of("Video")[0].rest, what) for file in (source, output))
        if old and new and old != new:
            faults.append(f"{what} {new} instead of {old}")
    for matrix in ("bt709", "bt2020", "smpte170m"):
        old, new = (matrix in judge.describe(file).of("Video")[0].rest for file in (source, output))
        if old and not new:
            faults.append(f"{matrix} is lost")
    return faults


def _apart(after: Sequence[Fraction], before: Sequence[Fraction]) -> float:
    """Return by how much pictures are nearer to or further from the first one than they were, at most."""
    return max(float(abs((a - after[0]) - (b - before[0]))) for a, b in zip(after, before, strict=False))


def _after(text: str, word: str) -> str:
    """Return what follows a word; where it is there twice, the container's comes last, which players believe."""
    _, result, rest = text.rpartition(f"{word} ")
    if not result:
        return ""
    width, height = rest.split("]")[0].split(",")[0].split()[0].split(":")
    return str(Fraction(int(width), int(height)))


def _sound(source: Path, output: Path, beside_pictures: bool, mode: str) -> list[str]:
    rate = judge.sample_rate(source)
    wanted, given = judge.sound(source), judge.sound(output)
    faults = []
    if judge.sample_rate(output) != rate:
        faults.append(f"{judge.sample_rate(output)} Hz instead of {rate}")
        return faults
    if wanted.shape[1] != given.shape[1]:
        return [f"{given.shape[1]} channels instead of {wanted.shape[1]}"]
    names, places = (_channels(judge.layout(file)) for file in (source, output))
    if sorted(names) != sorted(places):
        faults.append(f"layout {judge.layout(output)} instead of {judge.layout(source)}")
        places = names
    more = min((len(given) - length for length in (len(wanted), *_edited(source, rate))), key=abs)
    if abs(more) > (_OVERRUN * rate + _CODEC_FRAME if beside_pictures else _CODEC_FRAME if mode == "copy" else 1):
        return [*faults, f"{more:+d} samples of {len(wanted)}"]
    length = min(len(wanted), len(given))
    if not length:
        return [*faults, "no sound"]
    for channel in range(wanted.shape[1]):
        likeness = _likeness(wanted[:, channel], given[:, places.index(names[channel])])
        if likeness < _LIKENESS:
            faults.append(f"channel {names[channel]} is another ({likeness:.2f})")
    return faults


def _edited(path: Path, rate: int) -> Iterator[int]:
    """Yield how many samples the edit list of MP4 or MOV shows, if it has one entry: the judge plays the last packet whole."""
    data = path.read_bytes()
    movie, edits = data.find(b"mvhd"), data.find(b"elst")
    if min(movie, edits) > 0 and data[edits + 4 : edits + 12] == bytes(7) + b"\x01":
        (ticks,), (shown,) = struct.unpack_from(">I", data, movie + 16), struct.unpack_from(">I", data, edits + 12)
        yield round(Fraction(shown * rate, ticks))


def _channels(layout: str) -> list[str]:
    """Return the channels of a layout in the words of FFmpeg, which are the same for the sides and the back of 5.1."""
    try:
        names = [channel.name for channel in av.AudioLayout(layout).channels]
    except ValueError:
        return [str(number) for number in range(_MOST_CHANNELS)]
    return [_SAME.get(name, name) for name in names] if len(names) < _SIDES_AND_BACK else names


def _likeness(first: np.ndarray, second: np.ndarray) -> float:  # type: ignore[type-arg]
    """Return the largest correlation at any shift of two signals, 0 to 1; silence is like silence."""
    power = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    if float(np.linalg.norm(first)) < _SAME_SOUND:
        return 1.0 if float(np.linalg.norm(second)) < 1 else 0.0
    if not power:
        return 0.0
    size = len(first) + len(second)
    spectrum = np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size))
    return float(np.fft.irfft(spectrum, size).max()) / power
