"""A quality target of a task that is cut: children try its samples, and encode chunks at the CRF that these tell."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.chunked_plan import ChunkedPlan
from reelmill_server.model.engine_view import ClaimState
from reelmill_server.model.needs import Deferred
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.plan.chunks import identified
from reelmill_server.plan.quality import PlanSearch
from reelmill_server.worker.parent import child_process
from tests.claims import FakeClaim
from tests.clips import moving_picture
from tests.integration.test_attempt import Bench
from tests.integration.trials import discover


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Two seconds, and shared scratch."""
    child_process.preload()
    (tmp_path / "clip").mkdir()
    (tmp_path / "shared").mkdir()
    result = Bench(tmp_path, moving_picture(tmp_path / "clip" / "clip.mp4", 2, gop=20))
    await discover(result.capabilities)
    yield result


@pytest.mark.slow
async def test_samples_and_chunks_are_encoded_apart(bench: Bench) -> None:
    """The result says what the samples promised, and what all frames have."""
    target = replace(bench.target("out.mp4", quality=QualityTarget(Metric.XPSNR, 38.0)), audio=None)
    request, claim = replace(bench.request(target), parallelism=2), FakeClaim(lambda: ClaimState.OURS)
    with pytest.raises(Deferred) as deferred:
        await bench.attempts.convert(request, report=bench.reported.append, claim=claim)
    needs = deferred.value.needs
    assert needs.chunked is None and needs.sampled and 0 < needs.sampled.cost.core_seconds < needs.cost.core_seconds
    chunked = needs.sampled.chunked
    assert chunked.split.reason.endswith("; the CRF is searched first, on 1 sample")
    search, again = PlanSearch(chunked.plan, needs.sampled.searches), replace(request, task_id="task-2", retry_of="task-1")
    while due := search.due():
        with capture_logs() as logged:
            tried, retried = [
                await bench.attempts.try_samples(each, needs, due, report=bench.reported.append, claim=claim, lane=SOFTWARE)
                for each in (request, again)
            ]
        assert retried == tried and [entry["event"] for entry in logged].count("attempt planned") == 1, "it was encoded again"
        search.note(tried)
    plan = search.plan()
    needs = needs.searched(ChunkedPlan(plan, identified(plan, chunked.split)))
    chunks = [
        bench.attempts.encode_unit(request, needs, number, report=bench.reported.append, claim=claim, lane=SOFTWARE)
        for number in range(2)
    ]
    kept = [file for files, _ in await asyncio.gather(*chunks) for file in files]
    artifacts, warnings = await bench.attempts.convert(
        request, report=bench.reported.append, claim=claim, lane=SOFTWARE, needs=needs.for_join(), kept=kept
    )
    quality = artifacts[0].streams[0].quality
    assert quality and quality.final == pytest.approx(38.0, abs=1.0) and quality.predicted == pytest.approx(38.0, abs=0.5)
    assert not warnings
