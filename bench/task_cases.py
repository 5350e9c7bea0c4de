"""Cases of `bench.tasks`: requests, ffmpeg commands that do the same, and recipes of the clips that both read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_NOISY = "-vf noise=alls=60:allf=t -c:v libx264 -preset ultrafast -b:v 40M -g 50 -pix_fmt yuv420p"
_MUSIC = "anoisesrc=d=1200:c=pink:r=48000:a=0.3,tremolo=f=2:d=0.8,aformat=channel_layouts=stereo"
CLIPS: Mapping[str, str] = {
    "hd.mp4": "-f lavfi -i testsrc2=s=1920x1080:r=25:d=60 -f lavfi -i sine=d=60:r=48000 -vf noise=alls=8:allf=t "
    "-c:v libx264 -preset ultrafast -crf 24 -g 50 -pix_fmt yuv420p -c:a aac",
    "small.mp4": "-f lavfi -i testsrc2=s=768x432:r=25:d=120 -f lavfi -i sine=d=120:r=48000 -c:v libx264 -preset veryfast -g 50 "
    "-pix_fmt yuv420p -c:a aac",
    "short.mp4": "-f lavfi -i testsrc2=s=640x360:r=25:d=10 -f lavfi -i sine=d=10:r=48000 -c:v libx264 -preset veryfast -g 50 "
    "-pix_fmt yuv420p -c:a aac",
    "large.mp4": f"-f lavfi -i testsrc2=s=1280x720:r=25:d=60 -f lavfi -i sine=d=60:r=48000 {_NOISY} -c:a aac",
    "packets.mp4": "-f lavfi -i testsrc2=s=160x90:r=25:d=900 -f lavfi -i sine=d=900:r=48000 -c:v libx264 -preset ultrafast "
    "-g 50 -pix_fmt yuv420p -c:a aac",
    "huge.mp4": "-stream_loop 16 -i {large.mp4} -c copy",
    "hd-long.mp4": "-stream_loop 9 -i {hd.mp4} -c copy",
    "small-long.mp4": "-stream_loop 4 -i {small.mp4} -c copy",
    "large.ts": "-i {large.mp4} -c copy",
    "large.mkv": "-i {large.mp4} -c copy",
    "million.mp4": "-stream_loop 15 -i {packets.mp4} -c copy",
    "film.mp4": "-f lavfi -i testsrc2=s=1280x720:r=25:d=300 -vf noise=alls=8:allf=t -c:v libx264 -preset ultrafast -crf 24 "
    "-g 150 -pix_fmt yuv420p",
    "film-hd.mp4": "-stream_loop 4 -i {hd.mp4} -c copy",
    "audio.flac": f"-f lavfi -i {_MUSIC} -c:a flac",
    "audio.m4a": f"-f lavfi -i {_MUSIC} -c:a aac -b:a 160k",
    "audio.mp3": "-f lavfi -i sine=d=1200:r=44100,volume=0.5 -ac 2 -c:a libmp3lame -b:a 192k",
}
"""How ffmpeg makes each clip, some of them from others."""


@dataclass(frozen=True)
class Case:
    """A task and the commands that do the same; in both, IN is the clip and OUT the folder of outputs.

    `times`: how often the clip is joined to itself. `long`: it runs only with `--long`. `more`: what the
    request has besides, or instead of, one `target`.
    """

    name: str
    clip: str
    target: Mapping[str, Any] | None
    commands: tuple[str, ...]
    source: Mapping[str, Any] | None = None
    times: int = 1
    long: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)


def _video(**settings: Any) -> dict[str, Any]:
    return {"transcode_video": {"codec": "h264", **settings}}


_AAC = {"transcode_audio": {"codec": "aac", "bitrate": 128000}}
_FILE = {"uri": "OUT/o", "container": "mp4"}
_X264 = "-c:v libx264 -crf 23 -g 150 -bf 3 -refs 2"
"""The service's defaults: for all presets, 3 B-frames and 2 references, of which presets have others."""
_QUICK = f"{_X264} -preset veryfast -c:a aac -b:a 128k"
_RUNGS = {1080: "1920x1080", 720: "1280x720", 480: "854x480", 360: "640x360"}
_TILES = "scale=160:90,tile=6x5"


def _rung(height: int, uri: str, **settings: Any) -> dict[str, Any]:
    video = _video(resolution=_RUNGS[height], crf=23, preset="veryfast")
    return {"uri": uri, "container": "mp4", "video": video, "audio": _AAC, **settings}


_SPRITES = {"uri": "OUT/sheet", "format": "jpg", "interval": 2, "number": 30, "scale_width": 160, "scale_height": 90}
_IMAGES = {
    "sprites": [{**_SPRITES, "tile_width": 6, "tile_height": 5}],
    "snapshots": [
        {"uri": "OUT/s.{index}.{autoext}", "format": "jpg", "interval": 6, "number": 10},
        {"uri": "OUT/poster.{autoext}", "format": "jpg", "start_time": 5, "number": 1},
    ],
}
_LADDER = {"targets": [*(_rung(height, f"OUT/{height}") for height in _RUNGS), {"image": _IMAGES}]}
_IMAGE_COMMANDS = (
    f"-i IN -vf fps=1/2,{_TILES} -frames:v 1 -q:v 2 OUT/sheet.jpg",
    "-i IN -vf fps=1/6 -frames:v 10 -q:v 2 OUT/s%d.jpg",
    "-ss 5 -i IN -frames:v 1 -q:v 2 OUT/poster.jpg",
)
_GRAPH = (
    "[0:v]split=7[a][b][c][d][e][f][g];[b]scale=1280:720[b1];[c]scale=854:480[c1];[d]scale=640:360[d1];"
    f"[e]fps=1/2,{_TILES}[e1];[f]fps=1/6[f1];[g]trim=start=5,setpts=PTS-STARTPTS[g1]"
)
_GRAPH_OUTPUTS = " ".join(
    f"-map [{pad}] -map 0:a {_QUICK} OUT/{height}.mp4" for pad, height in zip(("a", "b1", "c1", "d1"), _RUNGS, strict=True)
)
_HLS_GRAPH = "[0:v]split=3[a][b][c];[a]scale=1280:720[a1];[b]scale=854:480[b1];[c]scale=640:360[c1]"
_SEGMENT = {"format": "hls", "duration": 6}
_TWENTY = {"image": {"snapshots": [{"uri": "OUT/s.{index}.{autoext}", "format": "jpg", "interval": 15, "number": 20}]}}
CASES = (
    Case(
        "encode 720p medium",
        "hd.mp4",
        {**_FILE, "video": _video(resolution="1280x720", crf=23), "audio": _AAC},
        (f"-i IN {_X264} -preset medium -s 1280x720 -c:a aac -b:a 128k OUT/o.mp4",),
    ),
    Case(
        "encode 360p ultrafast",
        "small.mp4",
        {**_FILE, "video": _video(resolution="640x360", crf=23, preset="ultrafast"), "audio": _AAC},
        (f"-i IN {_X264} -preset ultrafast -s 640x360 -c:a aac -b:a 128k OUT/o.mp4",),
    ),
    Case(
        "encode 720p medium, 10 min",
        "hd-long.mp4",
        {**_FILE, "video": _video(resolution="1280x720", crf=23), "audio": _AAC},
        (f"-i IN {_X264} -preset medium -s 1280x720 -c:a aac -b:a 128k OUT/o.mp4",),
        long=True,
    ),
    Case(
        "encode 360p ultrafast, 10 min",
        "small-long.mp4",
        {**_FILE, "video": _video(resolution="640x360", crf=23, preset="ultrafast"), "audio": _AAC},
        (f"-i IN {_X264} -preset ultrafast -s 640x360 -c:a aac -b:a 128k OUT/o.mp4",),
        long=True,
    ),
    Case(
        "audio mp3 to aac",
        "audio.mp3",
        {"uri": "OUT/o", "container": "m4a", "audio": _AAC},
        ("-i IN -c:a aac -b:a 128k OUT/o.m4a",),
    ),
    Case(
        "audio flac to opus",
        "audio.flac",
        {"uri": "OUT/o", "container": "opus", "audio": {"transcode_audio": {"codec": "opus", "bitrate": 96000}}},
        ("-i IN -c:a libopus -b:a 96k OUT/o.opus",),
    ),
    Case(
        "audio m4a to mp3",
        "audio.m4a",
        {"uri": "OUT/o", "container": "mp3", "audio": {"transcode_audio": {"codec": "mp3", "bitrate": 128000}}},
        ("-i IN -c:a libmp3lame -b:a 128k OUT/o.mp3",),
    ),
    Case(
        "ladder with images, one by one",
        "hd.mp4",
        None,
        (*(f"-i IN {_QUICK} -s {size} OUT/{height}.mp4" for height, size in _RUNGS.items()), *_IMAGE_COMMANDS),
        more=_LADDER,
    ),
    Case(
        "ladder with images, one graph",
        "hd.mp4",
        None,
        (
            f"-i IN -filter_complex {_GRAPH} {_GRAPH_OUTPUTS} -map [e1] -frames:v 1 -q:v 2 OUT/sheet.jpg "
            "-map [f1] -frames:v 10 -q:v 2 OUT/s%d.jpg -map [g1] -frames:v 1 -q:v 2 OUT/poster.jpg",
        ),
        more=_LADDER,
    ),
    Case(
        "HLS ladder of 3",
        "hd.mp4",
        None,
        (
            f"-i IN -filter_complex {_HLS_GRAPH} -map [a1] -map 0:a -map [b1] -map 0:a -map [c1] -map 0:a {_QUICK} "
            "-force_key_frames expr:gte(t,n_forced*6) -f hls -hls_time 6 -hls_list_size 0 -master_pl_name main.m3u8 "
            "-var_stream_map 'v:0,a:0 v:1,a:1 v:2,a:2' OUT/v%v.m3u8",
        ),
        more={
            "target_groups": [
                {
                    "uri": "OUT/main.m3u8",
                    "targets": [_rung(h, f"OUT/v{h}", container="ts", segment=_SEGMENT) for h in (720, 480, 360)],
                }
            ]
        },
    ),
    Case(
        "20 snapshots, each sought",
        "film.mp4",
        _TWENTY,
        tuple(f"-ss {15 * step} -i IN -frames:v 1 -q:v 2 OUT/{step}.jpg" for step in range(20)),
    ),
    Case("20 snapshots, fps filter", "film.mp4", _TWENTY, ("-i IN -vf fps=1/15 -q:v 2 OUT/%d.jpg",)),
    Case(
        "sheet of 100 tiles",
        "film-hd.mp4",
        {"image": {"sprites": [{**_SPRITES, "interval": 3, "number": 100, "tile_width": 10, "tile_height": 10}]}},
        ("-i IN -vf fps=1/3,scale=160:90,tile=10x10 -frames:v 1 -q:v 2 OUT/sheet.jpg",),
    ),
    Case("remux 300 MB", "large.mp4", {"uri": "OUT/o", "container": "mkv"}, ("-i IN -c copy OUT/o.mkv",)),
    Case("remux 300 MB of mkv to mp4", "large.mkv", _FILE, ("-i IN -c copy -movflags +faststart OUT/o.mp4",)),
    Case("remux 300 MB of ts to mp4", "large.ts", _FILE, ("-i IN -c copy -movflags +faststart OUT/o.mp4",)),
    Case("remux 5 GB", "huge.mp4", {"uri": "OUT/o", "container": "mkv"}, ("-i IN -c copy OUT/o.mkv",), long=True),
    Case("remux of many packets", "packets.mp4", {"uri": "OUT/o", "container": "mkv"}, ("-i IN -c copy OUT/o.mkv",)),
    Case(
        "remux of a million packets",
        "million.mp4",
        {"uri": "OUT/o", "container": "mkv"},
        ("-i IN -c copy OUT/o.mkv",),
        long=True,
    ),
    Case(
        "join by copy",
        "large.ts",
        {**_FILE, "video": {"transcode_video": {"codec": "copy"}}, "audio": {"transcode_audio": {"codec": "copy"}}},
        ("-i concat:IN|IN -c copy -movflags +faststart OUT/o.mp4",),
        times=2,
    ),
    Case(
        "HLS by copy",
        "hd.mp4",
        {"uri": "OUT/o", "container": "ts", "segment": {"format": "hls", "duration": 6}},
        ("-i IN -c copy -f hls -hls_time 6 -hls_list_size 0 OUT/o.m3u8",),
    ),
    Case(
        "DASH by copy",
        "hd.mp4",
        {"uri": "OUT/o", "container": "mp4", "segment": {"format": "dash", "duration": 6}},
        ("-i IN -c copy -f dash -seg_duration 6 OUT/o.mpd",),
    ),
    Case(
        "cut by copy",
        "hd.mp4",
        {"uri": "OUT/o", "container": "mp4"},
        ("-ss 20 -t 5 -i IN -c copy OUT/o.mp4",),
        {"start_time": 20, "duration": 5},
    ),
    Case("small remux", "short.mp4", {"uri": "OUT/o", "container": "mkv"}, ("-i IN -c copy OUT/o.mkv",)),
    Case(
        "small snapshot",
        "short.mp4",
        {"image": {"snapshots": [{"uri": "OUT/o.{autoext}", "format": "jpg", "start_time": 5, "number": 1}]}},
        ("-ss 5 -i IN -frames:v 1 OUT/o.jpg",),
    ),
)
