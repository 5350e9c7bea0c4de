"""Measure what watchers cost everyone else: the latency of GetTask, and the server's memory.

    python -m bench.watch [--watchers 1000] [--submits 200] [--seconds 10] [--rounds 2] [--postgres] [--idle]

Starts a service without workers in a temporary folder. A process each watches the project, submits tasks and asks for one task
at a time; the cases (idle, submits, watchers, both) alternate, so that what else the machine does falls on all of them alike.
`--idle` prints instead what streams cost while nothing changes: CPU seconds of the server's own process per minute.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import grpc

from examples.local_cluster.postgres import PrivatePostgres
from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1.task_pb2 import TASK_STATUS_SUCCEEDED
from reelmill.vendor_json import parse
from tests.clips import moving_picture
from tests.servers import Server, serve

_SERVICE = "/reelmill.v1.MediaConvertService/"
_STREAMS_PER_CONNECTION = 100
_ASK_PAUSE_SECONDS = 0.02
_CALL_SECONDS = 60.0
_SETTLE_SECONDS = 15.0
_MAX_CALLS = 200  # of a submitter that the server cannot keep up with
_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)
Figures = dict[str, float]
Load = Callable[[str, Any, asyncio.Event], Awaitable[Figures]]


async def ask(address: str, message: bytes, stopped: asyncio.Event) -> Figures:
    """Ask for a task again and again; return the latencies in ms."""
    times: list[float] = []
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(f"{_SERVICE}GetTask")
        while not stopped.is_set():
            begin = time.monotonic()
            await call(message, timeout=_CALL_SECONDS)
            times.append((time.monotonic() - begin) * 1000)
            await asyncio.sleep(_ASK_PAUSE_SECONDS)
    cuts = quantiles(times, n=100)
    return {"calls": len(times), "p50": cuts[49], "p99": cuts[98], "max": max(times)}


async def submit(address: str, load: tuple[bytes, int], stopped: asyncio.Event) -> Figures:
    """Submit so many tasks a second; return how many were accepted, and how many were refused or late."""
    message, rate = load
    done: list[bool] = []
    running: set[asyncio.Task[None]] = set()

    async def one() -> None:
        try:
            await call(message, timeout=_CALL_SECONDS)
            done.append(True)
        except grpc.aio.AioRpcError:
            done.append(False)

    begin = time.monotonic()
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(f"{_SERVICE}CreateMediaConvertTask")
        number = 0
        while not stopped.is_set():
            if len(running) < _MAX_CALLS:
                task = asyncio.create_task(one())
                running.add(task)
                task.add_done_callback(running.discard)
                number += 1
            await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
        seconds = time.monotonic() - begin
        await asyncio.gather(*running)
    return {"per_second": sum(done) / seconds, "refused": done.count(False)}


async def watch(address: str, load: tuple[str, Sequence[bytes]], stopped: asyncio.Event) -> Figures:
    """Open a stream for each message; return how many states arrived per second, and how many streams ended."""
    method, messages = load
    received, ended = 0, 0

    async def one(channel: Any, message: bytes) -> None:
        nonlocal received, ended
        try:
            async for _ in channel.unary_stream(f"{_SERVICE}{method}")(message):
                received += 1
        except grpc.aio.AioRpcError:
            pass
        ended += 1

    begin = time.monotonic()
    async with AsyncExitStack() as stack:
        count = -(-len(messages) // _STREAMS_PER_CONNECTION)
        channels = [await stack.enter_async_context(grpc.aio.insecure_channel(address, options=_OPTIONS)) for _ in range(count)]
        streams = [
            asyncio.create_task(one(channels[at // _STREAMS_PER_CONNECTION], message)) for at, message in enumerate(messages)
        ]
        await stopped.wait()
        figures = {"per_second": received / (time.monotonic() - begin), "ended": float(ended)}
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
    return figures


def _work(pipe: Connection, load: Load, address: str, argument: Any) -> None:
    async def main() -> None:
        if load is not ask:
            os.nice(10)  # what the load itself takes is not to be measured
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), stopped.set)
        pipe.send("begun")  # on a busy machine, a process takes seconds to come so far
        pipe.send(await load(address, argument, stopped))

    asyncio.run(main())


@contextlib.contextmanager
def running(load: Load, address: str, argument: Any, figures: dict[str, Figures]) -> Iterator[None]:
    """Run a load in a process of its own during the block, then note its figures."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(theirs, load, address, argument))
    process.start()
    theirs.close()
    ours.recv()
    try:
        yield
    finally:
        ours.send("stop")
        figures[load.__name__] = ours.recv() if ours.poll(2 * _CALL_SECONDS) else {}
        process.join()


def memory(server: Server) -> float:
    """Return the resident MiB of the server's own process."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def cpu(server: Server) -> float:
    """Return the CPU seconds of the server's own process."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / 100


def precise_cpu(server: Server) -> float:
    """Return the CPU seconds of the server's own process as the scheduler counts them: ticks are too coarse for an idle one."""
    threads = Path(f"/proc/{server.process.pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def case(server: Server, loads: Sequence[tuple[Load, Any]], task: bytes, seconds: float) -> dict[str, Figures]:
    """Measure one case and return its figures."""
    figures: dict[str, Figures] = {}
    with contextlib.ExitStack() as stack:
        for load, argument in loads:
            stack.enter_context(running(load, server.grpc, argument, figures))
        time.sleep(seconds / 2)  # streams open, caches fill
        begin = cpu(server)
        with running(ask, server.grpc, task, figures):
            time.sleep(seconds)
        figures["server"] = {"mib": memory(server), "cores": (cpu(server) - begin) / seconds}
    return figures


def _submitted(address: str, request: bytes) -> str:
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(f"{_SERVICE}CreateMediaConvertTask")
        answer = call(request, timeout=_CALL_SECONDS)
    return pb.CreateMediaConvertTaskResponse.FromString(answer).task_id


def _all_submitted(address: str, request: bytes, count: int) -> list[str]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: _submitted(address, request), range(count)))


def measure_idle(server: Server, create: bytes, options: argparse.Namespace) -> None:
    """Print what streams cost while nothing changes: none, of the project, and each of a task that waits."""
    tasks = _all_submitted(server.grpc, create, options.watchers)
    singles = [pb.WatchTaskRequest(project_name="default", task_id=name).SerializeToString() for name in tasks]
    ended = pb.WatchTasksRequest(project_name="default", status=TASK_STATUS_SUCCEEDED).SerializeToString()
    cases: Mapping[str, tuple[str, Sequence[bytes]]] = {
        "no watchers": ("WatchTask", ()),
        "WatchTasks": ("WatchTasks", [ended] * options.watchers),
        "WatchTask": ("WatchTask", singles),
    }
    for number in range(options.rounds):
        for name, load in cases.items():
            figures: dict[str, Figures] = {}
            with running(watch, server.grpc, load, figures):
                time.sleep(_SETTLE_SECONDS)
                before, begin = precise_cpu(server), time.monotonic()
                time.sleep(options.seconds)
                share = (precise_cpu(server) - before) / (time.monotonic() - begin)
            said = f"{60 * share:.2f} CPU s per minute, {share:.2%} of a core; {memory(server):.0f} MiB; {figures['watch']}"
            print(f"round {number + 1} {name:12} {said}", flush=True)


def measure(server: Server, source: Path, options: argparse.Namespace) -> None:
    """Alternate the cases and print their figures."""
    target = {"URI": f"{source.parent.as_uri()}/out", "Container": "mp4"}
    request = {"ProjectName": "default", "Sources": [{"URI": source.as_uri()}], "Targets": [target], "Tags": {"team": "video"}}
    request["UserData"] = "u" * 200
    create = parse(request, pb.CreateMediaConvertTaskRequest).SerializeToString()
    if options.idle:
        measure_idle(server, create, options)
        return
    tasks = [_submitted(server.grpc, create) for _ in range(options.watchers if options.single else 1)]
    task = pb.GetTaskRequest(project_name="default", task_id=tasks[0]).SerializeToString()
    if options.single:
        method = "WatchTask"
        streams = [pb.WatchTaskRequest(project_name="default", task_id=name).SerializeToString() for name in tasks]
    else:
        method, streams = "WatchTasks", [pb.WatchTasksRequest(project_name="default").SerializeToString()] * options.watchers
    submits, watchers = (submit, (create, options.submits)), (watch, (method, streams))
    cases: dict[str, list[tuple[Load, Any]]] = {
        "idle": [],
        "submits": [submits],
        "watchers": [watchers],
        "both": [watchers, submits],
    }
    latencies: dict[str, list[float]] = {name: [] for name in cases}
    case(server, [submits], task, options.seconds)  # warm up
    before = memory(server)
    for number in range(options.rounds):
        for name, loads in cases.items():
            figures = case(server, loads, task, options.seconds)
            latencies[name].append(figures["ask"].get("p99", float("nan")))
            words = [
                f"{load}: " + " ".join(f"{key} {value:.1f}" for key, value in result.items())
                for load, result in figures.items()
            ]
            print(f"round {number + 1} {name:9} {'; '.join(words)}", flush=True)
    idle = median(latencies["idle"])
    print(
        "GetTask p99, median of the rounds:",
        {name: f"{median(result):.1f} ms, {median(result) / idle:.1f}x" for name, result in latencies.items()},
    )
    print(f"server before: {before:.0f} MiB, after: {memory(server):.0f} MiB")


def main() -> None:
    """Start a service, alternate the cases and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--submits", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--single", action="store_true", help="watch one task with each stream instead of the project")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--idle", action="store_true", help="measure what streams cost while nothing changes")
    options = parser.parse_args()
    postgres = PrivatePostgres() if options.postgres else None
    with tempfile.TemporaryDirectory() as folder:
        try:
            if postgres:
                postgres.start()
                postgres.execute("CREATE DATABASE records")
            records = ["--database-url", postgres.url("records")] if postgres else []
            source = moving_picture(Path(folder) / "files" / "clip.mp4", 1.0)
            # Few tasks reach the engine, whose own speed is not measured here.
            quotas = ["--project-concurrency", "20", "--project-queue", "0"]
            with serve(Path(folder), "--worker-slots", "0", *quotas, *records) as server:
                measure(server, source, options)
        finally:
            if postgres:
                postgres.stop()


if __name__ == "__main__":
    main()
