"""Options of the tests."""

import sys

import pytest

from reelmill_server.worker.confinement import drop_capabilities

if sys.platform == "linux":
    # The media tests encode in this process. As root, SVT-AV1 would make it, and every server that it starts later, real-time.
    drop_capabilities()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` writes the golden files instead of comparing with them."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")
