"""Name tasks on pages after their sources, which lists do not have."""

from collections import OrderedDict

_MOST = 20_000


class Titles:
    """The titles of the tasks that were shown lately."""

    def __init__(self) -> None:
        self._titles: OrderedDict[str, str] = OrderedDict()

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._titles

    def get(self, task_id: str) -> str:
        """Return the title of a task; "" if it is not known."""
        return self._titles.get(task_id, "")

    def keep(self, task_id: str, title: str) -> None:
        """Keep a title; the oldest are dropped."""
        self._titles[task_id] = title
        while len(self._titles) > _MOST:
            self._titles.popitem(last=False)
