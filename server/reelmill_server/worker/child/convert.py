"""Produce outputs in a child: all of a task, those of one chunk, or all from the files of chunks."""

import gc
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from reelmill_server.errors import InternalError
from reelmill_server.media import capabilities
from reelmill_server.media.conversion.chunk import ChunkConversion
from reelmill_server.media.conversion.ladder_search import LadderSearch
from reelmill_server.media.conversion.quality_search import QualitySearch
from reelmill_server.media.conversion.sample import ResultT, SampleSearch
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.source import Location
from reelmill_server.media.libav.encoder import EncoderDown
from reelmill_server.media.package.closing import closed_segments
from reelmill_server.media.result.checksums import Checksums, written_files
from reelmill_server.media.result.conditions import check_conditions
from reelmill_server.media.result.files import make_results
from reelmill_server.media.result.images import image_results
from reelmill_server.media.track.joined import JoinedChunks
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import Hardware
from reelmill_server.model.task import Progress, TargetProgress, TaskPhase
from reelmill_server.plan.ladder import open_ladders
from reelmill_server.plan.quality import unsearched
from reelmill_server.worker import messages
from reelmill_server.worker.child.context import REPORT_SECONDS, Attempt, every, usage
from reelmill_server.worker.child.given import given_plan, own_plan
from reelmill_server.worker.child.inspect import ProbedSources, plan_for, planned
from reelmill_server.worker.child.previews import Previews
from reelmill_server.worker.child.progress import ProgressMeter
from reelmill_server.worker.child.read_back import read_back
from reelmill_server.worker.child.writing_out import writing_out

Search = TypeVar("Search", LadderSearch, QualitySearch)
_MOST_WAITS = 8
"""Programs beside this one may take a session that was free a moment ago; at some time it is enough."""
_LOCAL = "file:"  # other destinations have their own disks


def convert(attempt: Attempt) -> messages.FromChild:
    """Plan and run a conversion; if an encoder fails, plan again without it as long as the request allows."""
    meter = ProgressMeter(len(attempt.request.targets))
    if attempt.assignment.joined:
        return _join(attempt, meter)
    attempt.report(meter.report(TaskPhase.PROBING))
    probed = ProbedSources.by(attempt)
    objections = _Objections(dict(attempt.assignment.excluded))
    while True:
        attempt.report(meter.report(TaskPhase.PLANNING))
        plan = _negotiated_plan(attempt, probed, objections)
        try:
            if open_ladders(plan):
                probed = replace(probed, ladders=_run_search(_search_of(LadderSearch, attempt, plan), attempt, meter))
                plan = _negotiated_plan(attempt, probed, objections)
            plan, finished = _carry_out_searched(attempt, plan, meter)
        except EncoderDown as error:
            refused = error.opening and _may_replace(attempt, error) and (error.full or capabilities.still_works(error.encoder))
            lost = messages.EncoderLost(error.encoder, error.device, error.failure, refused, error.target, error.full)
            attempt.report(lost)
            if not _may_replace(attempt, error):
                raise
            if not objections.waits_for_sessions(error) and not objections.add(error, refused):
                raise
        else:
            break
        gc.collect()  # encoders of the run that failed are in reference cycles, and hold sessions until they are freed
    return replace(finished, warnings=(*plan.warnings, *objections.warnings, *finished.warnings))


@dataclass
class _Objections:
    """Encoders that are not to be used, by any target or by one, to the reason; and warnings of those that failed."""

    excluded: dict[str, str]
    refused: dict[int, dict[str, str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    waits: int = 0

    def waits_for_sessions(self, error: EncoderDown) -> bool:
        """Return whether the parent decides what becomes of an encoder that has no session left: it knows who holds them."""
        self.waits += error.full
        return error.full and self.waits <= _MOST_WAITS

    def add(self, error: EncoderDown, refused: bool) -> bool:
        """Add an encoder that failed, for its target only if it `refused` that one's settings; return whether it is new."""
        known = self.refused.setdefault(error.target, {}) if refused else self.excluded
        new = error.encoder not in known
        known[error.encoder] = error.failure
        self.warnings.append(f"{error.message}: another encoder was used")
        return new


def encode_unit(attempt: Attempt) -> messages.FromChild:
    """Encode one chunk.

    Raises ChunksDiffer if its files would not fit those of other chunks, and what a conversion raises.
    """
    assignment = attempt.assignment
    plan, cut = own_plan(assignment)
    unit = next(unit for unit in cut.units if unit.number == assignment.unit)
    directory = Path(assignment.directory)
    conversion = ChunkConversion(
        plan,
        cut,
        unit,
        attempt.locations,
        directory,
        limits=assignment.limits,
        stop=attempt.stop,
        watermark_locations=attempt.watermark_locations,
    )

    previews = Previews(assignment.previews)

    def report() -> None:
        if preview := previews.take(conversion.outputs):
            attempt.report(preview)
        targets = tuple(TargetProgress(index, 100 * conversion.share) for index in range(len(attempt.request.targets)))
        progress = Progress(phase=TaskPhase.CONVERTING, percent=int(100 * conversion.share), targets=targets)
        attempt.report(messages.Advanced(progress, conversion.moved))

    try:
        with attempt.stage("convert"), every(REPORT_SECONDS, report):
            files, warnings = conversion.make()
    except EncoderDown as error:
        attempt.report(messages.EncoderLost(error.encoder, error.device, error.failure))
        raise
    return messages.ChunkEncoded(tuple(files), tuple(warnings), attempt.stages, usage())


def _join(attempt: Attempt, meter: ProgressMeter) -> messages.Finished:
    """Convert like `convert`, but take encoded streams and images from the files of chunks."""
    plan, cut = given_plan(attempt.assignment)
    locations: dict[tuple[int, int], list[Location]] = {}
    for entry in sorted(attempt.assignment.joined, key=lambda entry: entry.file.unit):
        locations.setdefault((entry.file.slot, entry.file.stream), []).append(attempt.locate(entry.ref))
    attempt.report(messages.Planned(plan, (), cut))
    if not isinstance(attempt.receive_answer(), messages.Go):
        raise InternalError("a join needs no encoder that could be excluded")
    finished = _carry_out(attempt, plan, meter, JoinedChunks(cut, locations))
    return replace(finished, warnings=(*plan.warnings, *finished.warnings))


def _negotiated_plan(attempt: Attempt, probed: ProbedSources, objections: "_Objections") -> Plan:
    """Return a plan that the parent accepts, as only that knows how many encoder sessions are free."""
    excluded, refused = dict(objections.excluded), {index: dict(names) for index, names in objections.refused.items()}
    while True:
        plan = plan_for(attempt, probed, excluded, refused)
        attempt.report(planned(attempt, plan, probed))
        answer = attempt.receive_answer()
        if isinstance(answer, messages.Go):
            return plan
        excluded.update(answer.encoders)
        for index, names in answer.targets.items():
            refused.setdefault(index, {}).update(names)


def _may_replace(attempt: Attempt, error: EncoderDown) -> bool:
    """Return whether another encoder may be used: there is none for software that fails."""
    policies = {target.video.hardware for target in attempt.request.targets if target.video}
    return error.device not in ("", "software") and policies != {Hardware.NEVER}


def _empty(directory: Path) -> None:
    """Remove all files in the attempt's directory: outputs of a run whose encoder failed, or some that the parent fetched.

    Not before the parent accepted the next plan: until then it may be reading complete segments of the failed run.
    """
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _carry_out_searched(attempt: Attempt, plan: Plan, meter: ProgressMeter) -> tuple[Plan, messages.Finished]:
    """Carry out `plan` with a CRF for every quality target, and return it so. Raises as a conversion, and UnsupportedFormat."""
    if not any(unsearched(plan)):
        return plan, _carry_out(attempt, plan, meter)
    search = _search_of(QualitySearch, attempt, plan)
    plan = _run_search(search, attempt, meter)
    while True:
        try:
            return plan, _carry_out(attempt, plan, meter, search=search)
        except _Replanned as again:
            plan = again.plan


class _Replanned(Exception):
    """Raised when all is to be converted again, by another plan."""

    def __init__(self, plan: Plan) -> None:
        super().__init__("converted again")
        self.plan = plan


def _search_of(kind: type[Search], attempt: Attempt, plan: Plan) -> Search:
    """Return a search over the sources of an attempt."""
    directory = Path(attempt.assignment.directory)
    _empty(directory)
    return kind(
        plan,
        attempt.locations,
        directory,
        limits=attempt.assignment.limits,
        stop=attempt.stop,
        watermark_locations=attempt.watermark_locations,
    )


def _run_search(search: SampleSearch[ResultT], attempt: Attempt, meter: ProgressMeter) -> ResultT:
    """Return what a search has found. Raises as a conversion."""
    with attempt.stage("convert"), every(REPORT_SECONDS, lambda: attempt.report(meter.searching(search.share, search.moved))):
        return search.run()


def _carry_out(
    attempt: Attempt,
    plan: Plan,
    meter: ProgressMeter,
    joined: JoinedChunks | None = None,
    search: QualitySearch | None = None,
) -> messages.Finished:
    """Convert and verify. Raises as a conversion, and _Replanned if `search` wants another plan for what came of this one."""
    directory, checksums = Path(attempt.assignment.directory), Checksums()
    _empty(directory)
    conversion = Conversion(
        plan,
        attempt.locations,
        directory,
        limits=attempt.assignment.limits,
        stop=attempt.stop,
        subtitle_locations=attempt.subtitle_locations,
        watermark_locations=attempt.watermark_locations,
        joined=joined,
        final=checksums.final,
    )
    closed: set[str] = set()
    previews = Previews(attempt.assignment.previews)

    def report() -> None:
        attempt.report(meter.measure(conversion))
        if preview := previews.take(conversion.outputs):
            attempt.report(preview)
        settled = search is None or search.is_over  # else they may be made again
        for path in sorted(closed_segments(plan, directory) - closed if settled else ()):
            attempt.report(messages.Closed(path))
            closed.add(path)

    meter.begin(plan)
    with attempt.stage("convert"), every(REPORT_SECONDS, report), checksums.following(plan, directory):
        produced, warnings = conversion.run()
    if search is not None and (again := search.again(plan, produced)):
        raise _Replanned(again)

    def moved() -> None:
        attempt.report(meter.report(TaskPhase.VERIFYING))

    moved()
    local = [path for file in produced if file.plan.uri.startswith(_LOCAL) for path in written_files(file)]
    with attempt.stage("verify"), writing_out(local):
        checksums.begin(produced)
        verified = read_back(attempt, plan, produced, meter, moved)
        results = [*make_results(plan, verified, directory, checksums)]
        check_conditions(plan, results)
        for slot, files in enumerate(conversion.images):
            results += image_results(slot, plan.images[slot], files, directory, moved)
    sent = tuple(messages.Result(result.path, result.artifact, result.parts) for result in results)
    return messages.Finished(sent, tuple(warnings), attempt.stages, usage())
