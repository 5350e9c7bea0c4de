"""The sound files that are broken: each kind of container and codec once, and images with color profiles."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import av
from PIL import Image, ImageCms

from tests.sweep import clips

CLIPS = 45


def write_seeds(folder: Path) -> dict[str, bytes]:
    """Return all seeds by their names, which are file names; the judge makes the clips in `folder`."""
    return dict(sorted((*_clips(folder), *_images(folder))))


def _clips(folder: Path) -> Iterator[tuple[str, bytes]]:
    """One clip of each container, then others, in an order that mixes codecs and is always the same."""
    cases = sorted(clips.cases(), key=lambda case: hashlib.sha256(case.name.encode()).digest())
    first = {case.muxer: case for case in reversed(cases)}
    count = 0
    for case in dict.fromkeys((*first.values(), *cases)):
        path = folder / f"seed.{case.extension}"
        if clips.make(case, path):
            name = "".join(letter if letter.isalnum() else "-" for letter in case.name)
            yield f"{name}.{case.extension}", path.read_bytes()
            count += 1
        if count == CLIPS:
            return


def _images(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Pictures with an ICC profile: still, animated, and as the only frame of a film."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture, other = Image.new("RGB", (64, 48), "red"), Image.new("RGB", (64, 48), "blue")
    for extension in ("png", "jpg", "webp", "avif", "tiff"):
        path = folder / f"icc.{extension}"
        picture.save(path, icc_profile=profile)
        yield f"icc-{extension}.{extension}", path.read_bytes()
    animated = folder / "icc-animated.png"
    picture.save(animated, icc_profile=profile, save_all=True, append_images=[other])
    yield "icc-apng.png", animated.read_bytes()
    for container in ("mov", "avi", "nut"):
        path = folder / f"icc.{container}"
        with av.open(str(folder / "icc.png")) as source, av.open(str(path), "w") as film:
            stream = film.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream, packet.pts, packet.dts = stream, 0, 0
                    film.mux(packet)
        yield f"icc-{container}.{container}", path.read_bytes()
