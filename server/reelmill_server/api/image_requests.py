"""Image entries of targets as plain data."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from reelmill.v1 import common_pb2, image_pb2, target_pb2
from reelmill_server.api.field_values import AnyTarget, animation_format, enum_name, frame_rate, image_format, optional_length
from reelmill_server.model.image_request import FrameMode, FramesSpec, ImageKind, ImageSpec, SheetSpec
from reelmill_server.model.sizes import ScaleType
from reelmill_server.model.time import MICROSECONDS

AnyImage = image_pb2.Snapshot | image_pb2.Sprite | image_pb2.Animation


def _frames(entry: AnyImage) -> FramesSpec:
    frames = FramesSpec(
        start_us=round(entry.start_time * MICROSECONDS),
        interval_us=round(entry.interval * MICROSECONDS),
        number=entry.number,
    )
    if isinstance(entry, image_pb2.Animation):
        return frames
    mode = FrameMode(enum_name(image_pb2.FrameMode, entry.mode, "FRAME_MODE_") or "interval")
    return replace(frames, mode=mode, threshold=entry.threshold, skip_blank=entry.skip_blank)


def image(kind: ImageKind, number: int, entry: AnyImage) -> ImageSpec:
    animation = entry if isinstance(entry, image_pb2.Animation) else None
    sprite = entry if isinstance(entry, image_pb2.Sprite) else None
    # A scale of 1 means the whole side in sprite sheets, whose thumbnails have at least 2 pixels, and one pixel elsewhere.
    sides = ("scale_width", "scale_height", 1.5) if sprite else ("width", "height", 1.0)
    return ImageSpec(
        kind=kind,
        number=number,
        uri=entry.uri,
        format=animation_format(entry.format) if animation else image_format(entry.format),
        frames=_frames(entry),
        width=optional_length(entry, sides[0], sides[2]),
        height=optional_length(entry, sides[1], sides[2]),
        scale_type=ScaleType(enum_name(common_pb2.ScaleType, entry.scale_type, "SCALE_TYPE_") or "stretch"),
        frame_rate=frame_rate(animation.frame_rate) if animation and animation.HasField("frame_rate") else ImageSpec.frame_rate,
        sheet=_sheet(sprite) if sprite else None,
    )


def _sheet(sprite: image_pb2.Sprite) -> SheetSpec:
    defaults = SheetSpec()
    return SheetSpec(
        columns=sprite.tile_width if sprite.HasField("tile_width") else defaults.columns,
        rows=sprite.tile_height if sprite.HasField("tile_height") else defaults.rows,
        pad=sprite.pad if sprite.HasField("pad") else defaults.pad,
        margin=sprite.margin if sprite.HasField("margin") else defaults.margin,
        web_vtt_uri=sprite.web_vtt_uri,
        playlist_uri=sprite.image_playlist_uri,
    )


def images(target: AnyTarget) -> Iterable[tuple[ImageKind, int, AnyImage]]:
    """Yield a target's image entries, each with its kind and its index within that kind."""
    if isinstance(target, target_pb2.GroupTarget):
        return
    lists: Mapping[ImageKind, Iterable[AnyImage]] = {
        ImageKind.SNAPSHOT: target.image.snapshots,
        ImageKind.SPRITE: target.image.sprites,
        ImageKind.ANIMATION: target.image.animations,
    }
    for kind, entries in lists.items():
        for number, entry in enumerate(entries):
            yield kind, number, entry
