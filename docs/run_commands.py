"""Run the commands in the documentation, as a reader would, and compare what they print with what the page shows.

python docs/run_commands.py [PAGE ...]

All blocks of a page run one after another in one shell, in a copy of the checkout with its environment and an empty home.
`sh` blocks are run as they are; in `console` blocks, lines after `$ ` are run, and what they print must be what follows, where
`…` stands for anything; `python` blocks are programs. A comment above a block says what else is to be done with it:

    <!-- docs-check: not run: it needs Docker -->     nothing, for the reason given
    <!-- docs-check: server -->                       keep it running, as in a terminal of its own, instead of the one before
    <!-- docs-check: if protoc /usr/lib/x -->         run it where these programs and files are
    <!-- docs-check: file request.yaml -->            write it to a file

`yaml`, `json` and other blocks without a comment are left alone.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(
    r"^(?:<!-- docs-check: (?P<how>.*?) -->\n)?(?P<indent> *)```(?P<kind>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL
)
_RUN = ("sh", "console", "python")
_PAGE_SECONDS = 1800
_SHOWN = re.compile(r"^\$ (?P<command>(?:.*\\\n)*.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
# Bash keeps each server in a process group of its own, and waits until its gRPC port is open.
_PRELUDE = """
set -eo pipefail
server=
stop() {
  if [ -n "$server" ]; then kill -TERM -- "-$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  server=
}
trap stop EXIT
is_up() { (exec 3<>/dev/tcp/127.0.0.1/50051) 2>/dev/null; }
serve() {
  stop
  if is_up; then echo "another server listens on port 50051 already"; exit 1; fi
  setsid bash -c "$1" > server.out 2>&1 &
  server=$!
  for _ in $(seq 1500); do  # a machine with much else to do takes minutes
    if is_up; then return; fi
    if ! kill -0 "$server" 2>/dev/null; then break; fi
    sleep 0.2
  done
  cat server.out; echo "no server came up"; exit 1
}
shows() {
  bash -c "$1" > shown.out 2>&1 || { cat shown.out; return 1; }
  python3 "$CHECKER" --compare shown.out "$2"
}
"""


@dataclass(frozen=True)
class Block:
    """A block of a page: where it begins, its language, its text, and the comment above it."""

    line: int
    kind: str
    text: str
    how: str

    @property
    def runs(self) -> bool:
        """Whether something is done with it."""
        return bool(self.how) or self.kind in _RUN


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page."""
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        yield Block(text[: match.start()].count("\n") + 1, match["kind"], match["text"], match["how"] or "")


def script(page: Path) -> str:
    """Return the shell script that does what the page says; empty: there is nothing to do."""
    steps = [step for block in blocks(page) if block.runs for step in _steps(page, block)]
    return "\n".join([_PRELUDE, *steps]) if steps else ""


def _steps(page: Path, block: Block) -> Iterator[str]:
    how, _, argument = block.how.partition(" ")
    if how == "not":
        return
    yield f"echo '== {page.relative_to(ROOT)}:{block.line}'"
    if how == "if":
        missing = [name for name in argument.split() if not (shutil.which(name) or Path(name).exists())]
        yield f"echo 'skipped: there is no {missing[0]}'" if missing else block.text
    elif how == "file":
        yield f"printf %s {shlex.quote(block.text)} > {shlex.quote(argument)}"
    elif how == "server":
        yield f"serve {shlex.quote(block.text)}"
    elif how:
        raise ValueError(f"{page}:{block.line}: unknown: {block.how}")
    elif block.kind == "python":
        yield f".venv/bin/python -c {shlex.quote(block.text)}"
    elif block.kind == "console":
        yield from (
            f"shows {shlex.quote(found['command'])} {shlex.quote(found['output'])}" for found in _SHOWN.finditer(block.text)
        )
    else:
        yield block.text


def differs(printed: str, shown: str) -> bool:
    """Return whether something else was printed than a page shows, in which `…` stands for anything, also of several lines."""
    parts = (re.escape(part.strip("\n")) for part in shown.strip().split("…"))
    return (
        re.fullmatch(r"\s*" + r"(?:.|\n)*?".join(parts) + r"\s*", re.sub(r"[ \t]+$", "", printed, flags=re.MULTILINE)) is None
    )


def run(page: Path) -> bool:
    """Do what a page says; return whether all of it went well."""
    text = script(page)
    if not text:
        return True
    with tempfile.TemporaryDirectory(prefix="docs-check-") as folder:
        home, checkout = Path(folder, "home"), Path(folder, "home", "reelmill")
        _copy(checkout)
        environment = {**os.environ, "HOME": str(home), "CHECKER": __file__, "COLUMNS": "80", "NO_COLOR": "1"}
        # A session of its own: what the page leaves in the background ends with it.
        shell = subprocess.Popen(
            ["bash", "-c", text], cwd=checkout, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            return shell.wait(_PAGE_SECONDS) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)


def _copy(checkout: Path) -> None:
    """Copy the files that git knows or could know, with their times, so that make does not install anything again."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, checkout / name)
    (checkout / ".venv").symlink_to(Path(sys.prefix))


def main(arguments: list[str]) -> None:
    """Run the pages that are named, else all; exit with those that failed."""
    if arguments[:1] == ["--compare"]:
        printed, shown = Path(arguments[1]).read_text(), arguments[2]
        if differs(printed, shown):
            sys.exit(f"printed:\n{printed}\nbut the page shows:\n{shown}")
        return
    pages = [Path(name).resolve() for name in arguments] or sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
    failed = [str(page.relative_to(ROOT)) for page in pages if not run(page)]
    if failed:
        sys.exit(f"not as written: {', '.join(failed)}")
    print("commands: ok")


if __name__ == "__main__":
    main(sys.argv[1:])
