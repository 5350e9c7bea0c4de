"""What a subverted child reaches: nothing, as root and as an ordinary user."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest

from reelmill_server.errors import ServiceUnavailable
from reelmill_server.model.capability import Limits
from reelmill_server.worker.child import landlock
from reelmill_server.worker.child import main as child
from reelmill_server.worker.parent import child_process
from reelmill_server.worker.parent.capabilities import run_trials
from tests.integration import hostile
from tests.waiting import eventually

pytestmark = pytest.mark.skipif(landlock.ABI < 6, reason="this kernel's Landlock closes less")
_REPOSITORY = Path(__file__).resolve().parents[2]
_NOBODY = 65534
_HOSTILE = ("-m", "tests.integration.hostile")
_MANY = 40
_OWNERS = """
import os
from multiprocessing import forkserver
from reelmill_server.closed_memory import close_memory
from reelmill_server.worker.parent import child_process
child_process.preload()
open_before = os.stat("/proc/self/mem").st_uid
close_memory()
while os.stat(f"/proc/{forkserver._forkserver._forkserver_pid}/mem").st_uid != 0:
    pass
print(open_before, os.stat("/proc/self/mem").st_uid)
"""


async def test_a_subverted_child_reaches_nothing(tmp_path: Path) -> None:
    """Whoever runs the server."""
    assert await hostile.reached(tmp_path, "require") == []


async def test_one_that_may_use_a_gpu_reaches_what_its_driver_needs(tmp_path: Path) -> None:
    """And nothing more: CUDA reads /proc/self/maps, and shares memory without a file."""
    with_proc = {"connections of the machine", "the same by its thread", "mounts of the machine"}
    assert set(await hostile.reached(tmp_path, "require", devices=True)) == {*with_proc, "memory that counts for nobody"}


@pytest.fixture(scope="module")
def as_nobody() -> list[str]:
    """A command that runs this version of Python, with these modules, as a user without powers."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    modules = [_REPOSITORY, *(_REPOSITORY / name for name in ("server", "client", "protos")), Path(av.__file__).parents[1]]
    path = f"PYTHONPATH={os.pathsep.join(map(str, modules))}"
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        command = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "env", "HOME=/tmp", path, python]
        try:
            subprocess.run([*command, "-c", "import av, reelmill_server"], check=True, capture_output=True, cwd="/")
        except (OSError, subprocess.CalledProcessError):
            continue
        return command
    pytest.skip("others cannot read this interpreter or its modules")


@pytest.mark.slow
def test_nor_does_one_of_an_ordinary_user(as_nobody: list[str]) -> None:
    """Who has no powers to drop."""
    done = subprocess.run([*as_nobody, *_HOSTILE, "require"], check=True, capture_output=True, text=True, cwd=_REPOSITORY)
    assert json.loads(done.stdout) == []


@pytest.mark.slow
def test_without_the_sandbox_it_reaches_most(as_nobody: list[str]) -> None:
    """Else nothing is shown by what fails."""
    done = subprocess.run([*as_nobody, *_HOSTILE, "off"], check=True, capture_output=True, text=True, cwd=_REPOSITORY)
    reached = json.loads(done.stdout)
    assert len(reached) > _MANY and {"read its rows", "the engine", "a shell", "outlive the server"} <= set(reached)


@pytest.mark.slow
def test_the_memory_of_server_and_fork_server_is_closed(as_nobody: list[str]) -> None:
    """The kernel gives it to root, once they are ready."""
    done = subprocess.run([*as_nobody, "-c", _OWNERS], check=True, capture_output=True, text=True, cwd=_REPOSITORY, timeout=60)
    assert done.stdout.split() == [str(_NOBODY), "0"]


@pytest.mark.slow
async def test_a_child_does_not_outlive_a_server_that_is_killed() -> None:
    """Not even one that does not listen: it held the fork server alive, whose end is its own."""
    command = [sys.executable, "-m", "tests.integration.hostile", "stay"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_REPOSITORY) as server:
        assert server.stdout
        child = int(server.stdout.readline())
        server.kill()
    await eventually(lambda: not Path(f"/proc/{child}").exists(), "the end of the child")


def _without_landlock(*arguments: Any) -> None:
    """The entry point of a child on a kernel without Landlock."""
    landlock.ABI = 0
    child.main(*arguments)


async def test_a_child_that_cannot_be_confined_as_it_must_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker says why, and does not start: the first child is the one that tries encoders."""
    child_process.preload()
    monkeypatch.setattr(child_process, "enter", _without_landlock)
    with pytest.raises(ServiceUnavailable, match=r"REELMILL_SANDBOX=require.*Landlock \(Linux 5\.13"):
        await run_trials(Limits(sandbox="require"), ("software",))
