"""Plan copied video that is cut at the frame: the frames at the edges are encoded as the source is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from reelmill_server.errors import ConditionNotMet, UnsupportedFormat
from reelmill_server.model.media_info import StreamInfo, VideoStreamInfo
from reelmill_server.model.plan import SmartCutPlan, StreamPlan, VideoOutput
from reelmill_server.model.request import ConvertRequest, Hardware, TargetSpec, VideoSpec
from reelmill_server.model.smart_cut import CutEdges, SmartCut
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS
from reelmill_server.plan.clock import Clock
from reelmill_server.plan.codec import encoder_options, video_encoders
from reelmill_server.plan.codec.video_encoders import LIBAV_CODEC
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.inputs import Input
from reelmill_server.plan.stream import hdr, joining
from reelmill_server.plan.stream.video import usual_rate

CRF, _EDGE_CRF, _VP9_EDGE_CRF = 17.0, 14.0, 4.0
"""Quality of what is encoded instead of a cut, and at its edges, which cost few bits: so near the source that nobody sees
where it begins."""
_OURS = {libav: ours for ours, libav in LIBAV_CODEC.items()}
# The source's profile, as libav names it, to the encoder's name of it.
_PROFILES: Mapping[str, Mapping[str, str]] = {
    "h264": {
        "Baseline": "baseline",
        "Constrained Baseline": "baseline",
        "Main": "main",
        "High": "high",
        "High 10": "high10",
        "High 4:2:2": "high422",
    },
    "hevc": {"Main": "main", "Main 10": "main10"},
    "vp9": {"Profile 0": "0", "Profile 2": "2"},
    "av1": {"Main": ""},
    "mpeg2video": {"Simple": "", "Main": "", "High": "", "4:2:2": ""},  # edges are of the source's sequence
}
_FORMATS = ("yuv420p", "yuvj420p", "yuv422p", "yuv420p10le", "yuv422p10le")
_CONTAINERS = ("mp4", "mov", "mkv", "webm", "ts")
_AVC_LEVEL_UNITS = 10  # sets of H.265 take their level from the stream's; the others' encoders choose one by themselves
# Of all encoders: no frame is moved, and only the first one is a keyframe.
_IN_ORDER = {"bf": "0", "g": "100000"}
_OWN: Mapping[str, str] = {
    "libx264": "scenecut=0:open-gop=0",
    "libx265": "scenecut=0:open-gop=0:wpp=0:info=0",
}
# Encoders that only edges have, each named as its codec: MPEG-2 in short groups, as rounding adds up from frame to frame.
_OF_EDGES_ONLY: Mapping[str, Mapping[str, str]] = {
    "mpeg2video": {"flags": "+qscale+cgop", "global_quality": "236", "g": "15", "bf": "0", "sc_threshold": "1000000000"}
}
_FIELDS = ("mpeg2video", "h264")  # codecs whose edges keep fields


def wanted(target: TargetSpec) -> bool:
    """Return whether a target asks for copied video that is cut at the frame."""
    return target.video is not None and target.video.smart_cut is not SmartCut.NONE and bool(target.container)


def edges_needed(request: ConvertRequest) -> bool:
    """Return whether the edges of the cut must be known before `request` is planned."""
    return any(map(wanted, request.targets)) and any(source.start_us or source.duration_us for source in request.sources)


def span_of(clock: Clock) -> tuple[Fraction | None, Fraction | None]:
    """Return where a range begins and ends, seconds of the source; None: with it."""
    begin = Fraction(clock.origin_us + clock.start_us, MICROSECONDS) if clock.start_us else None
    return begin, Fraction(clock.origin_us + clock.end_us, MICROSECONDS) if clock.end_us else None


def edges_of(
    target: TargetSpec, spec: VideoSpec, members: Sequence[tuple[Input, StreamInfo | None]], speed: Fraction, facts: PlanFacts
) -> tuple[tuple[CutEdges, ...], str]:
    """Return the edges of a copy of streams that follow each other, each cut at the frame; empty if none is to be; and why they
    cannot be.
    """
    if spec.smart_cut is SmartCut.NONE or not any(_is_cut(item) for item, _ in members):
        return (), ""
    edges, (_, first) = [], members[0]
    for item, stream in members:
        where = f"sources[{item.source_number}]: " if len(members) > 1 else ""
        if first is None or not isinstance(stream, VideoStreamInfo) or (difference := joining.difference(first, stream)):
            return (), f"{where}{difference}"
        if objection := _objection(target, stream, speed):
            return (), f"{where}{objection}"
        unknown = CutEdges(objection="its keyframes are not known")
        own = facts.cut_edges.get((item.source_number, stream.index), unknown) if _is_cut(item) else CutEdges()
        if own.objection:
            return (), f"{where}{own.objection}"
        edges.append(own)
    return tuple(edges), ""


def _is_cut(item: Input) -> bool:
    return bool(item.source.start_us or item.source.duration_us)


def _objection(target: TargetSpec, stream: VideoStreamInfo, speed: Fraction) -> str:
    """Return why video cannot be cut at the frame, wherever its keyframes are; empty if it can."""
    profile = _PROFILES.get(stream.codec, {}).get(stream.profile)
    objections = (
        (speed != 1, "its speed is changed"),
        (stream.codec not in _PROFILES, f"{stream.codec} is not cut so"),
        (target.container not in _CONTAINERS, f"{target.container} does not take it"),
        (stream.interlaced and stream.codec not in _FIELDS, "its frames are interlaced"),
        (stream.decoding_times or not stream.decodable, "its frames cannot be decoded in order"),
        (stream.dolby_vision is not None, "it is Dolby Vision"),
        (profile is None, f"there is no encoder for {stream.codec} of profile {stream.profile or 'unknown'}"),
        (stream.pixel_format not in _FORMATS, f"there is no encoder for {stream.pixel_format}"),
    )
    return next((text for objects, text in objections if objects), "")


def with_edges(copied: StreamPlan, stream: VideoStreamInfo, edges: Sequence[CutEdges], facts: PlanFacts) -> StreamPlan:
    """Return a stream copy whose parts are cut at `edges`. Raises UnsupportedFormat when no encoder can run here."""
    encoder, options = _edge_encoder(stream, facts)
    counts = encoder in _OF_EDGES_ONLY  # its rates are few
    if hdr.is_hdr(stream):
        options = hdr.with_metadata(options, encoder, stream)
    video = VideoOutput(
        width=stream.width,
        height=stream.height,
        pixel_format=stream.pixel_format,
        time_base=1 / FALLBACK_RATE if counts else stream.time_base,
        frame_rate=FALLBACK_RATE if counts else usual_rate(stream) or FALLBACK_RATE,
        sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
        color_space=stream.color_space,
        color_range=stream.color_range,
        color_transfer=stream.color_transfer,
        color_primaries=stream.color_primaries,
    )
    cut = SmartCutPlan(edges[0], encoder, options, video, tuple(edges) if len(edges) > 1 else ())
    at_start, at_end = sum(part.start_frames for part in edges), sum(part.end_frames for part in edges)
    where = f"the start and {at_end} at the end" + (" of the sources" if cut.joined else "")
    how = f": {at_start} frames at {where} are encoded by {encoder}" if cut.encoded_frames else ""
    return replace(copied, reason=f"{copied.reason}, cut at the frame{how}", smart_cut=cut)


def _edge_encoder(stream: VideoStreamInfo, facts: PlanFacts) -> tuple[str, dict[str, str]]:
    """Return the encoder of a stream's edges, and its options. Raises UnsupportedFormat when none can run here."""
    if stream.codec in _OF_EDGES_ONLY:
        return stream.codec, {**_OF_EDGES_ONLY[stream.codec]}
    spec = replace(_software(stream), crf=_VP9_EDGE_CRF if stream.codec == "vp9" else _EDGE_CRF)
    common = stream.pixel_format.replace("yuvj", "yuv")
    choice = video_encoders.choose(spec, common, facts.capabilities, facts.order, facts.excluded)
    options = {**encoder_options.options(choice, replace(spec, pixel_format=common)), **_IN_ORDER}
    if profile := _PROFILES[stream.codec][stream.profile]:
        options["profile"] = profile
    if own := _OWN.get(choice.encoder):
        name = f"{choice.encoder.removeprefix('lib')}-params"
        options[name] = ":".join(filter(None, (options.get(name, ""), own)))
    if choice.encoder == "libx264" and stream.level:
        options["level"] = f"{stream.level / _AVC_LEVEL_UNITS:g}"
    return choice.encoder, options


def encoded_instead(spec: VideoSpec, stream: VideoStreamInfo, reason: str, field: str) -> tuple[VideoSpec, str]:
    """Return how video is encoded that cannot be cut at the frame for `reason`, and a warning.

    Raises ConditionNotMet if that must be possible, UnsupportedFormat if there is no encoder for the codec either.
    """
    text = f"the copy cannot be cut at the frame: {reason}"
    if spec.smart_cut is SmartCut.REQUIRED:
        raise ConditionNotMet(f"{field}.smart_cut: {text}")
    if stream.codec not in _OURS:
        instead = "ask for a codec such as h264 without smart_cut, which is cut at the frame, too"
        raise UnsupportedFormat(f"{field}.smart_cut: {text}, and there is no encoder for {stream.codec}: {instead}")
    return _software(stream), f"{text}: all of it is encoded"


def _software(stream: VideoStreamInfo) -> VideoSpec:
    """Return how what is not copied of a stream is encoded."""
    why = "cuts at the frame are encoded in software"
    return VideoSpec(_OURS[stream.codec], crf=CRF, hardware=Hardware.NEVER, in_software=why)
