"""A service on one machine, `serve`, with records in SQLite and an engine of its own, as a cluster of one member."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from examples.local_cluster.cluster import Cluster, Member
from reelmill_client import Client
from reelmill_server.engine.ports import HOST, ReservedPort


class Single(Cluster):
    """One member, which is replica and worker."""

    def __init__(self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Prepare it, with all that it keeps in `folder`."""
        self.folder, self.environment = folder, environment
        self._port = ReservedPort()
        listen = ("--listen", f"{HOST}:{self._port.number}")
        self.replicas = self.workers = [Member("serve", "serve", folder, None, (*arguments, *listen), environment)]

    @property
    def members(self) -> list[Member]:
        return self.replicas

    def start(self, members: Sequence[Member] | None = None) -> None:
        """Start it."""
        self.replicas[0].start()

    def client(self) -> Client:
        """Return a client."""
        return Client(f"{HOST}:{self._port.number}")

    def stop(self) -> None:
        """Stop it."""
        self.replicas[0].stop()
        self._port.release()
