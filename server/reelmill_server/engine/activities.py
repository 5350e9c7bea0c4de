"""Activities of workers: attempts, inspections, and what cleans up after them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from reelmill_server.engine.attempt_heartbeat import AttemptHeartbeat
from reelmill_server.engine.attempts import Attempts
from reelmill_server.engine.claim import TaskClaim
from reelmill_server.engine.client import Engine
from reelmill_server.engine.heartbeat import heartbeating
from reelmill_server.engine.history import WORKER_DRAINING
from reelmill_server.engine.milestones import Milestones, last_step
from reelmill_server.engine.names import CONVERT, ENCODE_UNIT, ERASE, INSPECT, TRY_SAMPLES, WITHDRAW
from reelmill_server.engine.pending_files import unpack
from reelmill_server.engine.running_attempt import RunningAttempt
from reelmill_server.engine.work import (
    AttemptResult,
    Inspected,
    Inspection,
    SampleResult,
    SampleWork,
    UnitResult,
    UnitWork,
    Withdrawal,
    Work,
)
from reelmill_server.errors import DriverFailed, InternalError, OutOfMemory, ReelmillError, TaskOver
from reelmill_server.model.needs import Deferred
from reelmill_server.model.notification import END
from reelmill_server.model.task import Progress
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.model.worker_state import AttemptState, TaskPart, with_few_previews
from reelmill_server.telemetry.metrics import Metrics

_PREVIEW_SECONDS, _MOST_PREVIEWS = 4, 8  # that a worker shows: for as long as replicas need to see them, and 90 KB at most
_CHUNK_STEP_PERCENT = 5  # of one chunk, after which the progress of the task is computed
_CANCELED = "Canceled"
_log = structlog.get_logger(__name__)


def _failure(error: ReelmillError, started_us: int = 0, percent: int = 0) -> ApplicationError:
    """Return the error as it crosses the engine: code, message, violated fields, when the attempt began, how far it came, how
    much memory it took if that was too much, and the encoders whose driver failed.
    """
    encoders = error.encoders if isinstance(error, DriverFailed) else ()
    peak = error.peak_bytes if isinstance(error, OutOfMemory) else 0
    fields = [(violation.field, violation.description) for violation in error.violations]
    return ApplicationError(
        *(error.message, fields, started_us, percent, peak, encoders),
        type=error.code,
        non_retryable=not error.retryable,
        category=ApplicationErrorCategory.BENIGN,  # else the engine's library logs a trace of what is logged already
    )


def _unexpected(event: str, error: Exception) -> InternalError:
    """Log an error that nobody expected, and return what others are told: its text may name paths of this machine."""
    _log.error(event, exc_info=error)
    return InternalError(f"internal error: {type(error).__name__}")


@contextmanager
def _crossing() -> Iterator[None]:
    """Have errors cross the engine with their codes."""
    try:
        yield
    except ReelmillError as error:
        raise _failure(error) from error
    except Exception as error:
        raise _failure(_unexpected("an activity failed", error)) from error


class WorkerActivities:
    """The activities that workers run."""

    def __init__(
        self, attempts: Attempts, engine: Engine, metrics: Metrics, advanced: Callable[[str, Progress], None] | None = None
    ) -> None:
        """`advanced` takes the progress of whole tasks besides the engine, where watchers are served by the same process."""
        self._attempts, self._engine, self._metrics, self._advanced = attempts, engine, metrics, advanced
        self._running: list[RunningAttempt] = []

    def running(self) -> tuple[AttemptState, ...]:
        """Return the running attempts, in the order in which they began; previews are with them for a few seconds."""
        since = time.time_ns() // 1000 - _PREVIEW_SECONDS * MICROSECONDS
        return with_few_previews([attempt.state for attempt in self._running], since, _MOST_PREVIEWS)

    @activity.defn(name=CONVERT)
    async def convert(self, work: Work) -> AttemptResult:
        """Run one attempt, heartbeating its progress; fail with the error's code."""
        if work.attempt == 1 and work.needs is None:
            self._metrics.task_queue_wait_seconds.observe(_seconds_since(work.request.created_us))
            self._metrics.task_start_seconds.observe(_seconds_since(work.admitted_us or work.request.created_us))
        milestones = Milestones(partial(self._engine.report_progress, work.request.task_id), work.progress_step)
        heartbeat = AttemptHeartbeat(self._engine, work.heartbeats_announce, work.heartbeat_seconds)
        claim = self._claim(work, heartbeat)

        async with self._counted(work, TaskPart.JOIN if work.kept else TaskPart.WHOLE) as running:

            def report(progress: Progress) -> None:
                running.progress = progress
                running.percent = percent = running.state.whole_percent
                # Replicas of the version before read it of the engine; those of this one, what the whole worker shows.
                scaled = replace(progress, percent=percent, attempt=work.attempt)
                heartbeat.send(scaled)
                milestones.reached(percent)
                if self._advanced:
                    self._advanced(work.request.task_id, scaled)

            try:
                artifacts, warnings = await self._attempts.convert(
                    work.request,
                    report=report,
                    claim=claim,
                    lane=work.lane,
                    needs=work.needs,
                    kept=work.kept,
                    least_bytes=work.memory_bytes,
                    avoided=work.avoided,
                    show=running.show,
                )
            except Deferred as deferred:
                running.outcome = "Deferred"
                return AttemptResult(started_us=running.started_us, needs=deferred.needs)
            except BaseException:
                await asyncio.shield(claim.hand_on())
                raise
        return AttemptResult(
            *(artifacts, warnings, running.started_us),
            activity_id=activity.info().activity_id,
            announced=heartbeat.announced,
        )

    @activity.defn(name=ENCODE_UNIT)
    async def encode_unit(self, unit: UnitWork) -> UnitResult:
        """Encode one chunk of a task; otherwise like `convert`."""
        work = unit.work
        assert work.needs
        structlog.contextvars.bind_contextvars(unit=unit.number)
        milestones = Milestones(partial(self._report_whole, work), min(work.progress_step, _CHUNK_STEP_PERCENT), last=END)

        async with self._counted(work, TaskPart.CHUNK, unit.number) as running:

            def report(progress: Progress) -> None:
                running.progress = progress
                activity.heartbeat(progress)
                milestones.reached(progress.percent)

            kept, warnings = await self._attempts.encode_unit(
                work.request,
                work.needs,
                unit.number,
                report=report,
                claim=self._claim(work),
                lane=work.lane,
                least_bytes=work.memory_bytes,
                show=running.show,
            )
        return UnitResult(kept, warnings)

    @activity.defn(name=TRY_SAMPLES)
    async def try_samples(self, samples: SampleWork) -> SampleResult:
        """Encode samples of a task, to find its CRFs; otherwise like `encode_unit`."""
        work = samples.work
        assert work.needs
        structlog.contextvars.bind_contextvars(unit=samples.number)

        async with self._counted(work, TaskPart.CHUNK, samples.number) as running:

            def report(progress: Progress) -> None:
                running.progress = progress
                activity.heartbeat(progress)

            tried = await self._attempts.try_samples(
                work.request,
                work.needs,
                samples.trials,
                report=report,
                claim=self._claim(work),
                lane=work.lane,
                least_bytes=work.memory_bytes,
            )
        return SampleResult(tried)

    async def _report_whole(self, work: Work, _: int) -> None:
        """Report the progress of a whole task of which one chunk made progress. Raises ServiceUnavailable."""
        percent = last_step(await self._engine.chunked_percent(work.request.task_id), work.progress_step)
        if percent:
            await self._engine.report_progress(work.request.task_id, percent)

    @asynccontextmanager
    async def _counted(self, work: Work, part: TaskPart, chunk: int = 0) -> AsyncIterator[RunningAttempt]:
        """Count and log an attempt; its errors cross the engine with their codes."""
        running = RunningAttempt(work, part, chunk)
        self._running.append(running)
        structlog.contextvars.bind_contextvars(task_id=work.request.task_id, attempt=work.attempt)
        _log.info("attempt started", lane=work.lane)
        try:
            with self._metrics.attempts_running.track_inprogress():
                yield running
        except asyncio.CancelledError:
            running.outcome = _CANCELED
            if activity.is_worker_shutdown():
                running.outcome = WORKER_DRAINING
                raise ApplicationError(
                    *("the worker was stopped before the attempt ended", [], running.started_us, running.percent),
                    type=WORKER_DRAINING,
                    category=ApplicationErrorCategory.BENIGN,  # as above
                ) from None
            raise
        except ReelmillError as error:
            running.outcome = _CANCELED if isinstance(error, TaskOver) else error.code
            _log.warning("attempt failed", code=error.code, reason=error.message)
            raise _failure(error, running.started_us, running.percent) from error
        except Exception as error:
            running.outcome = InternalError.code
            raise _failure(_unexpected("attempt failed", error), running.started_us, running.percent) from error
        finally:
            self._running.remove(running)
            self._metrics.attempt_total.labels(work.lane, part, running.outcome).inc()
            self._metrics.attempt_seconds.labels(work.lane, part).observe(time.time() - running.started_us / MICROSECONDS)
            _log.info("attempt ended", outcome=running.outcome)

    def _claim(self, work: Work, heartbeat: AttemptHeartbeat | None = None) -> TaskClaim:
        """Return the claim of this activity's attempt on its task."""
        return TaskClaim(self._engine, work.request.task_id, activity.info().activity_id, heartbeat)

    @activity.defn(name=INSPECT)
    async def inspect(self, inspection: Inspection) -> Inspected:
        """Probe, plan, or report capabilities; fail with the error's code."""
        if inspection.request is None:
            return Inspected(report=self._attempts.describe())
        with _crossing():
            result = await self._attempts.inspect(inspection.action, inspection.request)
        return Inspected(result.infos, result.plan, result.split)

    @activity.defn(name=ERASE)
    async def erase(self, task_id: str) -> None:
        """Remove what a task left in shared scratch."""
        with _crossing():
            async with heartbeating():
                await self._attempts.erase(task_id)

    @activity.defn(name=WITHDRAW)
    async def withdraw(self, withdrawal: Withdrawal) -> None:
        """Remove what an attempt that did not succeed has published."""
        files = unpack(withdrawal.packed)
        structlog.contextvars.bind_contextvars(task_id=activity.info().workflow_id)
        _log.info("outputs of a lost attempt are rolled back", files=len(files))
        with _crossing():
            try:
                async with heartbeating():
                    await self._attempts.withdraw(withdrawal.credentials, files)
            except ReelmillError as error:
                _log.warning("outputs of a lost attempt could not be rolled back", code=error.code, reason=error.message)
                raise


def _seconds_since(us: int) -> float:
    return max(0.0, time.time() - us / MICROSECONDS)
