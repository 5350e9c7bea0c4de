"""What a child may not do, tried in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reelmill_server.worker.child.confinement import NOT_REAL_TIME

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="capabilities and schedulers are Linux's")

_ENCODE = """
import os
os.environ["SVT_LOG"] = "0"
from reelmill_server.media.capabilities import try_video
from reelmill_server.worker.child.confinement import drop_capabilities
drop_capabilities()
assert try_video("av1", "software", "libsvtav1").available
tasks = [int(name) for name in os.listdir("/proc/self/task")]
print({os.sched_getscheduler(task) for task in tasks} == {os.SCHED_OTHER})
"""


@pytest.mark.slow
def test_an_encoder_does_not_become_real_time() -> None:
    """SVT-AV1 asks for it when it runs as root: it is not given."""
    done = subprocess.run([sys.executable, "-c", _ENCODE], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "True"


def test_nor_does_one_of_the_tests_or_their_tools() -> None:
    """They encode in their own process, which has imported `tests`: the sweep starved all tests beside it."""
    status = Path("/proc/self/status").read_text().splitlines()
    (effective,) = (int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    assert not effective & ~NOT_REAL_TIME


def test_root_keeps_its_files_only() -> None:
    """Of all powers those over files stay; whoever had none has none."""
    drop = "from reelmill_server.worker.child.confinement import drop_capabilities; drop_capabilities()"
    code = f"{drop}; print(open('/proc/self/status').read())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (effective,) = (int(line.split()[1], 16) for line in done.stdout.splitlines() if line.startswith("CapEff"))
    assert effective & ~0b1111 == 0


_CONFINED = """
import ctypes, subprocess
from reelmill_server.model.capability import Limits
from reelmill_server.worker import messages
from reelmill_server.worker.child.confinement import confine
confine(messages.Assignment("probe", Limits(sandbox="off")))
dumpable = 3
print("Dumpable:", ctypes.CDLL(None).prctl(dumpable))
print(subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout)
"""


def test_what_a_child_executes_gains_nothing() -> None:
    """As root it had all capabilities again."""
    done = subprocess.run([sys.executable, "-c", _CONFINED], capture_output=True, text=True, check=True)
    status = dict(line.split(":", 1) for line in done.stdout.splitlines() if ":" in line)
    results = {name: int(status[name].strip(), 16) for name in ("CapPrm", "CapEff", "CapBnd", "NoNewPrivs", "Dumpable")}
    if os.geteuid() != 0:
        results["CapBnd"] = 0  # others cannot lower it, and have nothing to gain through it without new privileges
    assert results == {"CapPrm": 0, "CapEff": 0, "CapBnd": 0, "NoNewPrivs": 1, "Dumpable": 0}
