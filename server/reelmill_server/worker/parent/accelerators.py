"""Which accelerators a plan uses, which encoder took over from one, and whether a driver is to blame."""

from collections.abc import Iterator

from reelmill_server.errors import DriverFailed, ReelmillError
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.model.request import ConvertRequest, Hardware


def devices(plan: Plan) -> Iterator[str]:
    """Yield the device family of each encoded video stream."""
    return (stream.device for stream in _videos(plan))


def substitute(encoder: str, before: Plan, after: Plan) -> str:
    """Return which encoder of the plan `after` encodes what `encoder` did in the plan `before`; empty: none."""
    pairs = zip(_videos(before), _videos(after), strict=False)
    return next((new.encoder for old, new in pairs if old.encoder == encoder), "")


def driver_failure(error: ReelmillError, plan: Plan, request: ConvertRequest | None) -> DriverFailed | None:
    """Return the error of an attempt that died or stood still while an accelerator encoded; None: none did.

    A task that REQUIRES hardware is not tried again.
    """
    encoders = dict.fromkeys(stream.encoder for stream in _videos(plan) if stream.device not in ("", SOFTWARE))
    if not encoders:
        return None
    failed = DriverFailed(f"{', '.join(encoders)}: {error.message}", encoders=tuple(encoders))
    policies = {target.video.hardware for target in request.targets if target.video} if request else set()
    failed.retryable = Hardware.REQUIRED not in policies
    return failed


def _videos(plan: Plan) -> Iterator[StreamPlan]:
    return (stream for target in plan.targets for stream in target.streams if stream.video)
