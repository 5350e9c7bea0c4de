"""Write encoded video as filters: parts, geometry, colors and overlays."""

from collections.abc import Iterator, Mapping
from fractions import Fraction

from reelmill_server.model.colour import (
    MATRIX_NAMES,
    PRIMARIES_NAMES,
    RANGE_NAMES,
    TRANSFER_NAMES,
    Matrix,
    Primaries,
    Range,
    Transfer,
)
from reelmill_server.model.media_info import VideoStreamInfo
from reelmill_server.model.overlay_plan import BlurPlan, Box, DelogoPlan, OverlayPlan, PicturePlan, TextPlan
from reelmill_server.model.overlay_request import AT_BOTTOM, AT_RIGHT
from reelmill_server.model.plan import PartPlan, StreamPlan, VideoOutput
from reelmill_server.model.request import AlignMode
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.ffmpeg.draft import Draft
from reelmill_server.plan.ffmpeg.filters import Chain, decimal, option, seconds
from reelmill_server.plan.ffmpeg.lengths import Count

_LONGEST_LOOP = 32_767  # frames that the loop filter keeps
_UPRIGHT = "sidedata=mode=delete:type=DISPLAYMATRIX"
_SETPARAMS_TRANSFERS = {**TRANSFER_NAMES, 4: "bt470m", 5: "bt470bg"}  # filters have names of their own for pure powers
# The options of setparams, by the field of a VideoOutput: the names of their values, and the value that says nothing.
_COLORS: Mapping[str, tuple[str, Mapping[int, str], int]] = {
    "color_range": ("range", RANGE_NAMES, Range.UNSPECIFIED),
    "color_space": ("colorspace", MATRIX_NAMES, Matrix.UNSPECIFIED),
    "color_primaries": ("color_primaries", PRIMARIES_NAMES, Primaries.UNSPECIFIED),
    "color_transfer": ("color_trc", _SETPARAMS_TRANSFERS, Transfer.UNSPECIFIED),
}


def video_chain(draft: Draft, stream: StreamPlan) -> Chain:
    """Return the filters that make the frames of `stream`."""
    video = stream.video
    assert video
    rate = video.frame_rate
    counts = draft.lengths.counts(stream, stream.parts, rate) if stream.counted else (None,) * len(stream.parts)
    chains = [_part(draft, stream, part, count) for part, count in zip(stream.parts, counts, strict=True)]
    chain = draft.concatenated(chains, "video")
    for overlay in stream.overlays:
        chain = _overlaid(draft, chain, overlay, video)
    if stream.overlays:
        chain = chain.then(f"format={video.pixel_format}")
    return chain.then(*_colors(video), *(("hwupload",) if stream.device == "vaapi" else ()))


def _part(draft: Draft, stream: StreamPlan, part: PartPlan, count: Count | None) -> Chain:
    assert stream.video
    if part.stream < 0:
        return draft.generated(part, _black(stream.video), f"trim=end_frame={count.whole}" if count else "")
    chain = Chain((draft.inputs.pad(part),))
    chain = chain.then(*upright(draft, part), *(draft.table(text) for text in part.filters))
    return chain.then(*_filled(draft, part, count)) if stream.counted else chain


def upright(draft: Draft, part: PartPlan) -> tuple[str, ...]:
    """Return the filter that drops the rotation mark of frames, as the filters after it rotate them."""
    info = draft.inputs.stream(part)
    turned = not isinstance(info, VideoStreamInfo) or info.turned
    return (_UPRIGHT,) if turned else ()


def _filled(draft: Draft, part: PartPlan, count: Count | None) -> Iterator[str]:
    """Yield filters that give a part exactly its frames: the last one is held, an aligned part is filled up."""
    if count is None:
        draft.unknown_length(part.input)
        return
    yield from ("tpad=stop=-1:stop_mode=clone", f"trim=end_frame={count.own}")
    if count.whole == count.own:
        return
    if draft.plan.inputs[part.input].align is AlignMode.LOOP:
        if count.own > _LONGEST_LOOP:
            draft.notes.add(f"ffmpeg repeats {_LONGEST_LOOP} frames at most, the service all {count.own}")
        yield f"loop=loop=-1:size={min(count.own, _LONGEST_LOOP)}"
    else:
        yield "tpad=stop=-1:color=black"
    yield f"trim=end_frame={count.whole}"


def _black(video: VideoOutput) -> tuple[str, ...]:
    size, span = f"{video.width}x{video.height}", RANGE_NAMES.get(video.color_range, "tv")
    return (
        f"color=black:size={size}:rate={video.frame_rate}",
        f"scale=out_range={span}",
        "setsar=1",
        f"format={video.pixel_format}",
    )


def _colors(video: VideoOutput) -> Iterator[str]:
    """Yield the filter that marks frames with the colors that the encoder is opened with."""
    fields = ((name, int(getattr(video, field)), names, silent) for field, (name, names, silent) in _COLORS.items())
    properties = [f"{name}={names.get(value, value)}" for name, value, names, silent in fields if value != silent]
    if properties:
        yield f"setparams={':'.join(properties)}"


def _overlaid(draft: Draft, chain: Chain, overlay: OverlayPlan, video: VideoOutput) -> Chain:
    match overlay:
        case DelogoPlan():
            draft.notes.add("delogos are filled by ffmpeg's own filter, which blends less smoothly than the service")
            return chain.then(*_delogo(overlay, video))
        case TextPlan():
            draft.notes.add("text is drawn by ffmpeg's drawtext with the font it finds; the service chooses fonts by script")
            return chain.then(_text(overlay))
        case PicturePlan():
            return _picture(draft, chain, overlay)
        case BlurPlan():
            draft.notes.add("faces and license plates are not blurred: ffmpeg cannot detect them")
            return chain


def _window(overlay: DelogoPlan | TextPlan | PicturePlan) -> str:
    """Return the option that says when an overlay is shown."""
    begin = f"gte(t,{seconds(overlay.begin_us)})" if overlay.begin_us else ""
    end = f"lt(t,{seconds(overlay.end_us)})" if overlay.end_us else ""
    return f":enable={'*'.join(filter(None, (begin, end)))}" if begin or end else ""


def _delogo(plan: DelogoPlan, video: VideoOutput) -> Iterator[str]:
    box = _inside(plan.box, video)
    if box.width > 0 and box.height > 0:
        yield f"delogo=x={box.x}:y={box.y}:w={box.width}:h={box.height}{_window(plan)}"


def _inside(box: Box, video: VideoOutput) -> Box:
    """Return the part of a rectangle that has pixels around it, which delogo needs."""
    left, top = max(1, box.x), max(1, box.y)
    right, bottom = min(video.width - 1, box.x + box.width), min(video.height - 1, box.y + box.height)
    return Box(left, top, right - left, bottom - top)


def _text(plan: TextPlan) -> str:
    text = plan.text
    options = {
        "text": option(text.content),
        "expansion": "none",
        "font": option(text.font),
        "fontsize": str(text.size),
        "fontcolor": f"{text.color}@{decimal(text.opacity)}",
        "borderw": str(text.border_width),
        "bordercolor": f"{text.border_color}@{decimal(text.opacity)}",
        "x": f"w-tw-{plan.dx}" if plan.corner in AT_RIGHT else str(plan.dx),
        "y": f"h-th-{plan.dy}" if plan.corner in AT_BOTTOM else str(plan.dy),
    }
    return f"drawtext={':'.join(f'{name}={value}' for name, value in options.items())}{_window(plan)}"


def _picture(draft: Draft, chain: Chain, plan: PicturePlan) -> Chain:
    box, begin = plan.box, Fraction(plan.begin_us, MICROSECONDS)
    shown = f"setpts=PTS-STARTPTS+{decimal(begin)}/TB" if begin else "setpts=PTS-STARTPTS"
    mark = Chain((f"{draft.inputs.watermark(plan)}:{plan.stream}",), plan.filters)
    mark = mark.then(f"scale={box.width}:{box.height}:flags=lanczos", shown)
    pads = (draft.graph.close(chain, "null"), draft.graph.close(mark, "null"))
    return Chain(pads, (f"overlay={box.x}:{box.y}:format=auto{_window(plan)}",))
