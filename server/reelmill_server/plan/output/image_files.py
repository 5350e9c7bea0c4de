"""The files of a plan's images: where they lie below the attempt's directory, and where they are published."""

import re
from collections.abc import Iterator, Sequence

from reelmill_server.model.plan import ImagePlan, Plan


def image_folder(slot: int) -> str:
    """Return the folder of image entry `slot`, relative to the attempt's folder."""
    return f"image-{slot}"


def image_path(slot: int, plan: ImagePlan, number: int) -> str:
    """Return the path of file `number` of an image entry, relative to the attempt's folder."""
    return f"{image_folder(slot)}/{number}.{plan.format}"


def list_path(slot: int, extension: str) -> str:
    """Return the path of a list of sprite sheets (`vtt` or `m3u8`), relative to the attempt's folder."""
    return f"{image_folder(slot)}/sheets.{extension}"


_PATH = re.compile(r"image-(?P<slot>\d{1,9})/(?:(?P<number>[1-9]\d{0,8})|sheets)\.(?P<extension>\w+)")


def image_uri(plan: Plan, path: str) -> str | None:
    """Return the URI to publish `path` of the attempt's folder at, None if the plan has no such image or list."""
    match = _PATH.fullmatch(path)
    slot = int(match["slot"]) if match else -1
    if match is None or slot >= len(plan.images):
        return None
    image = plan.images[slot]
    if match["number"]:
        number = int(match["number"])
        return image.uri(number) if path == image_path(slot, image, number) and (image.numbered or number == 1) else None
    lists = {"vtt": image.sheet.web_vtt_uri, "m3u8": image.sheet.playlist_uri} if image.sheet else {}
    return (lists.get(match["extension"]) or None) if path == list_path(slot, match["extension"]) else None


def writable_image_uris(images: Sequence[ImagePlan]) -> Iterator[str]:
    """Yield one URI of each kind of file that these entries will write."""
    for image in images:
        yield image.uri(1)
        if image.sheet:
            yield from filter(None, (image.sheet.web_vtt_uri, image.sheet.playlist_uri))
