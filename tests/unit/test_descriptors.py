"""File descriptors: the limit is raised, and their lack is known whatever it led to."""

import errno
import os
import resource
import subprocess
import sys

import pytest

from reelmill_server import descriptors
from reelmill_server.errors import AccessDenied, StorageUnavailable


def test_the_limit_is_raised_to_what_is_allowed() -> None:
    """In a process of its own, which begins with few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 5000 if hard == resource.RLIM_INFINITY else min(5000, hard)
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, {most})); "
        "from reelmill_server import descriptors as d; print(d.raise_limit(), d.limit() - d.free() < 20)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(most), "True"]


def test_what_is_open_is_not_free() -> None:
    """Each file takes one."""
    before = descriptors.free()
    descriptor = os.open("/dev/null", os.O_RDONLY)
    try:
        assert descriptors.free() == before - 1
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_a_lack_is_found_behind_what_it_led_to(code: int) -> None:
    """As a cause, or as what was being handled; other errors are none."""
    lack = OSError(code, os.strerror(code))
    hidden = StorageUnavailable("away")
    hidden.__context__ = RuntimeError("library")
    hidden.__context__.__cause__ = lack
    refused = AccessDenied("refused")
    refused.__cause__ = OSError(errno.EACCES, "no")
    assert descriptors.lacking(lack) and descriptors.lacking(hidden)
    assert not descriptors.lacking(refused) and not descriptors.lacking(ValueError())
