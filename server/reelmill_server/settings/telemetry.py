"""Settings of metrics, traces and logs."""

from typing import Annotated, Literal

from pydantic import Field

from reelmill_server.settings.fields import AddressOrEmpty, Count, EndpointOrEmpty
from reelmill_server.settings.group import Group, UsedBy


class TelemetrySettings(Group):
    """Logs, metrics and traces of the server, and where they go."""

    title = "Metrics, traces and logs"
    used_by = UsedBy("serve", "api", "worker", "migrate", "plan", "capabilities")

    http: Annotated[AddressOrEmpty, UsedBy("serve", "api", "worker")] = Field(
        default="127.0.0.1:9090",
        description="Address to serve /metrics, /healthz and /readyz on; port 0 picks a free one. Empty: they are off.",
    )
    metrics_projects: Annotated[Count, UsedBy("serve", "api")] = Field(
        default=10,
        ge=0,
        le=1000,
        description="Maximum number of projects that metrics name: those with the most unfinished tasks. The rest are counted"
        " together.",
    )
    otel_endpoint: Annotated[EndpointOrEmpty, UsedBy("serve", "api", "worker")] = Field(
        default="",
        description="OpenTelemetry collector to send traces to, by OTLP over gRPC, for example http://collector:4317;"
        " requires the extra `tracing`. Empty: traces are off, unless OTEL_EXPORTER_OTLP_ENDPOINT names a"
        " collector.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="Format of the log on standard error; auto is console on a terminal, json elsewhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Lowest level that is logged.")
