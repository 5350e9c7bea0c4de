"""Make the images of docs/gallery.md by a running service, and the page itself.

    python -m docs.make_gallery

A film of three scenes is made with libav's own pictures; every entry of the page is a task on it.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from tests import servers

_HERE = Path(__file__).parent
_SCENES = (
    "mandelbrot=size=640x360:rate=25:start_scale=1.2:end_scale=0.3:end_pts=75",
    "testsrc2=size=640x360:rate=25",
    "gradients=size=640x360:rate=25:c0=0x1d3557:c1=0xe63946:c2=0xf1faee:nb_colors=3:seed=7:speed=0.02",
)
_SCENE_SECONDS = 3


@dataclass(frozen=True)
class Entry:
    """One part of the page: the entries of `Target.Image`, or with `video` those made of a film that is first converted so
    (`{folder}`: where pictures made before lie). Without a title it goes on with the part before."""

    title: str
    text: str
    image: Mapping[str, Any]
    video: Mapping[str, Any] | None = None
    sources: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


def _shots(name: str, **asked: Any) -> dict[str, Any]:
    return {"Snapshots": [{"URI": f"{name}-{{index}}.{{autoext}}", "Format": "jpg", "Width": 192, "Height": 108, **asked}]}


def _large(name: str, second: float) -> dict[str, Any]:
    size = {"Width": 480, "Height": 270}
    return {"URI": f"{name}.{{autoext}}", "Format": "jpg", "StartTime": second, "Number": 1, **size}


ENTRIES = (
    Entry("Snapshots at an interval", "One every 2 s.", _shots("interval", Interval=2)),
    Entry("Keyframes", "The first three from 3 s on.", _shots("keyframe", Mode="keyframe", StartTime=3, Number=3)),
    Entry("Evenly spread", "The frame in the middle of each of four equal spans.", _shots("average", Mode="average", Number=4)),
    Entry(
        "By change of content",
        "The frames that differ enough from the last one taken.",
        _shots("dhash", Mode="dhash", Interval=0.2, Threshold=35),
    ),
    Entry(
        "Shapes",
        "160x160, with the scale types `stretch`, `crop`, `fill` and `fit`.",
        {
            "Snapshots": [
                {
                    "URI": f"shape-{number}-{kind}.jpg",
                    "Format": "jpg",
                    "StartTime": 4,
                    "Number": 1,
                    "Width": 160,
                    "Height": 160,
                    "ScaleType": kind,
                }
                for number, kind in enumerate(("stretch", "crop", "fill", "fit"))
            ]
        },
    ),
    Entry(
        "Sprite sheet",
        "18 thumbnails in rows of 6; the [WebVTT file](gallery/sheet.vtt) tells players where each of them is.",
        {
            "Sprites": [
                {
                    "URI": "sheet-{index}.jpg",
                    "Format": "jpg",
                    "Interval": 0.5,
                    "ScaleWidth": 96,
                    "ScaleHeight": 54,
                    "TileWidth": 6,
                    "TileHeight": 3,
                    "WebVTTURI": "sheet.vtt",
                }
            ]
        },
    ),
    Entry(
        "Animations",
        "GIF and WebP, 10 frames per second.",
        {
            "Animations": [
                {
                    "URI": f"moving.{form}",
                    "Format": form,
                    "StartTime": 0.5,
                    "Interval": 0.1,
                    "Number": 20,
                    "Width": 192,
                    "Height": 108,
                }
                for form in ("gif", "webp")
            ]
        },
    ),
    Entry(
        "Watermarks",
        "Several scripts, borders, fonts and opacities, and the animation above as a video in a corner: at 1 s and at 7 s.",
        {"Snapshots": [_large(f"marked-{number}", second) for number, second in enumerate((1, 7))]},
        {
            "TranscodeVideo": {"Codec": "h264", "CRF": 14},
            "FilterVideo": {
                "Watermarks": [
                    {
                        "Content": "Reelmill 中文水印",
                        "FontSize": 40,
                        "FontColor": "white",
                        "BorderWidth": 3,
                        "Dx": 20,
                        "Dy": 20,
                    },
                    {
                        "Content": "مرحبا 2026\nשלום",
                        "FontSize": 36,
                        "FontName": "SourceHanSans-Bold",
                        "FontColor": "#ffd60a",
                        "ReferPos": "bottomright",
                        "Dx": 0.03,
                        "Dy": 0.05,
                        "BorderWidth": 2,
                    },
                    {"Content": "HALF THERE", "FontSize": 60, "FontColor": "white", "FontApha": 0.5, "Dx": 0.22, "Dy": 0.4},
                    {"Type": "file", "URI": "{folder}/moving.gif", "ReferPos": "bottomleft", "Dx": 16, "Dy": 16, "Width": 0.2},
                ]
            },
        },
    ),
    Entry(
        "Delogo, before and after",
        "The clock in the corner is filled in from its surroundings; two of its sides are edges of the frame.",
        {"Snapshots": [_large("logo", 4)]},
    ),
    Entry(
        "",
        "",
        {"Snapshots": [_large("logo-filled", 4)]},
        {
            "TranscodeVideo": {"Codec": "h264", "CRF": 14},
            "FilterVideo": {"Delogos": [{"Width": 106, "Height": 42}]},
        },
    ),
    Entry(
        "Face, before and after",
        "The face is detected and blurred, with a margin around it (the astronaut Eileen Collins; NASA).",
        {"Snapshots": [{"URI": "face.jpg", "Format": "jpg", "Number": 1}]},
        sources=({"URI": "{folder}/sources/face.jpg"},),
    ),
    Entry(
        "",
        "",
        {"Snapshots": [{"URI": "face-blurred.jpg", "Format": "jpg", "Number": 1}]},
        {
            "TranscodeVideo": {"Codec": "h264", "CRF": 14},
            "FilterVideo": {"Desensitization": {"Face": {"Confidence": 0.5, "BlurRadius": 20, "ScaleRatio": 1.2}}},
        },
        ({"URI": "{folder}/sources/face.jpg"},),
    ),
)


def make_film(path: Path) -> Path:
    """Three scenes of three seconds."""
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("libx264", rate=25, options={"preset": "medium", "crf": "16", "g": "25"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        shown = 0
        for scene in _SCENES:
            with av.open(scene, format="lavfi") as source:
                for number, frame in enumerate(source.decode(video=0)):
                    if number == _SCENE_SECONDS * 25:
                        break
                    picture = frame.reformat(format="yuv420p", src_color_range="JPEG", dst_color_range="MPEG")
                    picture.pts, picture.pict_type = shown, 0
                    shown += 1
                    film.mux(stream.encode(picture))
        film.mux(stream.encode(None))
    return path


def _placed(image: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The entries with their names made URIs below `folder`."""
    placed: dict[str, Any] = json.loads(json.dumps(image))
    for entries in placed.values():
        for entry in entries:
            for name in ("URI", "WebVTTURI"):
                if name in entry:
                    entry[name] = f"{folder.as_uri()}/{entry[name]}"
    return placed


def _in(asked: Any, folder: Path) -> Any:
    """A part of a request with `{folder}` filled in."""
    return json.loads(json.dumps(asked).replace("{folder}", folder.as_uri()))


def make(client: Any, entry: Entry, film: Path, folder: Path) -> list[str]:
    """Runs the tasks of an entry; gives the names of its pictures."""
    sources: Sequence[Mapping[str, Any]] = _in(entry.sources, folder) or [{"URI": film.as_uri()}]
    if entry.video is not None:
        made = folder / "converted.mp4"
        video = _in(entry.video, folder)
        target = {"URI": made.as_uri(), "Container": "mp4", "Video": video, "Audio": {"DisableAudio": True}}
        _run(client, sources, [target])
        sources = [{"URI": made.as_uri()}]
    task = _run(client, sources, [{"Image": _placed(entry.image, folder)}])
    names = [Path(artifact.uri).name for artifact in task.artifacts]
    return [name for name in names if not name.endswith(".vtt")]


def _run(client: Any, sources: Sequence[Mapping[str, Any]], targets: Sequence[Mapping[str, Any]]) -> Any:
    request = {"ProjectName": "default", "Sources": list(sources), "Targets": list(targets)}
    *_, task = client.watch(client.submit(request).task_id)
    if task.code:
        raise SystemExit(f"{task.code}: {task.message}")
    for warning in task.warnings:
        print(f"warning: {warning}")
    return task


def main() -> None:
    """Writes docs/gallery.md and docs/gallery/."""
    gallery = _HERE / "gallery"
    page = ["# Gallery", "", "`python -m docs.make_gallery` made this page: every entry is a task of a running service.", ""]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        with servers.serve(root) as server, servers.client(server) as client:
            files = root / "files"
            film = make_film(files / "film.mp4")
            shutil.copytree(_HERE.parent / "tests" / "data", files / "sources")
            for entry in ENTRIES:
                names = make(client, entry, film, files)
                page += [f"## {entry.title}", "", entry.text, ""] if entry.title else []
                page += [" ".join(f"![{name}](gallery/{name})" for name in names), ""]
                print(entry.title, names)
            shutil.rmtree(gallery, ignore_errors=True)
            gallery.mkdir()
            for path in files.iterdir():
                if path.suffix != ".mp4" and path.is_file():
                    shutil.copy(path, gallery)
    (_HERE / "gallery.md").write_text("\n".join(page).rstrip() + "\n")


if __name__ == "__main__":
    main()
