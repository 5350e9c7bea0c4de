"""A process of one role or both, from start to end."""

import asyncio
import gc
import os
import platform
import signal
import time
from contextlib import AsyncExitStack

import structlog

from reelmill_server import __version__
from reelmill_server.app.addresses import check_addresses
from reelmill_server.app.background import background
from reelmill_server.app.born import count_from_zero
from reelmill_server.app.connection import check_engine, connect_engine, engine_address
from reelmill_server.app.control import Check, ControlPlane
from reelmill_server.app.work import working
from reelmill_server.closed_memory import close_memory
from reelmill_server.descriptors import raise_limit
from reelmill_server.engine.core import observe_core
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.modes import make_private
from reelmill_server.settings import Settings, changed
from reelmill_server.settings.group import both_names
from reelmill_server.tasks.migrate import upgrade
from reelmill_server.telemetry import tracing
from reelmill_server.telemetry.http import TelemetryServer
from reelmill_server.telemetry.log_writer import count_dropped
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker.parent import child_process

_CHECK_SECONDS = 10.0
_ROLE_NAMES = {(True, True): "serve", (True, False): "api", (False, True): "worker"}
_log = structlog.get_logger(__name__)


async def run(settings: Settings, *, control: bool, work: bool) -> None:
    """Run the api role, the worker role, or both with an embedded engine, until the process is signaled to stop."""
    close_memory()  # it holds the keys of storages
    check_addresses(settings, control=control)
    raise_limit()  # before anything is started that inherits it
    make_private(settings.data_dir)
    role = _ROLE_NAMES[control, work]
    metrics = Metrics()
    _log.info("starting", version=__version__, role=role, settings=changed(settings))
    count_dropped(metrics.log_dropped_total.inc)
    core_metrics = observe_core()
    metrics.registry.register(core_metrics)
    metrics.build_info.labels(__version__, role, platform.python_version()).set(1)
    metrics.drain_limit_seconds.set(settings.drain_seconds)
    count_from_zero(metrics, control=control, work=work)
    if control and not settings.temporal_address and not settings.scratch_uri:
        settings = settings.model_copy(update={"scratch_uri": (settings.data_dir / "shared").as_uri()})
    if work:
        child_process.preload()  # first, while nothing else reads the environment
    async with AsyncExitStack() as stack:
        tracing.start(settings.otel_endpoint, role)
        stack.push_async_callback(asyncio.to_thread, tracing.stop)
        address = await stack.enter_async_context(engine_address(settings, metrics))
        client = await connect_engine(settings, address)
        checks: dict[str, Check] = {"engine": lambda: check_engine(client)}
        plane: ControlPlane | None = None
        endpoints = [f"engine {address}"]
        if control:
            if not settings.temporal_address:
                await upgrade(settings.resolved_database_url())
            console = settings.console in ("yes", "auto" if work else "yes")
            plane = ControlPlane(settings, client, metrics, console=console, work=work)
            checks |= plane.checks()
        http = TelemetryServer(metrics, checks, measure=plane.measure if plane else ())
        await stack.enter_async_context(background("ready", http.show_ready, _CHECK_SECONDS))
        await stack.enter_async_context(background("engine metrics", core_metrics.taken, _CHECK_SECONDS))
        stack.push_async_callback(http.stop)
        if plane is not None:
            addresses = await stack.enter_async_context(plane.running())
            endpoints[:0] = [f"{name} {at}" for name, at in addresses.items()]
        if work:
            await stack.enter_async_context(working(settings, client, metrics, plane))
            endpoints.append(f"{settings.worker_slots} slots")
        if settings.http:
            http_port = await _serve_http(http, settings.http)
            endpoints.insert(1, f"http {settings.http.rpartition(':')[0]}:{http_port}")
        gc.collect()
        gc.freeze()  # modules and all that a server is made of: looking through them again took a third of its CPU at rest
        gc.enable()
        stopped = _stop_signal()  # before anybody is told that it is ready, and may stop it
        print(f"reelmill-server is ready: {', '.join(endpoints)}", flush=True)
        await stopped.wait()
        stop_time = time.monotonic()
        metrics.draining_seconds.set_function(lambda: time.monotonic() - stop_time)
        _log.info("stopping", drain_seconds=settings.drain_seconds)
        if plane is not None:
            await plane.drain()


async def _serve_http(http: TelemetryServer, address: str) -> int:
    try:
        return await http.start(address)
    except OSError as error:
        raise ServiceUnavailable(f"{both_names('http')}: cannot serve metrics on {address}: {error}") from error


def _stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets from now on; a second signal exits immediately."""
    stopped = asyncio.Event()

    def stop() -> None:
        if stopped.is_set():
            os._exit(130)
        stopped.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stopped
