"""Optional dependencies, and the commands that install them, in any environment."""

from collections.abc import Mapping

_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "privacy": ("onnxruntime>=1.23,<2",),
    "rocketmq": ("rocketmq-python-client>=5.1.2,<6",),
    "tracing": ("opentelemetry-sdk>=1.40,<2", "opentelemetry-exporter-otlp-proto-grpc>=1.40,<2"),
}


def install_command(extra: str) -> str:
    """Return the command that installs what an extra brings."""
    return f"pip install {' '.join(repr(package) for package in _PACKAGES[extra])}"
