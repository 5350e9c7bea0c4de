"""Ports on loopback for servers that must be told which one to use."""

import socket
import sys

HOST = "127.0.0.1"


class ReservedPort:
    """A free port of loopback, kept from everyone else until `release`.

    A bound socket holds it, on which nobody listens: the system gives the port to no connection and to nobody who asks for any
    free port, while a server that sets SO_REUSEADDR (those of Go and gRPC do) can bind it beside that socket. Only Linux allows
    this; elsewhere the port was free a moment ago, no more.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, 0))
        self.number = int(self._socket.getsockname()[1])
        if sys.platform != "linux":
            self.release()

    def release(self) -> None:
        """Let others have the port."""
        self._socket.close()
