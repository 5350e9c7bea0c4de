"""How sound is made."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests import judge, loudness
from tests.e2e.conformance.kit import BLIND, Outcome, Row, Task, audio, bits, codecs, fails_when_poorer, heard, tones

# The codec of the request, a container, and the codec in the judge's words. AMR has an encoder in some builds only:
# tests/media/test_containers.py makes it where there is one.
CODECS = {"mp3": "mp3", "vorbis": "vorbis", "aac": "aac", "flac": "flac", "ac3": "ac3", "opus": "opus"}
CODED = Task("sound", [{"URI": "film.mp4"}], [heard(f"{codec}.mkv", codec) for codec in CODECS])
COSTLY = Task(
    "costly-sound",
    [{"URI": "costly.mkv"}],
    [
        heard("bitrate.mkv", "aac", Bitrate=96_000),
        heard("fixed.mkv", "aac", Bitrate=192_000, BitrateOption="fixed"),
        heard("adaptive.mkv", "aac", Bitrate=192_000, BitrateOption="adaptive"),
        heard("poor.mkv", "aac", Quality=5),
        heard("rich.mkv", "aac", Quality=95),
    ],
)
SHAPED = Task(
    "shaped-sound",
    [{"URI": "film.mp4"}],
    [
        heard("low.mkv", SampleRate=22_050),
        heard("high.mkv", SampleRate=96_000, SampleRateOption="fixed"),
        heard("kept.mkv", SampleRate=96_000, SampleRateOption="adaptive"),
        heard("mono.mkv", Channel=1),
        heard("bits16.mkv", BitsPerSample=16),
        heard("bits24.mkv", BitsPerSample=24),
    ],
)
DOWNMIXED = Task("downmixed", [{"URI": "six.mkv"}], [heard("stereo.mkv", Channel=2)])
MANY = {"Container": "mkv", "Video": BLIND}
CHOSEN = Task(
    "chosen-sound",
    [{"URI": "many.mkv"}],
    [
        {"URI": "first.mkv", **MANY, "Audio": audio()},
        {"URI": "second.mkv", **MANY, "Audio": {"Stream": [1, 9], **audio()}},
        {"URI": "all.mkv", **MANY, "Audio": {"Stream": [101], **audio()}},
        {"URI": "mixed.mkv", **MANY, "Audio": {"Stream": [101], **audio(), "FilterAudio": {"Mixing": True}}},
    ],
)
LOUD = Task(
    "loudness",
    [{"URI": "film.mp4"}],
    [
        {**heard("podcast.mkv"), "Audio": {**audio(), "FilterAudio": {"Loudness": {"Mode": "normalize", "Preset": "podcast"}}}},
        {
            **heard("quiet.mkv"),
            "Audio": {**audio(), "FilterAudio": {"Loudness": {"Mode": "normalize", "Integrated": -30, "TruePeak": -3}}},
        },
        {
            **heard("limited.mkv"),
            "Audio": {**audio(), "FilterAudio": {"Loudness": {"Mode": "normalize", "Integrated": -5, "TruePeak": -6}}},
        },
        {
            **heard("dual.mkv", Channel=1),
            "Audio": {**audio(Channel=1), "FilterAudio": {"Loudness": {"Mode": "normalize", "DualMono": True}}},
        },
        {**heard("measured.mkv"), "Audio": {**audio(), "FilterAudio": {"Loudness": {"Mode": "measure"}}}},
    ],
)
DUCKING: Mapping[str, Mapping[str, object]] = {
    "plain": {},
    "usual": {"Ducking": {}},
    "deaf": {"Ducking": {"Threshold": 0}},
    "even": {"Ducking": {"Ratio": 1}},
    "late": {"Ducking": {"Attack": 2000}},
    "long": {"Ducking": {"Release": 9000}},
}
# A tone, and another one that is attached for its first half second.
DUCKED = Task(
    "ducking",
    [{"URI": "film.mp4"}, {"URI": "bell.mkv", "Attached": True}],
    [
        {**heard(f"{name}.mkv"), "Audio": {**audio(), "FilterAudio": {"Mixing": True, **asked}}}
        for name, asked in DUCKING.items()
    ],
)
FALLS = {
    "bitrate_option": fails_when_poorer("sound-bitrate", Audio=audio("aac", Bitrate=500_000, BitrateOption="fall")),
    "sample_rate_option": fails_when_poorer("sample-rate", Audio=audio(SampleRate=96_000, SampleRateOption="fall")),
}


def _rate(path: Path) -> float:
    return bits(path, "a:0") / 2


def _lufs(path: Path) -> float:
    return loudness.heard(path).integrated


def _lowered(result: Outcome, name: str, seconds: float) -> bool:
    """Whether the tone of 440 Hz is clearly lower than in a mix without ducking, around a moment."""
    return _level(result("plain.mkv"), seconds) > 2 * _level(result(f"{name}.mkv"), seconds)


def _level(path: Path, seconds: float) -> float:
    begin = round(seconds * 48_000)
    part = judge.sound(path)[begin : begin + 4800, 0]  # 44 periods
    return float(np.abs(np.fft.rfft(part))[44])


def _tones(path: Path) -> list[list[int]]:
    return [tones(path, number) for number in range(len(judge.describe(path).of("Audio")))]


def _sample_bits(path: Path) -> int:
    return 24 if "s32 (24 bit)" in judge.describe(path).of("Audio")[0].rest else 16


ROWS = (
    *(
        Row("TranscodeAudio.codec", CODED, lambda made, name=name: codecs(made(f"{name}.mkv"), "Audio"), [said])
        for name, said in CODECS.items()
    ),
    *(Row("TranscodeAudio.codec", CODED, lambda made, name=name: tones(made(f"{name}.mkv")), [440]) for name in CODECS),
    Row("TranscodeAudio.bitrate", COSTLY, lambda made: _rate(made("bitrate.mkv")), pytest.approx(96_000, rel=0.1)),
    Row("TranscodeAudio.bitrate_option", COSTLY, lambda made: _rate(made("fixed.mkv")), pytest.approx(192_000, rel=0.1)),
    Row("TranscodeAudio.bitrate_option", COSTLY, lambda made: _rate(made("adaptive.mkv")), pytest.approx(64_000, rel=0.1)),
    Row("TranscodeAudio.quality", COSTLY, lambda made: _rate(made("rich.mkv")) > 2 * _rate(made("poor.mkv")), True),
    Row("TranscodeAudio.sample_rate", SHAPED, lambda made: judge.sample_rate(made("low.mkv")), 22_050),
    Row("TranscodeAudio.sample_rate", SHAPED, lambda made: tones(made("low.mkv")), [440]),
    Row(
        "TranscodeAudio.sample_rate_option",
        SHAPED,
        lambda made: [judge.sample_rate(made(name)) for name in ("high.mkv", "kept.mkv")],
        [96_000, 48_000],
    ),
    Row("TranscodeAudio.channel", SHAPED, lambda made: judge.channels(made("mono.mkv")), 1),
    Row(
        "TranscodeAudio.channel",
        DOWNMIXED,
        lambda made: (judge.channels(made("stereo.mkv")), tones(made("stereo.mkv"))),
        (2, [440]),
    ),
    Row(
        "TranscodeAudio.bits_per_sample",
        SHAPED,
        lambda made: [_sample_bits(made(name)) for name in ("bits16.mkv", "bits24.mkv")],
        [16, 24],
    ),
    Row(
        "TargetAudio.stream",
        CHOSEN,
        lambda made: [_tones(made(f"{name}.mkv")) for name in ("first", "second", "all")],
        [[[440]], [[880]], [[440], [880]]],
    ),
    Row("TargetAudio.filter_audio", CHOSEN, lambda made: _tones(made("mixed.mkv")), [[440, 880]]),
    Row("FilterAudio.mixing", CHOSEN, lambda made: _tones(made("mixed.mkv")), [[440, 880]]),
    Row("FilterAudio.loudness", LOUD, lambda made: _lufs(made("quiet.mkv")), pytest.approx(-30, abs=0.1)),
    Row("Loudness.mode", LOUD, lambda made: tones(made("measured.mkv")), [440]),
    Row("Loudness.preset", LOUD, lambda made: _lufs(made("podcast.mkv")), pytest.approx(-16, abs=0.1)),
    Row("Loudness.integrated", LOUD, lambda made: _lufs(made("quiet.mkv")), pytest.approx(-30, abs=0.1)),
    Row("Loudness.true_peak", LOUD, lambda made: loudness.heard(made("limited.mkv")).true_peak, pytest.approx(-6, abs=0.1)),
    Row(
        "Loudness.dual_mono",
        LOUD,
        lambda made: loudness.heard(made("dual.mkv"), options=":dualmono=true").integrated,
        pytest.approx(-23, abs=0.1),
    ),
    Row("FilterAudio.ducking", DUCKED, lambda made: [_lowered(made, "usual", at) for at in (0.3, 1.8)], [True, False]),
    Row("Ducking.threshold", DUCKED, lambda made: _lowered(made, "deaf", 0.3), False),
    Row("Ducking.ratio", DUCKED, lambda made: _lowered(made, "even", 0.3), False),
    Row("Ducking.attack", DUCKED, lambda made: _lowered(made, "late", 0.3), False),
    Row("Ducking.release", DUCKED, lambda made: _lowered(made, "long", 1.8), True),
    *(Row(f"TranscodeAudio.{option}", task, lambda made: made.code, "ConditionNotMet") for option, task in FALLS.items()),
)
