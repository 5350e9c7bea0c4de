"""Ladders: a master playlist and its variants."""

import re

import pytest

from reelmill.v1.task_pb2 import LadderPoint
from tests import judge
from tests.e2e.conformance.kit import Outcome, Row, Task, audio, codecs, pictures, size, span, video
from tests.e2e.conformance.target_rows import AGREES, UNMET_VMAF, agrees, format_of, lengths

FILM = [{"URI": "film.mp4"}]


def _variant(uri: str, container: str, height: int, **more: object) -> dict[str, object]:
    sized = video(Resolution=f"{height * 3 // 2}x{height}")
    return {"URI": uri, "Container": container, "Video": sized, "Audio": audio("aac"), "Segment": {"Duration": 1}, **more}


LADDER = Task(
    "ladder",
    FILM,
    more={"TargetGroups": [{"URI": "main", "Targets": [_variant("big/v", "mp4", 64), _variant("small/v", "mp4", 32)]}]},
)
PLAIN = Task(
    "plain-ladder",
    FILM,
    more={
        "TargetGroups": [
            {
                "URI": "main.m3u8",
                "Targets": [
                    {**_variant("v", "ts", 32), "Segment": {"Format": "hls", "Duration": 0.6, "StartNumber": 3}, "Speed": 0.5},
                    {"URI": "copy", "Container": "ts"},
                ],
            }
        ]
    },
)
STRIPPED = {
    strip: Task(
        f"ladder-{strip}",
        FILM,
        more={"TargetGroups": [{"URI": "m", "Targets": [_variant("v", "mp4", 32, StripMetadata=strip)]}]},
    )
    for strip in (False, True)
}

SUBTITLED = Task(
    "subtitled-ladder",
    [{"URI": "many.mkv"}],
    more={
        "TargetGroups": [
            {
                "URI": "main",
                "Targets": [
                    _variant("v", "ts", 32, Subtitle={"ExtractSubtitle": {"Format": "vtt", "URI": "words"}}),
                ],
            }
        ]
    },
)


MEASURED = Task(
    "measured-ladder",
    [{"URI": "costly.mkv"}],
    [pictures("lossless", Resolution="96x64", CRF=0)],
    {"TargetGroups": [{"URI": "main", "Targets": [_variant("v", "ts", 64, MeasureVMAF=True)]}]},
)

FAIR, LARGE = (
    Task(
        f"{name}-ladder",
        [{"URI": "costly.mkv"}],
        [],
        {"TargetGroups": [{"URI": "main", "Targets": [_variant("v", "ts", 64, **condition)]}]},
    )
    for name, condition in (("fair", {"MinVMAF": 99}), ("large", {"MaxSizeRatio": 0.01}))
)


# Of one source, with bounds that show.
MADE = {
    name: Task(
        f"made-ladder-{name}",
        [{"URI": "costly.mkv"}],
        more={
            "TargetGroups": [
                {
                    "URI": "main",
                    "Targets": [{"URI": "{rung}/v", "Container": "mp4", "Video": video()}],
                    "AutoLadder": asked,
                }
            ]
        },
    )
    for name, asked in {
        "usual": {"MinVMAFStep": 2},
        "three": {"MaxRenditions": 3},
        "costly": {"MinBitrate": 300_000},
        "cheap": {"MaxBitrate": 300_000},
        "small": {"MaxHeight": 100},
        "apart": {"MinVMAFStep": 20},
    }.items()
}


def _rungs(result: Outcome) -> list[LadderPoint]:
    result("main.m3u8")
    assert result.ended
    (ladder,) = (artifact.ladder for artifact in result.ended.artifacts if artifact.HasField("ladder"))
    return list(ladder.rungs)


def _rates(result: Outcome) -> list[int]:
    return [rung.bitrate for rung in _rungs(result)]


def _shown(result: Outcome) -> bool:
    """Whether the master playlist has the rungs that the task tells, with a playlist each."""
    listed = re.findall(r"RESOLUTION=(\d+x\d+)", result("main.m3u8").read_text())
    rungs = [f"{rung.width}x{rung.height}" for rung in _rungs(result)]
    return listed == rungs and {f"{n + 1}/v.m3u8" for n in range(len(rungs))} <= {*result.names} and len(rungs) > 1


def _lists(result: Outcome) -> list[str]:
    return [name for name in result.names if name.endswith(".m3u8")]


def _title(result: Outcome) -> str | None:
    return judge.metadata(result("v.m3u8"))[""].get("title") or judge.metadata(result("v-init.mp4"))[""].get("title")


ROWS = (
    Row("CreateMediaConvertTaskRequest.target_groups", LADDER, lambda made: judge.numbers(made("main.m3u8")), list(range(50))),
    Row("TargetGroup.uri", LADDER, _lists, ["big/v.m3u8", "main-audio.m3u8", "main.m3u8", "small/v.m3u8"]),
    Row(
        "TargetGroup.targets",
        LADDER,
        lambda made: re.findall(r"RESOLUTION=(\d+x\d+)", made("main.m3u8").read_text()),
        ["96x64", "48x32"],
    ),
    Row("TargetGroup.auto_ladder", MADE["usual"], _shown, True),
    Row("AutoLadder.max_renditions", MADE["usual"], lambda made: 3 < len(_rungs(made)) <= 6, True),
    Row("AutoLadder.max_renditions", MADE["three"], lambda made: len(_rungs(made)) <= 3, True),
    Row("AutoLadder.min_bitrate", MADE["usual"], lambda made: min(_rates(made)) < 300_000, True),
    Row("AutoLadder.min_bitrate", MADE["costly"], lambda made: min(_rates(made)) >= 300_000, True),
    Row("AutoLadder.max_bitrate", MADE["usual"], lambda made: max(_rates(made)) > 300_000, True),
    Row("AutoLadder.max_bitrate", MADE["cheap"], lambda made: max(_rates(made)) <= 300_000, True),
    Row("AutoLadder.max_height", MADE["usual"], lambda made: _rungs(made)[0].height, 128),
    Row("AutoLadder.max_height", MADE["small"], lambda made: {rung.height for rung in _rungs(made)}, {100}),
    Row("AutoLadder.min_vmaf_step", MADE["apart"], lambda made: len(_rungs(made)) < 5, True),
    Row("GroupTarget.uri", LADDER, lambda made: next(n for n in made.names if n.startswith("small/")), "small/v-0.m4s"),
    Row("GroupTarget.container", LADDER, lambda made: "#EXT-X-MAP" in made("big/v.m3u8").read_text(), True),
    Row("GroupTarget.container", PLAIN, lambda made: {format_of(made(n)) for n in made.names if n.endswith(".ts")}, {"mpegts"}),
    Row("GroupTarget.video", LADDER, lambda made: size(made("small/v.m3u8")), (48, 32)),
    Row("GroupTarget.video", PLAIN, lambda made: size(made("copy.m3u8")), (96, 64)),
    Row("GroupTarget.audio", LADDER, lambda made: codecs(made("main-audio.m3u8"), "Audio"), ["aac"]),
    Row("GroupTarget.segment", PLAIN, lambda made: lengths(made("v.m3u8")), pytest.approx([0.6] * 6 + [0.4], abs=0.05)),
    Row("GroupTarget.segment", PLAIN, lambda made: "v-3.ts" in made.names and "v-2.ts" not in made.names, True),
    Row(
        "GroupTarget.subtitle",
        SUBTITLED,
        lambda made: re.findall(r'TYPE=SUBTITLES.*LANGUAGE="(\w+)"', made("main.m3u8").read_text()),
        ["eng", "fra"],
    ),
    Row(
        "GroupTarget.subtitle",
        SUBTITLED,
        lambda made: [judge.lines(made(f"words_{number}.m3u8"))[0][2] for number in (0, 1)],
        ["one", "two"],
    ),
    Row("GroupTarget.speed", PLAIN, lambda made: span(made("v.m3u8")), pytest.approx(2 * 49 / 25, abs=0.002)),
    Row("GroupTarget.measure_vmaf", MEASURED, lambda made: agrees(made, 1, "v.m3u8", "lossless.mkv"), AGREES),
    Row("GroupTarget.min_vmaf", FAIR, lambda made: (made.code, made.names), (UNMET_VMAF, [])),
    Row("GroupTarget.max_size_ratio", LARGE, lambda made: (made.code, made.names), ("ConditionNotMet", [])),
    Row("GroupTarget.strip_metadata", STRIPPED[False], _title, "a film"),
    Row("GroupTarget.strip_metadata", STRIPPED[True], _title, None),
)
