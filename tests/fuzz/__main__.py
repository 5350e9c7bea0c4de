"""Break files and read them: `python -m tests.fuzz [--cases N] [--seed N] [--seconds N]`; `--replay FILE …` reads kept ones.

A case is a number: with the same seed it breaks the same file in the same way and does the same with it. Each action runs in a
child of the worker's own. A case is wrong if a child dies or takes longer than its limit, or if its error blames the service;
its file is kept in `--keep`, named by the action, the seed, the case and the file that was broken.
"""

import argparse
import asyncio
import logging
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import structlog

from reelmill_server.worker.parent import child_process
from tests.fuzz.mutations import mutate
from tests.fuzz.reading import ACTIONS, Reader, Verdict
from tests.fuzz.seeds import write_seeds

_KEEP = Path(".reelmill/fuzz")
_LINE_CASES = 1000


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--seconds", type=float, default=0, help="begin no case later than this (0: no limit)")
    parser.add_argument("--keep", type=Path, default=_KEEP, help="folder for the files that went wrong")
    parser.add_argument("--replay", type=Path, nargs="+", help="files that were kept, to be read again")
    return parser.parse_args()


class Fuzz:
    """A run: its cases, what came out, and what is kept."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._folder, self._options = folder, options
        self._end = time.monotonic() + (options.seconds or float("inf"))
        self._jobs = os.cpu_count() or 2
        self._reader = Reader(folder, self._jobs)
        self.codes: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def replay(self) -> None:
        """Read the kept files as they were read, or in all ways."""
        await self._reader.prepare()
        for kept in self._options.replay:
            path = self._folder / kept.name
            path.write_bytes(kept.read_bytes())
            for action in [action for action in ACTIONS if kept.name.startswith(f"{action}-")] or ACTIONS:
                self._note(await self._reader.read(path, action), kept.name)

    async def run(self) -> None:
        """Run all cases, several at a time."""
        await self._reader.prepare()
        self._seeds = list(write_seeds(self._folder).items())
        print(f"{len(self._seeds)} files to break, seed {self._options.seed}", flush=True)
        self._numbers = iter(range(self._options.cases))
        await asyncio.gather(*(self._work() for _ in range(self._jobs)))

    async def _work(self) -> None:
        for number in self._numbers:
            if time.monotonic() > self._end:
                return
            await self._case(number)
            if number and number % _LINE_CASES == 0:
                print(f"{number} cases, {len(self.wrong)} wrong", flush=True)

    async def _case(self, number: int) -> None:
        chance = random.Random(f"{self._options.seed}-{number}")
        name, content = self._seeds[number % len(self._seeds)]
        action = ACTIONS[number // len(self._seeds) % len(ACTIONS)]
        broken = mutate(content, chance.choice(self._seeds)[1], chance)
        path = self._folder / f"{action}-{self._options.seed}-{number}-{name}"
        path.write_bytes(broken)
        self._note(await self._reader.read(path, action), path.name)
        if self.wrong and self.wrong[-1].startswith(path.name):
            self._options.keep.mkdir(parents=True, exist_ok=True)
            (self._options.keep / path.name).write_bytes(broken)
        path.unlink()

    def _note(self, verdict: Verdict, name: str) -> None:
        self.codes[f"{verdict.action}: {verdict.code or 'done'}"] += 1
        if verdict.wrong:
            self.wrong.append(f"{name}: {verdict.code} {verdict.wrong}")
            print(f"WRONG {self.wrong[-1]}", flush=True)


def main() -> int:
    """Run, say what came out, and return how many cases were wrong, 1 at most."""
    options = parse()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # tens of lines a case
    child_process.preload()
    with tempfile.TemporaryDirectory(prefix="reelmill-fuzz-") as name:
        fuzz = Fuzz(Path(name), options)
        begun = time.monotonic()
        asyncio.run(fuzz.replay() if options.replay else fuzz.run())
    count = fuzz.codes.total()
    print("\n".join(f"  {number:6} {code}" for code, number in sorted(fuzz.codes.items())))
    print(f"{count} cases in {time.monotonic() - begun:.0f} s, {len(fuzz.wrong)} wrong")
    if fuzz.wrong and not options.replay:
        print(f"kept in {options.keep}; again: python -m tests.fuzz --replay {options.keep}/*")
    return min(len(fuzz.wrong), 1)


if __name__ == "__main__":
    sys.exit(main())
