"""What an attempt has made and verified is kept until it is published: whoever repeats the attempt need not make it again."""

import asyncio
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import structlog
from pydantic import TypeAdapter

from reelmill_server.errors import ReelmillError, ResourceNotFound
from reelmill_server.model.plain import plain
from reelmill_server.model.plan import Plan
from reelmill_server.storage.base import Check
from reelmill_server.storage.shared_scratch import SharedScratch
from reelmill_server.worker import messages
from reelmill_server.worker.parent.early_upload import inside

_MANIFEST = "manifest.json"
_FINISHED: TypeAdapter[messages.Finished] = TypeAdapter(messages.Finished)
_log = structlog.get_logger(__name__)


class Made:
    """What attempts of one assignment's task have made."""

    def __init__(self, shared: SharedScratch, assignment: messages.Assignment) -> None:
        assert assignment.request
        self._shared, self._task_id = shared, assignment.request.task_id
        self._sources = (assignment.modified_us, [ref.size_bytes for ref in assignment.sources])
        self._directory = Path(assignment.directory)

    async def keep(self, plan: Plan, finished: messages.Finished, check: Check) -> None:
        """Keeps what was made; `check` as in SharedScratch. If it cannot be kept, that is a pity, and no failure."""
        if (self._directory / _MANIFEST).exists():
            return  # it was fetched
        manifest = self._directory / _MANIFEST
        manifest.write_bytes(_FINISHED.dump_json(finished))
        names = dict.fromkeys(name for made in finished.made for name in (*made.parts, made.path))
        files = {name: inside(self._directory, name) for name in names}
        try:
            # The list comes last: whoever finds it finds all.
            await self._shared.keep(self._task_id, self._name(plan), {**files, _MANIFEST: manifest}, check)
        except ReelmillError as error:
            _log.warning("what was made is not kept", code=error.code, reason=error.message)

    async def fetched(self, plan: Plan) -> messages.Finished | None:
        """What was made by the same plan of the same sources, brought to the assignment's directory; None: nothing was."""
        try:
            manifest = await self._fetch(plan, _MANIFEST)
            finished = _FINISHED.validate_json(await asyncio.to_thread(manifest.read_bytes))
            for name in dict.fromkeys(name for made in finished.made for name in (*made.parts, made.path)):
                await self._fetch(plan, name)
        except ResourceNotFound:
            return None
        except (ReelmillError, ValueError) as error:
            _log.warning("what an earlier attempt made cannot be used", reason=str(error))
            (self._directory / _MANIFEST).unlink(missing_ok=True)
            return None
        _log.info("what an earlier attempt made is published")
        return replace(finished, stage_seconds={})

    async def _fetch(self, plan: Plan, name: str) -> Path:
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        await self._shared.fetch(self._task_id, self._name(plan), name, path)
        return path

    def _name(self, plan: Plan) -> str:
        text = json.dumps([plain(plan), self._sources], sort_keys=True)
        return f"made-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
