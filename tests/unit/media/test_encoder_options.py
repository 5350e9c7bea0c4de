"""Every option that an encoder is given, against what libav itself says of its names and values."""

from collections.abc import Iterator, Mapping
from typing import Any

import av
import pytest
from av.codec.context import OptionFlags, OptionType

from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.request import VideoSpec
from reelmill_server.plan.codec.audio_encoders import AUDIO_ENCODERS, BETTER_AUDIO_ENCODERS, AudioEncoder, quality_options
from reelmill_server.plan.codec.encoder_options import PRESETS, options
from reelmill_server.plan.codec.image_encoders import ANIMATION_OPTIONS, STILL_OPTIONS
from reelmill_server.plan.codec.video_encoders import PIXEL_FORMATS, VIDEO_ENCODERS, EncoderChoice

VIDEO = [(codec, device, name) for codec, known in VIDEO_ENCODERS.items() for device, name in known.items()]
AUDIO = {known.encoder: known for known in (*AUDIO_ENCODERS.values(), *BETTER_AUDIO_ENCODERS.values())}
WHOLE = (OptionType.INT, OptionType.INT64, OptionType.UINT64)
FLOATING = (OptionType.FLOAT, OptionType.DOUBLE)
SPECS: tuple[Mapping[str, Any], ...] = (
    *({"preset": preset} for preset in PRESETS),
    *({"crf": crf / 4} for crf in range(4 * 51 + 1)),
    *({"b_frames": number} for number in range(17)),
    *({"refs": number} for number in range(17)),
    *({"gop_size": size} for size in (1, 2, 3, 4, 5, 250, 10_000)),
    {"bitrate": 1000},
    {"bitrate": 2_000_000_000},
    {"max_bitrate": 2_000_000, "buffer_size": 4_000_000},
    {"max_bitrate": 2_000_000, "buffer_size": 4_000_000, "crf": 20.5},
)
"""Every value of the contract that libav is told in words or in another scale, and the ends of the ranges of others."""


def known_options(encoder: str) -> Mapping[str, Any]:
    """What libav says of the options of an encoder, its own before those of all; skips the test where it is not built in."""
    try:
        context = av.CodecContext.create(encoder, "w")
    except ValueError:
        pytest.skip(f"{encoder} is not in this build of libav")
    known = context.supported_options
    return {option.name: option for option in (*known.generic, *known.private)}


def objections(told: Mapping[str, str], known: Mapping[str, Any]) -> Iterator[str]:
    """Yield what libav would not take, or not as it is meant."""
    for name, value in told.items():
        option = known.get(name)
        if option is None or not option.flags & OptionFlags.ENCODING_PARAM:
            yield f"{name} is no option of it"
        elif option.flags & OptionFlags.DEPRECATED:
            yield f"{name} is deprecated"
        elif why := _objection(option, value):
            yield f"{name}={value}: {why}"


def _objection(option: Any, value: str) -> str:
    choices = [choice.name for choice in option.choices]
    if option.type == OptionType.FLAGS:
        return "" if value.lstrip("+-") in choices else f"is none of {choices}"
    if option.type in (*WHOLE, *FLOATING):
        if value in choices:
            return ""
        try:
            number = (int if option.type in WHOLE else float)(value)
        except ValueError:
            return f"is neither a number of its kind nor one of {choices}"
        return "" if option.min <= number <= option.max else f"is not from {option.min:g} to {option.max:g}"
    if option.type == OptionType.BOOL:
        return "" if value in ("0", "1") else "is neither 0 nor 1"
    return (
        "" if option.type in (OptionType.STRING, OptionType.DICT) else f"is of a type that nothing here writes: {option.type}"
    )


def told_to_video(codec: str, device: str, encoder: str) -> Iterator[Mapping[str, str]]:
    """Yield the options of every spec."""
    for lacks in ((), ("bf",), ("bf", "refs")) if device != SOFTWARE else ((),):
        for pixel_format, own in PIXEL_FORMATS[encoder].items():
            for changes in SPECS:
                spec = VideoSpec(codec, pixel_format=pixel_format, **changes)
                yield options(EncoderChoice(encoder, device, own, "", lacks), spec)


def told_to_audio(known: AudioEncoder) -> Iterator[Mapping[str, str]]:
    """Yield the options for every quality, and those that are always set."""
    yield {**known.options, **known.surround_options}
    if not known.lossless:
        for rate in known.sample_rates or (48_000,):
            for channels in known.counts:
                yield from (quality_options(known, rate, channels, quality) for quality in range(101))


@pytest.mark.parametrize(("codec", "device", "encoder"), VIDEO)
def test_options_of_video_are_libavs(codec: str, device: str, encoder: str) -> None:
    """Of accelerators, too, which no machine of the tests has."""
    known = known_options(encoder)
    wrong = {text for told in told_to_video(codec, device, encoder) for text in objections(told, known)}
    assert not wrong


@pytest.mark.parametrize("encoder", AUDIO)
def test_options_of_audio_are_libavs(encoder: str) -> None:
    """For every quality from 0 to 100."""
    known = known_options(encoder)
    assert not {text for told in told_to_audio(AUDIO[encoder]) for text in objections(told, known)}


@pytest.mark.parametrize("encoder", sorted({*STILL_OPTIONS, *ANIMATION_OPTIONS}))
def test_options_of_images_are_libavs(encoder: str) -> None:
    """Of single images and of animations."""
    known = known_options(encoder)
    for told in (STILL_OPTIONS.get(encoder, {}), ANIMATION_OPTIONS.get(encoder, {})):
        assert not list(objections(told, known))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"rc": "vbr2"}, "neither a number"),
        ({"cq": "60"}, "not from 0 to 51"),
        ({"cqq": "1"}, "no option"),
        ({"qp": "1.5"}, "neither a number"),
        ({"rc": "vbr", "cq": "23.5", "preset": "p4"}, None),
    ],
)
def test_a_wrong_option_is_found(told: Mapping[str, str], expected: str | None) -> None:
    """By its name, its word, its range or its kind."""
    result = list(objections(told, known_options("h264_nvenc")))
    assert (expected in result[0]) if expected else not result
