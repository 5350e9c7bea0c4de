"""A storm of tasks on a card that comes and goes: `make drivers`."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.drivers import build
from tests.drivers.storm import Storm, machine


def main() -> int:
    """Print what became of the tasks; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.drivers", description=__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    told = parser.parse_args()
    print(f"{told.tasks} tasks, seed {told.seed}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        driver = build(folder / "driver")
        with machine(folder, driver) as server:
            verdict = Storm(server, driver, folder / "files", told.seed).run(told.tasks)
    print("encoded by", dict(verdict.encoders))
    print("faults:", dict(verdict.faults))
    print(f"the card came back and was used again {verdict.returns} times")
    print(*(f"WRONG: {text}" for text in verdict.wrong), sep="\n")
    return bool(verdict.wrong)


if __name__ == "__main__":
    sys.exit(main())
