"""Tests, and tools that convert as they do. Some encode in their own process: none of them becomes real-time.

As root, SVT-AV1 would make the process that calls it real-time, and all that this one starts later: a sweep would starve
every test that runs beside it.
"""

import sys

from reelmill_server.worker.child.confinement import NOT_REAL_TIME, drop_capabilities

if sys.platform == "linux":
    drop_capabilities(NOT_REAL_TIME)
