"""Requests about loudness and ducking as plain data."""

from collections.abc import Mapping

from reelmill.v1 import audio_pb2
from reelmill_server.model.ducking import DuckingSpec
from reelmill_server.model.loudness import LoudnessMode, LoudnessSpec

_PRESETS: Mapping[int, float] = {audio_pb2.LOUDNESS_PRESET_EBU: -23.0, audio_pb2.LOUDNESS_PRESET_PODCAST: -16.0}


def loudness(filters: audio_pb2.FilterAudio) -> LoudnessSpec | None:
    """Return what is done about loudness; None: nothing."""
    if not filters.HasField("loudness"):
        return None
    message = filters.loudness
    measured = message.mode == audio_pb2.LOUDNESS_MODE_MEASURE
    return LoudnessSpec(
        LoudnessMode.MEASURE if measured else LoudnessMode.NORMALIZE,
        round(message.integrated, 3)
        if message.HasField("integrated")
        else _PRESETS.get(message.preset, LoudnessSpec.integrated),
        round(message.true_peak, 3) if message.HasField("true_peak") else LoudnessSpec.true_peak,
        message.dual_mono,
    )


def ducking(filters: audio_pb2.FilterAudio) -> DuckingSpec | None:
    """Return how music gives way to a voice; None: it does not."""
    if not filters.HasField("ducking"):
        return None
    message, usual = filters.ducking, DuckingSpec()
    return DuckingSpec(
        round(message.threshold, 3) if message.HasField("threshold") else usual.threshold_db,
        round(message.ratio, 3) if message.HasField("ratio") else usual.ratio,
        round(message.attack, 3) if message.HasField("attack") else usual.attack_ms,
        round(message.release, 3) if message.HasField("release") else usual.release_ms,
    )
