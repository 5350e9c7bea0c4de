"""Bound what a child may have and send, by its assignment: at least twice what was measured of the largest honest ones.

A child that its media has subverted would take all that is there.
"""

from reelmill_server.model.request import TargetSpec
from reelmill_server.settings.machine import visible_cpus
from reelmill_server.worker import messages

MOST_SMALL_BYTES = 64 << 10
"""Of a message that has neither a plan nor a list of files. Progress of twelve targets has 2.5 KB."""
# The plan of 12 targets of 11 sources has 82 KB; of 100 targets, seven hundred.
_BYTES = 8 << 20
# A day in segments of two seconds, in 15 renditions and their audio, is a list of 10 MB.
_BYTES_OF_SEGMENTS = 24 << 20
# A child with 11 sources and one output has 48. An AV1 encoder has 47 on 2 cores and at most 82 on more, x264 1.5 a core,
# x265 1.1.
_THREADS, _THREADS_OF_ENCODE, _THREADS_OF_ENCODE_AND_CORE = 512, 96, 4


def most_bytes(assignment: messages.Assignment) -> int:
    """Return how many bytes a message of a child may have."""
    targets = assignment.request.targets if assignment.request else ()
    return _BYTES_OF_SEGMENTS if any(target.segment for target in targets) else _BYTES


def most_threads(assignment: messages.Assignment) -> int:
    """Return how many threads a child may have, on the cores that this process sees."""
    encodes = sum(map(_encodes, assignment.request.targets)) if assignment.request else 0
    return _THREADS + (encodes + 1) * (_THREADS_OF_ENCODE + _THREADS_OF_ENCODE_AND_CORE * visible_cpus())


def _encodes(target: TargetSpec) -> int:
    """Return how many encoders of video run for a target at once; its image has one, too."""
    return target.ladder.max_renditions if target.ladder else 1
