"""Runs the tests that show what of the contract works, and writes docs/conformance.md from their outcomes.

REELMILL_REAL_MEDIA=folder python -m tests.conformance [arguments of pytest]
"""

import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import av
import imageio_ffmpeg
import pytest
from google.protobuf.descriptor import Descriptor

from reelmill.v1 import media_convert_service_pb2
from reelmill_server.api import supported_fields
from reelmill_server.plan.codec.audio_encoders import AUDIO_ENCODERS
from reelmill_server.plan.codec.containers import CONTAINERS
from reelmill_server.plan.codec.video_encoders import LIBAV_CODEC
from tests.e2e.conformance.table import ELSEWHERE, ROWS
from tests.media import matrix
from tests.media.test_containers import AUDIO_CELLS, AUDIO_SOURCES, VIDEO_CELLS, VIDEO_SOURCES, WITH_VIDEO

REPORT = Path(__file__).resolve().parents[1] / "docs" / "conformance.md"
FIELDS = "tests/e2e/conformance/test_fields.py"
CONTAINED = "tests/media/test_containers.py"
MATRIX = "tests/media/test_matrix.py"
SIGNS = {"passed": "✓", "failed": "✗", "skipped": "skipped", "": "not run"}
Table = Iterable[Sequence[object]]


class Outcomes:
    """A plugin of pytest that keeps how each test ended, and why those that failed did."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}
        self.reasons: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keeps a failure of any phase, else the outcome of the test itself."""
        # Tests that must share a process are marked so in their ids.
        test = report.nodeid.partition("@service")[0]
        if report.when == "call" or report.outcome != "passed":
            self.of[test] = report.outcome
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.reasons[test] = str(getattr(crash, "message", report.longrepr)).partition("\n")[0][:160]

    def passed(self, *tests: str) -> bool:
        """Whether all of these passed."""
        return all(self.of.get(test) == "passed" for test in tests)


def contract() -> dict[str, list[str]]:
    """The messages that a request to convert is made of, with their fields."""
    results: dict[str, list[str]] = {}

    def visit(message: Descriptor) -> None:
        if message.name not in results and message.file.package == "reelmill.v1":
            results[message.name] = [field.name for field in message.fields]
            for field in message.fields:
                if field.message_type:
                    visit(field.message_type)

    visit(media_convert_service_pb2.CreateMediaConvertTaskRequest.DESCRIPTOR)
    return results


def proofs() -> dict[str, list[str]]:
    """The tests of each field."""
    rows: dict[str, int] = {}
    tests: dict[str, list[str]] = {field: [test] for field, test in ELSEWHERE.items()}
    total = {row.field: sum(other.field == row.field for other in ROWS) for row in ROWS}
    for row in ROWS:
        number = rows[row.field] = rows.get(row.field, -1) + 1
        name = row.field if total[row.field] == 1 else f"{row.field}{number}"
        tests.setdefault(row.field, []).append(f"{FIELDS}::test_a_field_does_what_the_contract_says[{name}]")
    return tests


def table(head: Sequence[str], rows: Table) -> Iterator[str]:
    """A table in Markdown."""
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"
    yield ""


def fields(outcomes: Outcomes) -> Iterator[str]:
    """What of each message is honored, and proved."""
    tests, total = proofs(), [0, 0, 0]
    rows = []
    for message, names in contract().items():
        honored = [name for name in names if name in supported_fields.FIELDS.get(message, ())]
        proved = [name for name in honored if outcomes.passed(*tests.get(f"{message}.{name}", ["none"]))]
        left = ", ".join(f"`{name}`" for name in names if name not in honored) if honored else "all"
        total = [sum(pair) for pair in zip(total, map(len, (names, honored, proved)), strict=True)]
        rows.append((f"`{message}`", len(names), len(honored), len(proved), left if len(honored) < len(names) else ""))
    yield "## Fields\n"
    yield f"**{total[1]} of the {total[0]} fields of a request are honored; the tests of {total[2]} of them pass.**\n"
    yield "Each is used by a task through the server, and the files that it makes are judged: `tests/e2e/conformance`.\n"
    yield from table(("message", "fields", "honored", "tests pass", "refused"), rows)


def _cells(outcomes: Outcomes, kind: str, codecs: Mapping[str, str], containers: Iterable[str]) -> tuple[int, int, Table]:
    """How many cells hold, how many of those pass, and the rows of the table. The test of a refusal must pass, too."""
    test = f"{CONTAINED}::test_each_{kind}_cell_holds_what_went_in_or_is_refused"
    rows, held, passed = [], 0, 0
    for container in containers:
        row = [container]
        for word, codec in codecs.items():
            outcome = outcomes.of.get(f"{test}[{container}-{word}]", "")
            holds = CONTAINERS[container].holds(kind, codec)  # type: ignore[arg-type]
            held, passed = held + holds, passed + (holds and outcome == "passed")
            row.append("–" if outcome == "passed" and not holds else SIGNS[outcome])
        rows.append(row)
    return held, passed, rows


def containers(outcomes: Outcomes) -> Iterator[str]:
    """The table of codecs and containers."""
    sound = {word: encoder.codec for word, encoder in AUDIO_ENCODERS.items()}
    video_held, video_passed, video_rows = _cells(outcomes, "video", LIBAV_CODEC, WITH_VIDEO)
    audio_held, audio_passed, audio_rows = _cells(outcomes, "audio", sound, CONTAINERS)
    copies = {
        f"{CONTAINED}::test_each_{kind}_codec_is_copied_into_what_holds_it[{codec}]": sum(
            CONTAINERS[name].holds(kind, codec)  # type: ignore[arg-type]
            for name in names
        )
        for kind, codecs, names in (("video", VIDEO_SOURCES, WITH_VIDEO), ("audio", AUDIO_SOURCES, list(CONTAINERS)))
        for codec in codecs
    }
    refused = len(VIDEO_CELLS) + len(AUDIO_CELLS) - video_held - audio_held
    yield "## Codecs and containers\n"
    copied = sum(count for test, count in copies.items() if outcomes.passed(test))
    yield f"**Encoded: {video_passed + audio_passed} of {video_held + audio_held} cells pass, {refused} more are refused as"
    yield f"they should be. Copied: {copied} of {sum(copies.values())} pass.**\n"
    yield "✓ written, and read back by the judge, frame by frame or by the pitch of its audio; – refused: `tests/media`.\n"
    yield from table(("container", *LIBAV_CODEC), video_rows)
    yield from table(("container", *AUDIO_ENCODERS), audio_rows)


def _columns() -> dict[str, Path]:
    return {path.stem: path for path in sorted(Path(os.environ["REELMILL_REAL_MEDIA"]).glob("*.mp4"))}


def files(outcomes: Outcomes) -> Iterator[str]:
    """Real files through every kind of target."""
    columns, tried, passed, refused = _columns(), 0, 0, 0
    rows = []
    for name, cell in matrix.CELLS.items():
        row = [name]
        for stem, path in columns.items():
            outcome, reason = outcomes.of.get(f"{MATRIX}::test_a_cell[{stem}-{name}]", ""), matrix.refusal(path, cell)
            tried, passed = tried + (not reason), passed + (not reason and outcome == "passed")
            refused += bool(reason) and outcome == "passed"
            row.append("–" if reason and outcome == "passed" else SIGNS[outcome])
        rows.append(row)
    yield "## Real files\n"
    yield f"**{passed} of {tried} cells pass; {refused} more are refused with the reason: the file has no such stream, or a"
    yield "copy does not fit the container.**\n"
    yield f"{matrix.LENGTH:g} s of each file, from {matrix.START:g} s on. ✓: decodes without errors, has every frame of the"
    yield "span (in avi and mxf, one more or less) and all of its audio, about as loud; its first, middle and last frame are"
    yield "like the source's. A copy decodes without errors and is as long as its keyframes allow.\n"
    yield from table(("target", *columns), rows)


def failures(outcomes: Outcomes) -> Iterator[str]:
    """What does not work."""
    failed = sorted(test for test, outcome in outcomes.of.items() if outcome == "failed")
    yield "## What fails\n"
    yield from [f"- `{test}`: {outcomes.reasons.get(test, '')}" for test in failed] or ["Nothing."]


def report(outcomes: Outcomes) -> str:
    """The whole page."""
    return "\n".join(
        (
            "# Conformance\n",
            "`make conformance MEDIA=folder` runs the tests and writes this page. What each field",
            "does is in [compatibility](compatibility.md).\n",
            f"PyAV {av.__version__}, libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}, Python "
            f"{'.'.join(platform.python_version_tuple()[:2])}; judged by FFmpeg {imageio_ffmpeg.get_ffmpeg_version()}.\n",
            *fields(outcomes),
            *containers(outcomes),
            *files(outcomes),
            *failures(outcomes),
            "",
        )
    )


def main() -> None:
    """Runs and writes; ends with the status of the tests."""
    if not os.environ.get("REELMILL_REAL_MEDIA"):
        sys.exit("REELMILL_REAL_MEDIA must name the folder of the real files")
    outcomes = Outcomes()
    elsewhere = sorted(set(ELSEWHERE.values()))
    status = pytest.main([str(Path(FIELDS).parent), CONTAINED, MATRIX, *elsewhere, *sys.argv[1:]], plugins=[outcomes])
    REPORT.write_text(report(outcomes))
    sys.exit(status)


if __name__ == "__main__":
    main()
