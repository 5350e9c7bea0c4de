"""`make serve` as it is used: started in a terminal and stopped with Ctrl-C, beside other servers."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from examples.local_cluster.processes import events
from tests import servers

# Where a shell starts the tests in the background, SIGINT is ignored; a terminal sends it to the whole group.
_SERVE = """
import signal, sys
from pathlib import Path
from examples import quickstart

signal.signal(signal.SIGINT, signal.default_int_handler)
quickstart.FOLDER = Path(sys.argv[1])
sys.exit(quickstart.serve())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with something in the place of the clip."""
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "clip.mp4").touch()
    return tmp_path


def serve(folder: Path, listen: str = "127.0.0.1:0", http: str = "127.0.0.1:0") -> subprocess.Popen[str]:
    """`make serve` in a process group of its own."""
    environment = {**os.environ, "REELMILL_LISTEN": listen, "REELMILL_HTTP_API": "127.0.0.1:0", "REELMILL_HTTP": http}
    return subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


@pytest.mark.slow
def test_ctrl_c_drains(folder: Path) -> None:
    """The server gets one signal, not two: with two it would give up what it does."""
    process = serve(folder)
    assert process.stdout
    ready = process.stdout.readline()
    assert "is ready" in ready, process.communicate()
    assert any("stop:" in line for line in iter(process.stdout.readline, "")), process.communicate()
    os.killpg(process.pid, signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "") and "stopping:" in printed
    assert events(folder / "service.log", "stopping")
    assert (folder / "service" / "temporal.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["listen", "http"])
def test_a_port_that_is_taken(folder: Path, setting: str) -> None:
    """One line names the flag and the variable; nothing was started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        process = serve(folder, **{setting: address})
        printed, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and not printed
    assert errors.splitlines() == [
        f"the service did not start: ServiceUnavailable: --{setting} (REELMILL_{setting.upper()}): {address} is in use, by"
        " another server perhaps: choose another port, or 127.0.0.1:0 for any that is free"
    ]
    assert not (folder / "service" / "temporal.db").exists()
    assert (folder / "service.log").read_text().count("\n") == 1


@pytest.mark.slow
def test_a_signal_right_after_it_is_ready_drains(tmp_path: Path) -> None:
    """Whoever is told that it is ready may stop it at once."""
    with servers.serve(tmp_path) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(60) == 0
        assert server.events("stopping")
