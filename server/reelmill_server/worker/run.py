"""The child's side: everything that touches media happens here, in a process of its own."""

import json
import os
import queue
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from reelmill_server.errors import (
    ChunksDiffer,
    InternalError,
    MediaLimitExceeded,
    OutputError,
    OutputInvalid,
    ReelmillError,
    SourceChanged,
)
from reelmill_server.media import capabilities
from reelmill_server.media.encoding import EncoderDown
from reelmill_server.media.image_results import image_results
from reelmill_server.media.keys import key_times
from reelmill_server.media.output import Stopped
from reelmill_server.media.pipeline import Conversion
from reelmill_server.media.premade import Premade
from reelmill_server.media.probe import probe_beside, probe_file, probe_subtitles
from reelmill_server.media.results import make_results
from reelmill_server.media.segments import closed_segments
from reelmill_server.media.source import Place
from reelmill_server.media.unit_conversion import UnitConversion
from reelmill_server.media.verify import verify
from reelmill_server.model.media_info import MediaInfo, SubtitleFileInfo
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import ConvertRequest, Hardware
from reelmill_server.model.task import Progress, TargetProgress, TaskPhase
from reelmill_server.model.units import Split
from reelmill_server.plan.adapt import needs_bitrates
from reelmill_server.plan.chunks import encoded_video, split
from reelmill_server.plan.planner import make_plan
from reelmill_server.plan.situation import Situation
from reelmill_server.worker import messages
from reelmill_server.worker.confinement import confine
from reelmill_server.worker.progress import Meter
from reelmill_server.worker.ranges import Ranges, RemoteObject

_REPORT_SECONDS = 0.3
_EXIT_PARENT_GONE = 3
# A disk with less is full: what libav could not write were its buffers, of 32 KiB, or a file of some.
_ROOM_BYTES = 1024**2
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


class _Attempt:
    """One assignment being carried out: the pipe, the stop flag, the answers of the parent, and where the sources lie."""

    def __init__(self, pipe: Connection, assignment: messages.Assignment, channel: socket.socket | None = None) -> None:
        """`channel`: where the parent answers for what does not lie on this machine."""
        self.assignment = assignment
        self.stop = threading.Event()
        self._ranges = Ranges(channel, self.stop) if channel else None
        self.places = tuple(self.place(ref) for ref in assignment.sources)
        self.watermark_places = {uri: self.place(ref) for uri, ref in assignment.watermarks.items()}
        self.subtitle_places = tuple(tuple(self.place(ref) for ref in files) for files in assignment.subtitles)
        self.answers: queue.Queue[messages.Go | messages.Exclude] = queue.Queue()
        self.stages: dict[str, float] = {}
        self._pipe = pipe
        self._sending = threading.Lock()

    def place(self, ref: messages.SourceRef) -> Place:
        """Where an object lies."""
        return RemoteObject(self._ranges, ref.key, ref.size_bytes) if self._ranges and ref.key >= 0 else ref.path

    def answer(self) -> messages.Go | messages.Exclude:
        """Waits for what the parent says to the plan. Raises Stopped."""
        while True:
            try:
                return self.answers.get(timeout=_REPORT_SECONDS)
            except queue.Empty:
                if self.stop.is_set():
                    raise Stopped from None

    def say(self, message: messages.FromChild) -> None:
        """Tells the parent; a parent that is gone ends the process."""
        with self._sending:
            try:
                self._pipe.send_bytes(messages.FROM_CHILD.dump_json(message))
            except (BrokenPipeError, OSError):
                _leave()

    def listen(self) -> None:
        """Hears the parent, on a thread of its own: a stop must be heard whatever else runs."""
        while True:
            try:
                message = messages.TO_CHILD.validate_json(self._pipe.recv_bytes())
            except (EOFError, OSError):
                _leave()
            if isinstance(message, messages.Stop):
                self.stop.set()
            else:
                self.answers.put(message)

    @contextmanager
    def stage(self, name: messages.Stage) -> Iterator[None]:
        """Adds the time spent inside to the stage's seconds."""
        begun, begin_us = time.monotonic(), time.time_ns() // 1000
        try:
            yield
        finally:
            elapsed = time.monotonic() - begun
            self.stages[name] = self.stages.get(name, 0.0) + elapsed
            if self.assignment.traced:
                self.say(messages.StageDone(name, begin_us, begin_us + int(elapsed * 1_000_000)))


def _leave() -> NoReturn:
    """Ends at once, without waiting for threads inside libav."""
    os._exit(_EXIT_PARENT_GONE)


def main(pipe: Connection, assignment_json: bytes, channel: socket.socket | None) -> None:
    """The entry point of a child: carries out one assignment and says how it went."""
    assignment = messages.ASSIGNMENT.validate_json(assignment_json)
    confine(assignment)  # before any thread is started: it holds for those that come after
    attempt = _Attempt(pipe, assignment, channel)
    threading.Thread(target=attempt.listen, daemon=True).start()
    attempt.say(messages.Ready())
    try:
        result = _ACTIONS[attempt.assignment.action](attempt)
    except Stopped:
        result = messages.Failed("Canceled", "stopped")
    except ReelmillError as error:
        fields = tuple((violation.field, violation.description) for violation in error.violations)
        result = messages.Failed(error.code, error.message, fields)
    except MemoryError:
        result = messages.Failed(MediaLimitExceeded.code, "the attempt needs more memory than it may have")
    except OSError as error:
        result = messages.Failed(OutputError.code, f"the worker's disk: {error}")
    except Exception as error:
        result = messages.Failed(InternalError.code, f"{type(error).__name__}: {error}")
    attempt.say(_blamed(result, assignment.directory) if isinstance(result, messages.Failed) else result)
    sys.stdout.flush()
    # Threads of libav, or of a driver, must not keep a finished child alive.
    os._exit(0)


def _blamed(failed: messages.Failed, directory: str) -> messages.Failed:
    """The failure, or that of the disk if it has no room: libav's packagers keep it to themselves when they cannot write, and
    what they made is found to be wrong afterwards."""
    if failed.code not in (InternalError.code, OutputInvalid.code) or not directory:
        return failed
    disk = os.statvfs(directory)
    if disk.f_bavail * disk.f_frsize >= _ROOM_BYTES:
        return failed
    return messages.Failed(OutputError.code, f"the worker's disk is full: {failed.message}")


def _request(attempt: _Attempt) -> ConvertRequest:
    request = attempt.assignment.request
    if request is None:
        raise InternalError("an assignment without a request")
    return request


def _probe_all(attempt: _Attempt) -> tuple[MediaInfo, ...]:
    assignment = attempt.assignment
    measure = assignment.request is not None and needs_bitrates(assignment.request)
    with attempt.stage("probe"):
        return tuple(probe_file(place, assignment.limits, measure) for place in attempt.places)


def _probe_subtitles(attempt: _Attempt) -> tuple[tuple[SubtitleFileInfo, ...], ...]:
    """What is in the subtitle files of each source; errors name the file as the request does."""
    assignment = attempt.assignment
    with attempt.stage("probe"):
        return tuple(
            tuple(
                probe_subtitles(place, spec.uri, assignment.limits)
                for place, spec in zip(places, source.subtitles, strict=True)
            )
            for places, source in zip(attempt.subtitle_places, _request(attempt).sources, strict=True)
        )


def _probe(attempt: _Attempt) -> messages.FromChild:
    return messages.Probed(_probe_all(attempt))


@dataclass(frozen=True)
class _Found:
    """What probing found in the sources, in the subtitle files of each, and in the files of watermarks, by URI."""

    media: tuple[MediaInfo, ...]
    subtitles: tuple[tuple[SubtitleFileInfo, ...], ...]
    watermarks: dict[str, MediaInfo]

    @classmethod
    def by(cls, attempt: _Attempt) -> "_Found":
        """Probes everything that the assignment names."""
        places, limits = attempt.watermark_places, attempt.assignment.limits
        with attempt.stage("probe"):
            watermarks = {uri: probe_beside(place, uri, limits) for uri, place in places.items()}
        return cls(_probe_all(attempt), _probe_subtitles(attempt), watermarks)


def _make_plan(attempt: _Attempt, found: _Found, excluded: dict[str, str]) -> Plan:
    assignment = attempt.assignment
    situation = Situation(
        infos=found.media,
        subtitle_infos=found.subtitles,
        watermark_infos=found.watermarks,
        capabilities={capability.name: capability for capability in assignment.capabilities},
        modified_us=assignment.modified_us,
        order=assignment.encoder_order,
        excluded=excluded,
    )
    with attempt.stage("plan"):
        return make_plan(_request(attempt), situation)


def _plan(attempt: _Attempt) -> messages.FromChild:
    found = _Found.by(attempt)
    plan = _make_plan(attempt, found, {})
    return messages.Planned(plan, found.media, _split(attempt, plan, found))


def _split(attempt: _Attempt, plan: Plan, found: _Found) -> Split | None:
    """How the plan is cut, if that was asked."""
    assignment = attempt.assignment
    if assignment.rule is None:
        return None
    parts = [part for _, _, stream in encoded_video(plan) for part in stream.parts]
    keys: tuple[int, ...] = ()
    if len(plan.inputs) == 1 and parts and parts[0].stream >= 0:
        with attempt.stage("plan"):
            keys = key_times(attempt.places[plan.inputs[0].source], parts[0].stream, assignment.limits)
    libraries = json.dumps(capabilities.library_versions(), sort_keys=True)
    return split(plan, found.media, keys, assignment.rule, libraries, _identities(assignment))


def _identities(assignment: messages.Assignment) -> tuple[tuple[int, int], ...]:
    """Size and time of change of each source."""
    sizes = (Path(ref.path).stat().st_size if ref.key < 0 else ref.size_bytes for ref in assignment.sources)
    return tuple(zip(sizes, assignment.modified_us, strict=True))


def _encode_unit(attempt: _Attempt) -> messages.FromChild:
    """Makes the files of one unit. Raises ChunksDiffer when it would not fit to the others, and as a conversion does."""
    assignment = attempt.assignment
    plan, cut = _told_plan(assignment)
    if cut.libraries != json.dumps(capabilities.library_versions(), sort_keys=True):
        raise ChunksDiffer("this worker has other versions of the encoders than the one that planned")
    unit = next(unit for unit in cut.units if unit.number == assignment.unit)
    directory = Path(assignment.directory)
    conversion = UnitConversion(
        plan, cut, unit, attempt.places, directory, assignment.limits, attempt.stop, attempt.watermark_places
    )

    def report() -> None:
        targets = tuple(TargetProgress(index, 100 * conversion.share) for index in range(len(_request(attempt).targets)))
        progress = Progress(phase=TaskPhase.CONVERTING, percent=int(100 * conversion.share), targets=targets)
        attempt.say(messages.Advanced(progress, conversion.moved))

    try:
        with attempt.stage("convert"), _every(_REPORT_SECONDS, report):
            files, warnings = conversion.make()
    except EncoderDown as error:
        attempt.say(messages.EncoderLost(error.encoder, error.device, error.message))
        raise
    return messages.UnitMade(tuple(files), tuple(warnings), attempt.stages, _usage())


def _usage() -> messages.Usage:
    """What this process has taken so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return messages.Usage(used.ru_utime + used.ru_stime, used.ru_maxrss * _MAXRSS_BYTES)


def _told_plan(assignment: messages.Assignment) -> tuple[Plan, Split]:
    """The plan and its cuts. Raises SourceChanged when a source is not the one that was planned for."""
    if assignment.plan is None or assignment.split is None:
        raise InternalError("an assignment without the plan that was cut")
    if assignment.split.sources != _identities(assignment):
        raise SourceChanged("a source was replaced after the task was cut into chunks")
    return assignment.plan, assignment.split


@contextmanager
def _every(seconds: float, call: Callable[[], None]) -> Iterator[None]:
    """Calls again and again, on a thread of its own, until the block is left."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(seconds):
            call()

    calling = threading.Thread(target=go_on, daemon=True)
    calling.start()
    try:
        yield
    finally:
        over.set()
        calling.join()


def _capabilities(attempt: _Attempt) -> messages.FromChild:
    assignment = attempt.assignment
    return messages.Tried(
        encoders=capabilities.try_encoders(assignment.encoder_order, frozenset(assignment.retry_encoders)),
        decoders=capabilities.list_decoders(),
        versions=capabilities.library_versions(),
        filters=capabilities.try_filters(),
        detectors=(capabilities.try_privacy(),),
    )


def _convert(attempt: _Attempt) -> messages.FromChild:
    """Plans and runs; an encoder that fails is left out and all is planned again, as long as the request allows."""
    meter = Meter(len(_request(attempt).targets))
    if attempt.assignment.premade:
        return _join(attempt, meter)
    attempt.say(meter.report(TaskPhase.PROBING))
    found = _Found.by(attempt)
    excluded: dict[str, str] = {}
    lost: list[str] = []
    while True:
        attempt.say(meter.report(TaskPhase.PLANNING))
        plan = _agree(attempt, found, excluded)
        try:
            finished = _carry_out(attempt, plan, meter)
        except EncoderDown as error:
            attempt.say(messages.EncoderLost(error.encoder, error.device, error.message))
            if error.encoder in excluded or not _may_replace(attempt, error):
                raise
            excluded[error.encoder] = error.message
            lost.append(f"{error.message}: another encoder was used")
            continue
        return replace(finished, warnings=(*plan.warnings, *lost, *finished.warnings))


def _join(attempt: _Attempt, meter: Meter) -> messages.Finished:
    """As converting, but encoded streams and pictures come from the files of units."""
    plan, cut = _told_plan(attempt.assignment)
    places: dict[tuple[int, int], list[Place]] = {}
    for entry in sorted(attempt.assignment.premade, key=lambda entry: entry.file.unit):
        places.setdefault((entry.file.slot, entry.file.stream), []).append(attempt.place(entry.ref))
    attempt.say(messages.Planned(plan, (), cut))
    if not isinstance(attempt.answer(), messages.Go):
        raise InternalError("a join needs no encoder that could be excluded")
    finished = _carry_out(attempt, plan, meter, Premade(cut, places))
    return replace(finished, warnings=(*plan.warnings, *finished.warnings))


def _may_replace(attempt: _Attempt, error: EncoderDown) -> bool:
    """Whether another encoder may run: software that fails has no substitute."""
    policies = {target.video.hardware for target in _request(attempt).targets if target.video}
    return error.device not in ("", "software") and policies != {Hardware.NEVER}


def _agree(attempt: _Attempt, found: _Found, excluded: dict[str, str]) -> Plan:
    """A plan that the parent agrees to: it knows how many sessions each device has left."""
    refused = dict(excluded)
    while True:
        plan = _make_plan(attempt, found, refused)
        attempt.say(messages.Planned(plan, found.media, _split(attempt, plan, found)))
        answer = attempt.answer()
        if isinstance(answer, messages.Go):
            return plan
        refused.update(answer.encoders)


def _carry_out(attempt: _Attempt, plan: Plan, meter: Meter, premade: Premade | None = None) -> messages.Finished:
    directory = Path(attempt.assignment.directory)
    places, beside = attempt.places, attempt.subtitle_places
    limits, stop = attempt.assignment.limits, attempt.stop
    conversion = Conversion(plan, places, directory, limits, stop, beside, attempt.watermark_places, premade)
    closed: set[str] = set()

    def report() -> None:
        attempt.say(meter.measure(conversion))
        for path in sorted(closed_segments(plan, directory) - closed):
            attempt.say(messages.Closed(path))
            closed.add(path)

    meter.begin(plan)
    with attempt.stage("convert"), _every(_REPORT_SECONDS, report):
        produced, warnings = conversion.run()

    def moved() -> None:
        attempt.say(meter.report(TaskPhase.VERIFYING))

    moved()
    with attempt.stage("verify"):
        verified = []
        for file in produced:
            verified.append(verify(file, moved))
            attempt.say(meter.verified(len(verified)))
            if file.plan.package is None:
                attempt.say(messages.Closed(str(Path(file.path).relative_to(directory))))
            if attempt.stop.is_set():
                raise Stopped
        results = [*make_results(plan, verified, directory)]
        for slot, files in enumerate(conversion.images):
            results += image_results(slot, plan.images[slot], files, directory, moved)
    made = tuple(messages.Made(result.path, result.artifact, result.parts) for result in results)
    return messages.Finished(made, tuple(warnings), attempt.stages, _usage())


_ACTIONS: dict[str, Callable[[_Attempt], messages.FromChild]] = {
    "convert": _convert,
    "encode_unit": _encode_unit,
    "plan": _plan,
    "probe": _probe,
    "capabilities": _capabilities,
}
