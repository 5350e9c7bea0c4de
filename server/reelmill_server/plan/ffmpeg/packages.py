"""Write containers and the names of segments as options of ffmpeg."""

from collections.abc import Iterator

from reelmill_server.model.package_plan import PackagePlan
from reelmill_server.model.plan import Plan, StreamType, TargetPlan
from reelmill_server.model.request import SegmentFormat
from reelmill_server.plan.ffmpeg.draft import Draft
from reelmill_server.plan.ffmpeg.streams import options
from reelmill_server.uris import Resource

# Here ffmpeg's default is to start at 1.4 s; a plan that wants that has an option of its own for it.
_DELAYED = ("mpegts", "hls")
_NUMBER = "\0"  # a placeholder: no URI has it


def container_options(draft: Draft, target: TargetPlan, early: bool) -> tuple[str, ...]:
    """Return the options of an output's container, its name last. `early`: it begins before the requested start."""
    muxing = dict(target.muxer_options)
    if early:
        muxing.setdefault("avoid_negative_ts", "make_zero")
    package = target.package
    name = draft.names.output(target.uri)
    if package is not None and package.rendition is not None:
        draft.notes.add(f"{name}: ffmpeg writes one file of subtitles, the service cuts it into segments")
        name = draft.names.output(f"{target.uri.rpartition('.')[0]}.{target.container}")
    elif package is not None:
        muxing |= _dash(draft, target, package) if package.format is SegmentFormat.DASH else _hls(draft, target, package)
    return (
        *("-f", target.muxer),
        *(("-muxdelay", "0") if target.muxer in _DELAYED else ()),
        *options(muxing, ""),
        name,
    )


def _hls(draft: Draft, target: TargetPlan, package: PackagePlan) -> dict[str, str]:
    base, _ = _around(target, package)
    names = {"hls_segment_filename": draft.names.segments(package.prefix, package.suffix)}
    if target.container == "mp4":
        names["hls_fmp4_init_filename"] = f"{base or 'init-'}init.mp4"
    if package.start_number:
        names["start_number"] = str(package.start_number)
    if base is not None and "/" in base:
        names["hls_base_url"] = f"{base.rpartition('/')[0]}/"
    _note_place(draft, target, base)
    if all(stream.type == StreamType.AUDIO for stream in target.streams):
        draft.notes.add(
            f"{draft.names.output(target.uri)}: audio after the last segment boundary, 0.1 s at most, is a segment of its own"
        )
    return names


def _dash(draft: Draft, target: TargetPlan, package: PackagePlan) -> dict[str, str]:
    base, suffix = _around(target, package)
    _note_place(draft, target, base)
    if package.hls_uri:
        draft.notes.add(f"{draft.names.output(package.hls_uri)}: the HLS playlists of the same segments are not written")
    prefix, suffix = ((text or "").replace("$", "$$") for text in (base, suffix))
    return {
        "init_seg_name": f"{prefix}$RepresentationID$-init.mp4",
        "media_seg_name": f"{prefix}$RepresentationID$-$Number${suffix}",
    }


def _around(target: TargetPlan, package: PackagePlan) -> tuple[str | None, str]:
    """Return prefix and suffix of segment names, relative to the playlist's folder; None: they lie elsewhere."""
    way = Resource.of(target.uri).beside(Resource.of(f"{package.prefix}{_NUMBER}{package.suffix}"))
    prefix, _, suffix = (way or "").partition(_NUMBER)
    return (None if way is None else prefix), suffix


def _note_place(draft: Draft, target: TargetPlan, base: str | None) -> None:
    if base is None:
        draft.notes.add(f"{draft.names.output(target.uri)}: ffmpeg does not list segments outside the folder of the playlist")


def note_groups(draft: Draft, plan: Plan) -> None:
    """Note the master playlists, which ffmpeg does not write for outputs of their own."""
    for group in plan.groups:
        draft.notes.add(f"{draft.names.output(group.uri)}: the master playlist is not written")


def described_by(draft: Draft, target: TargetPlan) -> Iterator[str]:
    """Yield the options that keep or drop title and chapters, once all inputs are listed."""
    if not target.keep_metadata:
        yield from ("-map_metadata", "-1", "-map_chapters", "-1")
        return
    source = str(draft.inputs.any_of(target.described_by))
    several = len(draft.inputs.groups) > 1
    if several:
        yield from ("-map_metadata", source)
    if any(stream.speed != 1 for stream in target.streams):
        draft.notes.add(f"{target.field}: chapters are left out, as ffmpeg does not scale their times")
        yield from ("-map_chapters", "-1")
    elif several:
        yield from ("-map_chapters", source)
