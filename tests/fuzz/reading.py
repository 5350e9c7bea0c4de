"""Read one broken file as the service does, in real children, and judge how that ended."""

import asyncio
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from reelmill_server.errors import (
    EncoderCrashed,
    InternalError,
    OutputInvalid,
    ReelmillError,
    ServiceUnavailable,
    Stalled,
    Timeout,
)
from reelmill_server.model.capability import Limits
from reelmill_server.model.image_request import ImageKind, ImageSpec
from reelmill_server.model.request import AudioSpec, ConvertRequest, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.storage.file import FileStorage
from reelmill_server.storage.registry import Registry
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker.parent.admission import Admission, Budget
from reelmill_server.worker.parent.attempt import Attempts
from reelmill_server.worker.parent.capabilities import Capabilities
from reelmill_server.worker.parent.stall_watch import Bounds
from reelmill_server.worker.parent.workspace import Scratch
from tests.claims import FakeClaim

ACTIONS = ("probe", "plan", "snapshot", "encode", "copy", "cut")
LIMITS = Limits(max_pixels=4_000_000, max_streams=16, max_output_frames=2_000, max_memory_bytes=2 << 30)
"""A broken number must not ask for more than a small clip has any use for."""
_SECONDS = 60.0
_ORDER = ("software",)
_CUT_US = 200_000
# What no file may bring about, whatever is in it: these blame the service, or wait for a limit of time.
_WRONG = (EncoderCrashed, InternalError, OutputInvalid, ServiceUnavailable, Stalled, Timeout)


@dataclass(frozen=True)
class Verdict:
    """How an action on a file ended: `code` of the error, "" for none; `wrong` says what is wrong with that, "" for nothing."""

    action: str
    code: str
    wrong: str = ""


class Reader:
    """Reads files with a worker's own code."""

    def __init__(self, folder: Path, jobs: int) -> None:
        """`folder` gets the scratch and the outputs; `jobs` files are read at a time."""
        self._folder = folder
        self._capabilities = Capabilities(LIMITS, _ORDER, {}, 300)
        self._attempts = Attempts(
            "fuzz",
            storage=Registry({"file": FileStorage([folder])}),
            scratch=Scratch(folder / "scratch"),
            capabilities=self._capabilities,
            admission=Admission(Budget(jobs, float(jobs)), self._capabilities.has_sessions),
            bounds=Bounds(LIMITS, _SECONDS, _SECONDS, 0, _ORDER, fast_core_seconds=1e9, look_seconds=_SECONDS),
            metrics=Metrics(),
        )
        self._free = asyncio.Semaphore(jobs)

    async def prepare(self) -> None:
        """Try the encoders, as a worker does when it starts."""
        await self._capabilities.discover()

    async def read(self, path: Path, action: str) -> Verdict:
        """Return how `action` on a file ended."""
        async with self._free:
            try:
                await self._act(path, action)
            except ReelmillError as error:
                return Verdict(action, error.code, self._objection(error))
            except Exception as error:
                return Verdict(action, "", f"{type(error).__name__}: {error}")
        return Verdict(action, "")

    async def _act(self, path: Path, action: str) -> None:
        out = self._folder / f"out-{path.stem}"
        source = SourceSpec(path.as_uri(), start_us=_CUT_US if action == "cut" else 0)
        request = ConvertRequest(path.stem, "fuzz", (source,), (_target(action, out.as_uri()),))
        if action in ("probe", "plan"):
            await self._attempts.inspect(action, request)
            return
        try:
            await self._attempts.convert(request, report=lambda progress: None, claim=FakeClaim())
        finally:
            for result in self._folder.glob(f"{out.name}*"):
                result.unlink()

    def _objection(self, error: ReelmillError) -> str:
        if isinstance(error, _WRONG):
            return error.message
        if not error.message or str(self._folder / "scratch") in error.message or "Traceback" in error.message:
            return f"a poor message: {error.message!r}"
        return ""


def _target(action: str, uri: str) -> TargetSpec:
    """Return a snapshot of the first second, or everything encoded once, or copied; a probe needs none."""
    if action in ("copy", "cut"):
        return TargetSpec(0, uri, "mkv" if action == "copy" else "mp4", VideoSpec(), AudioSpec())
    if action == "encode":
        video = VideoSpec("h264", preset="ultrafast", width=64, height=48, frame_rate=Fraction(10))
        return TargetSpec(0, uri, "mkv", video, AudioSpec("aac"))
    snapshot = ImageSpec(ImageKind.SNAPSHOT, 0, f"{uri}-{{index}}", "jpg")
    return replace(TargetSpec(0, "", "", None, None), images=(snapshot,))
