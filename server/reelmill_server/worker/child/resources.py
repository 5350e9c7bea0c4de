"""Limit what a child uses: address space, CPU time, files. Its memory is watched by its parent."""

import os
import resource
import sys
from contextlib import suppress

from reelmill_server.worker import messages

_DESCRIPTORS, _DESCRIPTORS_OF_OUTPUT = 256, 4


def limit(assignment: messages.Assignment, opened: int) -> None:
    """Set the limits of an assignment for this process, which has `opened` descriptors, where no lower ones are set already."""
    limits = assignment.limits
    outputs = len(assignment.request.targets) if assignment.request else 0
    bounds = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: _largest_file(assignment),
        resource.RLIMIT_NOFILE: opened + _DESCRIPTORS + _DESCRIPTORS_OF_OUTPUT * outputs,
        resource.RLIMIT_AS: assignment.max_address_bytes,
        resource.RLIMIT_CPU: limits.max_cpu_seconds,
    }
    if sys.platform == "linux":
        bounds[resource.RLIMIT_MEMLOCK] = 0
    bounds = {kind: most for kind, most in bounds.items() if most or kind not in (resource.RLIMIT_AS, resource.RLIMIT_CPU)}
    for kind, most in bounds.items():
        # Beyond the first limit of CPU time comes a signal that names it, beyond the second one that names nothing.
        hard = most + 1 if kind == resource.RLIMIT_CPU else most
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, hard))


def _largest_file(assignment: messages.Assignment) -> int:
    """Return the size of the disk at most: sparse files may seem larger, and would be read. 0 for a child that writes none."""
    if not assignment.directory:
        return 0
    disk = os.statvfs(assignment.directory)
    return min(disk.f_blocks * disk.f_frsize, assignment.limits.max_file_bytes or sys.maxsize)
