"""The caller of the current call, for services that show different callers different things."""

from contextvars import ContextVar

from reelmill_server.model.access import ANYONE, Principal

_caller: ContextVar[Principal] = ContextVar("caller", default=ANYONE)


def caller() -> Principal:
    """Return who makes the current call."""
    return _caller.get()


def set_caller(principal: Principal) -> None:
    """Say who makes the current call."""
    _caller.set(principal)
