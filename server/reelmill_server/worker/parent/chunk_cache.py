"""Find the chunks that another task kept: a retry of the same request need not encode them again."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import TypeAdapter

from reelmill_server.errors import OutputInvalid, ReelmillError, ResourceNotFound
from reelmill_server.model.chunked_plan import KeptFile
from reelmill_server.model.units import Split
from reelmill_server.storage.base import Check
from reelmill_server.storage.shared_scratch import SharedScratch
from reelmill_server.worker.parent.early_upload import is_beneath

_MANIFEST = "chunk.json"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class KeptChunk:
    """Files of a chunk in shared scratch, and warnings for the user."""

    files: tuple[KeptFile, ...]
    warnings: tuple[str, ...] = ()


_CHUNK: TypeAdapter[KeptChunk] = TypeAdapter(KeptChunk)


class ChunkCache:
    """One chunk of a split, which is the same in two tasks if plan, split, libraries and sources are."""

    def __init__(self, shared: SharedScratch, split: Split, number: int) -> None:
        self._shared, self._name = shared, f"chunk-{split.digest}-{number}"

    async def store(self, task_id: str, chunk: KeptChunk, directory: Path, check: Check) -> None:
        """Note what a task kept; `check` as in SharedScratch. A failure is logged and not raised."""
        manifest = directory / _MANIFEST
        try:
            await asyncio.to_thread(manifest.write_bytes, _CHUNK.dump_json(chunk))
            await self._shared.keep(task_id, self._name, {_MANIFEST: manifest}, check)
        except (ReelmillError, OSError) as error:
            _log.warning("chunk not noted", reason=str(error))

    async def load(self, task_id: str, directory: Path) -> KeptChunk | None:
        """Fetch the files of a chunk that a task kept to a directory; None if it kept none, or they are gone."""
        try:
            await self._shared.fetch(task_id, self._name, _MANIFEST, directory / _MANIFEST)
            chunk = _CHUNK.validate_json(await asyncio.to_thread((directory / _MANIFEST).read_bytes))
            for part in chunk.files:
                if not is_beneath(directory, part.file.path) or not self._shared.holds(task_id, part.uri):
                    raise OutputInvalid(f"the list of a kept chunk names {part.uri[:200]!r}, which is not a file of its task")
                path = directory / part.file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                await self._shared.download(part.uri, path)
                if path.stat().st_size != part.file.size_bytes:
                    raise ResourceNotFound(f"{part.uri} is not whole")
        except ResourceNotFound:
            return None
        except (ReelmillError, ValueError, OSError) as error:
            _log.warning("kept chunk unusable", reason=str(error))
            return None
        _log.info("kept chunk reused", retry_of=task_id)
        return chunk
