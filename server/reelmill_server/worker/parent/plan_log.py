"""Log what an attempt is about to do, and what became of it."""

from collections.abc import Sequence

import structlog

from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.plan import Plan
from reelmill_server.plan.ffmpeg.command import ffmpeg_command
from reelmill_server.worker import messages

_log = structlog.get_logger(__name__)


def log_plan(assignment: messages.Assignment, plan: Plan, infos: Sequence[MediaInfo] = ()) -> None:
    """Log the ffmpeg command line of the plan that an attempt carries out; `infos` are of its sources, empty: not known."""
    assert assignment.request
    try:
        command = ffmpeg_command(assignment.request, plan, infos, assignment.split)
    except Exception:  # it serves whoever reads the log: no attempt fails for want of it
        _log.exception("the plan cannot be written as an ffmpeg command line")
        return
    _log.info("attempt planned", ffmpeg=" ".join(command.lines), notes=command.notes)


def log_adjustments(finished: messages.Finished) -> None:
    """Log what was left out of each stream on purpose, and what was added to it."""
    for artifact in (result.artifact for result in finished.made):
        for number, stream in enumerate(artifact.streams):
            if stream.adjustments:
                texts = [str(adjustment) for adjustment in stream.adjustments]
                _log.debug("stream adjusted", uri=artifact.uri, stream=number, type=stream.type, adjustments=texts)
