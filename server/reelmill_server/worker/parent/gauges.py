"""What a worker shows of itself: read when somebody looks at the metrics, so that it costs nothing between."""

from functools import partial

from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker.parent.admission import Admission
from reelmill_server.worker.parent.capabilities import Abilities


def show(metrics: Metrics, admission: Admission, abilities: Abilities) -> None:
    """Shows what attempts may use and do use, and the encoders that were tried until now."""
    metrics.worker_slots.set(admission.budget.slots)
    metrics.worker_cores.set(admission.budget.cores)
    metrics.worker_memory_bytes.set(admission.budget.memory_bytes)
    metrics.worker_slots_used.set_function(lambda: admission.used.slots)
    metrics.worker_cores_used.set_function(lambda: admission.used.cores)
    metrics.worker_memory_used_bytes.set_function(lambda: admission.used.memory_bytes)
    metrics.scratch_free_bytes.set_function(admission.free_bytes)
    metrics.admission_waiting.set_function(lambda: admission.waiting)
    for encoder in abilities.encoders:
        metrics.encoder_works.labels(encoder.name, encoder.device).set_function(partial(abilities.works, encoder.name))
    for family in dict.fromkeys(encoder.device for encoder in abilities.encoders):
        metrics.encoder_sessions.labels(family).set_function(partial(abilities.sessions_in_use, family))
