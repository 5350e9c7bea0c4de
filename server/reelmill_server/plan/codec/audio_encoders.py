"""Tables of audio encoders and their limits, and the bit rates derived from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from reelmill_server.errors import InvalidArgument, Violation
from reelmill_server.model.capability import Capability
from reelmill_server.plan.codec.channel_layouts import CHANNELS

# Layouts are measured: each channel's tone comes out of that channel (tests/media/test_layouts.py).
_MONO, _STEREO = ("mono",), ("mono", "stereo")
_AAC_LAYOUTS = (*_STEREO, "3.0", "4.0", "5.0", "5.1", "6.1", "7.1")
_AC3_LAYOUTS = (*_STEREO, *"3.0 2.1 3.0(back) 4.0 quad(side) 3.1 5.0(side) 4.1 5.1(side)".split())
_XIPH_LAYOUTS = (*_STEREO, "3.0", "quad", "5.0", "5.1", "6.1", "7.1")  # RFC 7845, 5.1.1.2
_FLAC_LAYOUTS = (
    *_XIPH_LAYOUTS,
    *"2.1 3.0(back) 4.0 quad(side) 3.1 5.0(side) 4.1 5.1(side) 6.0 6.0(front) 3.1.2 hexagonal 6.1(back) 6.1(front)".split(),
    *"7.0 7.0(front) 7.1(wide) 7.1(wide-side) 5.1.2 5.1.2(back) octagonal cube".split(),
)
_LAMBDA = 118  # libav's FF_QP2LAMBDA, the unit of `global_quality`
_AAC_FRAME_BITS, _AAC_FRAME_SAMPLES = 6144, 1024  # most bits per channel of a frame: ISO/IEC 14496-3, 4.5.3
_BEST = 100


@dataclass(frozen=True)
class AudioEncoder:
    """An audio encoder and its limits.

    `sample_rates`: supported rates in Hz, ascending (empty: any). `layouts`: supported channel layouts, of each number of
    channels the default first, named as they are read back. `bitrate_per_channel`: default in bit/s (0: no bit rate can be
    set); `max_bitrate`: maximum per stream (0: what an AAC frame can hold); `floors`: minimum in bit/s for one channel, two,
    and so on, the last for all above; `steps`: the only bit rates that it has. `options` are always set, `surround_options`
    for more than two channels. `flaw`: what it does to channels that differ, and nobody would expect.

    A quality of 0 to 100 is mapped to the range of `scale` (the encoder's own quality) or of `ladder` (bit/s per channel),
    from the first value to the second, else to an index of `steps`.
    """

    encoder: str
    codec: str
    sample_format: str
    sample_rates: tuple[int, ...] = ()
    layouts: tuple[str, ...] = _STEREO
    bitrate_per_channel: int = 0
    max_bitrate: int = 0
    floors: tuple[int, ...] = (0,)
    steps: tuple[int, ...] = ()
    scale: tuple[int, int] | None = None
    ladder: tuple[int, int] | None = None
    lossless: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    surround_options: Mapping[str, str] = field(default_factory=dict)
    flaw: str = ""

    @property
    def counts(self) -> range:
        """The numbers of channels that it takes; no encoder here skips one."""
        counts = [len(CHANNELS[name]) for name in self.layouts]
        return range(min(counts), max(counts) + 1)

    @property
    def takes_bitrate(self) -> bool:
        """Whether a bit rate can be set."""
        return bool(self.bitrate_per_channel)

    def floor(self, channels: int) -> int:
        """Return the minimum bit rate in bit/s for this number of channels."""
        return self.floors[min(channels, len(self.floors)) - 1]


_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
# A/52, table 5.18, and the modes of 3GPP TS 26.071.
_AC3_STEPS = tuple(1000 * k for k in (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640))
_AMR_STEPS = (4750, 5150, 5900, 6700, 7400, 7950, 10200, 12200)

AUDIO_ENCODERS: Mapping[str, AudioEncoder] = {
    "aac": AudioEncoder("aac", "aac", "fltp", _AAC_RATES, _AAC_LAYOUTS, 64_000, 0, ladder=(24_000, 160_000)),
    # LAME's VBR counts from 9, the smallest, to 0.
    "mp3": AudioEncoder("libmp3lame", "mp3", "fltp", _MP3_RATES, _STEREO, 96_000, 320_000, floors=(8_000,), scale=(9, 0)),
    "opus": AudioEncoder(
        *("libopus", "opus", "flt", _OPUS_RATES, _XIPH_LAYOUTS, 64_000, 510_000),
        floors=(6_000,),
        ladder=(12_000, 160_000),
        surround_options={"mapping_family": "1"},  # else libav's wrapper takes 5.0 and 6.1 in another order than it says
    ),
    "flac": AudioEncoder("flac", "flac", "s32", (), _FLAC_LAYOUTS, lossless=True),
    "ac3": AudioEncoder(
        *("ac3", "ac3", "fltp", (32000, 44100, 48000), _AC3_LAYOUTS, 96_000, 640_000),
        floors=(32_000, 64_000, 64_000, 64_000, 96_000),
        steps=_AC3_STEPS,
        ladder=(32_000, 224_000),
    ),
    "vorbis": AudioEncoder(
        *("vorbis", "vorbis", "fltp"),
        layouts=("stereo",),
        scale=(1, 10),
        options={"strict": "experimental"},
        flaw="libav's own Vorbis encoder distorts what the right channel has and the left has not: choose opus",
    ),
    "amr": AudioEncoder(
        "libopencore_amrnb", "amr_nb", "s16", (8000,), _MONO, 12_200, 12_200, floors=(_AMR_STEPS[0],), steps=_AMR_STEPS
    ),
}
"""Encoders by the contract's codec, present in every build of libav."""

BETTER_AUDIO_ENCODERS: Mapping[str, AudioEncoder] = {
    "vorbis": AudioEncoder(
        *("libvorbis", "vorbis", "fltp", (), _XIPH_LAYOUTS, 64_000, 500_000), floors=(16_000, 32_000), scale=(0, 10)
    ),
}
"""Encoders preferred to those, in builds that have them."""


def audio_encoder(codec: str, capabilities: Mapping[str, Capability]) -> AudioEncoder:
    """Return the encoder for `codec`: the better one if it works on this machine, else libav's own."""
    better = BETTER_AUDIO_ENCODERS.get(codec)
    capability = capabilities.get(better.encoder) if better else None
    return better if better and capability and capability.available else AUDIO_ENCODERS[codec]


def audio_bitrate(encoder: AudioEncoder, sample_rate: int, channels: int, bitrate: int | None, field: str) -> int:
    """Return the bit rate to set in bit/s, rounded down to the encoder's steps if it has any; 0 if it takes none.

    The default falls with the sample rate (at most 3 bits per sample), as low rates cannot use more. Raises InvalidArgument
    if `bitrate` is outside the codec's range.
    """
    floor, ceiling = encoder.floor(channels), _ceiling(encoder, sample_rate, channels)
    if bitrate is None:
        usual = min(encoder.bitrate_per_channel, 3 * sample_rate) * channels
        return _step(encoder, max(usual, floor if encoder.takes_bitrate else 0))
    if not floor <= bitrate <= ceiling:
        range_ = f"at most {ceiling}" if bitrate > ceiling else f"at least {floor}"
        expected = f"{encoder.codec} takes {range_} bit/s for {channels} channels at {sample_rate} Hz"
        raise InvalidArgument(violations=[Violation(field, expected)])
    return _step(encoder, bitrate)


def is_lossless(encoder: str) -> bool:
    """Return whether what `encoder` makes decodes to its samples."""
    return encoder.startswith("pcm_") or any(known.lossless for known in AUDIO_ENCODERS.values() if known.encoder == encoder)


def quality_options(encoder: AudioEncoder, sample_rate: int, channels: int, quality: int) -> dict[str, str]:
    """Return the encoder options for a `quality` of 0 to 100; a higher quality never gives fewer bits."""
    if encoder.scale:
        worst, best = encoder.scale
        own = worst + Fraction((best - worst) * quality, _BEST)
        return {"flags": "+qscale", "global_quality": str(round(own * _LAMBDA))}
    if not encoder.ladder:
        return {"b": str(encoder.steps[quality * (len(encoder.steps) - 1) // _BEST])}
    least, most = encoder.ladder
    # Low sample rates cannot use more than their share of the bits for 48000 Hz.
    wanted = (least + (most - least) * quality // _BEST) * min(sample_rate, 48_000) // 48_000 * channels
    floor, ceiling = encoder.floor(channels), _ceiling(encoder, sample_rate, channels)
    return {"b": str(_step(encoder, max(floor, min(wanted, ceiling))))}


def _ceiling(encoder: AudioEncoder, sample_rate: int, channels: int) -> int:
    if encoder.codec == "mp3" and sample_rate < 32_000:  # MPEG-2, and MPEG-2.5
        return 160_000 if sample_rate >= 16_000 else 64_000
    if encoder.codec == "opus":
        return min(encoder.max_bitrate, 256_000 * channels)  # libopus's limit per channel
    return encoder.max_bitrate or _AAC_FRAME_BITS * sample_rate * channels // _AAC_FRAME_SAMPLES


def _step(encoder: AudioEncoder, bitrate: int) -> int:
    return max((step for step in encoder.steps if step <= bitrate), default=bitrate)
