"""Plan the passes over video that is encoded twice, and over audio that is brought to a loudness: what one writes or measures,
the next reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from reelmill_server.model.loudness import SILENCE_DBTP, Loudness, LoudnessPlan
from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.plan.chunks import encoded_audio, encoded_video, lone_stream, with_stream
from reelmill_server.plan.codec.audio_encoders import is_lossless

X265_PARAMS = "x265-params"
_NOWHERE = "null"  # the muxer that writes nothing
_MOST_RAISED_DB = 3.0  # by what lossy encoders raise peaks, at most
_PASSED_DB = 0.05  # above the limit, what is not lowered again
_MORE_DB = 0.1  # what it is lowered by besides, as other peaks become the highest: a trial costs more
_CHEAP_ENCODER, _CHEAP_FORMAT = "pcm_s16le", "s16"


def has_first_pass(plan: Plan) -> bool:
    """Return whether a stream of `plan` is encoded twice, or measured before it is encoded."""
    return encodes_twice(plan) or bool(_measured_audio(plan))


def encodes_twice(plan: Plan) -> bool:
    """Return whether video of `plan` is encoded twice."""
    return any(stream.passes > 1 for _, _, stream in encoded_video(plan))


def first_pass(plan: Plan, directory: Path) -> Plan:
    """Return the plan of the first pass: a target that writes nothing for each stream that is encoded twice, and then for each
    whose loudness is measured.
    """
    streams = [
        (slot, _with_pass(stream, 1, _statistics(directory, slot, number)))
        for slot, number, stream in encoded_video(plan)
        if stream.passes > 1
    ]
    streams += [(slot, _only_measured(stream)) for slot, _, stream in _measured_audio(plan)]
    targets = tuple(
        replace(lone_stream(plan.targets[slot], stream), container=_NOWHERE, muxer=_NOWHERE, muxer_options={})
        for slot, stream in streams
    )
    return replace(plan, targets=targets, groups=(), images=())


def second_pass(plan: Plan, directory: Path) -> Plan:
    """Return `plan` with encoders that read what the first pass wrote to `directory`."""
    for slot, number, stream in encoded_video(plan):
        if stream.passes > 1:
            plan = with_stream(plan, slot, number, _with_pass(stream, 2, _statistics(directory, slot, number)))
    return plan


def with_loudness(plan: Plan, measured: Sequence[Loudness | None]) -> Plan:
    """Return `plan` with what its first pass has measured of each stream whose loudness it measures; None: no samples."""
    for (slot, number, stream), loudness in zip(_measured_audio(plan), measured, strict=True):
        assert stream.loudness
        known = replace(stream.loudness, before=loudness or Loudness())
        plan = with_stream(plan, slot, number, replace(stream, loudness=known))
    return plan


def peak_trial(plan: Plan) -> Plan:
    """Return a plan that encodes audio as `plan` will, to measure the peaks that decoders will show: a target that writes
    nothing for each stream whose encoder may raise them above their limit, and did so if it was tried.
    """
    targets = tuple(
        replace(lone_stream(plan.targets[slot], _with_trials(stream)), container=_NOWHERE, muxer=_NOWHERE, muxer_options={})
        for slot, _, stream in _doubtful_audio(plan)
    )
    return replace(plan, targets=targets, groups=(), images=())


def with_decoded_peaks(plan: Plan, peaks: Sequence[float | None]) -> Plan:
    """Return `plan` with the decoded peaks that `peak_trial` has measured; what passes the limit is kept lower by as much."""
    for (slot, number, stream), decoded in zip(_doubtful_audio(plan), peaks, strict=True):
        assert stream.loudness
        peak = SILENCE_DBTP if decoded is None else decoded
        passed = peak - stream.loudness.asked.true_peak
        headroom = stream.loudness.headroom_db + (passed + _MORE_DB if passed > _PASSED_DB else 0.0)
        known = replace(stream.loudness, decoded_peak=peak, headroom_db=headroom)
        plan = with_stream(plan, slot, number, replace(stream, loudness=known))
    return plan


def _doubtful_audio(plan: Plan) -> list[tuple[int, int, StreamPlan]]:
    return [entry for entry in _measured_audio(plan) if not is_lossless(entry[2].encoder) and _is_doubtful(entry[2].loudness)]


def _is_doubtful(planned: LoudnessPlan | None) -> bool:
    """Return whether decoded peaks may pass their limit: they come near it, and were not tried, or passed it when they were."""
    if planned is None or planned.before is None or planned.before.silent:
        return False
    if planned.decoded_peak is None:
        return planned.peak_db > planned.asked.true_peak - _MOST_RAISED_DB
    return planned.decoded_peak > planned.asked.true_peak + _PASSED_DB


def _with_trials(stream: StreamPlan) -> StreamPlan:
    """Return a stream whose decoded peaks are measured."""
    assert stream.loudness
    return replace(stream, loudness=replace(stream.loudness, tries=True))


def _measured_audio(plan: Plan) -> list[tuple[int, int, StreamPlan]]:
    return [entry for entry in encoded_audio(plan) if entry[2].loudness and entry[2].loudness.normalizes]


def _only_measured(stream: StreamPlan) -> StreamPlan:
    assert stream.audio
    audio = replace(stream.audio, sample_format=_CHEAP_FORMAT)
    return replace(stream, encoder=_CHEAP_ENCODER, codec=_CHEAP_ENCODER, options={}, audio=audio)


def statistics_files(plan: Plan, directory: Path) -> tuple[Path, ...]:
    """Return the files that the first pass leaves in `directory`, beside others of the encoders' own."""
    return tuple(_statistics(directory, slot, number) for slot, number, stream in encoded_video(plan) if stream.passes > 1)


def _statistics(directory: Path, slot: int, number: int) -> Path:
    return directory / f"{slot}-{number}.pass"


def _with_pass(stream: StreamPlan, number: int, statistics: Path) -> StreamPlan:
    return replace(stream, options={**stream.options, **_OPTIONS[stream.encoder](stream.options, number, statistics)})


def _x264(_: Mapping[str, str], number: int, statistics: Path) -> Mapping[str, str]:
    return {"flags": f"+pass{number}", "stats": str(statistics)}


def _x265(options: Mapping[str, str], number: int, statistics: Path) -> Mapping[str, str]:
    path = "".join(f"\\{letter}" if letter in "\\:'=" else letter for letter in str(statistics))
    return {X265_PARAMS: f"{options[X265_PARAMS]}:pass={number}:stats={path}"}


_OPTIONS = {"libx264": _x264, "libx265": _x265}
