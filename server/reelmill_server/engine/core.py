"""Log what the engine's client library says: its core is not Python, and would write to standard output by itself."""

import logging

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    MetricBuffer,
    MetricBufferDurationFormat,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from reelmill_server.engine.core_metrics import BUFFER_UPDATES, CoreMetrics

_LEVELS = TelemetryFilter(core_level="WARN", other_level="ERROR")  # the library's own default


def observe_core() -> CoreMetrics:
    """Have the core log with this process's logging, as `temporalio.core`, and return its metrics: before the first client is
    made."""
    logger = logging.getLogger("temporalio.core")
    logger.addFilter(name_task)
    forwarding = LogForwardingConfig(logger, append_target_to_name=False, prepend_target_on_message=False)
    buffer = MetricBuffer(BUFFER_UPDATES, MetricBufferDurationFormat.SECONDS)
    telemetry = TelemetryConfig(logging=LoggingConfig(_LEVELS, forwarding), metrics=buffer)
    Runtime.set_default(Runtime(telemetry=telemetry), error_if_already_set=False)
    return CoreMetrics(buffer)


def name_task(record: logging.LogRecord) -> bool:
    """Give a line of the core the `task_id` that its fields know as a workflow, and drop its raw form. Return True."""
    entry = record.__dict__.pop("temporal_log", None)
    workflow_id = getattr(entry, "fields", {}).get("workflow_id")
    if workflow_id:
        record.task_id = workflow_id
    return True
