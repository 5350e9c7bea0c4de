"""When the machine's clock can be relied on."""

import pytest

from reelmill_server.tasks.steady_clock import SteadyClock

YEAR = 365 * 86_400.0


class Machine:
    """Its clock, and how long it has been up."""

    now, uptime = 1_000_000.0, 10.0

    def passes(self, seconds: float) -> None:
        """Both go on."""
        self.now += seconds
        self.uptime += seconds


@pytest.fixture
def machine() -> Machine:
    """Just started."""
    return Machine()


@pytest.fixture
def clock(machine: Machine) -> SteadyClock:
    """The watch over its clock."""
    return SteadyClock(lambda: machine.now, lambda: machine.uptime)


def test_a_clock_is_relied_on_some_minutes_after_the_start(machine: Machine, clock: SteadyClock) -> None:
    """It may not have been set yet."""
    assert not clock.is_steady()
    machine.passes(600)
    assert clock.is_steady()
    machine.passes(30 * 86_400)  # nobody looked, as another replica had the lease
    assert clock.is_steady()


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_a_clock_that_was_set_is_not_relied_on_for_an_hour(machine: Machine, clock: SteadyClock, jump: float) -> None:
    """Wherever it was set to, and anew when it is set back."""
    machine.passes(600)
    assert clock.is_steady()
    machine.now += jump
    machine.passes(10)
    assert not clock.is_steady()
    machine.passes(1800)
    machine.now -= jump
    assert not clock.is_steady()
    machine.passes(1801)
    assert not clock.is_steady()
    machine.passes(1800)
    assert clock.is_steady()


def test_a_clock_that_is_slewed_stays_relied_on(machine: Machine, clock: SteadyClock) -> None:
    """By some hundred seconds in all, a little at a time."""
    machine.passes(600)
    for _ in range(10):
        machine.passes(3600)
        machine.now += 30
        assert clock.is_steady()
