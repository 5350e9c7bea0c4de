"""Shared scratch: files that workers exchange, below one URI, by task, with the service's own identity."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from reelmill_server.storage.base import Check, ObjectReader, Storage, Upload
from reelmill_server.storage.publication import ExclusiveGuard

_BLOCK_BYTES = 8 << 20


class SharedScratch:
    """Files of unfinished tasks. Those of a task are erased when it has ended, some time later if it can be retried."""

    def __init__(self, storage: Storage, root: str) -> None:
        """Use the scratch below the URI `root`."""
        self._storage, self._root = storage, root.rstrip("/")

    async def keep(self, task_id: str, attempt: str, files: Mapping[str, Path], check: Check) -> dict[str, str]:
        """Store files, by name, for other workers and return their URIs.

        `attempt` keeps attempts apart; `check` runs before each file is published, and raises an error if the task no longer
        needs it. Raises the errors of `Storage.publish` and `check`.
        """
        uris = {name: self._uri(task_id, attempt, name) for name in files}
        uploads = [Upload(path, uris[name]) for name, path in files.items()]
        await self._storage.publish(uploads, f"{task_id}.{attempt}", ExclusiveGuard(check))
        return uris

    async def open(self, uri: str) -> ObjectReader:
        return await self._storage.open(uri)

    def holds(self, task_id: str, uri: str) -> bool:
        """Return whether a URI is that of a file of a task, as `keep` returns them."""
        return uri.startswith(self._folder(task_id)) and not {".", ".."} & set(unquote(uri).split("/"))

    async def fetch(self, task_id: str, attempt: str, name: str, path: Path) -> None:
        """Download a stored file to `path`. Raises as `download`."""
        await self.download(self._uri(task_id, attempt, name), path)

    async def download(self, uri: str, path: Path) -> None:
        """Download a file of shared scratch to `path`. Raises ResourceNotFound if there is none, and the errors of reading."""
        reader = await self._storage.open(uri)
        try:
            with path.open("wb") as file:
                for offset in range(0, reader.size_bytes, _BLOCK_BYTES):
                    block = await reader.read(offset, _BLOCK_BYTES)
                    await asyncio.to_thread(file.write, block)
        finally:
            await reader.close()

    async def erase(self, task_id: str) -> None:
        """Remove everything of a task, complete or not."""
        await self._storage.erase(self._folder(task_id))

    def _uri(self, task_id: str, attempt: str, name: str) -> str:
        return f"{self._folder(task_id)}{attempt}/{name}"

    def _folder(self, task_id: str) -> str:
        return f"{self._root}/{task_id}/"
