"""What a waiting task waits for."""

from collections.abc import Mapping

import pytest

from reelmill_server.model.task import Told
from reelmill_server.model.waiting import Wait, WaitReason
from reelmill_server.tasks.waits import reason

_LANES = {"fast": 2, "software": 0, "nvenc": 1}


@pytest.mark.parametrize(
    ("admitted", "started", "told", "lanes", "expected"),
    [
        (False, False, Told(), _LANES, Wait(WaitReason.QUOTA)),
        (True, False, Told(), _LANES, Wait(WaitReason.ENGINE)),
        (True, True, Told(working=True), _LANES, Wait(WaitReason.RESOURCES)),
        (True, True, Told(), _LANES, Wait(WaitReason.BUSY, "fast")),
        (True, True, Told(), {}, Wait(WaitReason.BUSY, "fast")),
        (True, True, Told(lane="software"), _LANES, Wait(WaitReason.NO_WORKER, "software")),
        (True, True, Told(lane="nvenc"), _LANES, Wait(WaitReason.ACCELERATOR, "nvenc")),
        (True, True, Told(), {"software": 1}, Wait(WaitReason.NO_WORKER, "fast")),
    ],
)
def test_the_reason_is_the_first_that_holds(
    admitted: bool, started: bool, told: Told, lanes: Mapping[str, int], expected: Wait
) -> None:
    """From the record, and from what workers serve."""
    assert reason(admitted, started, told, lanes) == expected
