"""The request itself, its sources, and their subtitle files."""

from pathlib import Path

import pytest

from tests import judge
from tests.e2e.conformance.kit import (
    SILENT,
    Outcome,
    Row,
    Task,
    audio,
    kinds,
    loudness,
    pictures,
    seconds_of_sound,
    size,
    tones,
    video,
)

FILM, UPRIGHT = {"URI": "film.mp4"}, {"URI": "upright.mkv"}
WHOLE = {"Video": video(), "Audio": audio()}
JOINED = Task("joined", [FILM, UPRIGHT], [{"URI": "x.mkv", "Container": "mkv", **WHOLE}])
ALIGNED = Task(
    "aligned",
    [FILM, UPRIGHT],
    [{"URI": "{tags.kind}-{barename}.mkv", "Container": "mkv", **WHOLE}],
    {"AlignmentIndex": 1, "Tags": {"kind": "odd", "n": 1}, "UserData": "mine", "Priority": 2},
)
TWO = Task("two", [FILM], [pictures("a.mkv", Resolution="48x32"), pictures("b.mkv")])
CUT = Task("cut", [{**FILM, "StartTime": 0.52, "Duration": 0.6}], [{"URI": "x.mkv", "Container": "mkv", **WHOLE}])
MUTED = Task("muted", [{**FILM, "DisableAudio": True}], [{"URI": "x.mkv", "Container": "mkv"}])
BLINDED = Task("blinded", [{**FILM, "DisableVideo": True}], [{"URI": "x.mkv", "Container": "mkv"}])
BELL = {"URI": "bell.mkv", "Attached": True}
ATTACHED = {
    mode: Task(f"attached-{mode}", [FILM, {**BELL, "AlignMode": mode}], [{"URI": "x.mkv", "Container": "mkv", **WHOLE}])
    for mode in ("false", "loop", "pad")
}
LINED = Task(
    "lined",
    [{**FILM, "Subtitles": [{"URI": "lines.srt", "TimeOffset": 0.25, "Language": "deu"}]}],
    [{"URI": "x.mkv", "Container": "mkv", "Video": video(), "Audio": SILENT}],
)
UNKNOWN_PROJECT = Task("unknown", [FILM], [pictures("x.mkv")], {"ProjectName": "nowhere"})


def _bell(outcome: Outcome) -> tuple[float, bool, bool]:
    """The attached sound: its seconds, whether it is heard at its end, and a second later."""
    path = outcome("x.mkv")
    later = seconds_of_sound(path, 1) > 1.5 and loudness(path, 1.0, 1.4, 1) > 0.01
    return round(seconds_of_sound(path, 1), 1), loudness(path, 0.3, 0.45, 1) > 0.01, later


def _tone(path: Path, begin: float) -> int:
    rate = judge.sample_rate(path)
    return round(judge.pitch(judge.sound(path)[round(begin * rate) :][: rate // 2, 0], rate), -1)


ROWS = (
    Row("CreateMediaConvertTaskRequest.project_name", JOINED, lambda made: made.ended.project_name, "default"),
    Row("CreateMediaConvertTaskRequest.project_name", UNKNOWN_PROJECT, lambda made: made.code, "ResourceNotFound"),
    Row("CreateMediaConvertTaskRequest.sources", JOINED, lambda made: judge.numbers(made("x.mkv"))[:50], list(range(50))),
    Row("CreateMediaConvertTaskRequest.sources", JOINED, lambda made: len(judge.times(made("x.mkv"))), 75),
    Row(
        "CreateMediaConvertTaskRequest.sources",
        JOINED,
        lambda made: [_tone(made("x.mkv"), begin) for begin in (1, 2.3)],
        [440, 880],
    ),
    Row(
        "CreateMediaConvertTaskRequest.targets",
        TWO,
        lambda made: [size(made(name)) for name in made.names],
        [(48, 32), (96, 64)],
    ),
    Row("CreateMediaConvertTaskRequest.alignment_index", JOINED, lambda made: size(made("x.mkv")), (96, 64)),
    Row("CreateMediaConvertTaskRequest.alignment_index", ALIGNED, lambda made: size(made("odd-upright.mkv")), (64, 96)),
    Row(
        "CreateMediaConvertTaskRequest.tags", ALIGNED, lambda made: (made.names, made.ended.tags["n"]), (["odd-upright.mkv"], 1)
    ),
    Row("CreateMediaConvertTaskRequest.user_data", ALIGNED, lambda made: made.ended.user_data, "mine"),
    Row("CreateMediaConvertTaskRequest.priority", ALIGNED, lambda made: made.ended.priority, 2),
    Row("Source.uri", CUT, lambda made: tones(made("x.mkv")), [440]),
    Row("Source.start_time", CUT, lambda made: judge.numbers(made("x.mkv"))[0], 13),
    Row("Source.duration", CUT, lambda made: judge.numbers(made("x.mkv"))[-1], 27),
    Row("Source.duration", CUT, lambda made: seconds_of_sound(made("x.mkv")), pytest.approx(0.6, abs=0.001)),
    Row("Source.disable_audio", MUTED, lambda made: kinds(made("x.mkv")), ["Video"]),
    Row("Source.disable_video", BLINDED, lambda made: kinds(made("x.mkv")), ["Audio"]),
    Row("Source.attached", ATTACHED["false"], lambda made: (tones(made("x.mkv")), tones(made("x.mkv"), 1)), ([440], [660])),
    Row("Source.align_mode", ATTACHED["false"], _bell, (0.5, True, False)),
    Row("Source.align_mode", ATTACHED["loop"], _bell, (2.0, True, True)),
    Row("Source.align_mode", ATTACHED["pad"], _bell, (2.0, True, False)),
    Row("Source.subtitles", LINED, lambda made: kinds(made("x.mkv")), ["Video", "Subtitle"]),
    Row("SourceSubtitle.uri", LINED, lambda made: [text for *_, text in judge.lines(made("x.mkv"))], ["hello", "again"]),
    Row("SourceSubtitle.time_offset", LINED, lambda made: [begin for begin, *_ in judge.lines(made("x.mkv"))], [0.45, 1.25]),
    Row("SourceSubtitle.language", LINED, lambda made: judge.describe(made("x.mkv")).of("Subtitle")[0].language, "deu"),
)
