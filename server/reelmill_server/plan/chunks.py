"""Cut a plan into chunks that several machines carry out, where that pays off and does not change the result."""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import lcm

from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.image_request import FrameMode
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.overlay_plan import BlurPlan
from reelmill_server.model.plain import plain
from reelmill_server.model.plan import COPY, ImagePlan, InputPlan, PartPlan, Plan, StreamPlan, TargetPlan
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.model.units import Split, SplitRule, Unit, VideoUnit, WholeUnit
from reelmill_server.plan.cost.estimate import estimate
from reelmill_server.plan.ladder import open_ladders
from reelmill_server.plan.stream.video import frame_us, usual_rate

# Frames decoded before a chunk's first: as far back as the deinterlacer looks, and one more.
_LEAD_FRAMES = 4
AFTER_KEY_FRAMES = 8
"""A cut lies this many frames after a keyframe: an MP4 index has its decode timestamp, not when it is shown."""
_LEAST_US = 500_000  # a shorter first or last chunk, or a shorter one between two cuts, does not pay off
# If cuts must lie on segment boundaries, one within this share of a chunk around the ideal position is taken: that which
# wastes least decoding.
_PLAY = Fraction(1, 4)
_QUALITY_OPTIONS = frozenset({"crf", "cq", "global_quality"})


@dataclass(frozen=True)
class _Cut:
    """A possible cut at `at_us` of the span, and `wasted_us`: how much is decoded in vain before it, from the keyframe on; both
    in microseconds.
    """

    at_us: int
    wasted_us: int


def encoded_video(plan: Plan) -> Iterator[tuple[int, int, StreamPlan]]:
    """Yield the encoded video streams of a plan: index of the target, index of the stream in it, the stream."""
    return _encoded(plan, "video")


def encoded_audio(plan: Plan) -> Iterator[tuple[int, int, StreamPlan]]:
    """Yield the encoded audio streams of a plan: index of the target, index of the stream in it, the stream."""
    return _encoded(plan, "audio")


def _encoded(plan: Plan, kind: str) -> Iterator[tuple[int, int, StreamPlan]]:
    for slot, target in enumerate(plan.targets):
        for number, stream in enumerate(target.streams):
            if stream.type == kind and stream.encoder != COPY:
                yield slot, number, stream


def shared_images(plan: Plan, whole: bool) -> list[int]:
    """Return the indexes of the plan's image entries that take frames which are decoded for all outputs.

    With `whole` those whose frames depend on the ones before (dHash), which cannot be cut; else the others.
    """
    return [
        slot
        for slot, image in enumerate(plan.images)
        if image.reading.is_sequential and (image.frames.mode is FrameMode.DHASH) == whole
    ]


def split(
    plan: Plan,
    infos: Sequence[MediaInfo],
    keys_us: Sequence[int],
    rule: SplitRule,
    libraries: str = "",
    sources: Sequence[tuple[int, int]] = (),
) -> Split:
    """Return how `plan` is cut into chunks, or why it is not.

    `keys_us`: times of the keyframes of the encoded video, in microseconds on the source's clock, ascending; empty: no
    index. `libraries` and `sources` identify the encoders and the sources, as Split says.
    """
    objection = _objection(plan, infos, keys_us) or _too_little(plan, infos, rule)
    if objection:
        return Split(reason=objection)
    (entry,) = plan.inputs
    count = rule.parallelism or min(rule.most, max(2, round(entry.duration_us / MICROSECONDS / rule.chunk_seconds)))
    cuts = _cuts(plan, infos[entry.source], keys_us, count)
    if not cuts:
        return Split(reason="the source has no key frames where it could be cut")
    lead_us = _LEAD_FRAMES * _frame_us(plan, infos[entry.source]) if _looks_back(plan) else 0
    edges = [0, *cuts, 0]
    units: list[Unit] = [
        VideoUnit(number, begin, end, lead_us if begin else 0) for number, (begin, end) in enumerate(pairwise(edges))
    ]
    if any(encoded_audio(plan)) or shared_images(plan, whole=True):
        units.append(WholeUnit(len(units)))
    reason = "asked for" if rule.parallelism else f"{_work(plan, infos):.0f} s of work for one core, by estimate"
    chunked = Split(tuple(units), f"{len(cuts) + 1} chunks: {reason}", "", libraries, tuple(sources))
    return identified(plan, chunked)


def identified(plan: Plan, chunked: Split) -> Split:
    """Return a split of `plan` with its digest, whatever the one was that it had."""
    text = json.dumps([plain(plan), plain(replace(chunked, digest=""))], sort_keys=True)
    return replace(chunked, digest=hashlib.sha256(text.encode()).hexdigest()[:32])


def _objection(plan: Plan, infos: Sequence[MediaInfo], keys_us: Sequence[int]) -> str:
    """Return why a plan cannot be cut, whatever it costs; empty if it can."""
    video = [stream for _, _, stream in encoded_video(plan)]
    read = {part.stream for stream in video for part in stream.parts}
    overlays = [overlay for stream in video for overlay in stream.overlays]
    copied = any(stream.copies_video for target in plan.targets for stream in target.streams)
    first = plan.inputs[0]
    objections = (
        (not video, "no video is encoded"),
        (any(stream.device not in ("", SOFTWARE) for stream in video), "an accelerator encodes it whole"),
        (len(plan.inputs) > 1, "where each of several sources begins is known when those before it were read"),
        (not first.duration_us, "the source does not say how long it is"),
        (not keys_us, f"{infos[first.source].format} has no index of key frames"),
        (len(read) > 1, "several video streams of the source are encoded, which have key frames of their own"),
        (any(isinstance(overlay, BlurPlan) for overlay in overlays), "faces and plates are followed from picture to picture"),
        (any(_has_mean_rate(stream) for stream in video), "its bits are spread over the whole video"),
        (open_ladders(plan), "the rungs of its ladder are chosen first"),
        (copied and first.start_us, "copied video decides where the output begins"),
    )
    return next((text for objects, text in objections if objects), "")


def _has_mean_rate(stream: StreamPlan) -> bool:
    """Return whether the encoder distributes bits over the whole video, which chunks would change.

    libvpx does so even with a maximum rate, and visibly: near the seams its VMAF falls by up to 3, that of other encoders by
    less than 1 (docs/chunks.md).
    """
    rate = stream.options.get("b", "0")
    return rate != "0" and (stream.encoder == "libvpx-vp9" or not _QUALITY_OPTIONS & set(stream.options))


def _too_little(plan: Plan, infos: Sequence[MediaInfo], rule: SplitRule) -> str:
    """Return why cutting a plan does not pay off; empty if it does."""
    if rule.parallelism:
        return "" if rule.parallelism > 1 else "a parallelism of 1 is asked for"
    seconds = plan.inputs[0].duration_us / MICROSECONDS
    if seconds < 2 * rule.chunk_seconds:
        return f"{seconds:.0f} s are less than two chunks of {rule.chunk_seconds:.0f} s"
    work = _work(plan, infos)
    return f"{work:.0f} s of work for one core, by estimate: too little" if work < rule.least_seconds else ""


def _work(plan: Plan, infos: Sequence[MediaInfo]) -> float:
    """Return the estimated core seconds of the whole plan."""
    return estimate(plan, infos).core_seconds


def _looks_back(plan: Plan) -> bool:
    """Return whether a filter uses frames before the current one."""
    return any(
        text.startswith("bwdif") for _, _, stream in encoded_video(plan) for part in stream.parts for text in part.filters
    )


def _frame_us(plan: Plan, info: MediaInfo) -> int:
    index = next(part.stream for _, _, stream in encoded_video(plan) for part in stream.parts)
    return frame_us(usual_rate(next(stream for stream in info.video if stream.index == index)))


def _cuts(plan: Plan, info: MediaInfo, keys_us: Sequence[int], count: int) -> list[int]:
    """Return at most `count` - 1 cuts, in microseconds of the span, ascending; as even as keyframes and segment boundaries
    allow.
    """
    entry = plan.inputs[0]
    after_us = (AFTER_KEY_FRAMES + (_LEAD_FRAMES if _looks_back(plan) else 0)) * _frame_us(plan, info)
    keys = sorted(key - entry.origin_us - entry.start_us for key in keys_us)
    border_us = _border_us(plan)
    places = _on_borders(keys, border_us, after_us, entry) if border_us else _on_keys(keys, after_us, entry)
    chosen: list[int] = []
    for number in range(1, count):
        place = _nearest(places, Fraction(entry.duration_us * number, count), Fraction(entry.duration_us, count))
        if place is not None and place >= (chosen[-1] if chosen else 0) + _LEAST_US:
            chosen.append(place)
    return [place for place in chosen if place <= entry.duration_us - _LEAST_US]


def _border_us(plan: Plan) -> int:
    """Return the distance, in microseconds of the span, between positions where segments of all outputs begin; 0 if there are
    no segments.
    """
    steps = [stream.segment_us * stream.speed for _, _, stream in encoded_video(plan) if stream.segment_us]
    # The least integer that is a multiple of each.
    return lcm(*(step.numerator for step in steps)) if steps else 0


def _on_keys(keys: Sequence[int], after_us: int, entry: InputPlan) -> list[_Cut]:
    return [_Cut(key + after_us, 0) for key in keys if 0 < key < entry.duration_us]


def _on_borders(keys: Sequence[int], border_us: int, after_us: int, entry: InputPlan) -> list[_Cut]:
    cuts = []
    for border in range(border_us, entry.duration_us, border_us):
        before = bisect_right(keys, border - after_us)
        if before:
            cuts.append(_Cut(border, border - keys[before - 1]))
    return cuts


def _nearest(places: Sequence[_Cut], wanted: Fraction, length: Fraction) -> int | None:
    """Return the cut nearest to `wanted`; of several within a quarter of a chunk's `length`, the one that wastes least
    decoding.

    None if there is none within half a chunk, as where an index ends early.
    """
    near = [place for place in places if abs(place.at_us - wanted) <= length * _PLAY]
    if near:
        return min(near, key=lambda place: (place.wasted_us + abs(place.at_us - wanted) / 4, place.at_us)).at_us
    farther = [place.at_us for place in places if abs(place.at_us - wanted) <= length / 2]
    return min(farther, key=lambda at: (abs(at - wanted), at), default=None)


def unit_plan(plan: Plan, unit: Unit) -> Plan:
    """Return the part of `plan` that a chunk carries out: a target for each stream, and the images taken along the way.

    `members` says, in the same order, where each belongs in `plan`.
    """
    streams, images = members(plan, unit)
    first = isinstance(unit, VideoUnit) and not unit.begin_us
    targets = tuple(
        lone_stream(plan.targets[slot], plan.targets[slot].streams[number], first or isinstance(unit, WholeUnit))
        for slot, number in streams
    )
    return replace(plan, targets=targets, groups=(), images=tuple(plan.images[slot] for slot in images))


def members(plan: Plan, unit: Unit) -> tuple[list[tuple[int, int]], list[int]]:
    """Return the streams (index of the target, index of the stream in it) and the indexes of the images of `plan` that a chunk
    produces.
    """
    whole = isinstance(unit, WholeUnit)
    streams = encoded_audio(plan) if whole else encoded_video(plan)
    return [(slot, number) for slot, number, _ in streams], shared_images(plan, whole)


def read_streams(plan: Plan) -> list[StreamPlan]:
    """Return all streams read from the sources in a single pass of the plan; where an input ends is measured on these."""
    fed: list[ImagePlan] = [image for image in plan.images if image.reading.is_sequential]
    return [*(stream for target in plan.targets for stream in target.streams), *(image.stream for image in fed)]


def with_stream(plan: Plan, slot: int, number: int, stream: StreamPlan) -> Plan:
    """Return `plan` with `stream` in place of stream `number` of the target at index `slot`."""
    target = plan.targets[slot]
    streams = (*target.streams[:number], stream, *target.streams[number + 1 :])
    return replace(plan, targets=(*plan.targets[:slot], replace(target, streams=streams), *plan.targets[slot + 1 :]))


def lone_stream(target: TargetPlan, stream: StreamPlan, from_front: bool = True) -> TargetPlan:
    """Return a target with one of the streams of `target` and nothing else, read from the front of the input or midway."""
    if not from_front:
        stream = replace(stream, parts=tuple(_from_midway(part) for part in stream.parts))
    return replace(target, streams=(replace(stream, codec_tag=""),), package=None, keep_metadata=False, attachments=())


def _from_midway(part: PartPlan) -> PartPlan:
    """Return a part for reading from the middle of an input.

    The fps filter must not start at 0 there, as it would repeat the first frame from 0 on. Without a start of its own it
    puts frames on the same grid.
    """
    filters = tuple(text.removesuffix(":start_time=0") if text.startswith("fps=") else text for text in part.filters)
    return replace(part, filters=filters)
