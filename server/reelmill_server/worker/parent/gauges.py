"""Set the gauges of a worker; they are read on each scrape, so that they cost nothing in between."""

from functools import partial

from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker.parent.admission import Admission
from reelmill_server.worker.parent.capabilities import Capabilities


def show(metrics: Metrics, admission: Admission, capabilities: Capabilities) -> None:
    """Set gauges of available and used resources, and of the encoders tried so far."""
    metrics.worker_slots.set(admission.budget.slots)
    metrics.worker_cores.set(admission.budget.cores)
    metrics.worker_memory_bytes.set(admission.budget.memory_bytes)
    metrics.worker_slots_used.set_function(lambda: admission.used.slots)
    metrics.worker_cores_used.set_function(lambda: admission.used.cores)
    metrics.worker_memory_used_bytes.set_function(lambda: admission.used.memory_bytes)
    metrics.scratch_free_bytes.set_function(admission.free_bytes)
    metrics.admission_waiting.set_function(lambda: admission.waiting)
    for encoder in capabilities.encoders:
        metrics.encoder_works.labels(encoder.name, encoder.device).set_function(partial(capabilities.works, encoder.name))
    for family in dict.fromkeys(encoder.device for encoder in capabilities.encoders):
        metrics.encoder_sessions.labels(family).set_function(partial(capabilities.sessions_in_use, family))
