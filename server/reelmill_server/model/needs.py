"""What a task turned out to need once its sources were looked at, as plain data."""

from dataclasses import dataclass

from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.cost import Cost

FAST = "fast"
"""The lane in which every task begins: its sources are looked at, and what is small is done at once."""


@dataclass(frozen=True)
class Needs:
    """What a task that is not small waits for.

    `lanes` are encoder families, the preferred first; without `software` at the end an accelerator is required. `sessions`:
    streams that it would encode on an accelerator. `objection`: why the worker that looked could not do it, empty: it could.
    """

    cost: Cost
    lanes: tuple[str, ...] = (SOFTWARE,)
    sessions: int = 0
    objection: str = ""


class Deferred(Exception):
    """A task that was looked at is not small: it waits for what it `needs`."""

    def __init__(self, needs: Needs) -> None:
        super().__init__("the task is not small")
        self.needs = needs
