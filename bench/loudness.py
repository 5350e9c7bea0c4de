"""Measure loudness as EBU Tech 3341 and 3342 ask, what each codec makes of a level, and what it costs.

    python -m bench.loudness

Prints tables in Markdown: what the service measures of the synthesized signals beside what is right; what another FFmpeg
measures of outputs; and the CPU time of an encode with a level beside one without.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from reelmill_server.model.loudness import LoudnessMode, LoudnessResult, LoudnessSpec
from reelmill_server.model.request import AudioSpec
from tests import loudness
from tests.media.converter import Converted, Converter, target
from tests.sources import Shelf

_MEASURE = LoudnessSpec(LoudnessMode.MEASURE)
_CODECS = {"flac": None, "aac": 128_000, "mp3": 192_000, "opus": 128_000, "ac3": 192_000, "vorbis": None}
_CONTAINERS = {"aac": "m4a", "vorbis": "oga"}


def _speechlike(seconds: float) -> np.ndarray:
    """Noise of falling spectrum in syllables, with pauses: 12 dB and more from its loudness to its peaks."""
    rng, count = np.random.default_rng(7), round(seconds * loudness.RATE)
    spectrum = np.fft.rfft(rng.normal(size=count))
    hz = np.fft.rfftfreq(count, 1 / loudness.RATE)
    wave = np.fft.irfft(spectrum / np.maximum(hz, 100), count)
    moment = np.arange(count) / loudness.RATE
    wave *= np.maximum(0, np.sin(2 * np.pi * 3 * moment)) ** 2 * (np.sin(2 * np.pi * 0.2 * moment) > -0.5)
    return np.tile((wave / np.abs(wave).max() * 0.5).astype(np.float32), (2, 1))


def _result(converted: Converted) -> LoudnessResult:
    result = converted.artifact.streams[0].loudness
    assert result is not None
    return result


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        convert = Converter(Shelf(folder), lambda: Path(tempfile.mkdtemp(dir=folder)))
        path = folder / "signal.wav"

        def measured(samples: np.ndarray, layout: str = "stereo") -> LoudnessResult:
            convert._done.clear()
            return _result(
                convert(loudness.write(path, samples, layout), target("flac", None, AudioSpec("flac", loudness=_MEASURE)))
            )

        print("| signal | right | measured |\n|---|---|---|")
        for number, levels, right in loudness.TECH_3341:
            print(f"| 3341, {number} | {right} LUFS | {measured(loudness.tone(*levels)).before.integrated:.2f} |")
        for number, levels, right in loudness.TECH_3342:
            print(f"| 3342, {number} | {right} LU | {measured(loudness.tone(*levels)).before.range:.2f} |")
        for number, signal, right in loudness.TRUE_PEAKS:
            peak = measured(signal()).before.true_peak
            print(f"| 3341, {number} | {right} dBTP | {peak:.2f} |")

        print("\n| codec | asked, LUFS | by the judge | asked at most, dBTP | by the judge | limited samples |")
        print("|---|---|---|---|---|---|")
        loudness.write(path, _speechlike(30))
        for codec, bitrate in _CODECS.items():
            for level in (-23.0, -16.0):
                asked = LoudnessSpec(integrated=level)
                converted = convert(
                    path, target(_CONTAINERS.get(codec, codec), None, AudioSpec(codec, bitrate=bitrate, loudness=asked))
                )
                heard = loudness.heard(converted.path)
                limited = _result(converted).limited_samples
                print(f"| {codec} | {level:g} | {heard.integrated} | {asked.true_peak:g} | {heard.true_peak} | {limited} |")

        print("\n| audio alone, 60 s | CPU beside an encode without |\n|---|---|")
        loudness.write(path, _speechlike(60))
        for codec in ("aac", "opus"):
            spent = []
            for wanted in (None, _MEASURE, LoudnessSpec(integrated=-30.0), LoudnessSpec(integrated=-14.0)):
                begin = time.process_time()
                convert(path, target("mkv", None, AudioSpec(codec, loudness=wanted)))
                spent.append(time.process_time() - begin)
            ratios = [f"{seconds / spent[0]:.2f}" for seconds in spent[1:]]
            print(f"| {codec}: measured; one gain; with a limiter and trials | {'; '.join(ratios)} |")


if __name__ == "__main__":
    main()
