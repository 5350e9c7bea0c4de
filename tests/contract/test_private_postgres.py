"""The private PostgreSQL of the tests and of the local cluster."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from examples.local_cluster.postgres import PrivatePostgres
from tests.servers import wait_for

_OWNER = """
import sys
from examples.local_cluster.postgres import PrivatePostgres

server = PrivatePostgres(durable=False)
server.start()
print(server.pid, server.url("postgres").partition("host=")[2], flush=True)
sys.stdin.read()
"""


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.cluster
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_it_ends_with_a_killed_process(postgres: PrivatePostgres) -> None:
    """SIGKILL of the process that started it leaves no server behind."""
    owner = subprocess.Popen([sys.executable, "-c", _OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    pid, folder = owner.stdout.readline().split()
    try:
        assert not _gone(int(pid))
        owner.kill()
        owner.wait()
        wait_for(lambda: _gone(int(pid)), "the end of the server")
    finally:
        owner.kill()
        shutil.rmtree(Path(folder), ignore_errors=True)
