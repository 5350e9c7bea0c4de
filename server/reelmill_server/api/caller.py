"""The caller of the current call, for services that show different callers different things."""

import ipaddress
from contextvars import ContextVar
from urllib.parse import unquote

from reelmill_server.model.access import ANYONE, Principal

_IPV6_HOST_BITS = 64

_caller: ContextVar[Principal] = ContextVar("caller", default=ANYONE)


_peer: ContextVar[str] = ContextVar("peer", default="")


def peer() -> str:
    """Return where the current call comes from, as gRPC writes it: its context must not be asked once the call has ended."""
    return _peer.get()


def set_peer(address: str) -> None:
    """Say where the current call comes from."""
    _peer.set(address)


def caller() -> Principal:
    """Return who makes the current call."""
    return _caller.get()


def set_caller(principal: Principal) -> None:
    """Say who makes the current call."""
    _caller.set(principal)


def address_of(caller: str) -> str:
    """Return the address of a peer as gRPC writes it, without its port; of IPv6 the network, which one host may have."""
    host = unquote(caller.partition(":")[2]).rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return caller.partition(":")[0]  # a socket of this machine
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, _IPV6_HOST_BITS), strict=False))
