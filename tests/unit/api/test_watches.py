"""How many streams of states are open."""

import pytest

from reelmill_server.api.watches import Watches
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


def test_a_caller_has_a_network_of_addresses() -> None:
    """Of IPv6, a host may have 2**64: with one for each stream, it could open all that the server serves."""
    watches = Watches(10, 1, Metrics())
    with watches.counted("ipv6:%5B2001:db8::1%5D:80"):
        with pytest.raises(LimitExceeded, match="watch_caller_limit"), watches.counted("ipv6:%5B2001:db8::2%5D:80"):
            pass
        with watches.counted("ipv6:%5B2001:db8:0:1::1%5D:80"), watches.counted("ipv4:10.0.0.1:80"):
            pass
