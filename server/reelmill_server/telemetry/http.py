"""HTTP server for monitoring: /metrics, /healthz, /readyz."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from reelmill_server.settings.fields import split_address
from reelmill_server.telemetry.logging import redact_text
from reelmill_server.telemetry.metrics import Metrics

_CONNECTIONS = 100
Check = Callable[[], Awaitable[object]]
"""Returns if a part is ready, else raises an error that says why not."""


def _accepted(server: web.Server) -> asyncio.Protocol:
    """Return the handler of a new connection; beyond so many, the oldest one, which is idle or slow, makes room."""
    if len(server.connections) >= _CONNECTIONS:
        server.connections[0].force_close()
    return server()


class TelemetryServer:
    """Server of /metrics (Prometheus), /healthz (200 while the process lives) and /readyz (200 only while every check passes).

    /readyz otherwise responds with 503 and JSON that names the failing checks: {"ready": false, "failing": {"database": "…"}}.
    """

    def __init__(
        self,
        metrics: Metrics,
        checks: Mapping[str, Check],
        check_seconds: float = 2.0,
        measure: Sequence[Callable[[], Awaitable[object]]] = (),
    ) -> None:
        """Create a server of `metrics` and named checks; a check that takes longer than `check_seconds` fails. `measure`:
        what is measured only when someone asks.
        """
        self._metrics, self._measure = metrics, measure
        self._checks = checks
        self._check_seconds = check_seconds
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None

    async def start(self, address: str) -> int:
        """Serve on `host:port` and return the port, which matters for port 0; raises OSError if it is in use."""
        host, port = split_address(address)
        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", self._metrics_page),
                web.get("/healthz", self._health_page),
                web.get("/readyz", self._ready_page),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        assert runner.server
        try:
            listener = await asyncio.get_running_loop().create_server(
                partial(_accepted, runner.server), host, port, backlog=128
            )
        except OSError:
            await runner.cleanup()
            raise
        self._runner, self._listener = runner, listener
        return int(listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop serving, if started."""
        runner, self._runner = self._runner, None
        if runner is not None and self._listener is not None:
            self._listener.close()
            await runner.cleanup()

    async def failing(self) -> dict[str, str]:
        """Run all checks concurrently and return the failing ones with their reasons."""
        results = await asyncio.gather(*(self._reason(check) for check in self._checks.values()))
        return {name: reason for name, reason in zip(self._checks, results, strict=True) if reason}

    async def show_ready(self) -> None:
        """Run all checks and set the metric that says which of them pass."""
        failing = await self.failing()
        for name in self._checks:
            self._metrics.ready.labels(name).set(name not in failing)

    async def _reason(self, check: Check) -> str:
        try:
            async with asyncio.timeout(self._check_seconds):
                await check()
        except TimeoutError:
            return f"no response within {self._check_seconds:g} s"
        except Exception as error:  # any error means not ready
            return redact_text(str(error)) or type(error).__name__
        return ""

    async def _metrics_page(self, _: web.Request) -> web.Response:
        await asyncio.gather(*(measure() for measure in self._measure))
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _health_page(self, _: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def _ready_page(self, _: web.Request) -> web.Response:
        failing = await self.failing()
        return web.json_response({"ready": not failing, "failing": failing}, status=503 if failing else 200)
