"""The program as it is installed: what it prints, where, and how it exits."""

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from reelmill_server import __version__

PROGRAM = str(Path(sysconfig.get_path("scripts"), "reelmill-server"))


def _run(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("REELMILL_")}
    return subprocess.run(
        [PROGRAM, *argv], env={**clean, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("argv", [["--version"], ["worker", "--version"]])
def test_it_tells_its_version(argv: list[str]) -> None:
    """Before or after the role."""
    done = _run(*argv)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"reelmill-server {__version__}\n", "")


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(("argv", "text"), [(["--help"], "capabilities"), (["serve", "--help"], "--temporal-tls-roots FILE")])
def test_it_helps(argv: list[str], text: str) -> None:
    """On standard output."""
    done = _run(*argv)
    assert done.returncode == 0 and text in done.stdout and not done.stderr


def test_a_wrong_setting_is_one_line(tmp_path: Path) -> None:
    """It exits with 2 before anything starts, and nothing is left behind."""
    done = _run("serve", "--data-dir", str(tmp_path / "data"), "--listen", "here", REELMILL_MAX_ATTEMPTS="many")
    assert done.returncode == 2 and not done.stdout
    assert sorted(done.stderr.splitlines()) == [
        "reelmill-server serve: --listen: expected host:port, for example 127.0.0.1:50051 or [::1]:0",
        "reelmill-server serve: REELMILL_MAX_ATTEMPTS: expected a whole number",
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_flag_wins_over_the_environment(tmp_path: Path) -> None:
    """The database that is migrated is the one of the flag."""
    environment = {"REELMILL_DATABASE_URL": f"sqlite:///{tmp_path}/variable.db", "REELMILL_LOG_LEVEL": "error"}
    done = _run("migrate", "--database-url", f"sqlite:///{tmp_path}/flag.db", **environment)
    assert done.returncode == 0 and "revision" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["flag.db"]
    assert _run("migrate", **environment).returncode == 0
    assert (tmp_path / "variable.db").exists()


@pytest.mark.slow
def test_an_address_that_is_not_of_this_machine_is_one_line(tmp_path: Path) -> None:
    """It names the flag, and the engine is not started before."""
    done = _run("serve", "--data-dir", str(tmp_path / "data"), "--listen", "192.0.2.1:50051", "--insecure")
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.splitlines() == [
        "reelmill-server: ServiceUnavailable: --listen (REELMILL_LISTEN): cannot listen on 192.0.2.1:50051:"
        " Cannot assign requested address"
    ]
