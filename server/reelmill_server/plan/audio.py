"""Plans one encoded audio stream."""

from fractions import Fraction

from reelmill_server.errors import InvalidArgument, Violation
from reelmill_server.model.media_info import AudioStreamInfo
from reelmill_server.model.plan import AudioOutput, PartPlan, StreamPlan
from reelmill_server.model.request import AudioSpec
from reelmill_server.plan.adapt import adapted_audio
from reelmill_server.plan.clock import MICROSECONDS, Clock
from reelmill_server.plan.encoders import AUDIO_ENCODERS, AudioEncoder, audio_bitrate

_LARGEST_FRAME_SAMPLES = 2048  # of the decoders and encoders in use: AAC 1024 (2048 with SBR), AC-3 1536, MP3 1152
_DEEP_FORMATS = ("s32", "s32p", "flt", "fltp", "dbl", "dblp", "s64", "s64p")


def plan_audio(spec: AudioSpec, stream: AudioStreamInfo, clock: Clock, field: str) -> StreamPlan:
    """How `stream` is encoded as `spec` asks; `field` is the path of the TranscodeAudio message.

    Raises InvalidArgument for a rate, a number of channels or a bit rate that the codec cannot do.
    """
    encoder = AUDIO_ENCODERS[spec.codec]
    spec = adapted_audio(spec, stream, field)
    rate = _sample_rate(spec, stream, encoder, field)
    channels = _channels(spec, stream, encoder, field)
    options = {}
    if encoder.bitrate_per_channel:
        options["b"] = str(audio_bitrate(encoder, rate, channels, spec.bitrate, f"{field}.bitrate"))
    elif spec.bitrate is not None:
        raise InvalidArgument(violations=[Violation(f"{field}.bitrate", f"{spec.codec} is lossless: leave it out")])
    layout = encoder.layouts[channels - 1]
    sample_format = _sample_format(encoder, stream)
    return StreamPlan(
        type="audio",
        parts=(PartPlan(stream.index, (f"aformat=sample_fmts={sample_format}:channel_layouts={layout}",)),),
        codec=encoder.codec,
        encoder=encoder.encoder,
        reason="software",
        options=options,
        audio=AudioOutput(sample_rate=rate, layout=layout, sample_format=sample_format),
        expected_us=clock.expected_us(stream),
        slack_us=frame_us(min(rate, stream.sample_rate)),
    )


def frame_us(sample_rate: int) -> int:
    """How long the longest frame of sound lasts, microseconds."""
    return round(Fraction(_LARGEST_FRAME_SAMPLES * MICROSECONDS, sample_rate)) if sample_rate else 0


def _sample_rate(spec: AudioSpec, stream: AudioStreamInfo, encoder: AudioEncoder, field: str) -> int:
    rates = encoder.sample_rates
    if spec.sample_rate:
        if rates and spec.sample_rate not in rates:
            expected = f"{spec.codec} takes {', '.join(map(str, rates))} Hz"
            raise InvalidArgument(violations=[Violation(f"{field}.sample_rate", expected)])
        return spec.sample_rate
    if not rates or stream.sample_rate in rates:
        return stream.sample_rate
    return next((rate for rate in rates if rate >= stream.sample_rate), rates[-1])


def _channels(spec: AudioSpec, stream: AudioStreamInfo, encoder: AudioEncoder, field: str) -> int:
    if spec.channels and spec.channels > encoder.max_channels:
        expected = f"{spec.codec} takes at most {encoder.max_channels} channels"
        raise InvalidArgument(violations=[Violation(f"{field}.channel", expected)])
    return spec.channels or min(max(stream.channels, 1), encoder.max_channels)


def _sample_format(encoder: AudioEncoder, stream: AudioStreamInfo) -> str:
    """Lossless keeps 16 bit where the source has no more; others have one format."""
    lossless = not encoder.bitrate_per_channel
    return "s16" if lossless and stream.sample_format not in _DEEP_FORMATS else encoder.sample_format
