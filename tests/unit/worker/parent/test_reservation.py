"""What an attempt holds of its worker."""

import pytest

from reelmill_server.errors import WorkerBusy
from reelmill_server.model.capability import SOFTWARE, Limits
from reelmill_server.model.cost import Cost
from reelmill_server.model.needs import Needs
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker.parent.admission import Admission, Budget
from reelmill_server.worker.parent.capabilities import Capabilities
from reelmill_server.worker.parent.heartbeat import Heartbeat
from reelmill_server.worker.parent.reservation import Reservations
from reelmill_server.worker.parent.stall_watch import Bounds


@pytest.mark.parametrize(
    ("estimate", "most", "least", "held"),
    [(900, 300, 0, 300), (200, 300, 0, 200), (900, 0, 0, 900), (2000, 0, 0, 1000), (100, 300, 250, 250)],
)
async def test_no_attempt_holds_more_memory_than_it_may_take(estimate: int, most: int, least: int, held: int) -> None:
    """A still of 64 megapixels was estimated at 24 GB, and kept others' looks and attempts waiting for 8 that it may have."""
    admission = Admission(Budget(3, 4.0, 1000), lambda *_: True)
    limits = Limits(max_memory_bytes=most)
    reservations = Reservations(admission, Bounds(limits, 60, 60, 0, (SOFTWARE,)), Metrics())
    needs, heartbeat = Needs(Cost(1.0, estimate), sessions=0), Heartbeat(lambda _: None, lambda _: None)
    with Capabilities(limits, (), {}, 0).lease() as lease:
        async with reservations.hold(needs, least, SOFTWARE, heartbeat, lease) as memory_bytes:
            assert memory_bytes == admission.used.memory_bytes == held
        with pytest.raises(WorkerBusy, match="are needed"):
            async with reservations.hold(needs, 1001, SOFTWARE, heartbeat, lease):
                pass
