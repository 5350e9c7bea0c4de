"""The cost of deleting a worker's pod: what is written to the API server, and which pods a pool that shrinks loses."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from reelmill_server.app import deletion_cost
from reelmill_server.app.deletion_cost import ANNOTATION, deletion_cost_kept
from reelmill_server.model.task import Progress, TaskPhase
from reelmill_server.model.worker_state import AttemptState, TaskPart
from tests.certificates import Authority
from tests.waiting import eventually

MINUTE_US = 60_000_000
NOW_US = 1_700_000_000_000_000


def attempt(minutes: float) -> AttemptState:
    """One that has run for so long."""
    started_us = NOW_US - int(minutes * MINUTE_US)
    return AttemptState("p", "task", 1, "software", TaskPart.WHOLE, started_us, Progress(TaskPhase.CONVERTING))


@dataclass
class ApiServer:
    """As much of Kubernetes as it takes: pods with annotations, and a token that it asks for."""

    folder: Path
    annotations: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    token: str = "first"
    fails: bool = False

    async def patch(self, request: web.Request) -> web.Response:
        """Merge a patch into a pod's annotations."""
        self.calls.append(request.match_info["pod"])
        if request.headers["Authorization"] != f"Bearer {self.token}":
            return web.Response(status=401)
        if self.fails:
            return web.Response(status=503)
        assert request.headers["Content-Type"] == "application/merge-patch+json"
        change = await request.json()
        assert change.keys() == {"metadata"} and change["metadata"].keys() == {"annotations"}
        self.annotations.setdefault(request.match_info["pod"], {}).update(change["metadata"]["annotations"])
        return web.json_response({})

    def costs(self) -> dict[str, int]:
        """The costs of the pods, 0 where none is written, as Kubernetes takes it."""
        return {pod: int(result.get(ANNOTATION, "0")) for pod, result in self.annotations.items()}

    def rotate(self, token: str) -> None:
        """Give pods another token, as the kubelet does once in an hour."""
        self.token = token
        (self.folder / "token").write_text(token)


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiServer]:
    """A server over TLS, at the address that pods are told."""
    authority = Authority()
    key, certificate = authority.issue()
    for name, content in (("key", key), ("certificate", certificate), ("ca.crt", authority.root)):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "namespace").write_text("media")
    api = ApiServer(tmp_path)
    api.rotate("first")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    app = web.Application()
    app.router.add_patch("/api/v1/namespaces/media/pods/{pod}", api.patch)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0, ssl_context=context)
    await site.start()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "localhost")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(runner.addresses[0][1]))
    monkeypatch.setattr(deletion_cost, "_CHECK_SECONDS", 0.01)
    yield api
    await runner.cleanup()


def test_the_cost_is_what_would_be_lost() -> None:
    """Nothing of an idle worker, and more with each attempt and minute; few steps, as each is a call."""
    cost = [
        deletion_cost.deletion_cost(attempts, NOW_US)
        for attempts in ([], [attempt(0)], [attempt(0), attempt(5)], [attempt(360)])
    ]
    assert cost == sorted(set(cost)) and cost[0] == 0
    steps = {deletion_cost.deletion_cost([attempt(seconds / 60)], NOW_US) for seconds in range(6 * 3600)}
    assert len(steps) <= 10 and max(steps) < 2**31


@pytest.mark.slow
async def test_changes_are_written_and_nothing_else(server: ApiServer) -> None:
    """With the token of the moment; a server that fails is asked again."""
    now: Sequence[AttemptState] = []
    async with deletion_cost_kept("worker-1", lambda: now, server.folder):
        await eventually(lambda: server.annotations.get("worker-1"), "a change")
        assert server.costs() == {"worker-1": 0}
        quiet = len(server.calls)
        await asyncio.sleep(0.1)
        assert len(server.calls) == quiet
        now = [attempt(0)]
        await eventually(lambda: server.costs()["worker-1"] > 0, "a change")
        server.fails = True
        server.rotate("second")
        now = []
        await eventually(lambda: len(server.calls) > quiet + 2, "a change")
        server.fails = False
        await eventually(lambda: server.costs()["worker-1"] == 0, "a change")


async def test_without_a_name_nobody_is_asked(server: ApiServer) -> None:
    """Outside Kubernetes there is nobody to ask."""
    async with deletion_cost_kept("", list, Path("/nowhere")):
        await asyncio.sleep(0.05)
    assert not server.calls


async def test_a_worker_outside_of_a_pod_works_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is no reason not to start: there is no API server, or no token."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    async with deletion_cost_kept("worker-1", list, tmp_path):
        pass
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "localhost")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    async with deletion_cost_kept("worker-1", list, tmp_path):
        pass


def doomed(costs: dict[str, int], ages: dict[str, int], count: int) -> list[str]:
    """The pods that a ReplicaSet deletes, of pods that are all scheduled, running and ready: the cheapest first, of equally
    cheap ones those that were ready last (k8s.io/kubernetes/pkg/controller, ActivePodsWithRanks).
    """
    return sorted(costs, key=lambda pod: (costs[pod], ages[pod]))[:count]


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("trial", range(20))
async def test_a_pool_that_shrinks_loses_idle_pods_first(server: ApiServer, trial: int) -> None:
    """Whatever is at work where, and however old the pods are: 20 of 20."""
    chance = random.Random(trial)
    pods = [f"worker-{number}" for number in range(8)]
    busy = set(chance.sample(pods, chance.randint(1, 7)))
    work: dict[str, list[AttemptState]] = {
        pod: [attempt(chance.uniform(0, 300)) for _ in range(chance.randint(1, 4))] if pod in busy else [] for pod in pods
    }
    keeping = [deletion_cost_kept(pod, lambda pod=pod: work[pod], server.folder) for pod in pods]  # type: ignore[misc]
    for kept in keeping:
        await kept.__aenter__()
    await eventually(lambda: server.annotations.keys() == set(pods), "a change")
    for kept in keeping:
        await kept.__aexit__(None, None, None)
    ages = dict(zip(pods, chance.sample(range(8), 8), strict=True))
    idle = set(pods) - busy
    for count in range(1, len(pods)):
        gone = set(doomed(server.costs(), ages, count))
        assert gone <= idle or gone >= idle
