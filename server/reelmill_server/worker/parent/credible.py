"""Check what a child says of errors, numbers and accelerators: one that its media subverted may say anything.

Where it may publish is checked by `destinations`; texts are cut by `clipping`.
"""

import dataclasses
from collections.abc import Collection, Mapping

from reelmill_server import errors
from reelmill_server.errors import OutputInvalid, all_errors
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.plan import Plan
from reelmill_server.model.units import Split
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
_SHOWN = (messages.Advanced, messages.ChunkEncoded, messages.Finished, messages.Probed)


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


def is_known(assignment: messages.Assignment, lost: messages.EncoderLost) -> bool:
    """Return whether the child may use the encoder that it lost: else others go on using it."""
    known: Collection[tuple[str, str]] = {(capability.name, capability.device) for capability in assignment.capabilities}
    return assignment.uses_devices and (lost.encoder, lost.device) in known
