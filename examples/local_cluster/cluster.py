"""Temporal, PostgreSQL, api replicas and workers, each a separate process that can be killed and restarted."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from examples.local_cluster.postgres import PrivatePostgres
from examples.local_cluster.processes import Server, events, program, wait_for
from reelmill_client import Client
from reelmill_server.engine.embedded import EmbeddedEngine
from reelmill_server.engine.ports import HOST, ReservedPort

_RETENTION_HOURS = 24.0
_DATABASE = "reelmill"


class Temporal:
    """The Temporal server that `serve` runs as its child, here on its own; its state is a file."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedEngine(folder, "", "reelmill", _RETENTION_HOURS, on_restart=lambda: None)

    @property
    def address(self) -> str:
        """host:port after the start; the same after a restart."""
        return self._server.address

    @property
    def pid(self) -> int:
        """Id of its process."""
        return self._server.pid

    def start(self) -> None:
        """Start it and wait until it answers. It dies with the thread that calls this."""
        asyncio.run(self._server.start())

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        os.kill(self.pid, signal.SIGTERM)

    def restart(self) -> None:
        """Start it on its file after the previous process has ended."""
        before = self.pid

        def restarted() -> bool:
            asyncio.run(self._server.check())
            return self.pid != before

        wait_for(restarted, "the engine's end")

    def stop(self) -> None:
        """Stop it."""
        asyncio.run(self._server.stop())


@dataclass
class Member:
    """A replica or worker with its role, address and folder, across restarts; `logs` are those of all its processes. Without
    `temporal` its role is `serve`, which brings an engine.
    """

    name: str
    role: str
    folder: Path
    temporal: Temporal | None
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    logs: list[Path] = field(default_factory=list)
    _server: Server | None = None

    @property
    def server(self) -> Server:
        """The current process, or the last one."""
        assert self._server is not None
        return self._server

    @property
    def pid(self) -> int:
        """Id of that process."""
        return self.server.process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs or is paused."""
        return self._server is not None and self._server.alive

    def start(self) -> None:
        """Start it and wait until it is ready."""
        engine = ("--temporal-address", self.temporal.address) if self.temporal else ()
        arguments = (*engine, "--data-dir", str(self.folder), *self.arguments)
        self._server = Server(self.role, self.folder, *arguments, environment=self.environment)
        self.logs.append(self._server.log)

    def events(self, event: str) -> list[dict[str, object]]:
        """Return its log entries of this event, from its first process to its last."""
        return [entry for log in self.logs for entry in events(log, event)]

    def busy(self) -> bool:
        """Return whether its process is running an attempt."""
        return self.alive and len(self.server.events("attempt started")) > len(self.server.events("attempt ended"))

    def stop(self) -> None:
        """Stop it in whatever state it is."""
        if self.alive:
            self.server.signal(signal.SIGCONT)
            self.server.stop()


class Cluster:
    """The whole cluster. Members share nothing but the addresses of Temporal and PostgreSQL, and the storage of media."""

    def __init__(
        self,
        folder: Path,
        postgres: PrivatePostgres,
        *,
        replicas: int = 2,
        workers: int = 3,
        storage: Sequence[str] = (),
        replica_settings: Sequence[str] = (),
        worker_settings: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare a cluster on a running `postgres`, which stops with it.

        `storage` are flags of all members, `environment` is added to the environment of all of them.
        """
        self.folder = folder
        self.temporal = Temporal(folder / "temporal")
        self.postgres = postgres
        self.environment = {"REELMILL_DATABASE_URL": self.postgres.url(_DATABASE), **(environment or {})}
        self._ports = [ReservedPort() for _ in range(replicas)]
        self.replicas = [
            Member(
                f"api-{number}",
                "api",
                folder / f"api-{number}",
                self.temporal,
                (*storage, "--listen", f"{HOST}:{port.number}", *replica_settings),
                self.environment,
            )
            for number, port in enumerate(self._ports, 1)
        ]
        self.workers = [
            Member(
                f"worker-{number}",
                "worker",
                folder / f"worker-{number}",
                self.temporal,
                (*storage, "--worker-slots", "1", *worker_settings),
                environment or {},
            )
            for number in range(1, workers + 1)
        ]

    @property
    def members(self) -> list[Member]:
        return [*self.replicas, *self.workers]

    def start(self, members: Sequence[Member] | None = None) -> None:
        """Start everything in order and wait until it is ready; of the members only the given ones, if any."""
        self.postgres.execute(f"CREATE DATABASE {_DATABASE}")
        subprocess.run(
            [program("reelmill-server"), "migrate"],
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        self.temporal.start()
        with ThreadPoolExecutor() as pool:
            list(pool.map(Member.start, self.members if members is None else members))

    def client(self) -> Client:
        """Return a client that calls all replicas in turn."""
        return Client(f"ipv4:{','.join(replica.server.grpc for replica in self.replicas)}")

    def stop(self) -> None:
        """Stop everything, workers first."""
        for member in reversed(self.members):
            member.stop()
        for port in self._ports:
            port.release()
        self.temporal.stop()
        self.postgres.stop()
