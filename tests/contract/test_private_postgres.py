"""The private PostgreSQL of the tests and of the local cluster."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from examples.local_cluster import postgres as private
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


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only for root PostgreSQL runs as another user")
def test_programs_where_only_root_has_access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a checkout below root's home, PostgreSQL's programs find the libraries that came with them, as another user."""
    programs = private._programs()
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    for part in (programs.parents[1], programs.parents[1].with_name(f"{programs.parents[1].name}.libs")):
        (closed / part.name).symlink_to(part)
    monkeypatch.setattr(private, "_programs", lambda: closed / programs.relative_to(programs.parents[2]))
    server = PrivatePostgres(durable=False)
    try:
        server.start()
        server.execute("SELECT 1")
    finally:
        server.stop()
