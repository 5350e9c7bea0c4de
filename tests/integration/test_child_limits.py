"""What a child may use."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reelmill_server.errors import Timeout
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import ConvertRequest, TargetSpec
from reelmill_server.worker import messages
from reelmill_server.worker.child import main as child
from reelmill_server.worker.parent import child_process

_CONFINED = """
import json, resource, sys
from reelmill_server.worker import messages
from reelmill_server.worker.child.confinement import confine
confine(messages.ASSIGNMENT.validate_json(sys.argv[1]))
names = ("CORE", "FSIZE", "NOFILE", "MEMLOCK", "AS", "CPU")
print(json.dumps({name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in names}))
"""


def _limits(assignment: messages.Assignment) -> dict[str, list[int]]:
    command = [sys.executable, "-c", _CONFINED, messages.ASSIGNMENT.dump_json(assignment).decode()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other limits")
def test_a_look_writes_nothing() -> None:
    """It has no folder."""
    result = _limits(messages.Assignment("probe", Limits(max_address_bytes=4 << 30)))
    assert result == {
        **{name: [0, 0] for name in ("CORE", "FSIZE", "MEMLOCK")},
        "NOFILE": [256, 256],
        "AS": [4 << 30, 4 << 30],
        "CPU": result["CPU"],
    }


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other limits")
def test_a_conversion_has_those_of_its_attempt(tmp_path: Path) -> None:
    """CPU time, the size of a file, and descriptors for each target."""
    request = ConvertRequest("task", "default", (), tuple(TargetSpec(n, "file:///x.mp4", "mp4") for n in range(100)))
    limits = Limits(max_cpu_seconds=3600, max_file_bytes=1 << 20)
    result = _limits(messages.Assignment("convert", limits, request, directory=str(tmp_path)))
    assert (result["CPU"], result["FSIZE"], result["NOFILE"]) == ([3600, 3601], [1 << 20] * 2, [656, 656])


def _spin(*arguments: Any) -> None:
    """The entry point of a child that computes for ever."""

    def work(attempt: Any) -> messages.FromChild:
        while True:
            pass

    child._ACTIONS = {**child._ACTIONS, "probe": work}
    child.main(*arguments)


@pytest.mark.slow
async def test_too_much_cpu_time_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a crash, which another attempt might not meet."""
    child_process.preload()
    monkeypatch.setattr(child_process, "enter", partial(_spin))
    with pytest.raises(Timeout, match="CPU time"):
        async with child_process.start(messages.Assignment("probe", Limits(max_cpu_seconds=1))) as process:
            await process.receive(60)
