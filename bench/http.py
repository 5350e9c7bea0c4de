"""What the HTTP front costs: python -m bench.http [--calls N] [--watchers N]

CPU time of the server for each call by gRPC and by HTTP, and memory and CPU time for many watchers over Server-Sent Events. It
starts a service of its own, without workers.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import grpc

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import media_convert_service_pb2_grpc
from tests import servers

_GET = "/reelmill.v1.MediaConvertService/GetTask"
_WATCH = "/reelmill.v1.MediaConvertService/WatchTask"
_ROUNDS = 5
_TICK = os.sysconf("SC_CLK_TCK")
_IDLE_SECONDS = 30


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def memory(pid: int) -> int:
    """Return the resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def calls(server: servers.Server, task_id: str, count: int) -> None:
    """Print what a call costs, by each protocol: the least of some rounds, which take turns."""
    pid, request = server.process.pid, pb.GetTaskRequest(project_name="default", task_id=task_id)
    fields = {"ProjectName": "default", "TaskId": task_id}
    async with grpc.aio.insecure_channel(server.grpc) as channel, aiohttp.ClientSession(server.api) as session:
        stub = media_convert_service_pb2_grpc.MediaConvertServiceStub(channel)  # type: ignore[no-untyped-call]

        async def post(path: str, kind: str, data: bytes) -> None:
            async with session.post(path, data=data, headers={"Content-Type": kind}) as response:
                assert response.status == 200, await response.text()
                await response.read()

        async def by_grpc() -> None:
            await stub.GetTask(request)

        ways: dict[str, Callable[[], Awaitable[None]]] = {
            "gRPC": by_grpc,
            "Connect, protobuf": lambda: post(_GET, "application/proto", request.SerializeToString()),
            "Connect, JSON": lambda: post(_GET, "application/json", json.dumps(fields).encode()),
            "vendor": lambda: post(f"/?Action=GetTask&ProjectName=default&TaskId={task_id}", "text/plain", b""),
        }
        least = dict.fromkeys(ways, float("inf"))
        for _ in range(_ROUNDS):
            for name, call in ways.items():
                before = cpu_seconds(pid)
                for _ in range(count):
                    await call()
                least[name] = min(least[name], (cpu_seconds(pid) - before) / count * 1000)
    for name, milliseconds in least.items():
        print(f"{name:20} {milliseconds:.2f} ms of CPU for each call, {milliseconds - least['gRPC']:+.2f}", flush=True)


async def watchers(server: servers.Server, task_id: str, count: int) -> None:
    """Print what watchers of one task cost: to open, while nothing happens, and for a change."""
    pid = server.process.pid
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(server.api, connector=connector, timeout=aiohttp.ClientTimeout(None)) as session:
        memory_before, before = memory(pid), cpu_seconds(pid)
        parameters = {"ProjectName": "default", "TaskId": task_id}
        streams = [await session.get(_WATCH, params=parameters) for _ in range(count)]
        await asyncio.gather(*(stream.content.readline() for stream in streams))
        opened = cpu_seconds(pid) - before
        print(f"{count} watchers: {(memory(pid) - memory_before) / 1e6:.0f} MB, opened with {opened:.2f} s of CPU", flush=True)
        before, start = cpu_seconds(pid), time.monotonic()
        await asyncio.sleep(_IDLE_SECONDS)
        share = (cpu_seconds(pid) - before) / (time.monotonic() - start)
        print(f"while nothing happens: {share * 100:.1f} % of a core, pings and the service itself included", flush=True)
        before = cpu_seconds(pid)
        async with session.post(
            "/reelmill.v1.MediaConvertService/CancelTask", json=parameters, headers={"Content-Type": "application/json"}
        ) as response:
            assert response.status == 200
        await asyncio.gather(*(stream.read() for stream in streams))
        print(f"the end of the task, told to all: {cpu_seconds(pid) - before:.2f} s of CPU", flush=True)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--watchers", type=int, default=1000)
    options = parser.parse_args()
    limits = ("--watch-limit", str(options.watchers + 10), "--watch-caller-limit", str(options.watchers + 10))
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        with (
            servers.serve(base, "--worker-slots", "0", "--log-level", "warning", *limits) as server,
            servers.client(server) as client,
        ):
            source = base / "files" / "clip.mp4"
            source.touch()
            task_id = client.submit(source=source, destination=base / "files" / "out.mp4", video="h264").task_id
            asyncio.run(calls(server, task_id, options.calls))
            asyncio.run(watchers(server, task_id, options.watchers))


if __name__ == "__main__":
    main()
