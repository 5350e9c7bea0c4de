"""What a waiting task waits for."""

from collections.abc import Mapping

import pytest

from reelmill_server.model.task import ReportedProgress
from reelmill_server.model.waiting import Wait, WaitReason
from reelmill_server.tasks.waits import reason

_LANES = {"fast": 2, "software": 0, "nvenc": 1}


@pytest.mark.parametrize(
    ("admitted", "started", "told", "lanes", "expected"),
    [
        (False, False, ReportedProgress(), _LANES, Wait(WaitReason.QUOTA)),
        (True, False, ReportedProgress(), _LANES, Wait(WaitReason.ENGINE)),
        (True, True, ReportedProgress(working=True), _LANES, Wait(WaitReason.RESOURCES)),
        (True, True, ReportedProgress(), _LANES, Wait(WaitReason.BUSY, "fast")),
        (True, True, ReportedProgress(), {}, Wait(WaitReason.BUSY, "fast")),
        (True, True, ReportedProgress(lane="software"), _LANES, Wait(WaitReason.NO_WORKER, "software")),
        (True, True, ReportedProgress(lane="nvenc"), _LANES, Wait(WaitReason.ACCELERATOR, "nvenc")),
        (True, True, ReportedProgress(), {"software": 1}, Wait(WaitReason.NO_WORKER, "fast")),
    ],
)
def test_the_reason_is_the_first_that_holds(
    admitted: bool, started: bool, told: ReportedProgress, lanes: Mapping[str, int], expected: Wait
) -> None:
    """From the record, and from what workers serve."""
    assert reason(admitted, started, told, lanes) == expected
