"""The command line, against a server on a real socket."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import grpc
import protovalidate
import pytest
import yaml
from typer.testing import CliRunner

from reelmill import vendor_json
from reelmill.v1 import media_convert_service_pb2 as media_convert
from reelmill.v1.task_pb2 import (
    STREAM_TYPE_VIDEO,
    TASK_PHASE_CONVERTING,
    TASK_PHASE_QUEUED,
    TASK_STATUS_CANCELED,
    TASK_STATUS_FAILED,
    TASK_STATUS_RUNNING,
    TASK_STATUS_SUCCEEDED,
    Artifact,
    ArtifactStream,
    FailedAttempt,
    FfmpegCommand,
    Ladder,
    LadderPoint,
    Plan,
    PlannedStream,
    PlannedTarget,
    StreamAdjustment,
    TargetProgress,
    Task,
)
from reelmill_client.cli import app
from reelmill_client.cli.app import global_options_first
from reelmill_client.requests import build_request
from tests.certificates import Authority

TASK_ID = "MediaConvert-0"
QUEUED = Task(task_id=TASK_ID, status=TASK_STATUS_RUNNING, phase=TASK_PHASE_QUEUED)
CONVERTING = Task(
    task_id=TASK_ID,
    status=TASK_STATUS_RUNNING,
    phase=TASK_PHASE_CONVERTING,
    attempt=2,
    progress=42,
    targets=[TargetProgress(percent=42, speed=1.5, frames_per_second=45, eta=65)],
    failed_attempts=[FailedAttempt(attempt=1, code="EncoderCrashed", message="signal 9")],
)
SUCCEEDED = Task(
    task_id=TASK_ID,
    status=TASK_STATUS_SUCCEEDED,
    progress=100,
    artifacts=[
        Artifact(
            uri="file:///a[1]b.mp4",
            size=1_500_000,
            duration=65.25,
            streams=[
                ArtifactStream(
                    type=STREAM_TYPE_VIDEO,
                    codec="h264",
                    encoder="libx264",
                    width=640,
                    height=360,
                    reason="no GPU here",
                    adjustments=[StreamAdjustment(reason="back in time", count=2, unit="frames")],
                )
            ],
        )
    ],
    warnings=["the second audio stream was left out"],
)
FAILED = Task(task_id=TASK_ID, status=TASK_STATUS_FAILED, code="InvalidMedia", message="no streams")
CANCELED = Task(task_id=TASK_ID, status=TASK_STATUS_CANCELED)
CONVERT = ("convert", "/in.mov", "/out.mp4")

Cli = Callable[..., Any]


@pytest.fixture
def cli(fake: Any) -> Cli:
    """Runs `reelmill` with these arguments against the fake server."""

    def run(*arguments: str, stdin: str | None = None, target: str = "") -> Any:
        environment = {"REELMILL_SERVER": target or fake.target, "REELMILL_PROJECT": "p"}
        return CliRunner().invoke(app, list(arguments), input=stdin, env=environment)

    return run


def json_lines(text: str) -> list[dict[str, Any]]:
    """Every line of an output, as JSON."""
    return [json.loads(line) for line in text.splitlines()]


def test_convert_shows_progress_and_the_result(fake: Any, cli: Cli) -> None:
    """Plain lines on stderr without a terminal; the artifacts on stdout; 0."""
    fake.scripts.append([QUEUED, CONVERTING, SUCCEEDED])
    result = cli(*CONVERT, "--video", "h264", "--crf", "20", "--tag", "a=b")
    assert result.exit_code == 0, result.output
    request = fake.requests("Create")[0]
    assert request.targets[0].video.transcode_video.crf == 20
    assert (request.project_name, request.tags["a"]) == ("p", "b")
    assert result.stderr.splitlines() == [
        f"task {TASK_ID}",
        "queued 0%",
        "attempt 1 failed: EncoderCrashed: signal 9",
        "converting 42% 1.50x 45 fps eta 0:01:05",
        "succeeded 100%",
        "warning: the second audio stream was left out",
    ]
    block = ["file:///a[1]b.mp4", "  1.5 MB, 0:01:05.2", "  video    h264 640x360, libx264 (software)"]
    assert result.stdout.splitlines() == block
    fake.scripts.append([SUCCEEDED])
    details = ["           no GPU here", "           left out 2 frames: back in time"]
    assert cli("watch", TASK_ID, "--verbose").stdout.splitlines() == [*block, *details]


def test_convert_prints_json_lines(fake: Any, cli: Cli) -> None:
    """The response, then every state, in a form that parse takes back; nothing on stderr."""
    fake.scripts.append([QUEUED, CONVERTING, SUCCEEDED])
    result = cli(*CONVERT, "--json")
    lines = json_lines(result.stdout)
    assert lines[0]["TaskId"] == TASK_ID
    assert [vendor_json.parse(line, Task) for line in lines[1:]] == [QUEUED, CONVERTING, SUCCEEDED]
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(("final", "code"), [(FAILED, 1), (CANCELED, 5)])
@pytest.mark.parametrize("as_json", [False, True])
def test_the_exit_code_says_how_a_task_ended(fake: Any, cli: Cli, final: Task, code: int, as_json: bool) -> None:
    """1 failed, 5 canceled; the reason is printed."""
    fake.scripts.append([QUEUED, final])
    result = cli(*CONVERT, *(["--json"] if as_json else []))
    assert result.exit_code == code
    if as_json:
        assert json_lines(result.stdout)[-1]["Status"] == ("Failed" if code == 1 else "Canceled")
    else:
        assert ("InvalidMedia: no streams" if code == 1 else "was canceled") in result.stderr
        assert result.stdout == ""


def test_detach_prints_the_id_only(fake: Any, cli: Cli) -> None:
    """For scripts; nothing is watched."""
    assert cli(*CONVERT, "--detach").stdout == f"{TASK_ID}\n"
    assert json_lines(cli(*CONVERT, "--detach", "--json").stdout)[0]["TaskId"] == "MediaConvert-1"
    assert not fake.requests("Watch")


def test_a_wrong_request_ends_with_2(fake: Any, cli: Cli, failure: Any) -> None:
    """One sentence and one line a field, whether the client or the server found it."""
    result = cli(*CONVERT, "--crf", "20")
    assert (result.exit_code, result.stderr.splitlines()) == (
        2,
        ["error: the request is invalid", "  --crf: needs video to be encoded: set video to a codec"],
    )
    assert not fake.calls
    wrong = (("targets[0].uri", "must be set"), ("sources[0].uri", "must be set"))
    message = "; ".join(": ".join(pair) for pair in wrong)
    fake.failures["Create"].append(failure(grpc.StatusCode.INVALID_ARGUMENT, message, "InvalidArgument", "R", wrong))
    result = cli(*CONVERT)
    assert (result.exit_code, result.stderr.splitlines()) == (
        2,
        ["error: the request is invalid", "  DST: must be set", "  SRC: must be set"],
    )
    closed = "targets[0].uri: file:///etc/a.mp4 is outside: really"
    fake.failures["Create"].append(failure(grpc.StatusCode.PERMISSION_DENIED, closed, "AccessDenied", ""))
    assert cli(*CONVERT).stderr == "error: DST: file:///etc/a.mp4 is outside: really\n"
    fake.failures["Create"].append(failure(grpc.StatusCode.UNIMPLEMENTED, "no dash yet", "FieldNotSupported"))
    result = cli(*CONVERT)
    assert (result.exit_code, result.stderr) == (2, "error: no dash yet\n")


@pytest.mark.parametrize(
    ("options", "field", "flag"),
    [
        (("--vmaf", "99.5"), "targets[0].video.transcode_video.quality_target", "--vmaf"),
        (("--xpsnr", "90"), "targets[0].video.transcode_video.quality_target.value", "--xpsnr"),
        (("--ladder", "auto"), "target_groups[0].auto_ladder", "--ladder"),
        (("--ladder", "auto", "--crf", "20"), "target_groups[0].targets[0].video.transcode_video.crf", "--crf"),
    ],
)
def test_the_server_s_words_name_flags(
    fake: Any, cli: Cli, failure: Any, options: tuple[str, ...], field: str, flag: str
) -> None:
    """Whatever the flag becomes in the request."""
    fake.failures["Create"].append(
        failure(grpc.StatusCode.INVALID_ARGUMENT, f"{field}: cannot be", "InvalidArgument", "R", ((field, "cannot be"),))
    )
    result = cli("convert", CONVERT[1], "/out.m3u8", "--video", "h264", *options)
    assert result.stderr.splitlines()[-1] == f"  {flag}: cannot be"


@pytest.mark.parametrize("flag", ["--smart-cut", "--ladder"])
def test_a_forgotten_word_is_missed_by_name(fake: Any, cli: Cli, flag: str) -> None:
    """The next flag would be the word, and its value an argument too many."""
    result = cli(*CONVERT, flag, "--start", "1.3")
    assert (result.exit_code, fake.calls) == (2, [])
    assert flag in result.stderr and "'--start'" in result.stderr


def test_errors_as_json(fake: Any, cli: Cli, failure: Any) -> None:
    """One object on stderr, so that stdout stays what it promises."""
    violations = (("sources", "too many"),)
    fake.failures["Create"].append(failure(grpc.StatusCode.INVALID_ARGUMENT, "Wrong.", "InvalidArgument", "R", violations))
    result = cli("--json", *CONVERT)
    assert (result.exit_code, result.stdout) == (2, "")
    assert json.loads(result.stderr) == {
        "Error": {
            "Code": "InvalidArgument",
            "Status": "INVALID_ARGUMENT",
            "Message": "Wrong.",
            "RequestId": "R",
            "Violations": [{"Field": "sources", "Description": "too many"}],
        }
    }


@pytest.mark.parametrize(
    "arguments", [("get", "x"), ("projects", "get", "x"), ("projects", "delete", "x"), ("projects", "update", "x")]
)
def test_what_is_not_there_ends_with_3(cli: Cli, arguments: tuple[str, ...]) -> None:
    """Tasks and projects."""
    result = cli(*arguments)
    assert result.exit_code == 3
    assert result.stderr.startswith("error: ")


def test_an_unreachable_server_ends_with_4(fake: Any, cli: Cli) -> None:
    """With its address in the sentence."""
    fake.stop()
    result = cli("capabilities")
    assert result.exit_code == 4
    assert result.stderr == f"error: cannot reach the server at {fake.target}: Connection refused; --server names another one\n"
    fake.start()


def test_a_slow_server_ends_with_4(fake: Any, cli: Cli) -> None:
    """--timeout bounds a call."""
    fake.answer = lambda *_: fake.ending.wait(1)
    result = cli("capabilities", "--timeout", "0.1")
    assert (result.exit_code, result.stderr) == (4, f"error: the server at {fake.target} did not answer within 0.1 seconds\n")


def test_a_defect_of_the_server_names_the_request(fake: Any, cli: Cli, failure: Any) -> None:
    """So that somebody can look it up."""
    fake.failures["Get"].append(failure(grpc.StatusCode.INTERNAL, "oops", "InternalError", "R-7"))
    result = cli("get", "x")
    assert (result.exit_code, result.stderr) == (1, "error: oops\n  request id: R-7\n")


@pytest.mark.parametrize("line", ["watch", "watch --all x", "convert /a", "list --limit 0", "no", "get x --colour"])
def test_wrong_usage_ends_with_2(cli: Cli, line: str) -> None:
    """Before anything is sent."""
    assert cli(*line.split()).exit_code == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.json", '{"Sources": [{"URI": "a"}], "Targets": [{"URI": "b", "Container": "mp4"}]}'),
        ("r.yaml", "sources: [{uri: a, align_mode: false}]\ntargets:\n- uri: b\n  container: mp4\n"),
        ("-", '{"Sources": [{"URI": "a"}], "Targets": [{"URI": "b", "Container": "mp4"}]}'),
        ("-", "sources: [{uri: a}]\ntargets: [{uri: b, container: mp4}]"),
    ],
)
def test_submit_reads_files(fake: Any, cli: Cli, tmp_path: Path, name: str, text: str) -> None:
    """JSON, YAML and stdin; URIs go as they are written."""
    file = tmp_path / name
    if name != "-":
        file.write_text(text)
    fake.scripts.append([SUCCEEDED])
    result = cli("submit", "-" if name == "-" else str(file), stdin=text)
    assert result.exit_code == 0, result.output
    request = fake.requests("Create")[0]
    assert (request.sources[0].uri, request.targets[0].uri, request.targets[0].container) == ("a", "b", 1)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("r.json", '{"a": }', "is not JSON: Expecting value at line 1, column 7"),
        ("r.yaml", "a: [", "is not YAML"),
        ("r.yaml", "- a", "must contain one object"),
        ("r.json", '{"Sorces": []}', "Sorces: is not a field of CreateMediaConvertTaskRequest; did you mean Sources?"),
        ("gone.json", None, "cannot read"),
        ("film.mp4", "\xff", "is not a request: expected JSON or YAML in UTF-8"),
    ],
)
def test_submit_refuses_other_files(cli: Cli, tmp_path: Path, name: str, text: str | None, words: str) -> None:
    """With the place where it went wrong."""
    if text is not None:
        (tmp_path / name).write_text(text, encoding="latin-1")
    result = cli("submit", str(tmp_path / name))
    assert result.exit_code == 2
    assert words in result.stderr


def test_plans_are_printed(fake: Any, cli: Cli, tmp_path: Path) -> None:
    """From a file and from the options of convert; nothing is created."""
    stream = PlannedStream(
        type=STREAM_TYPE_VIDEO,
        codec="h264",
        encoder="libx264",
        reason="software only",
        filters=["scale=1:1"],
        options={"crf": "20"},
    )
    plan = Plan(targets=[PlannedTarget(uri="file:///o.mp4", container="mp4", duration=10, streams=[stream])], warnings=["odd"])
    fake.plan = media_convert.PlanMediaConvertTaskResponse(valid=True, plan=plan)
    file = tmp_path / "r.json"
    file.write_text('{"Sources": [{"URI": "a"}]}')
    for arguments in (("plan", str(file)), (*CONVERT, "--dry-run")):
        result = cli(*arguments)
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            "target 0: file:///o.mp4 (mp4, 0:00:10.0)",
            "  video    stream 0 of the source to h264, libx264 (software)",
            "           scale=1:1",
            "           crf=20",
        ]
        assert "software only" in cli("--verbose", *arguments).stdout
        assert result.stderr == "warning: odd\n"
        assert vendor_json.parse(json_lines(cli("--json", *arguments).stdout)[0], type(fake.plan)) == fake.plan
    assert not fake.requests("Create")


COMMAND = FfmpegCommand(lines=["ffmpeg", "-i '/in/a [1].mp4'", f"-map 0:0 {'x' * 200}", "/out/b.mp4"], notes=["it's: [odd]"])


def test_the_ffmpeg_command_of_a_plan_is_one_line(fake: Any, cli: Cli) -> None:
    """As it is, however long; notes are comments of the shell. In JSON it is there, too."""
    fake.plan = media_convert.PlanMediaConvertTaskResponse(valid=True, plan=Plan(ffmpeg_command=COMMAND))
    assert cli(*CONVERT, "--dry-run").stdout == f"{' '.join(COMMAND.lines)}\n# it's: [odd]\n"
    printed = json_lines(cli(*CONVERT, "--dry-run", "--json").stdout)[0]
    assert printed["Plan"]["FfmpegCommand"] == {"Lines": list(COMMAND.lines), "Notes": list(COMMAND.notes)}


def test_on_a_terminal_the_ffmpeg_command_has_a_line_for_each_part(fake: Any) -> None:
    """With backslashes, so that it can be pasted."""
    fake.plan = media_convert.PlanMediaConvertTaskResponse(valid=True, plan=Plan(ffmpeg_command=COMMAND))
    terminal = Terminal(fake, *CONVERT, "--dry-run")
    terminal.expect("# it's: [odd]")
    assert terminal.close() == 0
    assert " \\\n  ".join(COMMAND.lines) in terminal.output.replace("\r\n", "\n")


def test_an_invalid_plan_ends_with_its_problems(fake: Any, cli: Cli) -> None:
    """With its problems."""
    problem = media_convert.FieldProblem(field="targets[0].container", code="UnsupportedFormat", description="no vp9 in flv")
    fake.plan = media_convert.PlanMediaConvertTaskResponse(problems=[problem])
    result = cli(*CONVERT, "--dry-run")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "--container: no vp9 in flv" in result.stderr
    assert json_lines(cli(*CONVERT, "--dry-run", "--json").stdout)[0]["Problems"][0]["Code"] == "UnsupportedFormat"


@pytest.mark.parametrize(
    ("chunks", "reason", "line"),
    [
        (
            6,
            "6 chunks: 840 s of work for one core, by estimate",
            "split into 6 chunks: 840 s of work for one core, by estimate",
        ),
        (0, "no video is encoded", "not split into chunks: no video is encoded"),
    ],
)
def test_a_plan_says_whether_it_is_split_and_why(fake: Any, cli: Cli, chunks: int, reason: str, line: str) -> None:
    """In one line of its own."""
    plan = Plan(chunks=chunks, chunks_reason=reason, ffmpeg_command=COMMAND)
    fake.plan = media_convert.PlanMediaConvertTaskResponse(valid=True, plan=plan)
    assert cli(*CONVERT, "--dry-run").stdout.splitlines()[0] == line


@pytest.mark.parametrize(
    ("code", "status"), [("InvalidArgument", 2), ("FieldNotSupported", 2), ("ResourceNotFound", 3), ("InvalidMedia", 1)]
)
def test_a_plan_that_fails_exits_as_documented(fake: Any, cli: Cli, code: str, status: int) -> None:
    """By the kind of its first problem."""
    problem = media_convert.FieldProblem(code=code, description="file:///i.mov is not there")
    fake.plan = media_convert.PlanMediaConvertTaskResponse(problems=[problem])
    result = cli(*CONVERT, "--dry-run")
    assert (result.exit_code, result.stderr) == (status, "error: file:///i.mov is not there\n")


def test_watch_takes_several_tasks(fake: Any, cli: Cli, failure: Any) -> None:
    """Lines carry the ids; the highest exit code counts; one error does not hide the others."""
    gone = failure(grpc.StatusCode.NOT_FOUND, "task does not exist", "ResourceNotFound")
    failed, succeeded = Task(), Task()
    failed.MergeFrom(FAILED)
    failed.task_id = "a"
    succeeded.MergeFrom(SUCCEEDED)
    succeeded.task_id = "b"
    fake.scripts_by_task = {"a": [failed], "b": [succeeded], "c": [gone]}
    result = cli("watch", "a", "b", "c", "a")
    assert result.exit_code == 3
    assert result.stderr.count("task a failed: InvalidMedia: no streams") == 1
    assert "b: succeeded 100%" in result.stderr
    assert "error: task does not exist" in result.stderr
    assert "file:///a[1]b.mp4" in result.stdout


def test_watch_all_until_interrupted(fake: Any, cli: Cli) -> None:
    """Running tasks of the project; Ctrl-C ends it with 130."""
    fake.scripts.append([QUEUED, SUCCEEDED, lambda: time.sleep(0.2), lambda: os.kill(os.getpid(), signal.SIGINT)])
    # Shells start jobs in the background with SIGINT ignored, and Python leaves that as it is.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        result = cli("watch", "--all", "--json")
    finally:
        signal.signal(signal.SIGINT, previous)
    assert result.exit_code == 130
    assert [line["Status"] for line in json_lines(result.stdout)] == ["Running", "Succeeded"]
    assert fake.requests("WatchAll")[0].status == TASK_STATUS_RUNNING


def test_get_and_list(fake: Any, cli: Cli) -> None:
    """As tables, and as one JSON object a line over all pages."""
    fake.tasks = {name: Task(task_id=name, status=TASK_STATUS_RUNNING, progress=7) for name in ("a", "b", "c")}
    fake.tasks["a"].tags["k"] = 3
    fake.tasks["b"].MergeFrom(Task(code="Timeout", message="too slow"))
    fake.tasks["b"].failed_attempts.add(attempt=1, code="EncoderCrashed", message="killed by SIGSEGV")
    assert "k=3" in cli("get", "a").stdout
    told = cli("get", "b").stdout
    assert "Timeout: too slow" in told and "EncoderCrashed: killed by SIGSEGV" in told
    assert json_lines(cli("get", "a", "--json").stdout)[0] == vendor_json.dump(fake.tasks["a"], zeros=True)
    arguments = ("list", "--status", "failed", "--tag", "k=v", "--tag", "x=y", "--sort", "end-time", "--order", "desc")
    result = cli(*arguments, "--start-from", "2026-01-31T00:00:00Z", "--end-to", "2026-02-01T00:00:00Z")
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["Task", "a", "b", "c"]
    request = fake.requests("List")[0]
    assert (request.status, request.tag_selector, request.sort, request.order) == (3, "k=v,x=y", 3, 2)
    assert request.start_time_range.start.seconds and request.end_time_range.end.seconds
    assert [line["TaskId"] for line in json_lines(cli("list", "--json", "--limit", "2").stdout)] == ["a", "b"]


DEFINITION = (
    '{"Sources": [{"URI": "file:///in/film%201.mov"}], "Targets": [{"URI": "file:///out/{barename}", "Container": "mp4"}]}'
)


def test_a_ladder_is_printed_and_drawn(fake: Any, cli: Cli, tmp_path: Path) -> None:
    """A row and a ring for each rung, a line for each size; a task without a ladder says so."""
    points = [
        LadderPoint(width=width, height=90, crf=crf, bitrate=100_000 * width // crf, score=100 - crf - 320 / width)
        for width in (160, 80)
        for crf in (20, 30, 40)
    ]
    ladder = Ladder(metric="vmaf", width=160, height=90, points=points, rungs=points[:1] + points[-1:])
    master = Artifact(uri="file:///m.m3u8", ladder=ladder)
    fake.tasks["a"] = Task(task_id="a", status=TASK_STATUS_SUCCEEDED, artifacts=[Artifact(uri="file:///v.m3u8"), master])
    result = cli("ladder", "a", "--plot", str(tmp_path / "hull.svg"))
    assert result.exit_code == 0, result.output
    assert [line.split()[:3] for line in result.stdout.splitlines()[-2:]] == [["1", "160x90", "20"], ["2", "80x90", "40"]]
    drawn = ElementTree.parse(tmp_path / "hull.svg").getroot()
    tags = [element.tag.rpartition("}")[2] for element in drawn.iter()]
    assert tags.count("polyline") == 3 and tags.count("circle") == len(points) + 2
    assert json_lines(cli("ladder", "a", "--json").stdout)[0]["Metric"] == "vmaf"
    fake.tasks["a"].artifacts.append(master)
    assert cli("ladder", "a", "--plot", str(tmp_path / "two.svg")).exit_code == 0
    assert (tmp_path / "two.svg").read_text() == (tmp_path / "two-2.svg").read_text()
    unwritten = cli("ladder", "a", "--plot", str(tmp_path / "none" / "hull.svg"))
    assert unwritten.exit_code == 2 and "cannot write" in unwritten.stderr
    fake.tasks["a"].ClearField("artifacts")
    refused = cli("ladder", "a")
    assert refused.exit_code == 3 and "has no ladder" in refused.stderr


def test_the_list_is_short_and_says_which_file(fake: Any, cli: Cli) -> None:
    """The newest twenty, with the name of the source; the others on demand."""
    fake.tasks = {
        f"t{number}": Task(
            task_id=f"t{number}", status=TASK_STATUS_RUNNING, progress=number, task_request_definition=DEFINITION
        )
        for number in range(30)
    }
    result = cli("list")
    assert result.stdout.splitlines()[1].split() == ["t0", "Running", "0%", "film", "1.mov", "-", "-"]
    fake.tasks["t0"].phase = TASK_PHASE_QUEUED
    assert cli("list").stdout.splitlines()[1].split()[:2] == ["t0", "Queued"]
    assert len(result.stdout.splitlines()) == 21 and "--limit" in result.stderr
    request = fake.requests("List")[0]
    assert (request.sort, request.order, request.request_definition) == (2, 2, True)
    assert len(cli("list", "--limit", "25").stdout.splitlines()) == 26
    assert len(json_lines(cli("list", "--json").stdout)) == 30


def test_ids_are_never_folded(fake: Any) -> None:
    """On a terminal of 80 columns, a task's id stays one word."""
    task_id = "MediaConvert-5d1b2c1e-8a43-4f0e-9f5e-2d7a5c3f9b10"
    fake.tasks = {task_id: Task(task_id=task_id, status=TASK_STATUS_RUNNING, task_request_definition=DEFINITION)}
    terminal = Terminal(fake, "list", columns=80)
    terminal.expect("film 1.mov")
    assert terminal.close() == 0
    assert task_id in terminal.output


def test_cancel_of_several_goes_on_after_an_error(fake: Any, cli: Cli, failure: Any) -> None:
    """Each by itself; the highest exit code counts."""
    fake.failures["Cancel"].append(failure(grpc.StatusCode.NOT_FOUND, "no such task", "ResourceNotFound"))
    result = cli("cancel", "a", "b", "c")
    assert (result.exit_code, result.stdout) == (3, "b: canceled\nc: canceled\n")
    assert "no such task" in result.stderr


def test_retry_follows_the_new_task(fake: Any, cli: Cli) -> None:
    """In the project of the command line, with a request id: sent twice, it makes one task."""
    fake.scripts.append([Task(task_id="a-again", status=TASK_STATUS_SUCCEEDED)])
    result = cli("--project", "q", "retry", "a")
    assert result.exit_code == 0 and "task a-again" in result.stderr
    request = fake.requests("Retry")[0]
    assert (request.project_name, request.task_id) == ("q", "a")
    assert request.request_id
    assert cli("retry", "a", "--detach").stdout == "a-again\n"


def test_workers_are_printed(cli: Cli) -> None:
    """With what they run; a task of another project has no name."""
    lines = cli("workers").stdout.splitlines()
    assert lines[0].startswith("w1: 1 of 2 slots, 1.5 of 4 cores, serves software, since")
    assert lines[1:] == [
        "  t, chunk 3, converting 50%, libx264, aac",
        "  (a task of another project), whole, probing 0%",
    ]
    assert json.loads(cli("--json", "workers").stdout)["Name"] == "w1"


def test_a_missing_file_fails_before_a_task_is_made(fake: Any, cli: Cli, failure: Any, tmp_path: Path) -> None:
    """If the server does not see it either: it may be elsewhere, or in a container."""
    gone = failure(
        grpc.StatusCode.NOT_FOUND, "the source does not exist", "SourceNotFound", "R", (("source_uri", "is not there"),)
    )
    fake.failures["Probe"].append(gone)
    result = cli("convert", str(tmp_path / "gone.mov"), "/out.mp4")
    assert (result.exit_code, fake.requests("Create")) == (3, [])
    assert "SRC: is not there" in result.stderr
    assert cli("convert", str(tmp_path / "gone.mov"), "/out.mp4", "--detach").exit_code == 0
    (tmp_path / "here.mov").touch()
    assert cli("convert", str(tmp_path / "here.mov"), "/out.mp4", "--detach").exit_code == 0
    assert len(fake.requests("Probe")) == 2


def test_a_server_that_is_gone_says_so(fake: Any, cli: Cli) -> None:
    """Once, and again when it is back; the result comes as if nothing had happened."""

    def restart() -> None:
        threading.Thread(target=lambda: (fake.stop(), time.sleep(0.3), fake.start()), daemon=True).start()
        fake.ending.wait(5)

    fake.scripts.extend([[QUEUED, restart], [CONVERTING, SUCCEEDED]])
    result = cli(*CONVERT)
    assert result.exit_code == 0, result.output
    lines = result.stderr.splitlines()
    assert sum("reconnecting" in line for line in lines) == 1 and fake.target in result.stderr
    assert lines.index("connected again") < lines.index("succeeded 100%")


def test_the_version_is_printed(cli: Cli) -> None:
    """Without a server."""
    assert re.fullmatch(r"reelmill \d+\.\d+\S*\n", cli("--version").stdout)


@pytest.mark.slow
def test_examples_are_requests(cli: Cli) -> None:
    """Each is listed, and is a request as it stands: read as submit reads it, and by the rules of the protos."""
    names = [line.split()[0] for line in cli("example").stdout.splitlines()]
    assert {"mp4", "hls", "images"} <= set(names)
    for name in names:
        request = build_request(yaml.safe_load(cli("example", name).stdout), "default", {})
        assert request.sources[0].uri.startswith(Path.cwd().as_uri())
        protovalidate.validate(request)
        named = yaml.safe_load(cli("example", name, "--source", "my: #1 film.mov").stdout)
        assert named["sources"][0]["uri"] == Path("my: #1 film.mov").absolute().as_uri()
        assert {**named, "sources": named["sources"][1:]} == {
            **(given := yaml.safe_load(cli("example", name).stdout)),
            "sources": given["sources"][1:],
        }
    assert cli("example", "none").exit_code == 2


def test_cancel_probe_and_capabilities(fake: Any, cli: Cli) -> None:
    """Each as text and as JSON."""
    assert cli("cancel", "x").stdout == "x: canceled\n"
    assert json_lines(cli("cancel", "x", "--json").stdout)[0].items() >= {"Status": "Canceled", "TaskId": "x"}.items()
    probed = cli("probe", "/a b.mp4").stdout
    assert "h264" in probed and "1280x720 30/1 fps" in probed and "48000 Hz stereo" in probed and "1.5 MB" in probed
    assert fake.requests("Probe")[0].source_uri == "file:///a%20b.mp4"
    assert json_lines(cli("probe", "/a", "--json").stdout)[0]["VideoStreams"][0]["CodecName"] == "h264"
    shown = cli("capabilities").stdout
    assert "h264_nvenc" in shown and "no such device" in shown and "16777216" in shown and "1.2.3" in shown
    assert "prefer" in shown and "seccomp" in shown and "Landlock" in shown
    rows = [line.split() for line in shown.splitlines() if "A driver" in line]
    assert rows[0][-4:] == ["lossless", "no", "has", "none"]
    assert [row[-1] for row in rows[1:]] == ["16x16", "4096x4096"]
    assert json_lines(cli("capabilities", "--json").stdout)[0]["Worker"] == "w1"


def test_notifications(fake: Any, cli: Cli) -> None:
    """A table for people, lines for programs; sending again."""
    table = cli("notifications", "list", "t", "--state", "failed").stdout
    assert all(word in table for word in ("t.Webhook.0", "t.Webhook.1", "https://x/", "Failed", "3", "responded with 500"))
    assert fake.requests("ListNotifications")[0].task_id == "t"
    lines = json_lines(cli("notifications", "list", "--json").stdout)
    assert [line["NotificationId"] for line in lines] == ["t.Webhook.0", "t.Webhook.1"] and lines[0]["State"] == "Failed"
    assert cli("notifications", "redeliver", "t.Webhook.0").stdout == "t.Webhook.0: being sent again\n"
    assert json_lines(cli("notifications", "redeliver", "t.Webhook.0", "--json").stdout)[0]["State"] == "Pending"


def test_projects(fake: Any, cli: Cli) -> None:
    """Their life, and JSON for each step."""
    created = cli("projects", "create", "a", "--description", "mine", "--tag", "k=v", "--json")
    assert json_lines(created.stdout)[0] == vendor_json.dump(fake.known_projects["a"], zeros=True)
    assert cli("projects", "create", "a").exit_code == 1
    assert "mine" in cli("projects", "get", "a").stdout
    assert "yours" in cli("projects", "update", "a", "--description", "yours").stdout
    assert "k=v" in cli("projects", "list").stdout
    assert [line["ProjectName"] for line in json_lines(cli("projects", "--json", "list").stdout)] == ["a"]
    assert cli("projects", "delete", "a").stdout == "a: deleted\n"
    assert not fake.known_projects


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("get x --json", "--json get x"),
        ("get --server h:1 x --project=p", "--server h:1 --project=p get x"),
        ("submit -- --json", "submit -- --json"),
        ("get x --timeout", "--timeout get x"),
    ],
)
def test_global_options_stand_anywhere(given: str, expected: str) -> None:
    """Before or after the command."""
    assert global_options_first(given.split()) == expected.split()


def test_help_explains_the_exit_codes(cli: Cli) -> None:
    """Without a server."""
    result = cli("--help")
    assert result.exit_code == 0
    for text in ("Exit codes", "3  not found", "130  interrupted", "REELMILL_SERVER"):
        assert text in result.stdout


def test_certificates_and_a_token_come_from_files(fake: Any, cli: Cli, tmp_path: Path) -> None:
    """A server that asks for a certificate gets one; the token is sent, and stands on no command line."""
    authority = Authority()
    fake.stop()
    fake.start(grpc.ssl_server_credentials([authority.issue()], authority.root, require_client_auth=True))
    key, certificate = authority.issue("operator")
    files = {"--ca-file": authority.root, "--cert-file": certificate, "--key-file": key, "--token-file": b"planted\n"}
    flags: list[str] = []
    for flag, content in files.items():
        (tmp_path / flag).write_bytes(content)
        flags += [flag, str(tmp_path / flag)]
    result = cli("capabilities", *flags, target=f"localhost:{fake.port}")
    assert result.exit_code == 0, result.output
    assert fake.calls[0][2]["authorization"] == "Bearer planted"
    assert cli("capabilities", *flags[:4]).exit_code == 2


class Terminal:
    """`reelmill` in a process and a terminal of its own."""

    def __init__(self, fake: Any, *arguments: str, columns: int = 120) -> None:
        self.master, slave = pty.openpty()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "REELMILL_SERVER": fake.target,
            "COLUMNS": str(columns),
        }
        command = [sys.executable, "-c", "from reelmill_client.cli import main; main()", *arguments]
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.output = ""

    def expect(self, text: str, *, interrupting: bool = False) -> None:
        """Reads until the text was printed; `interrupting` presses Ctrl-C now and again meanwhile.

        A single press right after a question could strike just before the program begins to read, where Python would notice it
        after the read only. People are slower than that.
        """
        began, pressed = time.monotonic(), 0
        while text not in self.output:
            waited = time.monotonic() - began
            assert waited < 60, self.output
            if interrupting and waited >= 2 * pressed:
                self.interrupt()
                pressed += 1
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.output += os.read(self.master, 65536).decode(errors="replace")
                except OSError:  # the other end was closed
                    assert text in self.output, self.output

    def type(self, text: str) -> None:
        """Types at the keyboard."""
        os.write(self.master, text.encode())

    def interrupt(self) -> None:
        """Presses Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def close(self) -> int:
        """Waits for the end."""
        try:
            return self.process.wait(10)
        finally:
            self.process.kill()
            os.close(self.master)


QUESTION = "Press Enter to leave it running, or c and Enter to cancel it: "


def test_on_a_terminal_bars_move_and_ctrl_c_can_cancel(fake: Any) -> None:
    """One bar a target; after `c` the task is canceled and its end awaited: 5."""
    fake.scripts.append([CONVERTING, fake.canceled.wait, CANCELED])
    terminal = Terminal(fake, *CONVERT)
    terminal.expect("1.50x 45 fps eta 0:01:05")
    assert "in.mov" in terminal.output and "42%" in terminal.output and "signal 9" in terminal.output
    terminal.interrupt()
    terminal.expect(QUESTION)
    terminal.type("c\n")
    terminal.expect("was canceled")
    assert terminal.close() == 5
    assert len(fake.requests("Cancel")) == 1


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("again", ["Enter", "Ctrl-C"])
def test_on_a_terminal_ctrl_c_leaves_the_task_running(fake: Any, hang: object, again: str) -> None:
    """By default, and at once at the second Ctrl-C: 130, with how to watch it again."""
    fake.scripts.append([CONVERTING, hang])
    terminal = Terminal(fake, *CONVERT)
    terminal.expect("42%")
    terminal.interrupt()
    terminal.expect(QUESTION)
    if again == "Enter":
        terminal.type("\n")
    terminal.expect(f"reelmill --server {fake.target} watch {TASK_ID}", interrupting=again == "Ctrl-C")
    assert terminal.close() == 130
    assert not fake.requests("Cancel")


def test_without_a_terminal_ctrl_c_asks_nothing(fake: Any, cli: Cli, hang: object) -> None:
    """The task is left running, with how to watch it again."""
    fake.scripts.append([QUEUED, lambda: os.kill(os.getpid(), signal.SIGINT), hang])
    result = cli(*CONVERT)
    assert result.exit_code == 130
    assert result.stderr.endswith(f"watch again with: reelmill --server {fake.target} --project p watch {TASK_ID}\n")
    assert not fake.requests("Cancel")
