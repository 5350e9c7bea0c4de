"""Options of the tests, and what all of them share."""

import asyncio
import gc
import io
from collections import Counter
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from tests.stores import GcsEmulator, Moto

_CLUSTER_TIMEOUT_SECONDS = 600
# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

gc.disable()  # until all is collected: going through two million objects again and again was a third of what that takes


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` writes the golden files instead of comparing with them."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give cases that start clusters more time than others; mark as `matrix` what samples leave out."""
    positions = Counter[str]()
    for item in items:
        if item.get_closest_marker("cluster") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_CLUSTER_TIMEOUT_SECONDS))
        sample = item.get_closest_marker("sample")
        if sample:
            function = item.nodeid.partition("[")[0]
            if positions[function] % sample.kwargs["every"]:
                item.add_marker(pytest.mark.matrix)
            positions[function] += 1


def pytest_collection_finish() -> None:
    """Leave modules and cases, which last, to no later garbage collection."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say of a case that ran into its time limit where its coroutines wait: the traceback ends in the event loop."""
    report = yield
    if call.excinfo is not None and "from pytest-timeout" in str(call.excinfo.value) and (tasks := _waiting_tasks()):
        report.longrepr.addsection("tasks of event loops", tasks)  # type: ignore[union-attr]
    return report


def _waiting_tasks() -> str:
    """Return the stacks of all tasks of asyncio that have not ended."""
    stacks = io.StringIO()
    for task in gc.get_objects():
        if issubclass(type(task), asyncio.Task) and not task.done():  # isinstance() would ask what weak proxies stand for
            task.print_stack(file=stacks)
    return stacks.getvalue()


@pytest.fixture(scope="session")
def moto() -> Iterator["Moto"]:
    """S3 and its token service. All tests of a process share it: begin with a `bucket` of your own."""
    from tests.stores import Moto

    running = Moto()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def gcs_emulator() -> Iterator["GcsEmulator"]:
    """Google Cloud Storage, shared like `moto`."""
    from tests.stores import GcsEmulator

    running = GcsEmulator()
    yield running
    running.stop()
