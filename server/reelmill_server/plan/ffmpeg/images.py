"""Write images as options of ffmpeg: which frames, in which shape, and into which files."""

from collections.abc import Iterator
from fractions import Fraction

from reelmill_server.model.image_request import FrameMode, ImageKind
from reelmill_server.model.media_info import VideoStreamInfo
from reelmill_server.model.plan import PILLOW, FrameAccess, FramesPlan, ImagePlan, PartPlan, SheetPlan
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS
from reelmill_server.plan.clock import LATE
from reelmill_server.plan.codec.image_encoders import (
    ANIMATION_MUXER_OPTIONS,
    ANIMATION_MUXERS,
    ANIMATION_OPTIONS,
    GIF_LEAST,
    GIF_TICK,
    PALETTE,
    PALETTE_USE,
    STILL_OPTIONS,
)
from reelmill_server.plan.ffmpeg.draft import Draft
from reelmill_server.plan.ffmpeg.filters import Chain, decimal, seconds
from reelmill_server.plan.ffmpeg.streams import mapped, options
from reelmill_server.plan.ffmpeg.video import upright
from reelmill_server.plan.output.images import STILLS

_SPECIFIER = ":v"
# Near to what the service makes with Pillow.
_MILLISECOND = Fraction(1, 1000)
_AVIF_ENCODER, _AVIF_OPTIONS = "libsvtav1", {"preset": "8", "crf": "30"}


def image_groups(draft: Draft, image: ImagePlan) -> Iterator[tuple[str, ...]]:
    """Yield the options of one image entry; one that ffmpeg cannot make is left out with a note."""
    _note(draft, image)
    chain = _shaped(draft, image)
    if chain is None:
        draft.notes.add(f"{image.field}: left out: one of the sources has no video")
        return
    if image.format == "avif" and image.numbered and _most(image) != 1:
        draft.notes.add(f"{image.field}: left out: ffmpeg writes all AVIF images into one file")
        return
    kind = {ImageKind.SNAPSHOT: _still, ImageKind.SPRITE: _sheet, ImageKind.ANIMATION: _animation}[ImageKind(image.kind)]
    yield kind(draft, image, chain)


def _note(draft: Draft, image: ImagePlan) -> None:
    frames, field = image.frames, image.field
    if frames.mode is FrameMode.DHASH:
        draft.notes.add(f"{field}: every candidate frame is written: ffmpeg has no dHash to select by")
    if frames.skip_blank:
        draft.notes.add(f"{field}: blank frames at the beginning are kept")
    if image.stream.encoder == PILLOW:
        draft.notes.add(f"{field}: the service writes {image.format} with Pillow, ffmpeg with its own encoder")
    if image.sheet and (image.sheet.web_vtt_uri or image.sheet.playlist_uri):
        draft.notes.add(f"{field}: the lists of the sheets are not written")


def _most(image: ImagePlan) -> int:
    """Return how many frames are taken at most, 0: no limit."""
    return 0 if image.frames.mode is FrameMode.DHASH else image.frames.number or len(image.frames.times_us)


def _rate(draft: Draft, part: PartPlan) -> Fraction:
    info = draft.inputs.stream(part)
    if not isinstance(info, VideoStreamInfo):
        return FALLBACK_RATE
    return info.average_rate or info.frame_rate or FALLBACK_RATE


def _shaped(draft: Draft, image: ImagePlan) -> Chain | None:
    """Return the chain of the frames that are taken, in the shape of the images; None: it cannot be written."""
    parts = image.stream.parts
    if any(part.stream < 0 for part in parts):
        return None
    first = image.frames.times_us[0] if image.frames.times_us else image.frames.start_us
    rate = _rate(draft, parts[0])
    if len(parts) == 1:
        ending = draft.inputs.ending(parts[0].input, first) if _early(image, first) else ""
        chosen = (*((f"trim={ending}",) if ending else ()), *_chosen(image.frames, rate, first))
        pad = _pad(draft, image, parts[0], first)
        return Chain((pad,), (*upright(draft, parts[0]), *chosen, *_filters(draft, parts[0])))
    chains = [_joined_part(draft, part) for part in parts]
    skipped = (f"setpts=PTS-{seconds(first)}/TB",) if first else ()
    return draft.concatenated(chains, "video").then(*skipped, *_chosen(image.frames, rate, first))


def _joined_part(draft: Draft, part: PartPlan) -> Chain:
    """Return the chain of one of several sources: its first frame is shown from its beginning, its last until its end."""
    length = draft.lengths.seconds(part.input)
    last_frame = ("tpad=stop=-1:stop_mode=clone", f"trim=end={decimal(length)}") if length else ()
    pad = draft.inputs.pad(part)
    return Chain((pad,), (*upright(draft, part), *_filters(draft, part), "setpts=if(N,PTS,0)", *last_frame))


def _filters(draft: Draft, part: PartPlan) -> Iterator[str]:
    return (draft.table(text) for text in part.filters)


def _pad(draft: Draft, image: ImagePlan, part: PartPlan, first_us: int) -> str:
    """Return the stream to read frames from, starting at the key frame before the first requested time."""
    keys = ("-skip_frame", "nokey") if image.reading is FrameAccess.KEYFRAMES else ()
    return draft.inputs.pad(part, *keys, later_us=first_us, early=_early(image, first_us))


def _early(image: ImagePlan, first_us: int) -> bool:
    return bool(first_us) and image.frames.mode is not FrameMode.KEYFRAME


def _chosen(frames: FramesPlan, rate: Fraction, first_us: int) -> Iterator[str]:
    """Yield filters that select the requested frames of a source with `rate` a second; times count from the first requested."""
    step = _step(frames)
    if frames.mode is FrameMode.KEYFRAME:
        yield f"select=key*gte(t,-{decimal(LATE)})" if first_us else "select=key"
    elif len(frames.times_us) == 1:
        yield f"select=gt(t+{decimal(1 / rate)},{decimal(LATE)})"
    elif step and (frames.repeats or step > 1 / rate):
        # The frame shown at a time is the last that begins at or before it.
        begin = ":start_time=0" if frames.repeats or first_us else ""
        yield from (f"setpts=PTS-{decimal(LATE)}/TB", f"fps=fps={1 / step}:round=up{begin}")
    elif frames.start_us:
        yield f"select=gt(t+{decimal(1 / rate)},{decimal(LATE)})"


def _step(frames: FramesPlan) -> Fraction:
    """Return the seconds between two requested times, 0: every frame is requested."""
    if len(frames.times_us) > 1:
        return Fraction(frames.times_us[-1] - frames.times_us[0], MICROSECONDS * (len(frames.times_us) - 1))
    return Fraction(frames.interval_us, MICROSECONDS)


def _bound(most: int) -> tuple[str, ...]:
    return (f"-frames{_SPECIFIER}", str(most)) if most else ()


def _still(draft: Draft, image: ImagePlan, chain: Chain) -> tuple[str, ...]:
    return (*mapped(draft, chain, _SPECIFIER), *_encoder(image), *_bound(_most(image)), *_files(draft, image))


def _encoder(image: ImagePlan) -> tuple[str, ...]:
    """Return the options of the encoder of single images; the service makes AVIF with another library."""
    if image.format == "avif":
        return (f"-c{_SPECIFIER}", _AVIF_ENCODER, *options(_AVIF_OPTIONS, _SPECIFIER))
    encoder = STILLS[image.format].encoder
    return (f"-c{_SPECIFIER}", encoder, *options(STILL_OPTIONS[encoder], _SPECIFIER))


def _files(draft: Draft, image: ImagePlan) -> tuple[str, ...]:
    """Return the options that name the files: one per image, or one that is overwritten by each."""
    if image.format == "avif":
        return ("-f", "avif", draft.names.output(image.uri(1)))
    frames = (f"-fps_mode{_SPECIFIER}", "passthrough", "-f", "image2")
    if not image.numbered:
        return (*frames, "-update", "1", draft.names.output(image.prefix))
    return (*frames, "-start_number", "1", draft.names.images(image.prefix, image.suffix))


def _sheet(draft: Draft, image: ImagePlan, chain: Chain) -> tuple[str, ...]:
    assert image.sheet
    columns, rows = _grid(draft, image, image.sheet)
    most = (f"trim=end_frame={_most(image)}",) if _most(image) else ()
    tiles = f"tile={columns}x{rows}:padding={image.sheet.pad}:margin={image.sheet.margin}"
    shape = ("format=yuv420p",) if image.format == "avif" else STILLS[image.format].filters
    return (*mapped(draft, chain.then(*most, tiles, *shape), _SPECIFIER), *_encoder(image), *_files(draft, image))


def _grid(draft: Draft, image: ImagePlan, sheet: SheetPlan) -> tuple[int, int]:
    """Return columns and rows of a sheet: a single sheet that is not full has no empty ones at its end."""
    count, full = _count(image), sheet.columns * sheet.rows
    if count is None:
        draft.notes.add(f"{image.field}: a sheet that is not full keeps its empty rows")
    if count is None or count >= full:
        return sheet.columns, sheet.rows
    return min(count, sheet.columns), -(-count // sheet.columns)


def _count(image: ImagePlan) -> int | None:
    """Return how many frames are taken, None: not known in advance."""
    frames, step = image.frames, _step(image.frames)
    if frames.times_us:
        return len(frames.times_us)
    if not step or not image.duration_us or frames.mode is not FrameMode.INTERVAL:
        return None
    number = -(-Fraction(image.duration_us - frames.start_us, MICROSECONDS) // step)
    return max(1, min(int(number), frames.number or int(number)))


def _animation(draft: Draft, image: ImagePlan, chain: Chain) -> tuple[str, ...]:
    tick, encoder = _MILLISECOND if image.timed else 1 / image.frame_rate, image.stream.encoder
    # One frame after the other, however far they were apart, unless each is shown as long as in the source.
    chain = chain.then(f"settb={tick}", "setpts=PTS-STARTPTS" if image.timed else "setpts=N")
    muxing = {"loop": "0"} if encoder == PILLOW else dict(ANIMATION_MUXER_OPTIONS[encoder])
    if image.timed and image.format in ("gif", "apng"):
        draft.notes.add(f"{image.field}: the service shows the last frame as long as the source, ffmpeg for one frame's time")
    if image.format == "gif":
        if image.frame_rate > 1 / GIF_LEAST:
            chain = chain.then(f"fps={1 / GIF_LEAST}")
        chain = _with_palette(draft, chain)
        muxing["final_delay"] = str(max(round(1 / image.frame_rate / GIF_TICK), 2))
    if encoder == PILLOW:
        chain = chain.then("format=yuv420p")
        coding = (f"-c{_SPECIFIER}", _AVIF_ENCODER, *options(_AVIF_OPTIONS, _SPECIFIER))
    else:
        coding = (f"-c{_SPECIFIER}", encoder, *options(ANIMATION_OPTIONS.get(encoder, {}), _SPECIFIER))
    return (
        *mapped(draft, chain, _SPECIFIER),
        *coding,
        *(f"-fps_mode{_SPECIFIER}", "passthrough", f"-enc_time_base{_SPECIFIER}", str(tick)),
        *_bound(_most(image)),
        *("-f", ANIMATION_MUXERS.get(encoder, "avif")),
        *options(muxing, ""),
        draft.names.output(image.prefix),
    )


def _with_palette(draft: Draft, chain: Chain) -> Chain:
    """Reduce frames to one palette of 256 colors."""
    split = draft.graph.split(chain)
    palette = draft.graph.close(Chain((split[0],), (f"palettegen={PALETTE}",)), "null")
    return Chain((split[1], palette), (f"paletteuse={PALETTE_USE}",))
