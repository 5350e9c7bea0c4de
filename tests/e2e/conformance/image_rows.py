"""Pictures of the source: single ones, sheets, animations."""

from pathlib import Path

import pytest

from tests import judge
from tests.e2e.conformance.kit import Outcome, Row, Task, size

# The pictures of the film carry their numbers; number 0 is all dark. It has key frames at 0, 12, 24, 36 and 48.
FROM = {"Format": "png", "StartTime": 0.4, "Interval": 0.4, "Number": 3}
SQUARE = {"Number": 1, "StartTime": 0.4, "Format": "png"}
SNAPSHOTS = [
    {"URI": "every/{index}.{autoext}", **FROM},
    {"URI": "to-the-end/{index}.png", **FROM, "Number": 0},
    {"URI": "key/{index}.png", "Format": "png", "Mode": "keyframe"},
    {"URI": "average/{index}.png", "Format": "png", "Mode": "average", "Number": 4},
    {"URI": "changed/{index}.png", "Format": "png", "Mode": "dhash", "Threshold": 1},
    {"URI": "changed-much/{index}.png", "Format": "png", "Mode": "dhash", "Threshold": 12},
    {"URI": "small.jpg", **SQUARE, "Format": "jpg", "Width": 0.5, "Height": 16},
    {"URI": "fit.png", **SQUARE, "Width": 48, "Height": 48, "ScaleType": "fit"},
    {"URI": "blank.png", "Format": "png", "Number": 1},
    {"URI": "shown.png", "Format": "png", "Number": 1, "Interval": 0.2, "SkipBlank": True},
]
SMALL = {"ScaleWidth": 48, "ScaleHeight": 0.5}
SPRITES = [
    {"URI": "sheet/{index}.{autoext}", **FROM, "Number": 5, "Interval": 0.2, **SMALL, "TileWidth": 2, "TileHeight": 2}
    | {"Pad": 4, "Margin": 6, "WebVTTURI": "sheet/places"},
    {"URI": "default.png", "Format": "png", "Interval": 0.2, **SMALL},
    {"URI": "average.png", "Format": "png", "Mode": "average", "Number": 4, **SMALL},
    {"URI": "few.png", "Format": "png", "Mode": "dhash", "Threshold": 12, "TileWidth": 1, "TileHeight": 60, **SMALL},
    {"URI": "many.png", "Format": "png", "Mode": "dhash", "Threshold": 1, "TileWidth": 1, "TileHeight": 60, **SMALL},
    {"URI": "fit.png", **SQUARE, "ScaleWidth": 48, "ScaleHeight": 48, "ScaleType": "fit", "Pad": 0, "Margin": 0},
    {"URI": "shown.png", "Format": "png", "Number": 1, "Interval": 0.2, "SkipBlank": True, "Pad": 0, "Margin": 0},
    {"URI": "hls/{index}.jpg", "Format": "jpg", "Interval": 0.4, "Pad": 0, "Margin": 0, "TileWidth": 2, "TileHeight": 1}
    | {"ImagePlaylistURI": "hls/list"},
]
ANIMATIONS = [
    {"URI": "slow.gif", "Format": "gif", "StartTime": 0.4, "Interval": 0.2, "Number": 4, "FrameRate": 2, "Width": 48}
    | {"Height": 48, "ScaleType": "fit"},
    {"URI": "all", "Format": "apng", "Width": 0.5, "Height": 0.5},
]
TASKS = {
    kind: Task(kind.lower(), [{"URI": "film.mp4"}], [{"Image": {kind: entries}}])
    for kind, entries in (("Snapshots", SNAPSHOTS), ("Sprites", SPRITES), ("Animations", ANIMATIONS))
}
SINGLE, SHEETS, MOVING = TASKS.values()


def _numbers(result: Outcome, folder: str) -> list[int]:
    """The numbers of the pictures in a folder, in the order of their names."""
    names = sorted((name for name in result.names if name.startswith(f"{folder}/")), key=lambda name: int(Path(name).stem))
    return [judge.numbers(result(name))[0] for name in names]


def _tile(sheet: Path, left: int, top: int) -> int:
    """The number of the small picture that has its corner there."""
    return judge.number_of(judge.pictures(sheet)[0][top : top + 32, left : left + 48])


def _place(result: Outcome) -> list[str]:
    return [line for line in result("sheet/places.vtt").read_text().splitlines() if "#xywh=" in line]


ROWS = (
    Row("Target.image", SINGLE, lambda made: _numbers(made, "every"), [10, 20, 30]),
    Row("TargetImage.snapshots", SINGLE, lambda made: len(_numbers(made, "every")), 3),
    Row(
        "Snapshot.uri",
        SINGLE,
        lambda made: [n for n in made.names if n.startswith("every/")],
        [f"every/{n}.png" for n in (1, 2, 3)],
    ),
    Row("Snapshot.format", SINGLE, lambda made: "mjpeg" in judge.header(made("small.jpg")), True),
    Row("Snapshot.format", SINGLE, lambda made: "png" in judge.header(made("fit.png")), True),
    Row("Snapshot.start_time", SINGLE, lambda made: _numbers(made, "every")[0], 10),
    Row("Snapshot.interval", SINGLE, lambda made: _numbers(made, "to-the-end"), [10, 20, 30, 40]),
    Row("Snapshot.number", SINGLE, lambda made: _numbers(made, "every"), [10, 20, 30]),
    Row("Snapshot.mode", SINGLE, lambda made: _numbers(made, "key"), [0, 12, 24, 36, 48]),
    Row("Snapshot.mode", SINGLE, lambda made: _numbers(made, "average"), [6, 18, 31, 43]),
    Row(
        "Snapshot.threshold",
        SINGLE,
        lambda made: len(_numbers(made, "changed")) > len(_numbers(made, "changed-much")) > 1,
        True,
    ),
    Row("Snapshot.width", SINGLE, lambda made: size(made("small.jpg"))[0], 48),
    Row("Snapshot.height", SINGLE, lambda made: size(made("small.jpg"))[1], 16),
    Row("Snapshot.scale_type", SINGLE, lambda made: size(made("fit.png")), (48, 32)),
    Row("Snapshot.skip_blank", SINGLE, lambda made: [judge.numbers(made(f"{n}.png"))[0] for n in ("blank", "shown")], [0, 5]),
    Row("TargetImage.sprites", SHEETS, lambda made: _tile(made("sheet/1.png"), 6, 6), 10),
    Row("Sprite.uri", SHEETS, lambda made: "sheet/1.png" in made.names and "sheet/2.png" in made.names, True),
    Row("Sprite.format", SHEETS, lambda made: "png" in judge.header(made("sheet/1.png")), True),
    Row("Sprite.start_time", SHEETS, lambda made: _tile(made("sheet/1.png"), 6, 6), 10),
    Row("Sprite.interval", SHEETS, lambda made: _tile(made("sheet/1.png"), 6 + 48 + 4, 6), 15),
    Row("Sprite.number", SHEETS, lambda made: len(_place(made)), 5),
    Row("Sprite.mode", SHEETS, lambda made: [_tile(made("average.png"), 2 + 50 * n, 2) for n in range(4)], [6, 18, 31, 43]),
    Row("Sprite.threshold", SHEETS, lambda made: size(made("many.png"))[1] > size(made("few.png"))[1] > 40, True),
    Row("Sprite.scale_width", SHEETS, lambda made: size(made("sheet/1.png"))[0], 2 * 48 + 4 + 2 * 6),
    Row("Sprite.scale_height", SHEETS, lambda made: size(made("sheet/1.png"))[1], 2 * 32 + 4 + 2 * 6),
    Row("Sprite.scale_type", SHEETS, lambda made: size(made("fit.png"))[1], 32),
    Row("Sprite.tile_width", SHEETS, lambda made: size(made("default.png"))[0], 6 * 48 + 5 * 2 + 2 * 2),
    Row("Sprite.tile_height", SHEETS, lambda made: _tile(made("sheet/1.png"), 6, 6 + 32 + 4), 20),
    Row("Sprite.pad", SHEETS, lambda made: _tile(made("sheet/1.png"), 6 + 48 + 4, 6 + 32 + 4), 25),
    Row("Sprite.margin", SHEETS, lambda made: int(judge.pictures(made("sheet/1.png"))[0][:5].max()) < 20, True),
    Row("Sprite.skip_blank", SHEETS, lambda made: judge.numbers(made("shown.png"))[0] & 31, 5),
    Row("Sprite.web_vtt_uri", SHEETS, lambda made: _place(made)[1].endswith("1.png#xywh=58,6,48,32"), True),
    Row("Sprite.image_playlist_uri", SHEETS, lambda made: "#EXT-X-IMAGES-ONLY" in made("hls/list.m3u8").read_text(), True),
    Row("TargetImage.animations", MOVING, lambda made: judge.numbers(made("slow.gif")), [10, 15, 20, 25]),
    Row("Animation.uri", MOVING, lambda made: [n for n in made.names if n.startswith("all")], ["all_0_1.apng"]),
    Row("Animation.format", MOVING, lambda made: ["gif" in judge.header(made("slow.gif")), len(made.names)], [True, 2]),
    Row("Animation.start_time", MOVING, lambda made: judge.numbers(made("slow.gif"))[0], 10),
    Row("Animation.interval", MOVING, lambda made: judge.numbers(made("slow.gif"))[1], 15),
    Row("Animation.number", MOVING, lambda made: len(judge.numbers(made("slow.gif"))), 4),
    Row("Animation.width", MOVING, lambda made: size(made("all_0_1.apng"))[0], 48),
    Row("Animation.height", MOVING, lambda made: size(made("all_0_1.apng"))[1], 32),
    Row("Animation.scale_type", MOVING, lambda made: size(made("slow.gif")), (48, 32)),
    Row("Animation.frame_rate", MOVING, lambda made: float(judge.times(made("slow.gif"))[-1]), pytest.approx(1.5, abs=0.01)),
)
