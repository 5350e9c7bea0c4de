"""Options of the tests, and what all of them share."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from reelmill_server.worker.child.confinement import NOT_REAL_TIME, drop_capabilities

if TYPE_CHECKING:
    from tests.stores import GcsEmulator, Moto

_CLUSTER_TIMEOUT_SECONDS = 600

if sys.platform == "linux":
    # The media tests encode in this process. As root, SVT-AV1 would make it, and every server that it starts later, real-time.
    drop_capabilities(NOT_REAL_TIME)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` writes the golden files instead of comparing with them."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give cases that start clusters more time than others."""
    for item in items:
        if item.get_closest_marker("cluster") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_CLUSTER_TIMEOUT_SECONDS))


@pytest.fixture(scope="session")
def moto() -> Iterator["Moto"]:
    """S3 and its token service. Buckets are shared by all tests of a process: name yours after your module."""
    from tests.stores import Moto

    running = Moto()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def gcs_emulator() -> Iterator["GcsEmulator"]:
    """Google Cloud Storage. Buckets are shared as those of `moto`."""
    from tests.stores import GcsEmulator

    running = GcsEmulator()
    yield running
    running.stop()
