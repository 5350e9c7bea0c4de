"""Heartbeats of short activities."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from reelmill_server.engine.heartbeat import heartbeating


@pytest.mark.parametrize(("local", "count"), [(False, 1), (True, 0)])
async def test_only_activities_of_a_queue_have_heartbeats(local: bool, count: int) -> None:
    """The engine does not know local ones, and each heartbeat of one was a warning in the log."""
    beats = list[Any]()
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, is_local=local)
    environment.on_heartbeat = lambda *details: beats.append(details)

    async def work() -> None:
        async with heartbeating():
            await asyncio.sleep(0)

    await environment.run(work)
    assert len(beats) == count
