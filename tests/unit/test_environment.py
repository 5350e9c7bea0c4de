"""The environment that `make` makes (tools/environment.py)."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import environment

_CHECKOUT = Path(__file__).resolve().parents[2]
_WITHOUT_ENSUREPIP = """#!/bin/sh
exec {python} -c 'import runpy, sys
sys.modules["ensurepip"] = None
sys.argv = sys.argv[1:]
sys.executable = "/usr/bin/python3"
sys.path.insert(0, "tools")
runpy.run_path(sys.argv[0], run_name="__main__")' "$@"
"""
_COLLECTED = """\
Looking in indexes: https://pypi.org/simple
Obtaining file:///home/someone/reelmill
  Installing build dependencies: finished with status 'done'
Collecting aiohttp<4,>=3.12 (from reelmill==0.1.0)
  Downloading aiohttp-3.14.5-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (7.7 kB)
Collecting alembic<2,>=1.15 (from reelmill==0.1.0)
  Using cached alembic-1.20.1-py3-none-any.whl (270 kB)
Processing ./wheels/av-18.1.0-cp311-abi3-manylinux_2_28_x86_64.whl (from reelmill==0.1.0)
Collecting botocore<2,>=1.36 (from reelmill==0.1.0)
  Downloading botocore-1.44.8-py3-none-any.whl (16.9 MB)
"""
_INSTALLING = _COLLECTED + "Installing collected packages: av, botocore, alembic, aiohttp, reelmill\n"


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The result of `make` in this checkout."""
    return subprocess.run(["make", "-C", str(_CHECKOUT), *arguments], capture_output=True, text=True, check=False)


def test_without_ensurepip(tmp_path: Path) -> None:
    """As on Debian without python3-venv: the package is named, and nothing is left that would be taken for an environment."""
    python = tmp_path / "python"
    python.write_text(_WITHOUT_ENSUREPIP.format(python=sys.executable))
    python.chmod(0o755)
    result = make("run", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}")
    assert result.returncode
    assert f"apt install python{sys.version_info.major}.{sys.version_info.minor}-venv" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.slow
def test_half_an_environment_is_completed(tmp_path: Path) -> None:
    """What `python -m venv` leaves behind without ensurepip gets its pip once there is one."""
    half = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(half)], check=True)
    environment.make(half)
    subprocess.run([str(half / "bin" / "python"), "-m", "pip", "--version"], check=True, stdout=subprocess.DEVNULL)


def test_an_environment_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    """The reason is told."""
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"cannot be made: .*file"):
        environment.make(tmp_path / "file" / "venv")


def test_no_python() -> None:
    """One line says which Python is needed and how to name it."""
    result = make("run", "PYTHON=", "VENV=/nonexistent/venv")
    assert "needs Python 3.11 or later" in result.stderr and "PYTHON=" in result.stderr


@pytest.mark.parametrize(("target", "extra"), [("run", ""), ("serve", ""), ("test", " dev"), ("cluster-demo", " dev")])
def test_what_only_runs_installs_no_tools(target: str, extra: str, tmp_path: Path) -> None:
    """`make run` and `make serve` need no tools."""
    planned = make("--dry-run", target, "PYTHON=python3", f"VENV={tmp_path}").stdout.splitlines()
    installs = [line for line in planned if "environment.py" in line]
    assert len(installs) == 1 and installs[0].endswith(f"tools/environment.py {tmp_path}{extra}")


@pytest.mark.parametrize(
    ("output", "installed", "expected"),
    [
        ("", 0, "preparing"),
        (_COLLECTED, 0, "fetching packages: 4 so far, 17 MB, now botocore"),
        (_INSTALLING, 3, "installing packages: 3 of 5"),
        (_INSTALLING, 9, "installing packages: 5 of 5"),
    ],
)
def test_progress(output: str, installed: int, expected: str) -> None:
    """What pip has printed so far becomes one line; files of metadata do not count."""
    assert environment.progress(output, installed).strip() == expected


def test_names_of_files_reach_the_programs_as_they_are(tmp_path: Path) -> None:
    """Neither make nor the shell takes a part of one for its own."""
    name = 'it\'s a $(name) with $HOME, `ls` and "quotes".mp4'
    (tmp_path / "bin").mkdir()
    for stamp in (".runtime", ".installed"):
        (tmp_path / stamp).touch()
    program = tmp_path / "bin" / "python"
    program.write_text("#!/bin/sh\nprintf '%s|' \"$@\"\n")
    program.chmod(0o755)
    for target, variable, flag in (("run", "SRC", "--source"), ("serve", "ROOT", "--root")):
        path = make("-o", str(tmp_path / ".runtime"), target, f"VENV={tmp_path}", f"{variable}={name}")
        assert f"examples/quickstart.py|{target}|{flag}|{name}|" in path.stdout, path.stderr
