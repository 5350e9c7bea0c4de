"""Workflows that began with an earlier version go on with this one: their recorded histories are replayed.

To add one: `temporal workflow show --workflow-id ID --output json`, without identities and stack traces.
"""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory

from reelmill_server.engine.workflow import MediaConvertWorkflow
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
