"""Make a Python environment with Reelmill in it: python tools/environment.py FOLDER [EXTRA].

Says in a few lines what is being installed; everything that pip says is in FOLDER/install.log. Uses the standard library only:
it runs before anything is installed.
"""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent
_PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
# Not compiled: Python does it at the first import, for what is imported.
_INSTALL = ("install", "--progress-bar", "off", "--no-compile", "--editable")
_POLL_SECONDS = 0.2
_LINE_SECONDS = 10.0  # between lines where there is no terminal
_WANTED = re.compile(r"^ *(?:Collecting ([\w.-]+)|Processing \S+/([\w.]+)-[^/\s]+\.whl)", re.MULTILINE)
_SIZES = re.compile(r"^ *(?:Downloading|Using cached) (?!\S+\.metadata )\S+ \(([\d.]+) ([kM])B\)", re.MULTILINE)
_INSTALLED_NOW = re.compile(r"^Installing collected packages: (.+)$", re.MULTILINE)


def main(folder: Path, extra: str = "") -> None:
    """Make the environment if there is none, and install Reelmill in it. Exits with what to do if that fails."""
    make(folder)
    install(folder, extra)


def make(folder: Path) -> None:
    """Make an environment with pip, unless there is one. Leaves no half of one behind."""
    python = folder / "bin" / "python"
    if _succeeds(python, "-m", "pip", "--version"):
        return
    if not _has_ensurepip():
        sys.exit(_without_ensurepip())
    print(f"making {folder} with Python {sys.version.split()[0]} ({sys.executable})", flush=True)
    # One that lacks nothing but pip was left behind by `python -m venv` where ensurepip was missing, or has no use for pip.
    if _succeeds(python, "-m", "ensurepip"):
        return
    result = subprocess.run([sys.executable, "-m", "venv", "--clear", folder], capture_output=True, text=True, check=False)
    if result.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit(f"{folder} cannot be made: {(result.stderr or result.stdout).strip()}")


def install(folder: Path, extra: str) -> None:
    """Install Reelmill with an extra, or none, from this checkout, and show progress meanwhile."""
    begin, log = time.monotonic(), folder / "install.log"
    what = f"Reelmill and its {extra} tools" if extra else "Reelmill"
    print(f"installing {what} in {folder}; details: {log}", flush=True)
    command = [str(folder / "bin" / "python"), *_PIP, *_INSTALL, f"{_CHECKOUT}[{extra}]" if extra else str(_CHECKOUT)]
    before = _count(folder)
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as pip:
        line = _Line()
        while pip.poll() is None:
            line.show(progress(log.read_text(errors="replace"), _count(folder) - before))
            time.sleep(_POLL_SECONDS)
        line.end()
    if pip.returncode:
        sys.exit(_failure(log))
    print(f"installed {what}: {_count(folder)} packages, {time.monotonic() - begin:.0f} s", flush=True)


def progress(output: str, installed: int) -> str:
    """Return what pip is doing, as its output tells, and the number of packages that it has installed."""
    total = _INSTALLED_NOW.findall(output)
    if total:
        count = len(total[-1].split(", "))
        return f"  installing packages: {min(installed, count)} of {count}"
    names = [collected or processed for collected, processed in _WANTED.findall(output)]
    if not names:
        return "  preparing"
    megabytes = sum(float(size) * (1 if unit == "M" else 0.001) for size, unit in _SIZES.findall(output))
    return f"  fetching packages: {len(set(names))} so far, {megabytes:.0f} MB, now {names[-1]}"


class _Line:
    """A line that is written over in a terminal; elsewhere, a line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._shown, self._time = "", 0.0

    def show(self, text: str) -> None:
        """Show a text in place of the last one."""
        if self._terminal:
            text = text[: shutil.get_terminal_size().columns - 1]
            print(f"\r{text:<{len(self._shown)}}", end="", flush=True)
            self._shown = text
        elif self._is_due(text):
            print(text, flush=True)
            self._shown, self._time = text, time.monotonic()

    def _is_due(self, text: str) -> bool:
        stage = text.partition(":")[0]
        return stage != self._shown.partition(":")[0] or time.monotonic() - self._time > _LINE_SECONDS

    def end(self) -> None:
        """Remove it from a terminal."""
        if self._terminal:
            print(f"\r{'':<{len(self._shown)}}\r", end="", flush=True)


def _count(folder: Path) -> int:
    """Return the number of packages in an environment."""
    return sum(1 for _ in folder.glob("lib/python*/site-packages/*.dist-info"))


def _succeeds(*command: Path | str) -> bool:
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False


def _has_ensurepip() -> bool:
    try:
        import ensurepip

        return bool(ensurepip.version())
    except Exception:  # Debian takes the module out, others its wheels
        return False


def _without_ensurepip() -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (
        f"Python {version} ({sys.executable}) cannot make environments: its module ensurepip is missing.\n"
        f"Install it, then run this again. Debian, Ubuntu: apt install python{version}-venv"
    )


def _failure(log: Path) -> str:
    errors = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("ERROR")]
    return "\n".join([*errors[-3:], f"pip failed; all it said is in {log}. Run the same command to go on"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
