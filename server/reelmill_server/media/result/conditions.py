"""Conditions of a target, without which nothing of its task is published."""

from collections.abc import Iterator, Sequence

from reelmill_server.errors import ConditionNotMet
from reelmill_server.media.result.files import Result
from reelmill_server.model.plan import Plan, TargetPlan
from reelmill_server.model.task import Artifact


def check_conditions(plan: Plan, results: Sequence[Result]) -> None:
    """Raise ConditionNotMet if an output has a lower VMAF or more bytes than its target allows."""
    artifacts = {(result.artifact.target_index, result.artifact.uri): result.artifact for result in results}
    unmet = [
        text
        for target in plan.targets
        if (artifact := artifacts.get((target.index, target.uri))) is not None
        for text in _unmet(target, artifact)
    ]
    if unmet:
        raise ConditionNotMet("; ".join(unmet))


def _unmet(target: TargetPlan, artifact: Artifact) -> Iterator[str]:
    for stream in artifact.streams:
        if target.min_vmaf and stream.vmaf is not None and stream.vmaf < target.min_vmaf:
            yield f"{target.field}.min_vmaf is {target.min_vmaf:g}, but the video has {stream.vmaf:.2f}"
    size = artifact.size_bytes + artifact.segments_size_bytes
    if target.max_bytes and size > target.max_bytes:
        yield f"{target.field}.max_size_ratio allows {target.max_bytes} bytes, but the output has {size}"
