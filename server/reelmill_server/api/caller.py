"""The caller of the current call, for services that show different callers different things."""

from contextvars import ContextVar

from reelmill_server.model.access import ANYONE, Principal

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
