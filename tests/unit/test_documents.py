"""The documents say what the code does."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from docs import run_commands, write_settings
from reelmill.v1 import media_convert_service_pb2, notification_service_pb2, project_service_pb2
from reelmill_server.api import supported_fields
from reelmill_server.errors import all_errors
from reelmill_server.telemetry.metrics import Metrics
from tests.e2e.conformance.table import ELSEWHERE, MESSAGES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def _messages() -> dict[str, list[str]]:
    """Every message of the protos with its fields."""
    results: dict[str, list[str]] = {}
    todo = [media_convert_service_pb2.DESCRIPTOR, project_service_pb2.DESCRIPTOR, notification_service_pb2.DESCRIPTOR]
    seen = set()
    while todo:
        file = todo.pop()
        if file.name in seen or not file.name.startswith("reelmill/"):
            continue
        seen.add(file.name)
        todo += list(file.dependencies)
        for message in file.message_types_by_name.values():
            results[message.name] = [field.name for field in message.fields]
    return results


def _documented() -> dict[str, dict[str, str]]:
    """What compatibility.md says: message, field, state."""
    said: dict[str, dict[str, str]] = {}
    for section in re.split(r"^### ", (DOCS / "compatibility.md").read_text(), flags=re.MULTILINE)[1:]:
        name, _, body = section.partition("\n")
        rows = dict(re.findall(r"^\| `(\w+)` \| ([\w ]+) \|", body, flags=re.MULTILINE))
        whole = re.search(r"^Rejected as a whole: (.*)$", body, flags=re.MULTILINE)
        said[name.strip()] = rows or dict.fromkeys(re.findall(r"`(\w+)`", whole[1]) if whole else [], "rejected")
    return said


def test_every_field_of_the_protos_is_in_the_compatibility_page() -> None:
    """No more and no fewer."""
    assert {name: set(fields) for name, fields in _documented().items()} == {
        name: set(fields) for name, fields in _messages().items() if fields
    }


@pytest.mark.parametrize("message", sorted(supported_fields.FIELDS))
def test_the_states_of_request_fields_are_what_the_server_does(message: str) -> None:
    """Rejected there is refused here, and the other way round."""
    said = _documented()[message]
    assert {field for field, state in said.items() if state != "rejected"} == supported_fields.FIELDS[message]


def test_the_honored_fields_exist() -> None:
    """A renamed field cannot stay behind in the table."""
    messages = _messages()
    for name, fields in supported_fields.FIELDS.items():
        assert fields <= set(messages[name])


def _proofs() -> dict[str, dict[str, Path]]:
    """The tests that compatibility.md names for each message: what the link says, and the file."""
    return {
        section.partition("\n")[0].strip(): {
            text: DOCS / path
            for line in re.findall(r"^Proved by (.*)$", section, flags=re.MULTILINE)
            for text, path in re.findall(r"\[(\w+)\]\(([^)]+)\)", line)
        }
        for section in re.split(r"^### ", (DOCS / "compatibility.md").read_text(), flags=re.MULTILINE)[1:]
    }


def test_every_message_with_honored_fields_names_tests_that_exist() -> None:
    """A test that is renamed or removed cannot stay behind as a proof."""
    proofs = _proofs()
    assert [name for name, fields in _documented().items() if {*fields.values()} - {"rejected"} and not proofs[name]] == []
    for tests in proofs.values():
        for text, path in tests.items():
            assert re.search(
                rf"^(async )?def {text}\(" if text.startswith("test_") else "^ROWS", path.read_text(), re.MULTILINE
            )


@pytest.mark.parametrize("message", MESSAGES)
def test_every_honored_field_of_a_request_leads_to_its_row(message: str) -> None:
    """The rows of a field are in the tables that its message names, or the one test that proves it is."""
    proofs = _proofs()[message]
    tables = [import_module(f"tests.e2e.conformance.{text}") for text in proofs if not text.startswith("test_")]
    rows = {row.field for table in tables for row in table.ROWS}
    rows |= {field for field, test in ELSEWHERE.items() if test.rpartition("::")[2] in proofs}
    assert {f"{message}.{field}" for field in supported_fields.FIELDS[message]} <= rows


def test_every_error_is_in_the_errors_page() -> None:
    """Code, status, reason and whether another attempt follows."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| `(\w+)` \| (yes|no) \|", (DOCS / "errors.md").read_text(), flags=re.MULTILINE)
    expected = {(error.code, error.status, error.reason(), "yes" if error.retryable else "no") for error in all_errors()}
    assert set(rows) == expected


def test_the_tables_of_settings_are_those_that_are_written() -> None:
    """After a change of a setting: `make settings`."""
    page = write_settings.PAGE.read_text()
    assert page == write_settings.written(page)


def test_every_metric_is_in_the_operating_page() -> None:
    """By the name that a scraper sees."""
    text = (DOCS / "operating.md").read_text()
    for family in Metrics().registry.collect():
        if family.name.startswith("reelmill"):
            assert f"`{family.name}{'_total' if family.type == 'counter' else ''}`" in text


def test_every_test_that_is_named_is_there() -> None:
    """What docs/media.md says is proved by tests that exist."""
    named = set(re.findall(r"\b(test_\w+)(?=`)", (DOCS / "media.md").read_text()))
    there = {
        name for path in (DOCS.parent / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert named and named <= there, named - there


@pytest.mark.parametrize("page", sorted([*DOCS.parent.glob("*.md"), *DOCS.glob("*.md")]), ids=lambda page: page.name)
def test_what_a_page_shows_is_run_or_says_why_not(page: Path) -> None:
    """`make docs-check` runs it. A comment that it does not know would leave a block out without a word."""
    run_commands.script(page)
    assert all(block.how.startswith("not run: ") for block in run_commands.blocks(page) if block.how.startswith("not"))
    assert page.read_text().count("<!-- docs-check:") == sum(bool(block.how) for block in run_commands.blocks(page))


def test_a_page_is_held_to_what_it_shows() -> None:
    """Every command that runs on its own would pass otherwise."""
    assert not run_commands.differs("task 17\nsucceeded  \n", "task …\nsucceeded\n")
    assert not run_commands.differs("a\nb\nc\n", "a\n…\nc")
    assert run_commands.differs("a\nb\n", "a") and run_commands.differs("", "…x") and run_commands.differs("a.b", "a?b")


def test_the_commands_of_a_page_are_found(tmp_path: Path) -> None:
    """With what the comments above them say."""
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- docs-check: not run: no GPU -->\n```sh\nfalse\n```\n\n```console\n$ echo a \\\n  b\na b\n$ true\n```\n\n"
        "<!-- docs-check: server -->\n```sh\nserve me\n```\n\n```yaml\nx: 1\n```\n"
    )
    assert [(block.line, block.kind, block.how, block.runs) for block in run_commands.blocks(page)] == [
        (1, "sh", "not run: no GPU", True),
        (6, "console", "", True),
        (13, "sh", "server", True),
        (18, "yaml", "", False),
    ]


def test_commands_run_where_their_programs_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block whose programs or files are missing says which."""
    monkeypatch.setattr(run_commands, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        f"<!-- docs-check: if sh {tmp_path} -->\n```sh\nthis runs\n```\n\n"
        "<!-- docs-check: if sh /missing/file -->\n```sh\nthis does not\n```\n"
    )
    script = run_commands.script(page)
    assert "this runs" in script and "this does not" not in script and "skipped: there is no /missing/file" in script


def test_each_wall_has_its_test() -> None:
    """The files that the page on security names exist; a name without a folder follows one with it."""
    rows = [line.split("|") for line in (DOCS / "security.md").read_text().partition("## Walls")[2].splitlines()]
    tried = [row[3] for row in rows if len(row) == 5][2:]
    assert len(tried) >= 20
    for cell in tried:
        folder = DOCS.parent
        names = re.findall(r"`((?:tests/|test_)[^`]+)`", cell)
        assert names or "`make " in cell, cell
        for name in names:
            path = DOCS.parent / name if name.startswith("tests/") else folder / name
            assert path.exists(), name
            folder = path.parent
