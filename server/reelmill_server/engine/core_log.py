"""The log of the engine's client library, whose core is not Python and would write to standard output by itself."""

import logging

from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

_LEVELS = TelemetryFilter(core_level="WARN", other_level="ERROR")  # the library's own default


def use_our_log() -> None:
    """Have the core log with this process's logging, as `temporalio.core`: before the first client is made."""
    forwarding = LogForwardingConfig(
        logging.getLogger("temporalio.core"), append_target_to_name=False, prepend_target_on_message=False
    )
    telemetry = TelemetryConfig(logging=LoggingConfig(_LEVELS, forwarding))
    Runtime.set_default(Runtime(telemetry=telemetry), error_if_already_set=False)
