"""Callers who fail to say who they are, again and again."""

from collections import Counter
from typing import Any

import pytest

from reelmill_server.api.caller import address_of, set_peer
from reelmill_server.api.failed_attempts import FailedAttempts
from reelmill_server.api.gate import Gate
from reelmill_server.errors import NotAuthenticated, Throttled
from reelmill_server.model.access import ANYONE, Principal


class Call:
    """A call with a token."""

    def __init__(self, token: str) -> None:
        self.token = token

    def invocation_metadata(self) -> Any:
        """What it sends."""
        return [("authorization", f"Bearer {self.token}")] if self.token else []


class World:
    """A gate that knows one token, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked, self.outcomes = Counter[str](), Counter[str]()
        self._gate = Gate(self._authenticate, failed_attempts=FailedAttempts(lambda outcome: self.outcomes.update([outcome])))

    async def _authenticate(self, context: Any) -> Principal:
        self.asked[context.token] += 1
        if context.token != "right":
            raise NotAuthenticated("no")
        return ANYONE

    async def answer(self, token: str, address: str = "ipv4:10.0.0.1:5000") -> type[Exception] | None:
        """Make a call, and return how it is refused, if it is."""
        set_peer(address)
        try:
            await self._gate.admit("/x/GetTask", None, Call(token))
        except (NotAuthenticated, Throttled) as error:
            assert not isinstance(error, Throttled) or error.retry_seconds > 0
            return type(error)
        return None


async def test_a_wrong_token_is_soon_refused_unseen() -> None:
    """After ten failures nobody looks at it any more; another caller at the same address is not touched."""
    world = World()
    answers = [await world.answer("wrong") for _ in range(200)]
    assert answers == [NotAuthenticated] * 10 + [Throttled] * 190
    assert world.asked["wrong"] <= 11
    assert await world.answer("right") is None
    assert world.outcomes == {"refused": 10, "throttled": 190}


async def test_one_address_with_many_tokens_is_told_to_wait() -> None:
    """Whoever guesses; callers elsewhere, and those who know a token, are not touched."""
    world = World()
    answers = Counter([await world.answer(f"guess {number}") for number in range(200)])
    assert answers[NotAuthenticated] <= 60 and answers[Throttled] >= 140
    assert await world.answer("right") is None
    assert await world.answer("another guess", "ipv4:10.0.0.2:5000") is NotAuthenticated


async def test_one_token_from_many_addresses_is_told_to_wait() -> None:
    """An access key that is attacked from everywhere; its owner still passes."""
    world = World()
    answers = Counter([await world.answer("wrong", f"ipv4:10.0.1.{number}:5000") for number in range(200)])
    assert answers[Throttled] >= 180
    assert await world.answer("right") is None


async def test_who_sends_nothing_does_not_stop_certificates() -> None:
    """Without a token, a call is always looked at: a client certificate may say who it is."""
    world = World()
    for _ in range(200):
        await world.answer("")
    assert world.asked[""] == 200


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.1.2.3:50051", "10.1.2.3"),
        ("ipv6:%5B2001:db8::1%5D:50051", "2001:db8::/64"),
        ("ipv6:[2001:db8::ffff:1%25eth0]:1", "2001:db8::/64"),
        ("unix:", "unix"),
        ("", ""),
    ],
)
def test_addresses_of_peers(peer: str, address: str) -> None:
    """Without ports, which change with each connection; a host may have all of an IPv6 network of 64 bits."""
    assert address_of(peer) == address
