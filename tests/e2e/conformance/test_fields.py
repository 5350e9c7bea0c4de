"""Runs the tables: each honored field of the request is used by a task, and the files are judged."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reelmill_client import ReelmillError
from reelmill_server.api import supported_fields
from tests import servers, sources
from tests.e2e.conformance import material
from tests.e2e.conformance.kit import Outcome, Row, Task
from tests.e2e.conformance.table import ELSEWHERE, MESSAGES, ROWS

pytestmark = pytest.mark.xdist_group("conformance")
Outcomes = Callable[[Task], Outcome]


@pytest.fixture(scope="session")
def outcomes(request: pytest.FixtureRequest, server: servers.Server, files: Path) -> Iterator[Outcomes]:
    """How each task ended. All that the session asks about are handed in at once, so that they run beside each other."""
    given, result = files / "conformance" / "given", files / "conformance" / "made"
    given.mkdir(parents=True)
    for name, clip in material.CLIPS.items():
        sources.write(clip, given / name)
    for name, text in material.FILES.items():
        (given / name).write_text(text)
    with servers.client(server) as client:
        rows = (item.callspec.params.get("row") for item in request.session.items if hasattr(item, "callspec"))
        tasks = {row.task.name: row.task for row in rows if isinstance(row, Row)}
        handed: dict[str, str | ReelmillError] = {}
        for name, task in tasks.items():
            try:
                handed[name] = client.submit(task.request(given, result / name)).task_id
            except ReelmillError as error:
                handed[name] = error
        done: dict[str, Outcome] = {}

        def outcome(task: Task) -> Outcome:
            if task.name not in done:
                answer, folder = handed[task.name], result / task.name
                done[task.name] = (
                    Outcome(folder, error=answer)
                    if isinstance(answer, ReelmillError)
                    else Outcome(folder, client.wait(answer, check=False))
                )
            return done[task.name]

        yield outcome


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.field)
def test_a_field_does_what_the_contract_says(outcomes: Outcomes, row: Row) -> None:
    """What the judge reads in the files of the task, or the error that the task must end with."""
    assert row.read(outcomes(row.task)) == row.expected


@pytest.mark.parametrize("message", MESSAGES)
def test_every_honored_field_has_a_row(message: str) -> None:
    """A field that is admitted needs a proof."""
    proved = {row.field for row in ROWS} | set(ELSEWHERE)
    assert {f"{message}.{field}" for field in supported_fields.FIELDS[message]} <= proved


def test_no_row_is_of_a_field_that_is_not_honored() -> None:
    """A table that outlives its fields says too much."""
    honored = {f"{message}.{field}" for message in MESSAGES for field in supported_fields.FIELDS[message]}
    assert {row.field for row in ROWS} | set(ELSEWHERE) <= honored
