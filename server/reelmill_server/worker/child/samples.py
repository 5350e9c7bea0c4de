"""Encode samples of the sources in a child, to find the CRFs of a plan that is cut into chunks."""

from pathlib import Path

from reelmill_server.media.conversion.quality_search import carry_out
from reelmill_server.media.conversion.sample import SampleEncoder
from reelmill_server.media.libav.encoder import EncoderDown
from reelmill_server.model.sample import SampleScores
from reelmill_server.model.task import Progress, TaskPhase
from reelmill_server.worker import messages
from reelmill_server.worker.child.context import REPORT_SECONDS, Attempt, every, usage
from reelmill_server.worker.child.given import own_plan


def try_samples(attempt: Attempt) -> messages.FromChild:
    """Carry out the trials of an assignment. Raises ChunksDiffer as for a chunk, and what a conversion raises."""
    assignment = attempt.assignment
    plan, _ = own_plan(assignment)
    encoder = SampleEncoder(
        plan,
        attempt.locations,
        Path(assignment.directory),
        limits=assignment.limits,
        stop=attempt.stop,
        watermark_locations=attempt.watermark_locations,
    )
    tried: list[SampleScores] = []

    def report() -> None:
        percent = 100 * len(tried) // len(assignment.trials)
        attempt.report(messages.Advanced(Progress(phase=TaskPhase.CONVERTING, percent=percent), encoder.moved))

    try:
        with attempt.stage("convert"), every(REPORT_SECONDS, report):
            for trial in assignment.trials:
                tried.append(carry_out(encoder, plan, assignment.searches, trial))
    except EncoderDown as error:
        attempt.report(messages.EncoderLost(error.encoder, error.device, error.failure))
        raise
    return messages.SamplesTried(tuple(tried), attempt.stages, usage())
