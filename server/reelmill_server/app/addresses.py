"""The addresses that a process listens on, looked at before anything is started."""

import errno
import socket

from reelmill_server.errors import ServiceUnavailable
from reelmill_server.settings import Settings
from reelmill_server.settings.fields import split_address
from reelmill_server.settings.group import both_names


def check_addresses(settings: Settings, *, control: bool) -> None:
    """Raise ServiceUnavailable if one of the addresses of this process cannot be listened on.

    An engine and workers would otherwise start, and stop, for nothing.
    """
    fields = ("listen", "http_api", "http") if control else ("http",)
    for field in fields:
        if address := getattr(settings, field):
            _check(field, address)


def _check(field: str, address: str) -> None:
    host, port = split_address(address)
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # as the servers do: a connection just closed is no harm
            trial.bind(name)
    except OSError as error:
        raise ServiceUnavailable(f"{both_names(field)}: {_problem(error, address, host)}") from error


def _problem(error: OSError, address: str, host: str) -> str:
    if error.errno == errno.EADDRINUSE:
        text_host = f"[{host}]" if ":" in host else host
        return f"{address} is in use, by another server perhaps: choose another port, or {text_host}:0 for any that is free"
    return f"cannot listen on {address}: {error.strerror}"
