"""Workflows that began with an earlier version go on with this one: their recorded histories are replayed.

To add one: `temporal workflow show --workflow-id ID --output json`, without identities and stack traces.
"""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory

from reelmill_server.engine.work import AttemptResult
from reelmill_server.engine.workflow import MediaConvertWorkflow
from reelmill_server.model.plain import adapter, to_json
from tests.integration.test_long_workflow import SAMPLED
from tests.replays import replay

HISTORIES = sorted((Path(__file__).parents[1] / "data" / "histories").glob("*.json"))


@pytest.mark.sample(every=17)
@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
@pytest.mark.parametrize("whole", [True, False], ids=["ended", "in flight"])
async def test_what_began_before_goes_on(file: Path, whole: bool) -> None:
    """From its end, and from the middle of it."""
    history = WorkflowHistory.from_json(file.stem, file.read_text())
    events = list(history.events)
    if not whole:
        events = events[: 2 * len(events) // 3]
    await replay(WorkflowHistory(file.stem, events), MediaConvertWorkflow)


async def test_what_a_replica_of_before_did_not_know_changes_nothing() -> None:
    """A newer worker told it of samples, and a single pass searched the CRF."""
    recorded = json.loads(next(file for file in HISTORIES if file.stem == "busy").read_text())
    payloads = [
        payload
        for event in recorded["events"]
        for payload in event.get("activityTaskCompletedEventAttributes", {}).get("result", {}).get("payloads", ())
        if b'"needs":{' in base64.b64decode(payload.get("data", ""))
    ]
    assert len(payloads) == 1
    result = adapter(AttemptResult).validate_json(base64.b64decode(payloads[0]["data"]))
    payloads[0]["data"] = base64.b64encode(to_json(replace(result, needs=SAMPLED))).decode()
    await replay(WorkflowHistory.from_json("busy", recorded), MediaConvertWorkflow)
