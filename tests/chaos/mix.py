"""The tasks of a storm: what is asked, and what must have come of it."""

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.faulty_storage import FaultyStorage
from tests.clips import moving_picture
from tests.sources import Audio, Clip, write

SECONDS, RATE = 3, 25
PICTURES = SECONDS * RATE
Request = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of task: `ask` gives targets for a folder, `pictures` how many pictures outputs must have, by the end of their
    names, `files` how many artifacts there must be, `code` what the task must fail with."""

    name: str
    ask: Callable[[str], Request]
    pictures: Mapping[str, int] = field(default_factory=dict)
    files: int = 1
    code: str = ""
    sources: tuple[str, ...] = ("clip.mp4",)


def _encoded(codec: str, size: str = "320x180", **more: object) -> Request:
    return {"TranscodeVideo": {"Codec": codec, "Resolution": size, **more}}


def _sound(codec: str) -> Request:
    return {"TranscodeAudio": {"Codec": codec}}


def _file(name: str, container: str, video: Request | None = None, audio: Request | None = None) -> Callable[[str], Request]:
    target: Request = {"Container": container}
    target |= {"Video": video} if video else {}
    target |= {"Audio": audio} if audio else {}
    return lambda folder: {"Targets": [{"URI": f"{folder}/{name}", **target}]}


def _ladder(folder: str) -> Request:
    segment, sound = {"Segment": {"Format": "hls", "Duration": 1}}, {"Audio": _sound("aac")}
    sizes = {"low": "160x90", "high": "320x180"}
    variants = [
        {"URI": f"{folder}/{name}", "Container": "ts", "Video": _encoded("h264", size, Preset="slow"), **segment, **sound}
        for name, size in sizes.items()
    ]
    return {"TargetGroups": [{"URI": f"{folder}/main.m3u8", "Targets": variants}]}


def _pictures(folder: str) -> Request:
    image = {
        "Snapshots": [{"URI": f"{folder}/shot", "Format": "jpg", "Mode": "average", "Number": 3}],
        "Sprites": [{"URI": f"{folder}/sheet", "Format": "png", "Interval": 0.5, "WebVTTURI": f"{folder}/sheet"}],
    }
    return {"Targets": [{"Image": image}]}


def _animation(folder: str) -> Request:
    moving = {"URI": f"{folder}/moving.{{autoext}}", "Format": "gif", "Interval": 0.2, "Width": 160, "Height": 90}
    return {"Targets": [{"Image": {"Animations": [moving]}}]}


def _subtitles(folder: str) -> Request:
    return {"Targets": [{"Subtitle": {"ExtractSubtitle": {"Format": "vtt", "URI": f"{folder}/lines.vtt"}}}]}


def _several(folder: str) -> Request:
    return {
        "Targets": [
            {"URI": f"{folder}/one.mp4", "Container": "mp4", "Video": _encoded("h264", Preset="slow"), "Audio": _sound("aac")},
            {"URI": f"{folder}/two.mkv", "Container": "mkv"},
            {"URI": f"{folder}/three.mp3", "Container": "mp3", "Video": {"DisableVideo": True}, "Audio": _sound("mp3")},
        ]
    }


_SLOW = _encoded("h264", "640x360", Preset="veryslow")
# The longest of these take some seconds of one core: long enough to be struck in the middle, quick enough for hundreds.
KINDS = (
    Kind("h264", _file("out.mp4", "mp4", _SLOW, _sound("aac")), {"out.mp4": PICTURES}),
    Kind("h265", _file("out.mp4", "mp4", _encoded("h265", Preset="slow"), _sound("aac")), {"out.mp4": PICTURES}),
    Kind("av1", _file("out.mkv", "mkv", _encoded("av1"), _sound("opus")), {"out.mkv": PICTURES}),
    Kind("vp9", _file("out.webm", "webm", _encoded("vp9"), _sound("opus")), {"out.webm": PICTURES}),
    Kind("remux", _file("out.mkv", "mkv"), {"out.mkv": PICTURES}),
    Kind("large", _file("out.wav", "wav", {"DisableVideo": True}), sources=("large.wav",)),
    Kind("sound", _file("out.mp3", "mp3", {"DisableVideo": True}, _sound("mp3"))),
    Kind("several", _several, {"one.mp4": PICTURES, "two.mkv": PICTURES}, files=3),
    Kind("ladder", _ladder, {"low.m3u8": PICTURES, "high.m3u8": PICTURES}, files=4),
    Kind("pictures", _pictures, {".jpg": 1, ".png": 1}, files=5),
    Kind("animation", _animation, {"moving.gif": 15}),
    Kind("subtitles", _subtitles),
    Kind(
        "joined",
        _file("out.mp4", "mp4", _encoded("h264", Preset="slow"), _sound("aac")),
        {"out.mp4": 2 * PICTURES},
        sources=("clip.mp4", "other.mkv"),
    ),
    Kind("missing", _file("out.mkv", "mkv"), code="ResourceNotFound", sources=("missing.mp4",)),
    Kind("broken", _file("out.mkv", "mkv"), code="InvalidMedia", sources=("broken.mp4",)),
    Kind("misfit", _file("out.webm", "webm"), code="UnsupportedFormat"),
)
_WEIGHTS = {"h264": 5, "h265": 3, "several": 3, "ladder": 3, "remux": 2, "av1": 2, "joined": 2}


@dataclass(frozen=True)
class Errand:
    """One task of a storm: when it is sent, in seconds from the begin; how many seconds later it is canceled, if it is;
    whether its end is told."""

    number: int
    kind: Kind
    at: float
    cancel_after: float | None
    told: bool

    @property
    def folder(self) -> str:
        """Where all that it makes lies."""
        return f"out/{self.number:04}"

    def request(self, sources: Mapping[str, str], bucket: str, webhook: str) -> Request:
        """What is asked; sending it again makes no second task."""
        chosen: list[Request] = [{"URI": sources[name]} for name in self.kind.sources]
        if self.kind.name == "subtitles":
            chosen[0]["Subtitles"] = [{"URI": sources["lines.srt"], "Language": "eng"}]
        told = {"Notification": {"Webhook": {"URL": f"{webhook}/{self.number}"}}} if self.told else {}
        return {
            "ProjectName": "default",
            "Sources": chosen,
            "RequestId": str(uuid.uuid5(uuid.NAMESPACE_URL, self.folder)),
            "UserData": str(self.number),
            **told,
            **self.kind.ask(f"{bucket}/{self.folder}"),
        }


def errands(count: int, chance: random.Random, spread_seconds: float) -> list[Errand]:
    """`count` tasks that are sent within `spread_seconds`: every kind once if there are enough, then at random."""
    kinds = [*KINDS, *chance.choices(KINDS, [_WEIGHTS.get(kind.name, 1) for kind in KINDS], k=count)][:count]
    chance.shuffle(kinds)
    times = sorted(chance.uniform(0, spread_seconds) for _ in kinds)
    return [
        Errand(
            number,
            kind,
            at,
            chance.uniform(0.2, 15) if not kind.code and chance.random() < 0.1 else None,
            chance.random() < 0.4,
        )
        for number, (kind, at) in enumerate(zip(kinds, times, strict=True), 1)
    ]


def store_sources(storage: FaultyStorage, folder: Path) -> dict[str, str]:
    """Makes what is converted, and stores it; gives URIs by name. One of them is missing."""
    moving_picture(folder / "clip.mp4", SECONDS, "640x360")
    moving_picture(folder / "other.mkv", SECONDS, "320x180")
    # More than one part of what is sent in parts.
    write(Clip(format="wav", video=(), audio=(Audio(codec="pcm_s16le", seconds=60),)), folder / "large.wav")
    (folder / "broken.mp4").write_bytes((folder / "clip.mp4").read_bytes()[:3000])
    (folder / "lines.srt").write_text("1\n00:00:00,500 --> 00:00:02,500\nin the storm\n\n")
    uris = {path.name: storage.put(f"in/{path.name}", path) for path in sorted(folder.iterdir())}
    return {**uris, "missing.mp4": "s3://films/in/missing.mp4"}
