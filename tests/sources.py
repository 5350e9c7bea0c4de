"""Makes the clips that the media tests convert: every property that matters is a parameter, nothing is a committed file.

Each picture of the pattern `code` carries its number as ten blocks, black for 0 and white for 1, large enough to be read after
scaling and lossy coding (`tests.judge.numbers`). Sound is a tone, or clicks at whole positions.
"""

import hashlib
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from av.subtitles.subtitle import SubtitleSet
from numpy.typing import NDArray

CODE_ROWS, CODE_COLUMNS = 2, 5
DARK, BRIGHT = 40, 210
# The luma of the quarters of the pattern `quarters`: top left, top right, bottom left, bottom right.
QUARTERS = (200, 150, 100, 50)
# How many pictures a scene of the pattern `scenes` lasts, and after how many the pattern `dawn` is no longer black.
SCENE, DAWN = 20, 12
CLICK_SAMPLES = 48
# Where the pattern `street` of at least 320x160 shows a picture of a face, 96x112, and a license plate, 132x42.
FACE, PLATE = (20, 30), (172, 90)
DATA = Path(__file__).parent / "data"
_ASS_HEADER = (
    b"[Script Info]\r\nScriptType: v4.00+\r\n\r\n[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize\r\n"
    b"Style: Default,Arial,16\r\n\r\n[Events]\r\n"
    b"Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"
)


@dataclass(frozen=True)
class Video:
    """One video stream. `times` (seconds) instead of `fps` makes it variable; `last` is how long the last picture is shown.

    `fields`: tt or bb makes each picture of two fields, the first (top or bottom) of the moment 2n, the other of 2n+1.
    """

    codec: str = "libx264"
    size: tuple[int, int] = (96, 64)
    fps: Fraction = Fraction(25)
    seconds: float = 2.0
    times: tuple[Fraction, ...] = ()
    last: Fraction = Fraction(1, 25)
    gop: int = 12
    b_frames: int = 2
    pixel_format: str = "yuv420p"
    pattern: str = "code"
    rotation: int = 0
    mirrored: bool = False
    sample_aspect_ratio: Fraction = Fraction(1)
    color_range: int = 0
    color_space: int = 2
    color_primaries: int = 2
    color_transfer: int = 2
    time_base: Fraction | None = None
    language: str = ""
    title: str = ""
    options: tuple[tuple[str, str], ...] = ()
    change_size_at: int = 0
    fields: str = ""

    def moments(self) -> tuple[Fraction, ...]:
        """When each picture is shown, in seconds."""
        return self.times or tuple(Fraction(number) / self.fps for number in range(round(self.seconds * self.fps)))


@dataclass(frozen=True)
class Audio:
    """One audio stream.

    `channels_hz`: the tone of each channel, else `hz` in all; `clicks`: seconds of clicks instead of a tone; `gaps`: spans
    (seconds) in which no packets exist.
    """

    codec: str = "aac"
    rate: int = 48000
    layout: str = "stereo"
    seconds: float = 2.0
    start: float = 0.0
    hz: float = 440.0
    channels_hz: tuple[float, ...] = ()
    clicks: tuple[float, ...] = ()
    gaps: tuple[tuple[float, float], ...] = ()
    sample_format: str = ""
    language: str = ""
    title: str = ""
    default: bool = True
    bitrate: int = 0
    pattern: str = "tone"


@dataclass(frozen=True)
class Subtitle:
    """One text subtitle stream; `lines`: (start, end, text)."""

    codec: str = "mov_text"
    lines: tuple[tuple[float, float, str], ...] = ((0.2, 0.8, "one"), (1.0, 1.6, "two"))
    language: str = ""
    title: str = ""
    default: bool = False
    forced: bool = False


@dataclass(frozen=True)
class Data:
    """One stream of telemetry: a packet of `step` seconds after the other, each with its number in its bytes."""

    seconds: float = 2.0
    step: float = 0.25
    codec: str = "bin_data"

    @staticmethod
    def payload(number: int) -> bytes:
        """The bytes of packet `number`; each is longer than the one before it."""
        return b"DEVC" + bytes([number] * (number + 1))


@dataclass(frozen=True)
class Clip:
    """A whole file. `offset` (seconds) is added to every timestamp; `covers`: the codecs of attached pictures, each of a size
    of its own; `timecode` makes a track of its own; `attachments`: name, media type and contents of attached files."""

    format: str = "mp4"
    video: tuple[Video, ...] = (Video(),)
    audio: tuple[Audio, ...] = (Audio(),)
    subtitles: tuple[Subtitle, ...] = ()
    chapters: tuple[tuple[float, float, str], ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    offset: float = 0.0
    covers: tuple[str, ...] = ()
    data: tuple[Data, ...] = ()
    timecode: str = ""
    options: tuple[tuple[str, str], ...] = ()
    attachments: tuple[tuple[str, str, bytes], ...] = ()


@dataclass
class Shelf:
    """Clips that were made already; several processes may share the folder."""

    folder: Path
    made: dict[Clip, Path] = field(default_factory=dict)

    def get(self, clip: Clip) -> Path:
        """The file of `clip`, made when it is not there yet."""
        if clip not in self.made:
            digest = hashlib.sha256(repr(clip).encode()).hexdigest()[:16]
            path = self.folder / f"{digest}.{_EXTENSIONS.get(clip.format, clip.format)}"
            if not path.exists():
                unfinished = self.folder / f"{digest}-{os.getpid()}.tmp"
                write(clip, unfinished)
                unfinished.replace(path)
            self.made[clip] = path
        return self.made[clip]

    def join(self, name: str, *paths: Path) -> Path:
        """The bytes of `paths` behind each other."""
        return self.put(name, b"".join(path.read_bytes() for path in paths))

    def put(self, name: str, content: bytes) -> Path:
        """A file of this content, in a place of its own: cases in other processes may put others by this name."""
        path = self.folder / f"{hashlib.sha256(content).hexdigest()[:16]}-{name}"
        unfinished = path.with_name(f"{path.name}-{os.getpid()}.tmp")
        unfinished.write_bytes(content)
        unfinished.replace(path)
        return path


_EXTENSIONS = {"matroska": "mkv", "mpegts": "ts", "ipod": "m4a"}


def picture(video: Video, number: int) -> NDArray[np.uint8]:
    """The luma of picture `number`."""
    width, height = video.size
    if video.pattern == "code":
        return _code(width, height, number)
    if video.pattern == "quarters":
        luma = np.empty((height, width), np.uint8)
        middle, centre = height // 2, width // 2
        luma[:middle, :centre], luma[:middle, centre:], luma[middle:, :centre], luma[middle:, centre:] = QUARTERS
        return luma
    if video.pattern == "circle":
        down, across = np.mgrid[:height, :width]
        radius = ((down + 0.5 - height / 2) / (height / 2)) ** 2 + ((across + 0.5 - width / 2) / (width / 2)) ** 2
        return np.where(radius < 0.64, BRIGHT, DARK).astype(np.uint8)
    if video.pattern == "bar":
        luma = np.full((height, width), DARK, np.uint8)
        luma[:, (left := number * 3 % (width - 16)) : left + 16] = BRIGHT
        return luma
    if video.pattern == "black" or (video.pattern == "dawn" and number < DAWN):
        return np.full((height, width), DARK, np.uint8)
    if video.pattern == "street":
        return _street(width, height)
    if video.pattern == "scenes":
        cells = np.random.default_rng(number // SCENE).choice([DARK, BRIGHT], (8, 9))
        return cells[np.arange(height)[:, None] * 8 // height, np.arange(width)[None, :] * 9 // width].astype(np.uint8)
    # dawn: black, then as ramp; ramp: smooth and moving; noise: the same under grain that no encoder can predict
    down, across = np.mgrid[:height, :width]
    smooth = 128 + 80 * np.sin(across / 9 + number / 5) * np.cos(down / 7 - number / 8)
    if video.pattern == "noise":
        smooth = smooth + np.random.default_rng(number).normal(0, 25, smooth.shape)
    return np.clip(smooth, 16, 235).astype(np.uint8)


def _code(width: int, height: int, number: int) -> NDArray[np.uint8]:
    luma = np.full((height, width), DARK, np.uint8)
    for bit in range(CODE_ROWS * CODE_COLUMNS):
        if number >> bit & 1:
            row, column = divmod(bit, CODE_COLUMNS)
            top, bottom = row * height // CODE_ROWS, (row + 1) * height // CODE_ROWS
            left, right = column * width // CODE_COLUMNS, (column + 1) * width // CODE_COLUMNS
            luma[top:bottom, left:right] = BRIGHT
    return luma


def _street(width: int, height: int) -> NDArray[np.uint8]:
    luma = np.full((height, width), 100, np.uint8)
    for (x, y), shown in ((FACE, grey("face.jpg", 2)), (PLATE, grey("plate.png", 1))):
        luma[y : y + shown.shape[0], x : x + shown.shape[1]] = shown
    return luma


@cache
def grey(name: str, step: int) -> NDArray[np.uint8]:
    """The luma of a picture of the tests' data, every `step`-th sample of it."""
    with av.open(DATA / name) as file:
        frame = next(file.decode(video=0))
    assert isinstance(frame, av.VideoFrame)
    return frame.to_ndarray(format="gray")[::step, ::step].astype(np.uint8)


def _chroma(video: Video, number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cb and Cr at full size: neutral where numbers are read, else a slow slope."""
    width, height = video.size
    if video.pattern in ("code", "quarters", "circle", "bar", "black", "scenes", "street"):
        flat = np.full((height, width), 128, np.uint8)
        return flat, flat
    across = np.tile(np.linspace(90, 170, width), (height, 1))
    down = np.tile(np.linspace(170, 90, height), (width, 1)).T
    return across.astype(np.uint8), down.astype(np.uint8)


def _woven(video: Video, number: int) -> NDArray[np.uint8]:
    """The luma of picture `number` of two fields."""
    luma = picture(video, 2 * number)
    second = 1 if video.fields == "tt" else 0
    luma[second::2] = picture(video, 2 * number + 1)[second::2]
    return luma


def _frame(video: Video, number: int) -> av.VideoFrame:
    luma = _woven(video, number) if video.fields else picture(video, number)
    blue, red = _chroma(video, number)
    planes = np.stack([luma, blue, red])
    frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
    frame.color_range = video.color_range  # type: ignore[assignment]
    return frame


def _shaped(video: Video) -> Iterator[av.VideoFrame]:
    """The pictures in the stream's pixel format."""
    graph: av.filter.Graph | None = None
    for number, moment in enumerate(video.moments()):
        frame = _frame(video, number)
        if graph is None:
            graph = av.filter.Graph()
            ranges = {0: "tv", 1: "tv", 2: "pc"}[video.color_range]
            source = graph.add(
                "buffer",
                f"video_size={frame.width}x{frame.height}:pix_fmt=yuv444p:time_base=1/1000000:pixel_aspect=1/1"
                f":frame_rate=25/1:range={max(video.color_range, 1)}:colorspace={video.color_space}",
            )
            scale = graph.add("scale", f"in_range={ranges}:out_range={ranges}")
            last = graph.add("format", video.pixel_format)
            source.link_to(scale)
            scale.link_to(last)
            if video.fields:
                last, shaped_frames = graph.add("setfield", "tff" if video.fields == "tt" else "bff"), last
                shaped_frames.link_to(last)
            last.link_to(graph.add("buffersink"))
            graph.configure()
        frame.pts, frame.time_base = number, Fraction(1, 1_000_000)
        frame.colorspace = video.color_space  # type: ignore[assignment]
        frame.color_range = max(video.color_range, 1)  # type: ignore[assignment]
        graph.push(frame)
        shaped = graph.pull()
        assert isinstance(shaped, av.VideoFrame)
        shaped.opaque = moment
        yield shaped


def _time_base(video: Video) -> Fraction:
    return video.time_base or (Fraction(1, 90000) if video.times else 1 / video.fps)


def _video_packets(video: Video, stream: Any, offset: Fraction) -> Iterator[av.Packet]:
    base = _time_base(video)
    durations: dict[int, int] = {}
    moments = video.moments()
    ends = [*moments[1:], moments[-1] + (video.last if video.times else 1 / video.fps)]
    for frame, moment, end in zip(_shaped(video), moments, ends, strict=True):
        frame.pts, frame.time_base = round((moment + offset) / base), base
        frame.pict_type = 0
        durations[frame.pts] = round((end - moment) / base)
        for packet in stream.encode(frame):
            packet.duration = durations.get(packet.pts, 0)
            yield packet
    for packet in stream.encode(None):
        packet.duration = durations.get(packet.pts, 0)
        yield packet


def samples(audio: Audio) -> NDArray[np.float32]:
    """The sound of a stream, one row per channel; tones are heard at an eighth of full scale."""
    layout = av.AudioLayout(audio.layout)
    count = round(audio.seconds * audio.rate)
    moments = np.arange(count) / audio.rate
    if audio.clicks:
        wave = np.zeros(count, np.float32)
        for click in audio.clicks:
            begin = round((click - audio.start) * audio.rate)
            wave[begin : begin + CLICK_SAMPLES] = 0.9
        return np.tile(wave, (layout.nb_channels, 1))
    if audio.pattern == "music":  # drifting partials and some noise: nothing that an encoder finds easy
        bent = moments * (1 + 0.05 * np.sin(moments))
        chord = sum(np.sin(2 * math.pi * hz * bent) for hz in (220, 330, 440, 880, 1760, 3520)) * 0.08
        noise = np.random.default_rng(1).normal(0, 0.02, (layout.nb_channels, count))
        return (chord + noise).astype(np.float32)
    tones = audio.channels_hz or (audio.hz,) * layout.nb_channels
    return np.stack([np.sin(2 * math.pi * hz * moments) / 8 for hz in tones]).astype(np.float32)


def _audio_packets(audio: Audio, stream: Any, offset: Fraction) -> Iterator[av.Packet]:
    context = stream.codec_context
    wave = samples(audio)
    size = context.frame_size or 1024
    base = Fraction(1, audio.rate)
    begun = round((Fraction(audio.start).limit_denominator(1000) + offset) * audio.rate)
    resampler = av.AudioResampler(context.format.name, audio.layout, audio.rate)
    for begin in range(0, wave.shape[1], size):
        block = np.ascontiguousarray(wave[:, begin : begin + size].T).reshape(1, -1)  # PyAV reads 8 planes and more wrongly
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout=audio.layout)
        frame.sample_rate, frame.pts, frame.time_base = audio.rate, begun + begin, base
        for ready in resampler.resample(frame):
            yield from stream.encode(ready)
    yield from stream.encode(None)


def _with_gaps(audio: Audio, packets: Iterable[av.Packet]) -> Iterator[av.Packet]:
    for packet in packets:
        time = float(packet.pts * packet.time_base) if packet.pts is not None and packet.time_base else 0.0
        if not any(begin <= time < end for begin, end in audio.gaps):
            yield packet


_X264 = {"preset": "ultrafast", "crf": "18", "refs": "2", "b-pyramid": "0", "sc_threshold": "0"}
_QUICK = {
    "libx264": _X264,
    "libx265": {"preset": "ultrafast", "crf": "18", "x265-params": "log-level=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0"},
    "libsvtav1": {"preset": "10", "crf": "20"},
    "mpeg2video": {"b": "4000000"},
    "mpeg4": {"b": "4000000"},
    "mjpeg": {"b": "4000000"},
}
_WITH_B_FRAMES = ("libx264", "libx265", "mpeg2video", "mpeg4")


def _add_video(container: Any, video: Video) -> Any:
    b_frames = {"bf": str(video.b_frames)} if video.codec in _WITH_B_FRAMES else {}
    options = {**_QUICK.get(video.codec, {}), **b_frames, "g": str(video.gop), **dict(video.options)}
    stream = container.add_stream(video.codec, rate=video.fps, options=options)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = *video.size, video.pixel_format
    context.time_base, context.framerate = _time_base(video), video.fps
    context.sample_aspect_ratio = video.sample_aspect_ratio
    context.color_range, context.colorspace = video.color_range, video.color_space
    context.color_primaries, context.color_trc = video.color_primaries, video.color_transfer
    context.thread_count = 1
    if video.rotation or video.mirrored:  # mirrored, then turned back is turned, then mirrored
        stream.set_display_rotation(video.rotation if video.mirrored else -video.rotation, hflip=video.mirrored)
    if video.language:
        stream.metadata["language"] = video.language
    if video.title:
        stream.metadata["title"] = video.title
    context.open(strict=False)
    return stream


def _add_audio(container: Any, audio: Audio) -> Any:
    options = {"strict": "experimental"} if audio.codec in ("vorbis", "opus") else {}
    stream = container.add_stream(audio.codec, rate=audio.rate, layout=audio.layout, options=options)
    context = stream.codec_context
    formats = [entry.name for entry in context.codec.audio_formats or ()]
    context.format = audio.sample_format or ("fltp" if "fltp" in formats else formats[0])
    context.time_base = Fraction(1, audio.rate)
    if audio.bitrate:
        context.bit_rate = audio.bitrate
    if audio.language:
        stream.metadata["language"] = audio.language
    if audio.title:
        stream.metadata["title"] = audio.title
    stream.disposition = Disposition.default if audio.default else Disposition(0)
    context.open(strict=False)
    return stream


def _subtitle_packets(subtitle: Subtitle, stream: Any, offset: Fraction) -> Iterator[av.Packet]:
    for number, (begin, end, text) in enumerate(subtitle.lines):
        event = f"{number},0,Default,,0,0,0,,{text}".encode()
        packet = stream.codec_context.encode_subtitle(SubtitleSet.create(event, 0, round((end - begin) * 1000), 0))
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = round((Fraction(begin).limit_denominator(1000) + offset) * 1000)
        packet.duration = round((end - begin) * 1000)
        yield packet


def _add_subtitle(container: Any, subtitle: Subtitle) -> Any:
    stream = container.add_stream(subtitle.codec)
    stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
    stream.codec_context.subtitle_header = _ASS_HEADER
    if subtitle.language:
        stream.metadata["language"] = subtitle.language
    if subtitle.title:
        stream.metadata["title"] = subtitle.title
    flags = (subtitle.default and Disposition.default, subtitle.forced and Disposition.forced)
    stream.disposition = Disposition(sum(int(flag) for flag in flags))
    return stream


def cover(codec: str, number: int) -> bytes:
    """The file of an attached picture: 32, 48, 64 … pixels wide."""
    encoder: Any = av.CodecContext.create(codec, "w")
    side, formats = 32 + 16 * number, {"png": "rgb24", "mjpeg": "yuvj420p", "gif": "rgb8", "tiff": "rgb24"}
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = side, side, formats[codec], Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.full((side, side, 3), 200, np.uint8), format="rgb24").reformat(format=formats[codec])
    frame.pts = 0
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))


def _add_covers(container: Any, clip: Clip) -> Iterator[av.Packet]:
    for number, codec in enumerate(clip.covers):
        data = cover(codec, number)
        if clip.format == "matroska":
            container.add_attachment(f"cover{number}.{codec}", f"image/{codec.replace('mjpeg', 'jpeg')}", data)
            continue
        side = 32 + 16 * number
        stream = container.add_mux_stream(codec, width=side, height=side, time_base=Fraction(1, 90000))
        stream.disposition = Disposition.attached_pic
        packet = av.Packet(data)
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 90000)
        packet.is_keyframe = True
        yield packet


def _data_packets(data: Data, stream: Any, offset: Fraction) -> Iterator[av.Packet]:
    for number in range(round(data.seconds / data.step)):
        packet = av.Packet(data.payload(number))
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = round((Fraction(data.step) * number + offset) * 1000)
        packet.duration = round(data.step * 1000)
        packet.is_keyframe = True
        yield packet


def write(clip: Clip, path: Path) -> None:
    """Writes `clip` to `path`."""
    offset = Fraction(clip.offset).limit_denominator(100_000)
    with av.open(str(path), "w", format=clip.format, options=dict(clip.options)) as container:
        container.metadata.update(dict(clip.metadata))
        sources: list[Iterator[av.Packet]] = []
        for video in clip.video:
            sources.append(_video_packets(video, _add_video(container, video), offset))
        for audio in clip.audio:
            sources.append(_with_gaps(audio, _audio_packets(audio, _add_audio(container, audio), offset)))
        for subtitle in clip.subtitles:
            sources.append(_subtitle_packets(subtitle, _add_subtitle(container, subtitle), offset))
        for data in clip.data:
            sources.append(_data_packets(data, container.add_data_stream(data.codec), offset))
        covers = list(_add_covers(container, clip))
        for attachment in clip.attachments:
            container.add_attachment(*attachment)
        if clip.timecode:
            container.streams.video[0].metadata["timecode"] = clip.timecode
        if clip.chapters:
            container.set_chapters(
                [
                    {
                        "id": number + 1,
                        "start": round(begin * 1000),
                        "end": round(end * 1000),
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": title},
                    }
                    for number, (begin, end, title) in enumerate(clip.chapters)
                ]
            )
        packets = [packet for source in sources for packet in source]
        packets.sort(key=lambda packet: packet.dts * packet.time_base)  # type: ignore[operator, arg-type]
        for packet in covers + packets:
            container.mux(packet)
