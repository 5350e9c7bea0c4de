"""What the media tests share: clips and a converter."""

import os

import av
import pytest

from tests.media.converter import Converter
from tests.sources import Shelf

os.environ.setdefault("SVT_LOG", "0")  # as in a worker's child: else SVT-AV1 writes to stderr


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Clips, shared by all processes of one run of the tests."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "clips"
    folder.mkdir(exist_ok=True)
    return Shelf(folder)


@pytest.fixture(scope="session")
def convert(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Converter:
    """Converts a clip."""
    return Converter(shelf, lambda: tmp_path_factory.mktemp("converted"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Builds of libav without an AMR encoder (PyAV 19's) cannot make AMR: its cells are tested where there is one."""
    if "libopencore_amrnb" not in av.codecs_available:
        for item in items:
            if "amr" in item.name:
                item.add_marker(pytest.mark.skip("no AMR encoder in this build of libav"))
