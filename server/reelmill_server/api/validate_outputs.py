"""Validation of where outputs go, and of images, subtitle files and playlists."""

from collections.abc import Callable, Collection, Iterator

from reelmill.v1 import image_pb2, target_pb2
from reelmill_server.api.field_values import (
    AnyTarget,
    segment_format,
)
from reelmill_server.api.image_requests import AnyImage
from reelmill_server.errors import AccessDenied, InvalidArgument, ReelmillError, Violation
from reelmill_server.model.request import SegmentFormat
from reelmill_server.plan.output.naming import package_problems, unknown_variables
from reelmill_server.plan.output.packaging import LIST_EXTENSION
from reelmill_server.storage.base import Storage


def uri_problems(uri: str, field: str, check_uri: Callable[[str], None]) -> Iterator[Violation | ReelmillError]:
    """Yield storage's objections to a URI."""
    if not uri:
        return  # the protos' rules report this
    try:
        check_uri(uri)
    except InvalidArgument as error:
        yield Violation(field, error.message)
    except AccessDenied as error:
        yield AccessDenied(f"{field}: {error.message}")


def output_uri_problems(
    uri: str, field: str, tags: set[str], storage: Storage, variables: Collection[str] = ()
) -> Iterator[Violation | ReelmillError]:
    """Yield what is wrong with the URI template of an output, in which the variables `variables` are known, too."""
    unknown = unknown_variables(uri, dict.fromkeys(tags), variables)
    for problem in unknown:
        yield Violation(field, problem)
    if not unknown:
        yield from uri_problems(uri, field, storage.check_writable)


def subtitle_file_problems(
    target: AnyTarget, field: str, tags: set[str], storage: Storage
) -> Iterator[Violation | ReelmillError]:
    extract = target.subtitle.extract_subtitle
    if not extract.format:
        yield Violation(f"{field}.format", "is required")
    if not extract.uri:
        yield Violation(f"{field}.uri", "is required")
    yield from output_uri_problems(extract.uri, f"{field}.uri", tags, storage)


def image_problems(entry: AnyImage, field: str, tags: set[str], storage: Storage) -> Iterator[Violation | ReelmillError]:
    """Yield what is wrong with an image entry."""
    yield from output_uri_problems(entry.uri, f"{field}.uri", tags, storage)
    if isinstance(entry, image_pb2.Animation):
        return
    if entry.threshold and entry.mode != image_pb2.FRAME_MODE_DHASH:
        yield Violation(f"{field}.threshold", "is only allowed with mode DHASH: leave it out")
    if not isinstance(entry, image_pb2.Sprite):
        return
    for name in ("web_vtt_uri", "image_playlist_uri"):
        if getattr(entry, name):
            yield from output_uri_problems(getattr(entry, name), f"{field}.{name}", tags, storage)
    if entry.image_playlist_uri:
        yield from _image_playlist(entry, field)


def _image_playlist(sprite: image_pb2.Sprite, field: str) -> Iterator[Violation]:
    """Yield what an image playlist cannot express: gaps between tiles, and images at irregular intervals."""
    for name in ("pad", "margin"):
        if not sprite.HasField(name) or getattr(sprite, name):
            yield Violation(f"{field}.{name}", "must be 0 with image_playlist_uri: the tiles of an image playlist have no gaps")
    evenly = sprite.interval > 0 and sprite.mode in (image_pb2.FRAME_MODE_UNSPECIFIED, image_pb2.FRAME_MODE_INTERVAL)
    if not evenly and sprite.mode != image_pb2.FRAME_MODE_AVERAGE:
        yield Violation(f"{field}.mode", "must be INTERVAL with an interval, or AVERAGE, with image_playlist_uri")
    if sprite.format != image_pb2.IMAGE_FORMAT_JPG:
        yield Violation(f"{field}.format", "must be JPG with image_playlist_uri")


def segment_problems(target: target_pb2.Target, field: str, tags: set[str]) -> Iterator[Violation]:
    """Yield what is wrong with the format of segments and with the name of their list."""
    name = segment_format(target.segment.format)
    if not name:
        yield Violation(f"{field}.segment.format", "is required: HLS or DASH")
        return
    yield from list_name_problems(target.uri, SegmentFormat(name), f"{field}.uri", tags)


def list_name_problems(
    uri: str, form: SegmentFormat, field: str, tags: set[str], variables: Collection[str] = ()
) -> Iterator[Violation]:
    """Yield what is wrong with the name of a playlist or manifest."""
    if not unknown_variables(uri, dict.fromkeys(tags), variables):
        for problem in package_problems(uri, LIST_EXTENSION[form]):
            yield Violation(field, problem)
