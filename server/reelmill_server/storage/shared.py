"""Shared scratch: where workers hand files to each other, below one URI, task by task, in the service's own name."""

from collections.abc import Mapping
from pathlib import Path

from reelmill_server.storage.base import ObjectReader, Storage, Upload


class SharedScratch:
    """Files of tasks that are still at work. What a task left is erased when it has ended."""

    def __init__(self, storage: Storage, root: str) -> None:
        """`root`: the URI below which everything lies."""
        self._storage, self._root = storage, root.rstrip("/")

    async def keep(self, task_id: str, attempt: str, files: Mapping[str, Path]) -> dict[str, str]:
        """Puts files, by name, where other workers find them; gives their URIs. `attempt` keeps attempts apart.

        Raises what `Storage.publish` raises.
        """
        uris = {name: f"{self._folder(task_id)}{attempt}/{name}" for name in files}
        await self._storage.publish([Upload(path, uris[name]) for name, path in files.items()], f"{task_id}.{attempt}")
        return uris

    async def open(self, uri: str) -> ObjectReader:
        """As `Backend.open`."""
        return await self._storage.open(uri)

    async def erase(self, task_id: str) -> None:
        """Removes everything of a task, be it ready or half sent."""
        await self._storage.erase(self._folder(task_id))

    def _folder(self, task_id: str) -> str:
        return f"{self._root}/{task_id}/"
