"""How many streams of states are open."""

import pytest

from reelmill_server.api.watches import Watches, caller_of
from reelmill_server.errors import LimitExceeded
from reelmill_server.telemetry.metrics import Metrics


def test_streams_are_limited_per_caller_and_in_total() -> None:
    """The refusal says which limit, and a stream that ends makes room."""
    watches = Watches(3, 2, Metrics())
    with watches.counted("ipv4:10.0.0.1:1000"), watches.counted("ipv4:10.0.0.1:1001"):
        with pytest.raises(LimitExceeded, match="watch_caller_limit"), watches.counted("ipv4:10.0.0.1:1002"):
            pass
        with (
            watches.counted("ipv6:%5B::1%5D:1000"),
            pytest.raises(LimitExceeded, match="watch_limit"),
            watches.counted("unix:"),
        ):
            pass
    with watches.counted("ipv4:10.0.0.1:1000"), watches.counted("unix:"):
        assert watches._open.total() == 2
    assert not watches._open


@pytest.mark.parametrize(
    ("peer", "caller"), [("ipv4:10.0.0.1:80", "10.0.0.1"), ("ipv6:%5B::1%5D:80", "%5B::1%5D"), ("unix:/run/x", "unix:/run/x")]
)
def test_a_caller_is_known_by_address(peer: str, caller: str) -> None:
    """Without the port, which each connection has its own."""
    assert caller_of(peer) == caller
