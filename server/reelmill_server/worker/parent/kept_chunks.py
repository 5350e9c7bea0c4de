"""Keep the files of encoded chunks in shared scratch, for the join and for a retried task."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reelmill_server.errors import InternalError, ServiceUnavailable
from reelmill_server.model.chunked_plan import KeptFile
from reelmill_server.model.request import ConvertRequest
from reelmill_server.model.units import Split, UnitFile
from reelmill_server.storage.shared_scratch import SharedScratch
from reelmill_server.worker.parent.chunk_cache import ChunkCache, KeptChunk
from reelmill_server.worker.parent.early_upload import check_own, inside
from reelmill_server.worker.parent.publish_guard import PublishGuard
from reelmill_server.worker.parent.workspace import Scratch


@dataclass(frozen=True)
class Chunk:
    """An encoded chunk of a task, whose files are in a directory."""

    task_id: str
    split: Split
    number: int
    directory: Path


class KeptChunks:
    """Keeps chunks, and finds those that were kept."""

    def __init__(self, shared: SharedScratch | None, scratch: Scratch) -> None:
        """`shared`: None on a worker without shared scratch, which keeps and finds nothing."""
        self._shared, self._scratch = shared, scratch

    async def keep(
        self, chunk: Chunk, files: Sequence[UnitFile], warnings: tuple[str, ...], guard: PublishGuard
    ) -> tuple[KeptFile, ...]:
        """Copy a chunk's files to shared scratch, as long as the task is still this attempt's; return where they are."""
        if self._shared is None:
            raise InternalError("the worker has no scratch_uri, where parts of tasks are kept")
        paths = {file.path: inside(chunk.directory, file.path) for file in files}
        for path in paths.values():
            check_own(path)
        uris = await self._shared.keep(chunk.task_id, f"{chunk.number}-{uuid.uuid4().hex[:8]}", paths, guard.check)
        kept_files = tuple(KeptFile(file, uris[file.path]) for file in files)
        cache = ChunkCache(self._shared, chunk.split, chunk.number)
        await cache.store(chunk.task_id, KeptChunk(kept_files, warnings), chunk.directory, guard.check)
        return kept_files

    async def from_retried(self, request: ConvertRequest, split: Split, number: int, guard: PublishGuard) -> KeptChunk | None:
        """Return a chunk that the retried task kept, copied to this task's; None if there is none."""
        if self._shared is None or not request.retry_of:
            return None
        async with self._scratch.attempt(request.task_id) as directory:
            chunk_files = await ChunkCache(self._shared, split, number).load(request.retry_of, directory)
            if chunk_files is None:
                return None
            chunk = Chunk(request.task_id, split, number, directory)
            files = tuple(part.file for part in chunk_files.files)
            return replace(chunk_files, files=await self.keep(chunk, files, chunk_files.warnings, guard))

    async def erase(self, task_id: str) -> None:
        """Remove the files that chunks of a task left. Raises ServiceUnavailable where nothing could have been kept."""
        if self._shared is None:
            raise ServiceUnavailable("this worker has no scratch_uri")
        await self._shared.erase(task_id)
