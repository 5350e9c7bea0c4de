"""Keep the verified results of an attempt until they are published, so that a later attempt need not produce them again."""

import asyncio
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import structlog
from pydantic import TypeAdapter

from reelmill_server.checksums import checksum
from reelmill_server.errors import OutputInvalid, ReelmillError, ResourceNotFound
from reelmill_server.model.plain import plain
from reelmill_server.model.plan import Plan
from reelmill_server.storage.base import Check
from reelmill_server.storage.shared_scratch import SharedScratch
from reelmill_server.worker import messages
from reelmill_server.worker.parent.early_upload import inside, is_beneath

_MANIFEST = "manifest.json"
_FINISHED: TypeAdapter[messages.Finished] = TypeAdapter(messages.Finished)
_log = structlog.get_logger(__name__)


class ResultCache:
    """The results of attempts at one assignment's task."""

    def __init__(self, shared: SharedScratch, assignment: messages.Assignment) -> None:
        assert assignment.request
        self._shared, self._task_id, self._retry_of = shared, assignment.request.task_id, assignment.request.retry_of
        self._sources = (assignment.modified_us, [ref.size_bytes for ref in assignment.sources])
        self._directory = Path(assignment.directory)

    async def store(self, plan: Plan, finished: messages.Finished, check: Check) -> None:
        """Store the results; `check` as in SharedScratch. A failure to store is logged and not raised."""
        if (self._directory / _MANIFEST).exists():
            return  # it was fetched
        manifest = self._directory / _MANIFEST
        names = dict.fromkeys(name for result in finished.made for name in (*result.parts, result.path))
        files = {name: inside(self._directory, name) for name in names}
        try:
            await asyncio.to_thread(manifest.write_bytes, _FINISHED.dump_json(finished))
            # The list comes last: whoever finds it finds all.
            await self._shared.keep(self._task_id, self._name(plan), {**files, _MANIFEST: manifest}, check)
        except (ReelmillError, OSError) as error:
            _log.warning("results not cached", reason=str(error))

    async def load(self, plan: Plan) -> messages.Finished | None:
        """Fetch the results of the same plan and the same sources, of this task or of the one that it retries, to the
        assignment's directory; None if there are none.
        """
        for task_id in filter(None, (self._task_id, self._retry_of)):
            finished = await self._load(plan, task_id)
            if finished is not None:
                return finished
        return None

    async def _load(self, plan: Plan, task_id: str) -> messages.Finished | None:
        try:
            manifest = await self._fetch(task_id, plan, _MANIFEST)
            finished = _FINISHED.validate_json(await asyncio.to_thread(manifest.read_bytes))
            for name in dict.fromkeys(name for result in finished.made for name in (*result.parts, result.path)):
                await self._fetch(task_id, plan, name)
            await asyncio.to_thread(_check_content, self._directory, finished)
        except (ReelmillError, ValueError, OSError) as error:
            if not isinstance(error, ResourceNotFound):
                _log.warning("cached results unusable", reason=str(error))
            (self._directory / _MANIFEST).unlink(missing_ok=True)
            return None
        _log.info("cached results reused")
        return replace(finished, stage_seconds={})

    async def _fetch(self, task_id: str, plan: Plan, name: str) -> Path:
        if not is_beneath(self._directory, name):
            raise OutputInvalid(f"the list of cached results names {name[:100]!r}, which is not one of their files")
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        await self._shared.fetch(task_id, self._name(plan), name, path)
        return path

    def _name(self, plan: Plan) -> str:
        text = json.dumps([plain(plan), self._sources], sort_keys=True)
        return f"made-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _check_content(directory: Path, finished: messages.Finished) -> None:
    """Raise OutputInvalid unless the files are those that were verified: of the same size and digest."""
    for result in finished.made:
        known = result.artifact
        contents = [
            (checksum([directory / result.path]), (known.size_bytes, known.sha256)),
            (checksum([directory / part for part in result.parts]), (known.segments_size_bytes, known.segments_sha256)),
        ]
        if any(expected[1] and read != expected for read, expected in contents):
            raise OutputInvalid(f"{result.path} is not the file that was verified")
