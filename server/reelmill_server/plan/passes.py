"""Plan the two passes over video that is encoded twice, and over audio that is brought to a loudness: what the first one writes
or measures, the second reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from reelmill_server.model.loudness import Loudness
from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.plan.chunks import encoded_audio, encoded_video, lone_stream, with_stream

X265_PARAMS = "x265-params"
_NOWHERE = "null"  # the muxer that writes nothing
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
