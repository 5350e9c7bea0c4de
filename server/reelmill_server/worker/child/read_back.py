"""Read outputs back in a child, and report each."""

from collections.abc import Callable, Sequence
from pathlib import Path

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.input.damage import check_copied
from reelmill_server.media.input.side_by_side import side_by_side
from reelmill_server.media.libav.encoder import EncoderDown
from reelmill_server.media.output.base import MediaFile, Stopped
from reelmill_server.media.result.verify import Verified, verify
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.plan import Plan
from reelmill_server.worker import messages
from reelmill_server.worker.child.context import Attempt
from reelmill_server.worker.child.progress import ProgressMeter


def read_back(
    attempt: Attempt, plan: Plan, files: Sequence[MediaFile], meter: ProgressMeter, moved: Callable[[], None]
) -> list[Verified]:
    """Verify all `files` of a plan, two encodes of video at once; `moved` is called repeatedly, from two threads.

    Raises Stopped, what `verify` raises, EncoderDown for faults of an accelerator, and InvalidMedia for those of a source that
    is copied.
    """
    done = set[int]()

    def read(slot: int) -> Verified:
        if attempt.stop.is_set():
            raise Stopped
        file = files[slot]
        verified = _verified(attempt, plan, file, moved)
        done.add(slot)
        attempt.report(meter.verified(done.copy()))
        if file.plan.package is None:
            attempt.report(messages.Closed(str(Path(file.path).relative_to(attempt.assignment.directory))))
        return verified

    # Most of their time is spent on decoding. Threads that read the packets of copies would wait for each other.
    encodes = sum(any(stream.video for stream in file.plan.streams) for file in files)
    results = [*(side_by_side if encodes > 1 else map)(read, range(len(files)))]
    if attempt.stop.is_set():
        raise Stopped
    return results


def _verified(attempt: Attempt, plan: Plan, file: MediaFile, moved: Callable[[], None]) -> Verified:
    """Verify a file. What is wrong with one that an accelerator encoded is taken for its fault: raises EncoderDown. Raises
    InvalidMedia if what it copies is broken in its source.
    """
    try:
        return verify(file, moved)
    except OutputInvalid as error:
        for stream in file.plan.streams:
            if stream.device not in ("", SOFTWARE):
                raise EncoderDown(stream.encoder, stream.device, f"what it made is not valid: {error.message}") from error
        check_copied(plan, file.plan, attempt.locations, attempt.assignment.limits, error.message)
        raise
