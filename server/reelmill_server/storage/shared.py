"""Shared scratch: where workers hand files to each other, below one URI, task by task, in the service's own name."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from reelmill_server.storage.base import Check, ObjectReader, Storage, Upload
from reelmill_server.storage.publishing import Alone

_BLOCK_BYTES = 8 << 20


class SharedScratch:
    """Files of tasks that are still at work. What a task left is erased when it has ended."""

    def __init__(self, storage: Storage, root: str) -> None:
        """`root`: the URI below which everything lies."""
        self._storage, self._root = storage, root.rstrip("/")

    async def keep(self, task_id: str, attempt: str, files: Mapping[str, Path], check: Check) -> dict[str, str]:
        """Puts files, by name, where other workers find them; gives their URIs. `attempt` keeps attempts apart; `check`, asked
        before each file appears, raises when the task has no more use for it.

        Raises what `Storage.publish` and `check` raise.
        """
        uris = {name: self._uri(task_id, attempt, name) for name in files}
        uploads = [Upload(path, uris[name]) for name, path in files.items()]
        await self._storage.publish(uploads, f"{task_id}.{attempt}", Alone(check))
        return uris

    async def open(self, uri: str) -> ObjectReader:
        """As `Backend.open`."""
        return await self._storage.open(uri)

    async def fetch(self, task_id: str, attempt: str, name: str, path: Path) -> None:
        """Brings a file that was kept to `path`. Raises ResourceNotFound when there is none, and what reading raises."""
        reader = await self._storage.open(self._uri(task_id, attempt, name))
        try:
            with path.open("wb") as file:
                for offset in range(0, reader.size_bytes, _BLOCK_BYTES):
                    block = await reader.read(offset, _BLOCK_BYTES)
                    await asyncio.to_thread(file.write, block)
        finally:
            await reader.close()

    async def erase(self, task_id: str) -> None:
        """Removes everything of a task, be it ready or half sent."""
        await self._storage.erase(self._folder(task_id))

    def _uri(self, task_id: str, attempt: str, name: str) -> str:
        return f"{self._folder(task_id)}{attempt}/{name}"

    def _folder(self, task_id: str) -> str:
        return f"{self._root}/{task_id}/"
