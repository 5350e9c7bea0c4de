"""Subtitles: kept, chosen, left out, and written as files."""

from pathlib import Path

from tests.e2e.conformance.kit import SILENT, Row, Task, codecs, kinds
from tests.judge import lines

MANY = [{"URI": "many.mkv"}]
COPY = {"Container": "mkv", "Audio": SILENT}
CHOSEN = Task(
    "subtitles",
    MANY,
    [
        {"URI": "first.mkv", **COPY},
        {"URI": "none.mkv", **COPY, "Subtitle": {"DisableSubtitle": True}},
        {"URI": "all.mkv", **COPY, "Subtitle": {}},
        {"URI": "second.mkv", **COPY, "Subtitle": {"Stream": [1, 7]}},
        {"URI": "every.mkv", **COPY, "Subtitle": {"Stream": [101]}},
        {"URI": "converted.mp4", **COPY, "Container": "mp4", "Subtitle": {"Stream": [0]}},
    ],
)
EXTRACTED = Task(
    "extracted",
    MANY,
    [{"Subtitle": {"ExtractSubtitle": {"Format": form, "URI": f"{form}/lines"}}} for form in ("srt", "ass", "webvtt")],
)


def _texts(path: Path, number: int = 0) -> list[str]:
    return [text for *_, text in lines(path, number)]


ROWS = (
    Row("TargetSubtitle.disable_subtitle", CHOSEN, lambda made: kinds(made("none.mkv")), ["Video"]),
    Row("TargetSubtitle.stream", CHOSEN, lambda made: _texts(made("second.mkv")), ["two"]),
    Row("TargetSubtitle.stream", CHOSEN, lambda made: len(codecs(made("second.mkv"), "Subtitle")), 1),
    Row("TargetSubtitle.stream", CHOSEN, lambda made: [_texts(made("every.mkv"), n) for n in (0, 1)], [["one"], ["two"]]),
    Row("TargetSubtitle.stream", CHOSEN, lambda made: len(codecs(made("all.mkv"), "Subtitle")), 2),
    Row("Target.subtitle", CHOSEN, lambda made: _texts(made("first.mkv")), ["one"]),
    Row("Target.subtitle", CHOSEN, lambda made: codecs(made("converted.mp4"), "Subtitle"), ["mov_text"]),
    Row(
        "TargetSubtitle.extract_subtitle",
        EXTRACTED,
        lambda made: made.names,
        [f"{name}/lines_{n}.{end}" for name, end in (("ass", "ass"), ("srt", "srt"), ("webvtt", "vtt")) for n in (0, 1)],
    ),
    Row("ExtractSubtitle.uri", EXTRACTED, lambda made: _texts(made("srt/lines_1.srt")), ["two"]),
    *(
        Row(
            "ExtractSubtitle.format",
            EXTRACTED,
            lambda made, name=name: (codecs(made(name), "Subtitle"), lines(made(name))),
            ([codec], [(0.1, 0.4, "one")]),
        )
        for name, codec in (("srt/lines_0.srt", "subrip"), ("ass/lines_0.ass", "ass"), ("webvtt/lines_0.vtt", "webvtt"))
    ),
)
