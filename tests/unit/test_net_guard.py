"""Which URLs and which addresses are never called, for sources and for notifications alike."""

import socket
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from reelmill_server.net_guard import NetGuard, Refusal, UrlRules, is_public, private_address
from tests.receivers import Receiver, receiving

PRIVATE = ("10.0.0.1", "127.0.0.1.", "localhost", "a.localhost", "localhost.", "127。0。0。1", "127．0．0．１", "ⅼocalhost")
RULES = UrlRules(("example.com", "*.Example.com", "10.*", "*host*", "127*"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on this machine."""
    with receiving() as running:
        yield running


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *((address, True) for address in ("8.8.8.8", "2606:4700::1111", "2a00:1450:4001:81b::200e", "[2606:4700::1111]")),
        *((address, False) for address in "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1".split()),
        *((address, False) for address in "0.0.0.0 224.0.0.1 ::1 :: fe80::1 fe80::1%eth0 fd00::1 ::ffff:127.0.0.1".split()),
        *((address, False) for address in "64:ff9b::7f00:1 64:ff9b::808:808 2002:7f00:1:: 2001:0:7f00:1::".split()),
        *((address, False) for address in "::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b:1::7f00:1 fec0::1 5f00::1 e000::1".split()),
        *((address, False) for address in "192.0.0.192 192.88.99.1 168.63.129.16 3fff::1 fd00:ec2::254".split()),
        *((name, None) for name in ("example.com", "127.1", "")),
    ],
)
def test_which_addresses_are_public(address: str, public: bool | None) -> None:
    """An IPv4 address inside an IPv6 one does not hide there; a name tells nothing."""
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("url", "refusal"),
    [
        ("http://example.com/a", None),
        ("https://EXAMPLE.com:8443/a?b", None),
        ("https://a.b.example.com./a", None),
        ("http://other.org/a", Refusal.HOST),
        ("http://example.com.evil.org/a", Refusal.HOST),
        ("http://notexample.com/a", Refusal.HOST),
        ("http://evil.org/?example.com", Refusal.HOST),
        ("http://user:password@example.com/a", Refusal.CREDENTIALS),
        ("http://@example.com/a", Refusal.CREDENTIALS),
        ("http://evil.org\\@example.com/", Refusal.MALFORMED),
        ("ftp://example.com/a", Refusal.MALFORMED),
        ("//example.com/a", Refusal.MALFORMED),
        ("http:///a", Refusal.MALFORMED),
        ("http://./a", Refusal.MALFORMED),
        ("http://example.com:port/a", Refusal.MALFORMED),
        ("http://example.com:99999/a", Refusal.MALFORMED),
        ("http://example.com/a b", Refusal.MALFORMED),
        ("http://example.com/\r\nX: y", Refusal.MALFORMED),
        ("http://[::1/a", Refusal.MALFORMED),
        *((f"http://{host}/", Refusal.MALFORMED) for host in ("127.1", "127.0x1")),
        *((f"http://{host}/", Refusal.PRIVATE) for host in PRIVATE),
    ],
)
def test_urls_are_refused_as_far_as_they_tell_by_themselves(url: str, refusal: Refusal | None) -> None:
    """Digits, dots and letters of other scripts are to the client what they look like."""
    assert RULES.refusal(url) is refusal


def test_private_hosts_can_be_allowed() -> None:
    assert UrlRules(allow_private=True).refusal("http://127.0.0.1/") is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
async def test_private_addresses_are_not_connected_to(receiver: Receiver, host: str) -> None:
    """Even where nobody has looked at the URL."""
    guard = NetGuard(allow_private=False)
    async with guard.session(aiohttp.ClientTimeout(total=30)) as session:
        with pytest.raises((aiohttp.ClientConnectorError, aiohttp.InvalidURL)) as caught:
            await session.get(f"http://{host}:{receiver.port}/")
    await guard.close()
    assert isinstance(caught.value, aiohttp.InvalidURL) or private_address(caught.value)
    assert receiver.received == []


async def test_a_name_with_one_private_address_is_not_called_at_another(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose second address is this machine's would otherwise reach it whenever the first one is down."""

    def both(host: str, port: int, *_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("192.0.2.1", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    guard = NetGuard(allow_private=False)
    async with guard.session(aiohttp.ClientTimeout(total=30)) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.get(f"http://both.example:{receiver.port}/")
    await guard.close()
    assert "both.example has a private address" in str(private_address(caught.value))
    assert receiver.received == []


async def test_a_private_address_that_is_allowed_is_called(receiver: Receiver) -> None:
    guard = NetGuard(allow_private=True)
    async with (
        guard.session(aiohttp.ClientTimeout(total=30), headers={"X-Own": "1"}) as session,
        session.post(f"http://localhost:{receiver.port}/", data=b"x") as answer,
    ):
        assert answer.status == 200
    await guard.close()
    (received,) = receiver.received
    assert (received.headers["user-agent"], received.headers["x-own"]) == ("reelmill", "1")
