"""Plan segmented outputs: how they are cut and named, which of them share files, and the URI of every file.

A file of an attempt has a plain path in the attempt's folder, and its URI follows from the plan and that path alone, so that
publishing need not trust what the child says.

    <n>.mp4                        the only file of target n
    <n>/list.m3u8, <n>/list.mpd    the playlist or manifest of target n, as published
    <n>/list-<s>.m3u8              the playlist of stream s, where HLS lists what DASH made
    <n>/<k>.ts, <n>/<s>-<k>.m4s    segments, numbered as the muxer numbers them
    <n>/<k>.vtt                    segments of subtitles
    <n>/init.mp4, <n>/<s>-init.mp4 init segments of fragmented MP4
    <n>/main.m3u8, group-<n>.m3u8  master playlists
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reelmill_server.errors import InvalidArgument, Violation
from reelmill_server.model.package_plan import GroupPlan, PackagePlan, RenditionPlan
from reelmill_server.model.plan import COPY, StreamPlan, StreamType, TargetPlan
from reelmill_server.model.request import ConvertRequest, SegmentFormat, SegmentSpec, TargetSpec
from reelmill_server.plan.output.naming import Naming, OutputName, expand, expand_package
from reelmill_server.uris import Resource

LIST_EXTENSION: Mapping[str, str] = {SegmentFormat.HLS: "m3u8", SegmentFormat.DASH: "mpd"}
"""Extensions of playlists and manifests, by format."""
TS_CLOCK_US = 1_400_000
"""Position of an output's 0 on the clock of MPEG-TS segments, which has no negative times; as in FFmpeg's tools."""

SEGMENT_EXTENSIONS = {"ts": "ts", "mp4": "m4s", "vtt": "vtt"}
"""Extensions of segments, by container."""
# Options that make a forced keyframe one at which a decoder can start; other encoders always do.
_FORCED_KEYS: Mapping[str, Mapping[str, str]] = {
    "libx264": {"forced-idr": "1"},
    "libx265": {"forced-idr": "1"},
    "h264_nvenc": {"forced-idr": "1"},
    "hevc_nvenc": {"forced-idr": "1"},
    "av1_nvenc": {"forced-idr": "1"},
    "h264_qsv": {"forced_idr": "1"},
    "hevc_qsv": {"forced_idr": "1"},
}
_DASH_SLACK_US = 100_000  # a boundary moves to the next frame, so that a segment may be a frame shorter


def segment_of(target: TargetSpec) -> SegmentSpec | None:
    """Return how `target` is segmented, None if it is not; a member of a group always is."""
    return target.segment or (SegmentSpec(SegmentFormat.HLS) if target.group >= 0 else None)


def packaged(plan: TargetPlan, target: TargetSpec, naming: Naming, resolution: str, hidden_us: int = 0) -> TargetPlan:
    """Return `plan` segmented as `target` requests, unchanged if it does not. `hidden_us`: what copied video shows before 0,
    which segments have no edit list to hide.
    """
    segment = segment_of(target)
    if segment is None:
        return plan
    dash = segment.format is SegmentFormat.DASH
    listed = OutputName(LIST_EXTENSION[segment.format], resolution, rung=target.rung)
    extension = SEGMENT_EXTENSIONS[target.container]
    name = expand_package(target.uri, listed, extension, *naming)
    clock_us = _clock_us(target.container) + hidden_us
    return replace(
        plan,
        uri=name.playlist,
        muxer=str(segment.format),
        muxer_options=_boxes(plan)
        | (_dash_options(segment) if dash else _hls_options(segment, target.container))
        | _offset(clock_us),
        streams=tuple(_cut(stream, segment.duration_us) for stream in plan.streams),
        package=PackagePlan(
            format=segment.format,
            segment_us=segment.duration_us,
            prefix=name.prefix,
            suffix=name.suffix,
            start_number=1 if dash else segment.start_number,
            clock_us=clock_us,
        ),
    )


def packaged_subtitles(plan: TargetPlan, target: TargetSpec, rendition: RenditionPlan) -> TargetPlan:
    """Return `plan`, a subtitle file of a member of a group, segmented like that member."""
    segment = segment_of(target)
    assert segment
    base = plan.uri.removesuffix(f".{plan.container}")
    package = PackagePlan(
        format=segment.format,
        segment_us=segment.duration_us,
        prefix=f"{base}-",
        suffix=f".{SEGMENT_EXTENSIONS[plan.container]}",
        start_number=segment.start_number,
        clock_us=_clock_us(target.container),
        rendition=rendition,
    )
    return replace(plan, uri=f"{base}.{LIST_EXTENSION[segment.format]}", package=package)


def on_one_clock(targets: Sequence[TargetPlan], groups: Sequence[GroupPlan]) -> tuple[TargetPlan, ...]:
    """Return `targets` with the members of each group on the clock of the copy that shows most of what lies before 0."""
    moved = list(targets)
    for group in groups:
        members = {*group.variants, *group.subtitles, *group.more_audio, group.audio} - {-1}
        packages = {index: package for index in members if (package := moved[index].package)}
        latest = max((package.clock_us for package in packages.values()), default=0)
        for index, package in packages.items():
            if package.clock_us != latest:
                options = {**moved[index].muxer_options, **({} if package.rendition else _offset(latest))}
                moved[index] = replace(moved[index], package=replace(package, clock_us=latest), muxer_options=options)
    return tuple(moved)


def _offset(clock_us: int) -> dict[str, str]:
    return {"output_ts_offset": f"{clock_us}us"} if clock_us else {}


def _clock_us(container: str) -> int:
    return TS_CLOCK_US if container == "ts" else 0


def subtitles_once(targets: Sequence[TargetSpec]) -> Iterator[TargetSpec]:
    """Yield the targets; within a group only the first that extracts subtitles keeps doing so."""
    packaging: set[int] = set()
    for target in targets:
        if target.group >= 0 and target.extract:
            yield target if target.group not in packaging else replace(target, extract=None)
            packaging.add(target.group)
        else:
            yield target


def _hls_options(segment: SegmentSpec, container: str) -> dict[str, str]:
    return {
        "hls_time": f"{segment.duration_us}us",
        "hls_list_size": "0",
        "hls_playlist_type": "vod",
        "hls_segment_type": "mpegts" if container == "ts" else "fmp4",
        # Else each rendition is shifted by its own negative timestamps: reordered frames or audio priming.
        **({} if container == "ts" else {"avoid_negative_ts": "disabled"}),
    }


def _dash_options(segment: SegmentSpec) -> dict[str, str]:
    shortest_us = segment.duration_us - min(_DASH_SLACK_US, segment.duration_us // 10)
    # libav would write WebM segments for VP9, VP8, Opus and Vorbis.
    return {"seg_duration": f"{shortest_us}us", "use_template": "1", "use_timeline": "1", "dash_segment_type": "mp4"}


def _boxes(plan: TargetPlan) -> dict[str, str]:
    """Return the options by which a file would have boxes that libav calls unofficial: segments have them as well."""
    return {name: value for name, value in plan.muxer_options.items() if name == "strict"}


def _cut(stream: StreamPlan, segment_us: int) -> StreamPlan:
    """Return a stream with keyframes on all segment boundaries; copied streams keep their own."""
    if stream.encoder == COPY or stream.video is None:
        return stream
    options = {**stream.options, **_FORCED_KEYS.get(stream.encoder, {})}
    return replace(stream, options=options, segment_us=segment_us)


def arrange(
    request: ConvertRequest, plans: Sequence[TargetPlan], naming: Naming
) -> tuple[tuple[TargetPlan, ...], tuple[GroupPlan, ...]]:
    """Return the targets, with what several of them share produced only once, and the master playlists.

    Raises InvalidArgument if files of a group are named so that one would overwrite another.
    """
    specs = {target.index: target for target in request.targets}
    targets = _share_files(plans, specs)
    groups = []
    for number, template in enumerate(request.group_uris):
        listed = OutputName(LIST_EXTENSION[SegmentFormat.HLS])
        uri = expand(template, listed, *naming)
        members = [slot for slot, plan in enumerate(targets) if specs[plan.index].group == number]
        subtitles = tuple(slot for slot in members if is_subtitles(targets[slot]))
        slots = [slot for slot in members if slot not in subtitles]
        _check_places(uri, [(specs[targets[slot].index], targets[slot]) for slot in members])
        shared = () if _begins_early(request, targets, slots) else _shared_audio([targets[slot] for slot in slots])
        audio = range(len(targets), len(targets) + len(shared))
        if shared:
            for slot in slots:
                targets[slot] = replace(targets[slot], streams=_without_audio(targets[slot]))
            targets += _audio_targets(targets[slots[0]], shared, uri)
        groups.append(GroupPlan(uri, tuple(slots), audio[0] if audio else -1, subtitles, tuple(audio[1:])))
    return tuple(targets), tuple(groups)


def unheard_audio(targets: Sequence[TargetPlan]) -> Iterator[str]:
    """Yield a warning for each playlist of HLS with several audio streams in its segments."""
    for target in targets:
        count = sum(stream.type == StreamType.AUDIO for stream in target.streams)
        if target.package and target.package.format is SegmentFormat.HLS and count > 1:
            yield (
                f"{target.field}: most players offer only the first of the {count} audio streams in HLS segments: "
                "variants of a target group that have the same audio get a rendition for each"
            )


def is_subtitles(plan: TargetPlan) -> bool:
    """Return whether a target is a rendition of subtitles."""
    return plan.package is not None and plan.package.rendition is not None


def _share_files(plans: Sequence[TargetPlan], specs: Mapping[int, TargetSpec]) -> list[TargetPlan]:
    """Return the targets without HLS targets whose segments a DASH target makes as well; HLS then lists those."""
    remaining = list(plans)
    for hls in plans:
        for slot, dash in enumerate(remaining):
            if _alike(hls, dash, specs) and dash.package and hls in remaining:
                package = replace(dash.package, hls_uri=hls.uri, hls_index=hls.index)
                remaining[slot] = replace(dash, package=package)
                remaining.remove(hls)
                break
    return remaining


def _alike(hls: TargetPlan, dash: TargetPlan, specs: Mapping[int, TargetSpec]) -> bool:
    """Return whether two targets differ in nothing but the format of their list."""
    if not hls.package or not dash.package or dash.package.hls_uri:
        return False
    if (hls.package.format, dash.package.format) != ("hls", "dash") or specs[hls.index].group >= 0:
        return False
    if hls.package.start_number:
        return False
    same = replace(
        hls, index=dash.index, field=dash.field, uri=dash.uri, muxer=dash.muxer, muxer_options=dash.muxer_options, package=None
    )
    names = ("prefix", "suffix", "segment_us")
    return same == replace(dash, package=None) and all(
        getattr(hls.package, name) == getattr(dash.package, name) for name in names
    )


def _begins_early(request: ConvertRequest, targets: Sequence[TargetPlan], slots: Sequence[int]) -> bool:
    """Return whether a variant may begin before the requested start, which separate audio would not."""
    copies = any(stream.begins_at_key for slot in slots for stream in targets[slot].streams)
    return copies and any(source.start_us for source in request.sources)


def _shared_audio(members: Sequence[TargetPlan]) -> tuple[StreamPlan, ...]:
    """Return the audio that becomes renditions of their own: what all variants have in common; none if they differ, have no
    video, or if there is only one variant with only one audio stream.
    """
    filmed = [member for member in members if any(stream.type == StreamType.VIDEO for stream in member.streams)]
    sounds = [tuple(stream for stream in member.streams if stream.type == StreamType.AUDIO) for member in filmed]
    ways = {(member.container, member.package.segment_us if member.package else 0, member.keep_metadata) for member in filmed}
    if len(filmed) != len(members) or len(ways) != 1 or any(sound != sounds[0] for sound in sounds):
        return ()
    return sounds[0] if len(filmed) > 1 or len(sounds[0]) > 1 else ()


def _without_audio(plan: TargetPlan) -> tuple[StreamPlan, ...]:
    return tuple(stream for stream in plan.streams if stream.type != StreamType.AUDIO)


def _audio_targets(member: TargetPlan, streams: Sequence[StreamPlan], master: str) -> Iterator[TargetPlan]:
    """Yield the targets of the audio that variants share: `<base>-audio.m3u8` next to the master playlist, or, for several
    streams, `<base>-audio-<n>.m3u8`.
    """
    assert member.package
    for number, stream in enumerate(streams):
        base = f"{master.removesuffix('.m3u8')}-audio" + (f"-{number}" if len(streams) > 1 else "")
        package = replace(member.package, prefix=f"{base}-", suffix=f".{SEGMENT_EXTENSIONS[member.container]}")
        yield replace(member, uri=f"{base}.m3u8", streams=(stream,), package=package)


def _check_places(master: str, members: Sequence[tuple[TargetSpec, TargetPlan]]) -> None:
    """Check that every list of a group has a name of its own in the master playlist's folder or below; raise
    InvalidArgument.
    """
    here = Resource.of(master)
    places = {here}
    for spec, plan in members:
        expected, there = "", Resource.of(plan.uri)
        if not here.holds(there):
            expected = f"must lie in the folder of the master playlist {master} or below"
        elif there in places:
            expected = f"must have a name of its own in the group, not {plan.uri}"
        if expected:
            field = "subtitle.extract_subtitle.uri" if is_subtitles(plan) else "uri"
            raise InvalidArgument(violations=[Violation(f"{spec.field}.{field}", expected)])
        places.add(there)
