"""A whole service on a machine with a card: FFmpeg's own NVENC encoders on the driver of tests/drivers."""

from pathlib import Path

import pytest

from reelmill.v1.task_pb2 import TaskStatus
from tests.drivers import build
from tests.drivers.storm import Storm, all_required, encoders_of, machine

pytestmark = [pytest.mark.toolchain, pytest.mark.timeout(900)]


def test_all_that_require_the_card_have_their_turn(tmp_path: Path) -> None:
    """Five at once on a card of two sessions, which nobody has set: none fails, and none is encoded by something else."""
    driver = build(tmp_path / "driver")
    with machine(tmp_path, driver) as server:
        driver.fault(sessions=2)
        ended = all_required(server, tmp_path / "files", 5)
    assert [(task.status, task.message) for task in ended] == [(TaskStatus.TASK_STATUS_SUCCEEDED, "")] * 5
    assert [encoders_of(task) for task in ended] == [["h264_nvenc"]] * 5


def test_a_card_that_comes_and_goes_spoils_no_task(tmp_path: Path) -> None:
    """All end well, none is wrong, and the card is used again whenever it is back. `make drivers` is the long form."""
    driver = build(tmp_path / "driver")
    with machine(tmp_path, driver) as server:
        verdict = Storm(server, driver, tmp_path / "files", 22).run(20)
    assert not verdict.wrong and verdict.encoders.total() == 20 and verdict.returns and verdict.faults
