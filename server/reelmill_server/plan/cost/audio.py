"""Estimate encoded audio, with the passes before it that measure its loudness and the peaks that its encoder makes."""

from reelmill_server.model.plan import StreamPlan
from reelmill_server.plan.codec.audio_encoders import is_lossless
from reelmill_server.plan.cost import steps, tables
from reelmill_server.plan.cost.steps import Work


def encoded_audio(stream: StreamPlan, seconds: float) -> Work:
    """Return the work of one encoded stream of audio that is so long."""
    assert stream.audio is not None
    channels = steps.channels(stream.audio.layout)
    encoding = tables.SOUND.get(stream.encoder, tables.UNKNOWN_SOUND)
    work = encoding * channels * seconds * max(1, len(stream.parts) / 4)
    sample_bits = tables.LOSSLESS_BITS.get(stream.encoder, 0)
    rate = sample_bits * stream.audio.sample_rate * channels or steps.number(stream.options.get("b", ""), 0.0, 1e12)
    bits = (rate or tables.USUAL_SOUND_BITRATE * channels) * seconds
    passes = _passes_ms(stream, encoding) * channels * seconds
    return Work.of(work + passes + steps.copying_ms(bits, seconds), scratch=bits / 8)


def _passes_ms(stream: StreamPlan, encoding: float) -> float:
    """Return the milliseconds for each second and channel of what loudness takes besides the encode."""
    planned = stream.loudness
    if planned is None:
        return 0.0
    if not planned.normalizes:
        return tables.LOUDNESS
    once = tables.SOUND_DECODING + tables.LOUDNESS
    crowded = planned.asked.true_peak - planned.asked.integrated < tables.CROWDED_DB
    trials = tables.PEAK_TRIALS if crowded and not is_lossless(stream.encoder) else 0
    return once + tables.LOUDNESS + trials * (once + encoding)
