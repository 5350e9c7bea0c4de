"""Describe verified images: artifacts, and the playlists and WebVTT files of sprite sheets."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from reelmill_server.checksums import checksum
from reelmill_server.errors import InvalidMedia
from reelmill_server.media.image.stills import WrittenImage, tile_place
from reelmill_server.media.input.side_by_side import side_by_side
from reelmill_server.media.result.files import Result
from reelmill_server.media.result.image_check import check_image
from reelmill_server.model.plan import ImagePlan
from reelmill_server.model.task import Artifact, ArtifactKind
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.output.image_files import image_path, list_path
from reelmill_server.uris import reference

_KINDS = {
    "snapshot": ArtifactKind.SNAPSHOT,
    "sprite": ArtifactKind.SPRITE,
    "animation": ArtifactKind.ANIMATION,
}


def image_results(
    slot: int, plan: ImagePlan, files: Sequence[WrittenImage], directory: Path, moved: Callable[[], None] = lambda: None
) -> list[Result]:
    """Return the artifacts of entry `slot`, after every one of its `files` was opened anew and decoded; playlists come last.

    `moved` is called for each, from two threads. Raises InvalidMedia when there is no image, OutputInvalid when one is not what
    was written.
    """
    if not files:
        raise InvalidMedia(f"{plan.field}: the source has no frame that the {plan.kind} asks for")

    def checked(file: WrittenImage) -> Result:
        check_image(file, plan)
        moved()
        return _result(slot, plan, file)

    results = side_by_side(checked, files) if len(files) > 1 else [checked(files[0])]
    return [*results, *_lists(slot, plan, files, directory)]


def _result(slot: int, plan: ImagePlan, file: WrittenImage) -> Result:
    return Result(
        image_path(slot, plan, file.number),
        Artifact(
            uri=plan.uri(file.number),
            target_index=plan.index,
            duration_seconds=float(file.seconds),
            container=plan.format,
            kind=_KINDS[plan.kind],
            width=file.width,
            height=file.height,
            frame_times=tuple(float(time) for time in file.times),
            **_identity(file.path),
        ),
    )


def _identity(path: Path) -> dict[str, Any]:
    size, digest = checksum([path])
    return {"size_bytes": size, "sha256": digest}


def _lists(slot: int, plan: ImagePlan, files: Sequence[WrittenImage], directory: Path) -> list[Result]:
    """Write the requested playlists and WebVTT files of sprite sheets."""
    if plan.sheet is None:
        return []
    kinds = (
        ("vtt", plan.sheet.web_vtt_uri, ArtifactKind.SPRITE_WEB_VTT, web_vtt),
        ("m3u8", plan.sheet.playlist_uri, ArtifactKind.IMAGE_PLAYLIST, image_playlist),
    )
    results = []
    for extension, uri, kind, text in kinds:
        if uri:
            path = list_path(slot, extension)
            (directory / path).write_text(text(plan, files), "utf-8")
            artifact = Artifact(
                uri=uri,
                target_index=plan.index,
                duration_seconds=0,
                container=extension,
                kind=kind,
                segment_count=len(files),
                **_identity(directory / path),
            )
            results.append(Result(path, artifact))
    return results


def _spans(plan: ImagePlan, files: Sequence[WrittenImage]) -> list[tuple[Fraction, Fraction]]:
    """Return from when to when each tile stands for the video: until the next one, the last until the end."""
    times = [time for file in files for time in file.times]
    begin = Fraction(plan.frames.start_us, MICROSECONDS)
    # A single tile stands for all that is left.
    step = times[-1] - times[-2] if len(times) > 1 else Fraction(plan.frames.interval_us or MICROSECONDS, MICROSECONDS)
    end = Fraction(plan.duration_us, MICROSECONDS)
    if plan.frames.number or not end:
        end = min(end, times[-1] + step) if end else times[-1] + step
    edges = [min(begin, times[0]), *times[1:], max(end, times[-1] + Fraction(1, 1000))]
    return list(pairwise(edges))


def web_vtt(plan: ImagePlan, files: Sequence[WrittenImage]) -> str:
    """Return a WebVTT file whose cues name the place of a tile on its sheet, as players use it for previews (`#xywh` media
    fragments).
    """
    assert plan.sheet
    spans = iter(_spans(plan, files))
    cues = []
    for file in files:
        uri = reference(plan.sheet.web_vtt_uri, plan.uri(file.number))
        for position, _ in enumerate(file.times):
            begin, end = next(spans)
            x, y = tile_place(plan.sheet, position, plan.width, plan.height)
            cues.append(f"{_clock(begin)} --> {_clock(end)}\n{uri}#xywh={x},{y},{plan.width},{plan.height}\n")
    return "WEBVTT\n\n" + "\n".join(cues)


def _clock(time: Fraction) -> str:
    milliseconds = round(time * 1000)
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}"


def image_playlist(plan: ImagePlan, files: Sequence[WrittenImage]) -> str:
    """Return an HLS image media playlist (Roku's image-based trick mode specification): every sheet is a segment of even
    tiles.
    """
    assert plan.sheet
    spans = _spans(plan, files)
    lines, longest = [], Fraction(0)
    for file in files:
        own, spans = spans[: len(file.times)], spans[len(file.times) :]
        seconds = own[-1][1] - own[0][0]
        longest = max(longest, seconds)
        columns, rows = file.width // plan.width, file.height // plan.height
        # The end of the video cuts the last tile short, not those before it on its sheet.
        tile = max(seconds / len(own), Fraction(plan.frames.interval_us, MICROSECONDS))
        uri = reference(plan.sheet.playlist_uri, plan.uri(file.number))
        lines += [
            f"#EXTINF:{float(seconds):.3f},",
            f"#EXT-X-TILES:RESOLUTION={plan.width}x{plan.height},LAYOUT={columns}x{rows},DURATION={float(tile):.3f}",
            uri,
        ]
    head = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{-(-longest // 1)}", "#EXT-X-MEDIA-SEQUENCE:1"]
    return "\n".join([*head, "#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-IMAGES-ONLY", *lines, "#EXT-X-ENDLIST", ""])
