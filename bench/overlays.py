"""Compare watermarks and delogos with ffmpeg's overlay and delogo filters, and with an encode without any.

    python -m bench.overlays [--repeat N]

`bench.transcode` says how both sides run.
"""

import argparse
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from bench.transcode import Case, compare, in_child
from reelmill_server.model.overlay_request import Corner, DelogoSpec, PlaceSpec, TextSpec, WatermarkSpec
from reelmill_server.model.request import TargetSpec, VideoSpec
from tests.clips import moving_picture

_SECONDS = 10
_QUICK = VideoSpec("h264", preset="ultrafast")
_CLI = "-c:v libx264 -preset ultrafast -crf 23 -g 150 -bf 3 -refs 2 -an 0.mp4"
_SIZE = (400, 160)


def _png(path: Path) -> None:
    from PIL import Image

    Image.new("RGBA", _SIZE, (255, 80, 0, 160)).save(path)


def _cases(png: Path) -> tuple[Case, ...]:
    def case(name: str, spec: VideoSpec, cli: str) -> Case:
        return Case(name, (TargetSpec(0, "file:///x", "mp4", spec, None),), (cli,))

    position = PlaceSpec(Corner.TOP_LEFT, 40, 30)
    image = WatermarkSpec(position, None, str(png))
    text = WatermarkSpec(position, TextSpec("Reelmill", size=64, color="#ffffff"))
    logo = DelogoSpec(position, 400, 160)
    return (
        case("nothing", _QUICK, _CLI),
        case("an image of 400x160", replace(_QUICK, watermarks=(image,)), f"-i {png} -filter_complex overlay=40:30 {_CLI}"),
        case("a text, against nothing", replace(_QUICK, watermarks=(text,)), _CLI),
        case("a delogo of 400x160", replace(_QUICK, delogos=(logo,)), f"-vf delogo=x=40:y=30:w=400:h=160 {_CLI}"),
    )


def main() -> None:
    """Print one JSON line per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as in a worker's child
    with tempfile.TemporaryDirectory() as folder:
        source, png = Path(folder, "clip.mp4"), Path(folder, "mark.png")
        in_child(moving_picture, source, _SECONDS, "1920x1080", 30)
        in_child(_png, png)
        for case in _cases(png):
            print(json.dumps(compare(case, source, options.repeat)), flush=True)


if __name__ == "__main__":
    main()
