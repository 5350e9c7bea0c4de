"""Plan the two passes over video that is encoded twice: what the first writes, the second reads."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.plan.chunks import encoded_video, lone_stream

X265_PARAMS = "x265-params"
_NOWHERE = "null"  # the muxer that writes nothing


def has_first_pass(plan: Plan) -> bool:
    """Return whether a stream of `plan` is encoded twice."""
    return any(stream.passes > 1 for _, _, stream in encoded_video(plan))


def first_pass(plan: Plan, directory: Path) -> Plan:
    """Return the plan of the first pass: a target that writes nothing for each stream that is encoded twice."""
    targets = tuple(
        replace(
            lone_stream(plan.targets[slot], _with_pass(stream, 1, _statistics(directory, slot, number))),
            container=_NOWHERE,
            muxer=_NOWHERE,
            muxer_options={},
        )
        for slot, number, stream in encoded_video(plan)
        if stream.passes > 1
    )
    return replace(plan, targets=targets, groups=(), images=())


def second_pass(plan: Plan, directory: Path) -> Plan:
    """Return `plan` with encoders that read what the first pass wrote to `directory`."""
    targets = list(plan.targets)
    for slot, number, stream in encoded_video(plan):
        if stream.passes > 1:
            streams = list(targets[slot].streams)
            streams[number] = _with_pass(stream, 2, _statistics(directory, slot, number))
            targets[slot] = replace(targets[slot], streams=tuple(streams))
    return replace(plan, targets=tuple(targets))


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
