"""Options of the tests."""

import sys

import pytest

from reelmill_server.worker.child.confinement import NOT_REAL_TIME, drop_capabilities

if sys.platform == "linux":
    # The media tests encode in this process. As root, SVT-AV1 would make it, and every server that it starts later, real-time.
    drop_capabilities(NOT_REAL_TIME)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` writes the golden files instead of comparing with them."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")
