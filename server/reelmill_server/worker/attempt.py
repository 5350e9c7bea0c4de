"""One attempt, from the parent's side: fetch, a child that converts, publish."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from reelmill_server.errors import (
    EncoderCrashed,
    InternalError,
    OutputInvalid,
    ReelmillError,
    Stalled,
    Timeout,
    Violation,
    from_code,
)
from reelmill_server.model.capability import Limits, Report
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.plan import COPY, Plan
from reelmill_server.model.request import ConvertRequest
from reelmill_server.model.task import Artifact, Progress, TaskPhase
from reelmill_server.plan.images import image_uri, writable_image_uris
from reelmill_server.plan.packaging import part_uri, planned_files, writable_uris
from reelmill_server.storage.base import Storage, Upload
from reelmill_server.storage.fetching import fetch
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker import child, messages
from reelmill_server.worker.abilities import Abilities, Lease
from reelmill_server.worker.workspace import Scratch

_HEAR_SECONDS = 1.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Bounds:
    """What bounds an attempt: media limits, seconds of work, seconds without movement, bytes of a source (0: any)."""

    limits: Limits
    timeout_seconds: float
    stall_seconds: float
    max_source_bytes: int
    encoder_order: tuple[str, ...]


class Attempts:
    """Runs attempts on this machine."""

    def __init__(
        self, name: str, storage: Storage, scratch: Scratch, abilities: Abilities, bounds: Bounds, metrics: Metrics
    ) -> None:
        self.abilities = abilities
        self._name, self._storage, self._scratch, self._bounds, self._metrics = name, storage, scratch, bounds, metrics

    def describe(self) -> Report:
        """What this worker says of itself."""
        abilities = self.abilities
        return Report(
            worker=self._name,
            encoders=abilities.encoders,
            decoders=abilities.decoders,
            limits=self._bounds.limits,
            versions=abilities.versions,
            detectors=abilities.detectors,
            filters=abilities.filters,
        )

    async def inspect(self, action: str, request: ConvertRequest) -> tuple[tuple[MediaInfo, ...], Plan | None]:
        """What is in the request's sources and, if `action` is `plan`, what would run. Raises what the child failed with."""
        storage = self._storage.acting_as(request.credentials)
        watch = _Watch(self._bounds)
        with self._scratch.attempt(action) as sources:
            fetched = await self._assignment(storage, request, sources)
            async with child.start(replace(fetched, action="plan" if action == "plan" else "probe")) as process:
                while True:
                    message = await process.hear(_HEAR_SECONDS)
                    watch.check(Progress(phase=TaskPhase.PROBING))
                    match message:
                        case messages.Failed():
                            raise _error_of(message)
                        case messages.Planned():
                            return message.infos, message.plan
                        case messages.Probed():
                            return message.infos, None

    async def convert(
        self,
        request: ConvertRequest,
        report: Callable[[Progress], None],
        may_publish: Callable[[], Awaitable[bool]],
    ) -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
        """Converts and publishes; returns the artifacts and what a user should know.

        `report` is called at least once a second; `may_publish` is asked when all is made and verified. Raises ReelmillError
        with the reason; whatever happens, no process and no scratch is left.
        """
        storage = self._storage.acting_as(request.credentials)
        async with _beating(report) as beat:
            with self._scratch.attempt(request.task_id) as sources, self._scratch.attempt(request.task_id) as directory:
                begun = time.monotonic()
                fetched = await self._assignment(storage, request, sources)
                self._metrics.stage_seconds.labels("fetch").observe(time.monotonic() - begun)
                with self.abilities.lease() as lease:
                    assignment = replace(fetched, action="convert", directory=str(directory))
                    finished, plan = await self._run_child(assignment, storage, lease, beat)
                    beat(replace(beat.latest, phase=TaskPhase.PUBLISHING))
                    if not await may_publish():
                        raise InternalError("another attempt has taken the task over")
                    await self._publish(storage, request, finished, plan, directory)
        self._count(finished)
        return tuple(made.artifact for made in finished.made), finished.warnings

    async def _assignment(self, storage: Storage, request: ConvertRequest, folder: Path) -> messages.Assignment:
        """What a child is told of `request`; all that it reads is fetched, what is not on this machine into `folder`."""
        limit = self._bounds.max_source_bytes
        sources = [await fetch(storage, source.uri, folder, limit) for source in request.sources]
        subtitles = [
            [(await fetch(storage, file.uri, folder, limit)).path for file in source.subtitles] for source in request.sources
        ]
        return messages.Assignment(
            action="probe",
            limits=self._bounds.limits,
            request=request,
            source_paths=tuple(source.path for source in sources),
            subtitle_paths=tuple(map(tuple, subtitles)),
            watermark_paths={uri: (await fetch(storage, uri, folder, limit)).path for uri in request.watermark_uris},
            modified_us=tuple(source.modified_us for source in sources),
            capabilities=(*self.abilities.encoders, *self.abilities.detectors, *self.abilities.filters),
            encoder_order=self._bounds.encoder_order,
        )

    async def _run_child(
        self, assignment: messages.Assignment, storage: Storage, lease: Lease, beat: "_Beat"
    ) -> tuple[messages.Finished, Plan]:
        """Follows a child to its end. Raises what it failed with, Stalled, Timeout or EncoderCrashed."""
        reason = "done"
        try:
            async with child.start(assignment) as process:
                return await self._follow(process, storage, lease, beat)
        except asyncio.CancelledError:
            reason = "canceled"
            raise
        except ReelmillError as error:
            reason = _EXIT_REASONS.get(type(error), "failed")
            raise
        finally:
            self._metrics.child_exit_total.labels(reason).inc()

    async def _follow(
        self, process: child.Child, storage: Storage, lease: Lease, beat: "_Beat"
    ) -> tuple[messages.Finished, Plan]:
        watch = _Watch(self._bounds)
        plan = Plan(())
        replaced: dict[str, str] = {}
        while True:
            message = await process.hear(_HEAR_SECONDS)
            watch.check(beat.latest)
            match message:
                case messages.Advanced():
                    beat(message.progress)
                    watch.moved(message)
                case messages.Planned():
                    plan = message.plan
                    self._count_fallbacks(replaced, plan)
                    replaced.update(dict.fromkeys(await self._answer(process, storage, plan, lease), "sessions"))
                case messages.EncoderLost():
                    self.abilities.lose(message.encoder, message.reason)
                    replaced[message.encoder] = "failed"
                case messages.Failed():
                    raise _error_of(message)
                case messages.Finished():
                    return message, plan

    async def _answer(self, process: child.Child, storage: Storage, plan: Plan, lease: Lease) -> Collection[str]:
        """Lets a plan run if its outputs may be written and there are sessions for it; gives the encoders that have none."""
        for uri in (*writable_uris(plan), *writable_image_uris(plan.images)):
            storage.check_writable(uri)
        lease.release()
        refused = self.abilities.refused(plan)
        if refused:
            await process.tell(messages.Exclude(refused))
        else:
            lease.hold(plan)
            await process.tell(messages.Go())
        return refused

    def _count_fallbacks(self, replaced: dict[str, str], plan: Plan) -> None:
        """Counts what took the place of the encoders in `replaced` (encoder to kind of reason), and forgets them."""
        encoders = [stream.encoder for target in plan.targets for stream in target.streams if stream.video]
        for encoder, kind in replaced.items():
            self._metrics.encoder_fallback_total.labels(encoder, next(iter(encoders), ""), kind).inc()
        replaced.clear()

    async def _publish(
        self, storage: Storage, request: ConvertRequest, finished: messages.Finished, plan: Plan, directory: Path
    ) -> None:
        """Publishes what was made. From here on there is no way back: a cancel that comes now comes too late."""
        begun = time.monotonic()
        uploads = uploads_of(finished, plan, directory)
        # The owner names task and attempt: two attempts never mix, even if one of them should already be dead.
        owner = f"{request.task_id}.{uuid.uuid4().hex[:8]}"
        publishing = asyncio.ensure_future(storage.publish(uploads, owner))
        while not publishing.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({publishing})
        publishing.result()
        self._metrics.stage_seconds.labels("publish").observe(time.monotonic() - begun)

    def _count(self, finished: messages.Finished) -> None:
        for stage, seconds in finished.stage_seconds.items():
            self._metrics.stage_seconds.labels(stage).observe(seconds)
        elapsed = finished.stage_seconds.get("convert", 0.0)
        for made in finished.made:
            for stream in made.artifact.streams:
                if stream.type != "subtitle" and stream.encoder != COPY and elapsed:
                    speed = stream.duration_seconds / elapsed
                    self._metrics.encode_speed_ratio.labels(stream.codec, stream.encoder).observe(speed)


class _Beat:
    """Reports progress when it changes."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self.latest = Progress(phase=TaskPhase.PROBING)
        self._report = report

    def __call__(self, progress: Progress) -> None:
        """The attempt moved on."""
        self.latest = progress
        self._report(progress)

    async def go_on(self) -> None:
        """Reports every second, whatever takes long: an attempt that is silent is given to another worker."""
        while True:
            self._report(self.latest)
            await asyncio.sleep(_HEAR_SECONDS)


@asynccontextmanager
async def _beating(report: Callable[[Progress], None]) -> AsyncIterator[_Beat]:
    beat = _Beat(report)
    going_on = asyncio.create_task(beat.go_on())
    try:
        yield beat
    finally:
        going_on.cancel()


class _Watch:
    """Notices when an attempt takes too long or stands still: media time must move, not only the process live."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._begun = self._moved = time.monotonic()
        self._position = -1.0

    def moved(self, message: messages.Advanced) -> None:
        """The child said where it is."""
        if message.position != self._position:
            self._position, self._moved = message.position, time.monotonic()

    def check(self, progress: Progress) -> None:
        """Raises Timeout or Stalled."""
        now = time.monotonic()
        if now - self._begun > self._bounds.timeout_seconds:
            raise Timeout(f"the attempt took longer than {self._bounds.timeout_seconds:.0f} s")
        if now - self._moved > self._bounds.stall_seconds:
            raise Stalled(f"nothing moved for {self._bounds.stall_seconds:.0f} s while {progress.phase.lower()}")


_EXIT_REASONS: dict[type[ReelmillError], str] = {EncoderCrashed: "crashed", Stalled: "stalled", Timeout: "timeout"}


def _error_of(failed: messages.Failed) -> ReelmillError:
    known = from_code(failed.code, failed.message)
    return type(known)(failed.message, [Violation(field, text) for field, text in failed.fields])


def uploads_of(finished: messages.Finished, plan: Plan, directory: Path) -> list[Upload]:
    """What to publish and where: segments first, lists of lists last, so that nothing is named before it is there.

    Every URI follows from the plan; the child says only which of the files that the plan allows it has made.
    """
    planned = planned_files(plan)
    made = [(made.path, made.artifact.uri) for made in finished.made]
    files, images = made[: len(planned)], made[len(planned) :]
    if files != [(file.path, file.uri) for file in planned] or any(image_uri(plan, path) != uri for path, uri in images):
        raise OutputInvalid("the child names other outputs than it planned")
    parts = {}
    for name in (name for made in finished.made for name in made.parts):
        uri = part_uri(plan, name)
        if uri is None:
            raise OutputInvalid(f"the child names {name!r}, which is no part of what it planned")
        parts[name] = uri
    named = [*parts.items(), *made]
    return [Upload(_inside(directory, name), uri) for name, uri in named]


def _inside(directory: Path, name: str) -> Path:
    """A file that the child says it made; `name` is one that the plan allows. Nothing on the way to it may be a link."""
    path = directory / name
    if path.resolve() != directory.resolve() / name or not path.is_file():
        raise OutputInvalid(f"the child names {name!r}, which is no file of its own")
    return path
