"""S3 for a storm: a real store behind a front that fails when it is told to, and that keeps a log of what was placed."""

import logging
import random
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from aiohttp import web

from tests.stores import KEYS, Fault, Front, Moto, as_s3, forward

BUCKET = "films"
_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
# What strikes when the store is shaky, and how often each.
_SHAKY = (
    *(Fault(kind, method, times=4) for method in ("GET", "PUT", "POST") for kind in ("503", "cut")),
    *(Fault("lost", method, times=3) for method in ("PUT", "POST", "DELETE")),
    Fault("short", "GET", times=4),
    Fault("damaged", "PUT", times=2),
    Fault("slow", "PUT", times=2),
)


@dataclass(frozen=True)
class Change:
    """An object was placed, or removed, at a moment (seconds since the epoch)."""

    key: str
    placed: bool
    at: float


@dataclass
class FaultyStorage:
    """The store. `changes` are those that it carried out, whether or not the answer arrived."""

    changes: list[Change] = field(default_factory=list)
    lost_uploads: set[str] = field(default_factory=set)
    """Keys of multipart uploads that were begun for somebody who was not told their id."""

    def __post_init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else the store logs every request
        self.moto = Moto()
        self.moto.client.create_bucket(Bucket=BUCKET)
        self._forward = forward(self.moto.url, as_s3)
        self._front = Front(self._answer).start()

    @property
    def flags(self) -> tuple[str, ...]:
        """What members must be told."""
        return ("--bucket", f"s3://*=s3://*?endpoint={self._front.url}")

    @property
    def environment(self) -> dict[str, str]:
        """The keys that members use; no folder is shared."""
        return {"REELMILL_FILE_ROOT": "", **{name.upper(): value for name, value in KEYS.items()}}

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        answer = await self._forward(request)
        key = unquote(request.path).removeprefix(f"/{BUCKET}/")
        body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
        placed = (request.method == "PUT" and "partNumber" not in request.query) or (
            request.method == "POST" and "uploadId" in request.query and b"<Error>" not in body
        )
        removed = request.method == "DELETE" and "uploadId" not in request.query
        if answer.status < 300 and (placed or removed):
            self.changes.append(Change(key, placed, time.time()))
        if answer.status < 300 and request.method == "POST" and "uploads" in request.query and self._is_lost():
            self.lost_uploads.add(key)
        return answer

    def _is_lost(self) -> bool:
        return any(fault.kind == "lost" and fault.method == "POST" and fault.seen for fault in self._front.faults)

    def go_away(self) -> None:
        """From now on nothing is answered but that it is not available."""
        self._front.faults[:] = [Fault("503", method, times=0) for method in _METHODS]

    def shake(self, chance: random.Random) -> None:
        """The next requests meet all kinds of trouble, in any order."""
        troubles = [Fault(fault.kind, fault.method, fault.times) for fault in _SHAKY]
        chance.shuffle(troubles)
        self._front.faults[:] = troubles

    def recover(self) -> None:
        """All is well again."""
        self._front.reset()

    def put(self, key: str, path: Path) -> str:
        """Stores a source, past the front; gives its URI."""
        self.moto.client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
        return uri(key)

    def keys(self, prefix: str) -> set[str]:
        """The objects below a prefix."""
        pages = self.moto.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {entry["Key"] for page in pages for entry in page.get("Contents", [])}

    def get(self, key: str) -> bytes:
        """An object."""
        data: bytes = self.moto.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return data

    def uploads(self) -> set[str]:
        """The keys of multipart uploads that were neither completed nor aborted."""
        return {entry["Key"] for entry in self.moto.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])}

    def stop(self) -> None:
        """Ends it."""
        self.moto.stop()


def uri(key: str) -> str:
    """What users call an object."""
    return f"s3://{BUCKET}/{key}"


def key_of(uri_: str) -> str:
    """The object that a URI names."""
    return re.sub(rf"^s3://{BUCKET}/", "", uri_)
