"""Links to the files of tasks, for an hour more than a file plays: signed, so that they hold after a restart, and on replicas
that share a key.
"""

import hmac
import os
import secrets
import time
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from reelmill.v1 import task_pb2
from reelmill_server.api.console.task_files import TaskFiles, files_of

SECONDS = 3600
"""How long a link holds, besides the time that its file plays."""
_MOST_MEDIA_SECONDS = 86400
_KEPT = 2000
_FILE = "console.key"
_KEY_BYTES = 32

Load = Callable[[str], Awaitable[task_pb2.Task | None]]


class Links:
    """Makes links, and finds the files of the task that one is about."""

    def __init__(self, key: bytes, load: Load, clock: Callable[[], float] = time.time) -> None:
        """Sign with `key`; `load` returns a task by its id, whoever may see it."""
        self._key, self._load, self._clock = key, load, clock
        self._files: OrderedDict[str, TaskFiles] = OrderedDict()

    def make(self, task_id: str, media_seconds: float = 0) -> str:
        """Return the part of links that signs them; they hold for an hour more than `media_seconds`, of which a day counts."""
        until = int(self._clock() + SECONDS + min(max(0, media_seconds), _MOST_MEDIA_SECONDS))
        return f"{until}.{task_id}.{self._signature(until, task_id)}"

    async def find(self, link: str) -> TaskFiles | None:
        """Return the files that a link is about; None: it holds no more, or never did."""
        until, _, rest = link.partition(".")
        task_id, _, signature = rest.rpartition(".")
        if not (until.isascii() and until.isdecimal() and len(until) < 12 and signature.isascii()):
            return None
        if not hmac.compare_digest(signature, self._signature(int(until), task_id)) or int(until) <= self._clock():
            return None
        files = self._files.get(link)
        if files is None:
            task = await self._load(task_id)
            if task is None:
                return None
            files = self._files.setdefault(link, files_of(task))
            while len(self._files) > _KEPT:
                self._files.popitem(last=False)
        return files

    def _signature(self, until: int, task_id: str) -> str:
        text = f"console media\n{until}\n{task_id}".encode("utf-8", "surrogateescape")
        return urlsafe_b64encode(hmac.digest(self._key, text, "sha256")[:24]).decode()


def end_of(link: str) -> datetime:
    """Return until when a link holds that was made here."""
    return datetime.fromtimestamp(int(link.partition(".")[0]), UTC)


def key_of(secret: str, folder: Path) -> bytes:
    """Return the key of a secret; without one, the key that `folder` keeps, which is made the first time."""
    if secret:
        return sha256(secret.encode()).digest()
    kept = folder / _FILE
    if kept.exists() and kept.stat().st_size < _KEY_BYTES:
        kept.unlink()  # a loss of power may leave less of it, or nothing: anybody could sign with that
    if not kept.exists():
        draft = folder / f"{_FILE}.{secrets.token_hex(8)}"
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was faster
            os.link(draft, kept)
        draft.unlink()
    return kept.read_bytes()
