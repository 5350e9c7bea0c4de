"""Measure what confining a child costs: `python -m bench.sandbox` (docs/performance.md)."""

import os
import statistics
import struct
import tempfile
import time
from typing import get_args

from reelmill_server.model.capability import Limits, SandboxMode
from reelmill_server.worker import messages
from reelmill_server.worker.child.confinement import confine

_CHILDREN = 200
_TIMES = struct.Struct("dd")


def measured(mode: SandboxMode, folder: str) -> tuple[float, float]:
    """Return the seconds that confining a new child takes, by the clock and of CPU time."""
    assignment = messages.Assignment("convert", Limits(sandbox=mode), directory=folder)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        begun, used = time.perf_counter(), time.process_time()
        confine(assignment, [writing])
        os.write(writing, _TIMES.pack(time.perf_counter() - begun, time.process_time() - used))
        os._exit(0)
    os.close(writing)
    times = _TIMES.unpack(os.read(reading, _TIMES.size))
    os.close(reading)
    os.waitpid(child, 0)
    return times


def main() -> None:
    """Print the medians, modes in turn so that what else the machine does falls on all alike."""
    modes = get_args(SandboxMode)
    times: dict[str, list[tuple[float, float]]] = {mode: [] for mode in modes}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(_CHILDREN):
            for mode in modes:
                times[mode].append(measured(mode, folder))
    for mode in modes:
        clock, cpu = (1000 * statistics.median(column) for column in zip(*times[mode], strict=True))
        print(f"{mode:<8} {clock:6.2f} ms, {cpu:6.2f} ms of CPU time")


if __name__ == "__main__":
    main()
