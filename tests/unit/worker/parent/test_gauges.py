"""What a worker shows of what it uses."""

import asyncio

from reelmill_server.model.capability import SOFTWARE, Capability, Limits
from reelmill_server.model.cost import Cost
from reelmill_server.model.needs import Needs
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker.parent.admission import Admission, Budget
from reelmill_server.worker.parent.capabilities import Capabilities
from reelmill_server.worker.parent.gauges import show


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """What a gauge shows now."""
    return metrics.registry.get_sample_value(name, labels)


async def test_what_attempts_hold_and_who_waits_is_shown_while_it_lasts() -> None:
    """Cores, memory, and the one that has to wait; all is given back."""
    metrics, capabilities = Metrics(), Capabilities(Limits(), (), {}, 300)
    admission = Admission(Budget(2, 4.0, 1000), capabilities.has_sessions, lambda: 77_000_000)
    show(metrics, admission, capabilities, ["software"])
    needs = Needs(Cost(cores=3.0, memory_bytes=600))
    totals = ("reelmill_worker_slots", "reelmill_worker_cores", "reelmill_worker_memory_bytes")
    assert [value(metrics, name) for name in totals] == [2, 4, 1000]
    assert value(metrics, "reelmill_scratch_free_bytes") == 77_000_000

    async def second() -> None:
        async with admission.admitted(needs, SOFTWARE, 5.0):
            pass

    names = ("reelmill_worker_slots_used", "reelmill_worker_cores_used", "reelmill_worker_memory_used_bytes")
    names = (*names, "reelmill_admission_waiting")
    async with admission.admitted(needs, SOFTWARE, 5.0):
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0)
        assert [value(metrics, name) for name in names] == [1, 3, 600, 1]
    await waiting
    assert [value(metrics, name) for name in names] == [0, 0, 0, 0]


async def test_encoders_and_their_sessions_are_shown() -> None:
    """One that is lost works no more."""
    metrics, capabilities = Metrics(), Capabilities(Limits(), ("nvenc",), {"nvenc": 3}, 300)
    capabilities._encoders = {"h264_nvenc": Capability("h264_nvenc", "h264", "nvenc", True)}
    show(metrics, Admission(Budget(2, 4.0), capabilities.has_sessions), capabilities, ["fast", "nvenc"])
    encoder = {"encoder": "h264_nvenc", "family": "nvenc"}
    with capabilities.lease() as lease:
        lease.reserve("nvenc", 2)
        assert value(metrics, "reelmill_encoder_sessions", family="nvenc") == 2
        assert value(metrics, "reelmill_encoder_max_sessions", family="nvenc") == 3
    assert value(metrics, "reelmill_encoder_sessions", family="nvenc") == 0
    assert value(metrics, "reelmill_encoder_works", **encoder) == 1
    assert [value(metrics, "reelmill_worker_lane", lane=lane) for lane in ("fast", "nvenc")] == [1, 1]
    capabilities.lose("h264_nvenc", "gone")
    assert value(metrics, "reelmill_encoder_works", **encoder) == 0
    assert [value(metrics, "reelmill_worker_lane", lane=lane) for lane in ("fast", "nvenc")] == [1, 0]
