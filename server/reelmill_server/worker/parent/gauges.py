"""Set the gauges of a worker; they are read on each scrape, so that they cost nothing in between."""

from collections.abc import Sequence
from functools import partial
from itertools import permutations

from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.needs import FAST
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker.parent.admission import Admission
from reelmill_server.worker.parent.capabilities import Capabilities
from reelmill_server.worker.parent.counters import FALLBACK_KINDS


def show(metrics: Metrics, admission: Admission, capabilities: Capabilities, lanes: Sequence[str]) -> None:
    """Set gauges of available and used resources, of the encoders tried so far, and of the queues to serve: fast, or encoder
    families."""
    for lane in lanes:
        works = partial(capabilities.has_sessions, lane, 0) if lane != FAST else lambda: True
        metrics.worker_lane.labels(lane).set_function(works)
        metrics.admission_busy_total.labels(lane)
    metrics.worker_slots.set(admission.budget.slots)
    metrics.worker_cores.set(admission.budget.cores)
    metrics.worker_memory_bytes.set(admission.budget.memory_bytes)
    metrics.worker_slots_used.set_function(lambda: admission.used.slots)
    metrics.worker_cores_used.set_function(lambda: admission.used.cores)
    metrics.worker_memory_used_bytes.set_function(lambda: admission.used.memory_bytes)
    metrics.scratch_free_bytes.set_function(admission.free_bytes)
    metrics.admission_waiting.set_function(lambda: admission.waiting)
    for lost, other in permutations(capabilities.encoders, 2):
        if lost.codec == other.codec and lost.device != SOFTWARE:
            for kind in FALLBACK_KINDS:
                metrics.encoder_fallback_total.labels(lost.name, other.name, kind)
    for encoder in capabilities.encoders:
        metrics.encoder_works.labels(encoder.name, encoder.device).set_function(partial(capabilities.works, encoder.name))
    for family in dict.fromkeys(encoder.device for encoder in capabilities.encoders):
        metrics.encoder_sessions.labels(family).set_function(partial(capabilities.sessions_in_use, family))
        metrics.encoder_max_sessions.labels(family).set_function(partial(capabilities.max_sessions, family))
