"""Keep what came of samples in shared scratch: a retry of the same request need not encode them again."""

import asyncio
import hashlib
from collections.abc import Sequence

import structlog
from pydantic import TypeAdapter

from reelmill_server.errors import ReelmillError, ResourceNotFound
from reelmill_server.model.sample import SampleScores, Trial
from reelmill_server.model.units import Split
from reelmill_server.storage.base import Check
from reelmill_server.storage.shared_scratch import SharedScratch
from reelmill_server.worker.parent.workspace import Scratch

_FILE = "tried.json"
_TRIALS: TypeAdapter[tuple[Trial, ...]] = TypeAdapter(tuple[Trial, ...])
_TRIED: TypeAdapter[tuple[SampleScores, ...]] = TypeAdapter(tuple[SampleScores, ...])
_log = structlog.get_logger(__name__)


class SampleCache:
    """Some trials of a plan that is cut, which are the same in two tasks if plan, split, libraries and sources are."""

    def __init__(self, shared: SharedScratch, scratch: Scratch, split: Split, trials: Sequence[Trial]) -> None:
        digest = hashlib.sha256(_TRIALS.dump_json(tuple(trials))).hexdigest()[:32]
        self._shared, self._scratch, self._name = shared, scratch, f"samples-{split.digest}-{digest}"

    async def store(self, task_id: str, tried: tuple[SampleScores, ...], check: Check) -> None:
        """Keep results for a task; `check` as in SharedScratch. A failure is logged and not raised."""
        try:
            async with self._scratch.attempt(task_id) as directory:
                path = directory / _FILE
                await asyncio.to_thread(path.write_bytes, _TRIED.dump_json(tried))
                await self._shared.keep(task_id, self._name, {_FILE: path}, check)
        except (ReelmillError, OSError) as error:
            _log.warning("samples not kept", reason=str(error))

    async def load(self, task_id: str) -> tuple[SampleScores, ...] | None:
        """Return the results that a task kept; None if it kept none, or they cannot be read."""
        try:
            async with self._scratch.attempt(task_id) as directory:
                await self._shared.fetch(task_id, self._name, _FILE, directory / _FILE)
                return _TRIED.validate_json(await asyncio.to_thread((directory / _FILE).read_bytes))
        except ResourceNotFound:
            return None
        except (ReelmillError, ValueError, OSError) as error:
            _log.warning("kept samples unusable", reason=str(error))
            return None
