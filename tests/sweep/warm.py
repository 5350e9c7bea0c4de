"""What is done once, in the process from which all of the sweep's are forked."""

from tests.media.converter import capabilities
from tests.sweep import worker

__all__ = ["worker"]

capabilities()
