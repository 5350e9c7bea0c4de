"""Check what a child says of errors, numbers and accelerators: one that its media subverted may say anything.

Where it may publish is checked by `destinations`; texts are cut by `clipping`.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from reelmill_server import errors
from reelmill_server.errors import OutputInvalid, all_errors
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.plan import Plan
from reelmill_server.model.sample import SampleScores, StreamSearch
from reelmill_server.model.units import Split
from reelmill_server.plan.quality import unsearched
from reelmill_server.plan.samples import MOST_SAMPLES
from reelmill_server.worker import messages

# Others would have the task tried without end, or accuse callers and drivers.
_OF_THE_SERVICE = {
    errors.NotAuthenticated,
    errors.Forbidden,
    errors.Throttled,
    errors.QuotaExceeded,
    errors.ResourceAlreadyExists,
    errors.StatusConflict,
    errors.WorkerBusy,
    errors.DriverFailed,
}
_CODES = {kind.code for kind in all_errors()} - {kind.code for kind in _OF_THE_SERVICE}
_INT32, _INT64 = 1 << 31, 1 << 63
# In the protos, these numbers have 64 bits, and all others 32.
_WIDE = frozenset(
    (
        *(
            "bitrate",
            "count",
            "follower_bytes",
            "frame_count",
            "limited_samples",
            "memory_bytes",
            "packet_count",
            "segments_size_bytes",
            "size_bytes",
        ),
        # Of what is shown as text.
        *("blue", "green", "left", "max_luminance", "min_luminance", "missing_bytes", "moved_bytes", "red", "top", "white"),
    )
)
_SHOWN = (messages.Advanced, messages.ChunkEncoded, messages.Finished, messages.Probed, messages.SamplesTried)
_HIGHEST_SCORE = 100.0  # VMAF, or dB


def check_message(message: messages.FromChild) -> None:
    """Raise ValueError for an error that no child has, or a number that no response can hold: one task's would break the list
    of all tasks.
    """
    if isinstance(message, messages.Failed) and message.code not in _CODES:
        raise ValueError(f"no child has the error {message.code}")
    if isinstance(message, messages.Planned):
        _check_numbers("", message.infos)
    elif isinstance(message, _SHOWN):
        _check_numbers("", message)


def _check_numbers(name: str, value: object) -> None:
    if isinstance(value, int):
        bound = _INT64 if name in _WIDE else _INT32
        if not -bound <= value < bound:
            raise ValueError(f"{name} is out of range")
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            _check_numbers(field.name, getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            _check_numbers(name, item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_numbers(str(key), item)


def check_plan(assignment: messages.Assignment, plan: Plan, split: Split | None) -> None:
    """Raise OutputInvalid for a plan with an accelerator that the child may not use, or cut in another way than the assignment
    asks for: each chunk is an activity of the engine.
    """
    used = {stream.device for target in plan.targets for stream in target.streams} - {"", SOFTWARE}
    if used and not assignment.uses_devices:
        raise OutputInvalid("the child plans with an accelerator that it may not use")
    if split and not _is_asked_for(assignment, split):
        raise OutputInvalid("the child cuts its plan into other chunks than those that it was asked for")


def _is_asked_for(assignment: messages.Assignment, split: Split) -> bool:
    """Return whether chunks are those of the assignment, or as its rule allows; the sound of a task may be one more."""
    if assignment.split is not None:
        return split == assignment.split
    if assignment.rule is None:
        return not split.units
    most = assignment.rule.parallelism or max(assignment.rule.most, 2)
    numbers = [unit.number for unit in split.units]
    return split.chunks <= most and len(numbers) <= most + 1 and numbers == [*range(len(numbers))]


def check_searches(assignment: messages.Assignment, plan: Plan, split: Split | None, searches: Sequence[StreamSearch]) -> None:
    """Raise OutputInvalid unless a plan that is cut has a search for each CRF that it leaves open, and for nothing else: the
    engine goes through them, and each sample is an activity of it.
    """
    streams = [*unsearched(plan)] if split and split.units else []
    targets = assignment.request.targets if assignment.request else ()
    asked = {target.index: target.video.quality for target in targets if target.video}
    if [(search.slot, search.stream) for search in searches] != [(slot, number) for slot, number, _ in streams]:
        raise OutputInvalid("the child searches other CRFs than those that its plan leaves open")
    for (slot, _, stream), search in zip(streams, searches, strict=True):
        if stream.quality != asked.get(plan.targets[slot].index):
            raise OutputInvalid("the child searches another quality than that which was asked for")
        if not 0 < len(search.samples) <= MOST_SAMPLES:
            raise OutputInvalid(f"the child has {len(search.samples)} samples of a video")


def check_tried(assignment: messages.Assignment, tried: Sequence[SampleScores]) -> None:
    """Raise OutputInvalid unless the results are those of the assignment's trials, with scores that there are."""
    if tuple(result.trial for result in tried) != assignment.trials:
        raise OutputInvalid("the child tried other samples than those that it was asked for")
    for result in tried:
        scores = all(0 <= score <= _HIGHEST_SCORE for score in result.scores)
        if not scores or result.frames < 0 or len(result.scores) not in (0, len(result.trial.crfs)):
            raise OutputInvalid("the child reports scores that there are not")


def is_known(assignment: messages.Assignment, lost: messages.EncoderLost) -> bool:
    """Return whether the child may use the encoder that it lost: else others go on using it."""
    known: Collection[tuple[str, str]] = {(capability.name, capability.device) for capability in assignment.capabilities}
    return assignment.uses_devices and (lost.encoder, lost.device) in known
