"""Which accelerators a plan uses, which encoder took over from one, and whether a driver is to blame."""

import itertools
from collections.abc import Iterator

from reelmill_server.errors import DriverFailed, ReelmillError
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.model.request import ConvertRequest, Hardware
from reelmill_server.worker import messages


def devices(plan: Plan) -> Iterator[str]:
    """Yield the device family of each encoded video stream."""
    return (stream.device for stream in _videos(plan))


def substitute(encoder: str, before: Plan, after: Plan) -> str:
    """Return which encoder of the plan `after` encodes what `encoder` did in the plan `before`; empty: none."""
    pairs = zip(_videos(before), _videos(after), strict=False)
    return next((new.encoder for old, new in pairs if new.encoder != old.encoder == encoder), "")


def driver_failure(error: ReelmillError, plan: Plan, request: ConvertRequest | None) -> DriverFailed | None:
    """Return the error of an attempt that died or stood still while an accelerator encoded; None: none did.

    A task that REQUIRES hardware is not tried again.
    """
    encoders = dict.fromkeys(stream.encoder for stream in _videos(plan) if stream.device not in ("", SOFTWARE))
    if not encoders:
        return None
    failed = DriverFailed(f"{', '.join(encoders)}: {error.message}", encoders=tuple(encoders))
    failed.retryable = not requires_hardware(request)
    return failed


def requires_hardware(request: ConvertRequest | None) -> bool:
    """Return whether a target must not be encoded in software."""
    return request is not None and any(
        target.video is not None and target.video.hardware is Hardware.REQUIRED for target in request.targets
    )


def sessions_before(plan: Plan, lost: messages.EncoderLost) -> int:
    """Return how many sessions of its family a plan opens before the target for which an encoder did not."""
    ahead = itertools.takewhile(lambda target: target.index != lost.target, plan.targets)
    return sum(stream.device == lost.device for target in ahead for stream in target.streams if stream.video)


def _videos(plan: Plan) -> Iterator[StreamPlan]:
    return (stream for target in plan.targets for stream in target.streams if stream.video)
