"""Targets: names, containers, the three cases of presence, speed, metadata, segments."""

from pathlib import Path

import pytest

from reelmill_server.media.libav import libvmaf
from reelmill_server.plan.codec.containers import CONTAINERS
from tests import judge
from tests.e2e.conformance.kit import (
    BLIND,
    SILENT,
    Outcome,
    Row,
    Task,
    audio,
    codecs,
    heard,
    kinds,
    pictures,
    seconds_of_sound,
    size,
    span,
    tones,
    video,
)
from tests.sources import Data, cover

FILM = [{"URI": "film.mp4"}]
# What a header says of each container, and a target that fits it.
SAID = {"mkv": "matroska,webm", "asf": "asf", "avi": "avi", "mxf": "mxf", "ts": "mpegts", "flv": "flv", "webm": "matroska,webm"}
SAID |= dict.fromkeys(("mp4", "mov", "m4a"), "mov,mp4,m4a,3gp,3g2,mj2") | {"oga": "ogg", "opus": "ogg", "wav": "wav"}
SAID |= {name: name for name in ("mp3", "aac", "flac", "ac3")}
FITTING = {"mp3": "mp3", "flac": "flac", "oga": "vorbis", "ac3": "ac3", "opus": "opus", "wav": "flac"}
CONTAINED = Task(
    "contained",
    FILM,
    [
        heard(name, FITTING.get(name, "aac"), name)
        if CONTAINERS[name].audio_only
        else pictures(name, name, Codec="vp9" if name == "webm" else "h264")
        for name in SAID
    ],
)
PRESENCE = Task(
    "presence",
    FILM,
    [
        {"URI": "absent.mkv", "Container": "mkv"},
        {"URI": "empty.mkv", "Container": "mkv", "Video": {}},
        {"URI": "deaf.mkv", "Container": "mkv", "Audio": {}},
        {"URI": "copied.mkv", "Container": "mkv", "Video": {"TranscodeVideo": {}}, "Audio": {"TranscodeAudio": {}}},
        {"URI": "blind.mkv", "Container": "mkv", "Video": BLIND},
        {"URI": "mute.mkv", "Container": "mkv", "Audio": SILENT},
        {"URI": "{barename}-{resolution}-made", "Container": "mp4", "Video": video(Resolution="48x32"), "Audio": SILENT},
        {"URI": "plain.mkv", "Container": "mkv", "StripMetadata": True},
        {
            "URI": "ignoring.mkv",
            "Container": "mkv",
            "Video": {"TranscodeVideo": {"Codec": "copy", "Resolution": "32x32", "CRF": 50, "Rotation": 90}, "FilterVideo": {}},
            "Audio": {"TranscodeAudio": {"Codec": "copy", "Channel": 1, "SampleRate": 8000}, "FilterAudio": {"Mixing": True}},
        },
    ],
)
SLOW = Task(
    "slow",
    FILM,
    [
        {"URI": "made.mkv", "Container": "mkv", "Video": video(), "Audio": audio(), "Speed": 0.5},
        {"URI": "copied.mkv", "Container": "mkv", "Audio": SILENT, "Speed": 0.8},
        {"URI": "filtered.mkv", "Container": "mkv", "Video": {**video(), "FilterVideo": {"Speed": 0.5}}, "Audio": SILENT},
    ],
)
SEGMENTS = Task(
    "segments",
    FILM,
    [
        {**pictures("ts/x", "ts"), "Segment": {"Format": "hls", "Duration": 0.6, "StartNumber": 5}},
        {**pictures("fmp4/x", "mp4"), "Segment": {"Format": "hls", "Duration": 1}},
        {**pictures("dash/x", "mp4"), "Segment": {"Format": "dash", "Duration": 1}},
    ],
)

EXTRAS = Task(
    "extras",
    [{"URI": "extras.mp4"}],
    [
        {"URI": "none.mp4", "Container": "mp4"},
        {"URI": "all.mp4", "Container": "mp4", "Data": {"Stream": [-1]}, "AttachedPicture": {"Stream": [-1]}},
        {"URI": "second.mkv", "Container": "mkv", "AttachedPicture": {"Stream": [1, 9]}},
        {"URI": "unknown.mp4", "Container": "mp4", "Data": {"Stream": [5]}},
    ],
)


MEASURED = Task(
    "measured", [{"URI": "costly.mkv"}], [{**pictures("x", CRF=45), "MeasureVMAF": True}, pictures("lossless", CRF=0)]
)

FAIR = Task("fair", [{"URI": "costly.mkv"}], [{**pictures("x.mkv", CRF=45), "MinVMAF": 99}])
LARGE = Task("large", [{"URI": "costly.mkv"}], [{**pictures("x.mkv", CRF=18), "MaxSizeRatio": 0.01}])
SMALL = Task("small", [{"URI": "costly.mkv"}], [{**pictures("x.mkv", CRF=40), "MaxSizeRatio": 1}])


def agrees(result: Outcome, target: int, name: str, reference: str) -> str:
    """Whether an artifact tells the VMAF that another libvmaf finds, or the code of the error."""
    if result.code or not result.ended:
        return result.code
    results = [
        stream.vmaf
        for item in result.ended.artifacts
        if item.target_index == target
        for stream in item.streams
        if stream.HasField("vmaf")
    ]
    return "agrees" if results == pytest.approx([judge.vmaf(result(name), result(reference))], abs=0.5) else f"{results}"


def _has_libvmaf() -> bool:
    try:
        return bool(libvmaf.load())
    except libvmaf.LibvmafError:
        return False


# Not every system has libvmaf: without it the task fails, and says so.
AGREES, UNMET_VMAF = ("agrees", "ConditionNotMet") if _has_libvmaf() else ("UnsupportedFormat",) * 2


def format_of(path: Path) -> str:
    """The container, in the judge's words."""
    return judge.header(path).split("Input #0, ")[1].split(", from")[0]


def _payload(path: Path, stream: str) -> list[int]:
    return [packet.size for packet in judge.packets(path, stream)]


def _tags(path: Path) -> dict[str, str]:
    return {key: value for key, value in judge.metadata(path)[""].items() if key in ("title", "artist")}


def lengths(playlist: Path) -> list[float]:
    """Seconds of each segment, as the playlist says."""
    return [float(line[8:].rstrip(",")) for line in playlist.read_text().splitlines() if line.startswith("#EXTINF:")]


def _sides(path: Path) -> list[int]:
    """The width of each video stream and cover."""
    return [size(path, number)[0] for number in range(kinds(path).count("Video"))]


def _same_packets(copy: Path, stream: str) -> bool:
    source = copy.parents[2] / "given" / "film.mp4"
    return _payload(copy, stream) == _payload(source, stream)


ROWS = (
    *(
        Row("Target.container", CONTAINED, lambda made, name=name: format_of(made(_named(made.names, name))), said)
        for name, said in SAID.items()
    ),
    Row("Target.uri", PRESENCE, lambda made: "film-48x32-made.mp4" in made.names, True),
    Row("Target.uri", CONTAINED, lambda made: made.names, sorted(f"{name}.{name}" for name in SAID)),
    Row("Target.video", PRESENCE, lambda made: _same_packets(made("absent.mkv"), "v:0"), True),
    Row("Target.video", PRESENCE, lambda made: kinds(made("empty.mkv")), ["Audio"]),
    Row("Target.audio", PRESENCE, lambda made: _same_packets(made("absent.mkv"), "a:0"), True),
    Row("Target.audio", PRESENCE, lambda made: kinds(made("deaf.mkv")), ["Video"]),
    Row("TargetVideo.transcode_video", PRESENCE, lambda made: _same_packets(made("copied.mkv"), "v:0"), True),
    Row("TargetVideo.transcode_video", PRESENCE, lambda made: size(made("film-48x32-made.mp4")), (48, 32)),
    Row("TargetAudio.transcode_audio", PRESENCE, lambda made: _same_packets(made("copied.mkv"), "a:0"), True),
    Row("TargetAudio.transcode_audio", SLOW, lambda made: codecs(made("made.mkv"), "Audio"), ["flac"]),
    Row("TargetVideo.disable_video", PRESENCE, lambda made: kinds(made("blind.mkv")), ["Audio"]),
    Row("TargetAudio.disable_audio", PRESENCE, lambda made: kinds(made("mute.mkv")), ["Video"]),
    Row("TranscodeVideo.codec", PRESENCE, lambda made: _same_packets(made("ignoring.mkv"), "v:0"), True),
    Row("TranscodeAudio.codec", PRESENCE, lambda made: _same_packets(made("ignoring.mkv"), "a:0"), True),
    Row("Target.strip_metadata", PRESENCE, lambda made: _tags(made("absent.mkv")), {"title": "a film", "artist": "nobody"}),
    Row("Target.strip_metadata", PRESENCE, lambda made: _tags(made("plain.mkv")), {}),
    Row("Target.speed", SLOW, lambda made: span(made("made.mkv")), pytest.approx(2 * 49 / 25, abs=0.002)),
    Row("Target.speed", SLOW, lambda made: seconds_of_sound(made("made.mkv")), pytest.approx(4, abs=0.05)),
    Row("Target.speed", SLOW, lambda made: tones(made("made.mkv")), [440]),
    Row("Target.speed", SLOW, lambda made: _same_packets(made("copied.mkv"), "v:0"), True),
    Row("Target.speed", SLOW, lambda made: span(made("copied.mkv")), pytest.approx(49 / 20, abs=0.002)),
    Row("FilterVideo.speed", SLOW, lambda made: span(made("filtered.mkv")), pytest.approx(2 * 49 / 25, abs=0.002)),
    Row("FilterVideo.speed", SLOW, lambda made: set(judge.numbers(made("filtered.mkv"))), set(range(50))),
    Row("TargetVideo.filter_video", SLOW, lambda made: span(made("filtered.mkv")), pytest.approx(2 * 49 / 25, abs=0.002)),
    Row("Target.measure_vmaf", MEASURED, lambda made: agrees(made, 0, "x.mkv", "lossless.mkv"), AGREES),
    Row("Target.min_vmaf", FAIR, lambda made: (made.code, made.names), (UNMET_VMAF, [])),
    *(
        Row("Target.max_size_ratio", task, lambda made: (made.code, made.names), found)
        for task, found in ((LARGE, ("ConditionNotMet", [])), (SMALL, ("", ["x.mkv"])))
    ),
    Row("Target.data", EXTRAS, lambda made: [kinds(made(n)).count("Data") for n in ("none.mp4", "all.mp4")], [0, 1]),
    Row("TargetData.stream", EXTRAS, lambda made: kinds(made("unknown.mp4")).count("Data"), 0),
    Row("TargetData.stream", EXTRAS, lambda made: judge.content(made("all.mp4"), "d:0"), b"".join(map(Data.payload, range(4)))),
    Row("Target.attached_picture", EXTRAS, lambda made: _sides(made("all.mp4")), [96, 32, 48]),
    Row("Target.attached_picture", EXTRAS, lambda made: _sides(made("none.mp4")), [96]),
    Row("TargetAttachedPicture.stream", EXTRAS, lambda made: _sides(made("second.mkv")), [96, 48]),
    Row("TargetAttachedPicture.stream", EXTRAS, lambda made: judge.content(made("second.mkv"), "v:1"), cover("png", 1)),
    Row("Target.segment", SEGMENTS, lambda made: judge.numbers(made("ts/x.m3u8")), list(range(50))),
    Row("Segment.format", SEGMENTS, lambda made: [format_of(made(f"{name}/x.m3u8")) for name in ("ts", "fmp4")], ["hls"] * 2),
    Row("Segment.format", SEGMENTS, lambda made: format_of(made("dash/x.mpd")), "dash"),
    Row("Segment.format", SEGMENTS, lambda made: judge.numbers(made("dash/x.mpd")), list(range(50))),
    Row("Segment.duration", SEGMENTS, lambda made: lengths(made("ts/x.m3u8")), pytest.approx([0.6, 0.6, 0.6, 0.2], abs=0.001)),
    Row(
        "Segment.start_number",
        SEGMENTS,
        lambda made: [n for n in made.names if n.endswith(".ts")],
        [f"ts/x-{n}.ts" for n in range(5, 9)],
    ),
    Row("Segment.start_number", SEGMENTS, lambda made: "#EXT-X-MEDIA-SEQUENCE:5\n" in made("ts/x.m3u8").read_text(), True),
)


def _named(names: list[str], container: str) -> str:
    """The file that was made for a container: its name has the container's extension."""
    (name,) = (name for name in names if name.partition(".")[0] == container)
    return name
