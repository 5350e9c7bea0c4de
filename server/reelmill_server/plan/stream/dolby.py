"""Dolby Vision, layers of H.265 and spherical video: what of them outputs keep, and in which words that is told."""

from collections.abc import Iterator, Mapping

from reelmill_server.model.media_info import DolbyVision, VideoStreamInfo

ALONE_TAG = "dvh1"
"""The codec tag of H.265 whose colors are right for players of Dolby Vision only: others are to refuse it."""
_LAYERS: Mapping[str, str] = {
    "alpha": "the source's transparency is in a layer of H.265 that is not decoded here: what it hides is shown",
    "view": "the source's second view (stereoscopic video) is in a layer of H.265 that is not decoded here: only the first is",
}
_BASES: Mapping[int, str] = {1: "HDR10", 2: "SDR", 4: "HLG", 6: "HDR10"}


def stands_alone(vision: DolbyVision) -> bool:
    """Return whether there is no base layer that other players show in its colors, as in profile 5."""
    return vision.compatibility not in _BASES


def name_of(vision: DolbyVision) -> str:
    """Return the name of a configuration in words."""
    number = f"{vision.profile}.{vision.compatibility}" if vision.profile == 8 else f"{vision.profile}"
    return f"Dolby Vision (profile {number})"


def shown_as(vision: DolbyVision) -> str:
    """Return what becomes of it where nothing says that it is Dolby Vision."""
    if stands_alone(vision):
        return "players show it in wrong colors, purple and green"
    return f"players show its base layer, {_BASES[vision.compatibility]}"


def encoded_warnings(stream: VideoStreamInfo) -> Iterator[str]:
    """Yield what is lost where frames of `stream` are decoded and encoded anew."""
    vision = stream.dolby_vision
    if vision is not None and stands_alone(vision):
        yield (
            f"the source is {name_of(vision)}, whose colors are right only with its metadata, which encoding does not keep: "
            "they are wrong, purple and green"
        )
    elif vision is not None:
        base = _BASES[vision.compatibility]
        yield f"the source is {name_of(vision)}, which encoding does not keep: its base layer, {base}, is encoded"
    if stream.layer:
        yield _LAYERS[stream.layer]


def flat_warnings(stream: VideoStreamInfo) -> Iterator[str]:
    """Yield what encoded video no longer says of a spherical source."""
    if stream.projection:
        yield f"the source is spherical ({stream.projection}), which encoding does not keep: players show it flat"
    if mode := stereo_mode(stream):
        yield f"the source is stereoscopic ({mode}), which encoding does not keep: players show both views"


def stereo_mode(stream: VideoStreamInfo) -> str:
    """Return how frames hold the views of both eyes, as Matroska says it; nothing where they hold one view."""
    mode = stream.metadata.get("stereo_mode", "") or stream.stereo
    return "" if mode == "mono" else mode
