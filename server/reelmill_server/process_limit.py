"""The limit of processes and threads of this process's cgroups, as containers and systemd set it."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from reelmill_server import cgroups

NO_LIMIT = 1 << 30


def free(groups: tuple[Path, ...] | None = None) -> int:
    """Return how many more processes and threads may start; NO_LIMIT where nothing limits them."""
    return min(_left(_groups() if groups is None else groups), default=NO_LIMIT)


def refused(groups: tuple[Path, ...] | None = None) -> int:
    """Return how often one was not started because of such a limit, here or elsewhere in these groups."""
    return sum(map(_refused_in, _groups() if groups is None else groups))


def _left(groups: tuple[Path, ...]) -> Iterator[int]:
    for group in groups:
        with suppress(OSError, ValueError):  # ValueError: "max"
            yield int((group / "pids.max").read_text()) - int((group / "pids.current").read_text())


def _refused_in(group: Path) -> int:
    with suppress(OSError, ValueError):
        return sum(
            int(count) for name, count in map(str.split, (group / "pids.events").read_text().splitlines()) if name == "max"
        )
    return 0


@cache
def _groups() -> tuple[Path, ...]:
    return cgroups.directories("pids")
