"""Plan an encoded audio stream."""

from collections.abc import Mapping
from fractions import Fraction

from reelmill_server.errors import InvalidArgument, Violation
from reelmill_server.model.capability import Capability
from reelmill_server.model.ducking import DuckingSpec
from reelmill_server.model.loudness import LoudnessMode, LoudnessPlan, LoudnessSpec
from reelmill_server.model.media_info import AudioStreamInfo
from reelmill_server.model.plan import AudioOutput, PartPlan, StreamPlan, StreamType
from reelmill_server.model.request import AudioSpec
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.clock import Clock
from reelmill_server.plan.codec.audio_encoders import AudioEncoder, audio_bitrate, audio_encoder, quality_options
from reelmill_server.plan.codec.channel_layouts import CHANNELS, holding, loss, routing
from reelmill_server.plan.codec.containers import Container
from reelmill_server.plan.stream.adaptive import adapted_bitrate, adapted_rate

_LARGEST_FRAME_SAMPLES = 2048  # of the decoders and encoders in use: AAC 1024 (2048 with SBR), AC-3 1536, MP3 1152
_USUAL_QUALITY = 50  # of an encoder that takes no bit rate
# Gaps and overlaps from here on are corrected: half a frame of video; less may be rounding of timestamps.
_LARGEST_ERROR_SECONDS = 0.02
# A mix may exceed full scale: a limiter with a look-ahead of 5 ms rounds off the peaks, without automatic gain.
_LIMITER = "limit=0.95:level=0:latency=1"
_DEEP_FORMATS = ("s32", "s32p", "flt", "fltp", "dbl", "dblp", "s64", "s64p")


def plan_audio(
    spec: AudioSpec,
    stream: AudioStreamInfo,
    clock: Clock,
    field: str,
    capabilities: Mapping[str, Capability],
    container: Container,
) -> tuple[StreamPlan, str]:
    """Return how `stream` is encoded according to `spec` in a container, and a warning about its channels (mostly empty).

    `field` is the path of the TranscodeAudio message.
    Raises InvalidArgument for a sample rate, number of channels or bit rate that the codec does not support, ConditionNotMet
    if the source has less than it must.
    """
    encoder = audio_encoder(spec.codec, capabilities)
    rates = container.sample_rates.get(spec.codec, ())
    rate = _sample_rate(adapted_rate(spec, stream, field), stream, encoder, rates, field)
    layout = _layout(spec, stream, encoder, container, field)
    channels = len(CHANNELS[layout])
    sample_format = _sample_format(spec, encoder, stream)
    output = AudioOutput(sample_rate=rate, layout=layout, sample_format=sample_format)
    surround = encoder.surround_options if channels > 2 else {}
    planned = StreamPlan(
        type=StreamType.AUDIO,
        parts=(PartPlan(stream.index, conforming(stream, output)),),
        codec=encoder.codec,
        encoder=encoder.encoder,
        reason=f"software{_loudness_reason(spec.loudness)}",
        loudness=LoudnessPlan(spec.loudness) if spec.loudness else None,
        options={**encoder.options, **surround, **_bits(spec, stream, encoder, rate, channels, field)},
        audio=output,
        expected_us=clock.expected_us(stream),
        slack_us=frame_us(min(rate, stream.sample_rate)),
    )
    fewer_asked = 0 < (spec.channels or 0) < stream.channels
    return planned, "" if fewer_asked else loss(stream.layout, stream.channels, layout)


def _loudness_reason(spec: LoudnessSpec | None) -> str:
    if spec is None:
        return ""
    if spec.mode is LoudnessMode.MEASURE:
        return "; its loudness is measured"
    level = f"{spec.integrated:g} LUFS, at most {spec.true_peak:g} dBTP"
    return f"; brought to {level}, by what a first pass over the audio measures"


def conforming(stream: AudioStreamInfo, output: AudioOutput) -> tuple[str, ...]:
    """Return the filters that bring decoded sound to the channels and the sample format of `output`."""
    routed = routing(stream.layout, stream.channels, output.layout)
    return (*routed, f"aformat=sample_fmts={output.sample_format}:channel_layouts={output.layout}")


def _bits(
    spec: AudioSpec, stream: AudioStreamInfo, encoder: AudioEncoder, rate: int, channels: int, field: str
) -> dict[str, str]:
    """Return the options of the encoder's rate control."""
    if spec.bitrate is not None and not encoder.takes_bitrate:
        expected = f"{encoder.encoder}, the encoder here, takes no bit rate: set quality instead"
        raise InvalidArgument(violations=[Violation(f"{field}.bitrate", expected)])
    if spec.quality is not None:
        return quality_options(encoder, rate, channels, spec.quality)
    if encoder.takes_bitrate:
        of_source = adapted_bitrate(spec, stream, f"{field}.bitrate")
        # A source may have less than the codec can do.
        bitrate = spec.bitrate if of_source is None else max(of_source, encoder.floor(channels))
        return {"b": str(audio_bitrate(encoder, rate, channels, bitrate, f"{field}.bitrate"))}
    return {} if encoder.lossless else quality_options(encoder, rate, channels, _USUAL_QUALITY)


def resampling(sample_rate: int) -> str:
    """Return the filter that makes samples and clock agree: gaps are filled with silence, overlaps dropped."""
    return f"aresample={sample_rate}:async=1:min_hard_comp={_LARGEST_ERROR_SECONDS}"


def mixing_gain(lines: int) -> str:
    """Return the volume of each of so many streams that are mixed: unrelated ones add up to the loudness of one."""
    return f"{lines**-0.5:.6f}"


def mixing(output: AudioOutput, lines: int) -> tuple[str, ...]:
    """Return the filters that make one stream of so many; one that ends early is silent from then on."""
    return (
        f"amix=inputs={lines}:duration=longest:dropout_transition=0:normalize=0",
        f"alimiter={_LIMITER}",
        f"aformat=sample_fmts={output.sample_format}:channel_layouts={output.layout}",
    )


def ducking(spec: DuckingSpec) -> str:
    """Return the filter that lowers its first input while its second one is loud."""
    threshold = 10 ** (spec.threshold_db / 20)
    times = f"attack={spec.attack_ms:g}:release={spec.release_ms:g}"
    return f"sidechaincompress=threshold={threshold:.6f}:ratio={spec.ratio:g}:{times}"


def frame_us(sample_rate: int) -> int:
    """Return the duration of the longest audio frame in microseconds."""
    return round(Fraction(_LARGEST_FRAME_SAMPLES * MICROSECONDS, sample_rate)) if sample_rate else 0


def _sample_rate(
    spec: AudioSpec, stream: AudioStreamInfo, encoder: AudioEncoder, container: tuple[int, ...], field: str
) -> int:
    """Return the requested sample rate, else the source's or the next higher one that codec and container support, else the
    highest.
    """
    rates = tuple(rate for rate in encoder.sample_rates or container if rate in (container or (rate,)))
    if spec.sample_rate:
        if rates and spec.sample_rate not in rates:
            expected = f"{spec.codec} takes {', '.join(map(str, rates))} Hz here"
            raise InvalidArgument(violations=[Violation(f"{field}.sample_rate", expected)])
        return spec.sample_rate
    if not rates or stream.sample_rate in rates:
        return stream.sample_rate
    return next((rate for rate in rates if rate >= stream.sample_rate), rates[-1])


def _layout(spec: AudioSpec, stream: AudioStreamInfo, encoder: AudioEncoder, container: Container, field: str) -> str:
    """Return the smallest layout in which each of the source's channels has a place, else the usual one of as many channels."""
    held = container.layouts.get(encoder.codec, encoder.layouts)
    known = [name for name in encoder.layouts if name in held]
    counts = {len(CHANNELS[name]) for name in known}
    least, most = min(counts), max(counts)
    if spec.channels and not least <= spec.channels <= most:
        count = f"at most {most} channels" if least == 1 else f"{least} channels only"
        where = f" in {container.name}" if most < encoder.counts[-1] else ""
        raise InvalidArgument(
            violations=[Violation(f"{field}.channel", f"{spec.codec} takes {count}{where} ({encoder.encoder})")]
        )
    offered = [name for name in known if spec.channels in (None, 0, len(CHANNELS[name]))]
    wanted = spec.channels or min(max(stream.channels, least), most)
    usual = next(name for name in known if len(CHANNELS[name]) == wanted)
    return holding(stream.layout, stream.channels, offered) or usual


def _sample_format(spec: AudioSpec, encoder: AudioEncoder, stream: AudioStreamInfo) -> str:
    """Return the sample format: for lossless codecs of the requested depth, else 16 bits if the source has no more."""
    if not encoder.lossless:
        return encoder.sample_format
    deep = spec.bits_per_sample == 24 if spec.bits_per_sample else stream.sample_format in _DEEP_FORMATS
    return encoder.sample_format if deep else "s16"
