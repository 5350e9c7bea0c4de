"""What is done once, in the process from which all of the sweep's are forked."""

import gc

from tests.media.converter import capabilities
from tests.sweep import worker

__all__ = ["worker"]

capabilities()
gc.collect()  # else a process may collect an encoder of this one, and wait for its threads, which only this one has
