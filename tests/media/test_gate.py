"""Each kind of fault is put into the path of a conversion: the gate refuses the output, by counting at the other end."""

import io
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from reelmill_server.errors import InvalidMedia, OutputInvalid, ReelmillError
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input import frame_times, pieces, seek
from reelmill_server.media.input.bundle import Run
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.libav import a53
from reelmill_server.media.libav.filter_graph import Chain
from reelmill_server.media.libav.packets import twin
from reelmill_server.media.output import file as output_file
from reelmill_server.media.output.avi import LateStreams
from reelmill_server.media.output.base import MediaFile
from reelmill_server.media.package import segments
from reelmill_server.media.package.playlists import MediaPlaylist
from reelmill_server.media.result import listing
from reelmill_server.media.result.verify import verify
from reelmill_server.media.track import audio, audio_inputs, cfr_video, copy, frame_encoder, subtitle, vfr_video, video
from reelmill_server.media.track.base import Track
from reelmill_server.media.track.captions import Captions
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import (
    AudioSpec,
    ConvertRequest,
    SegmentFormat,
    SegmentSpec,
    SourceSpec,
    SubtitleFileSpec,
    TargetSpec,
    VideoSpec,
)
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from reelmill_server.plan.stream import geometry
from tests.captions import captioned, shown
from tests.media.converter import capabilities, encoded, plan_of, target
from tests.media.test_audio_times import made as audio_clip
from tests.media.test_header_facts import with_crop
from tests.media.test_stills import grid, picture
from tests.sources import Audio, Clip, Shelf, Subtitle, Video

pytestmark = pytest.mark.media

CLIP = Clip("mp4", (Video(seconds=3, b_frames=2),), (Audio(seconds=3),))
UNCLAIMED = replace(CLIP, format="matroska")  # it claims no length for each stream
TAGGED, MUTE = Clip("mp4", (Video(color_space=1),), ()), Clip("mp4", (Video(seconds=1),), ())
SHORT = Clip("mp4", (Video(seconds=1),), (Audio(seconds=1),))
LATE_AUDIO = Clip(
    "matroska", (Video("mpeg4", size=(64, 48), seconds=0.6, b_frames=0),), (Audio("libmp3lame", seconds=0.3, start=0.3),)
)
ENCODED, COPIED = target("mp4", encoded(), AudioSpec("aac")), target("mkv")
SLIDES = Clip("mp4", (Video(times=tuple(map(Fraction, range(6))), last=Fraction(1), gop=250, b_frames=3),), ())
SEGMENTS = replace(target("ts", encoded(), AudioSpec("aac")), segment=SegmentSpec(SegmentFormat.HLS, 1_000_000))

Patch = Callable[[pytest.MonkeyPatch], None]
Made = Callable[[Shelf], Path]


def made(shelf: Shelf, folder: Path, clips: Sequence[Clip | Made], spec: TargetSpec) -> MediaFile:
    """The output of a conversion, not yet verified."""
    paths = [str(shelf.get(clip) if isinstance(clip, Clip) else clip(shelf)) for clip in clips]
    request = ConvertRequest("t", "p", tuple(SourceSpec("file:///a") for _ in clips), (replace(spec, index=0),))
    plan = make_plan(request, PlanFacts([probe_file(path, Limits()) for path in paths], capabilities()))
    (produced,), _ = Conversion(plan, paths, folder, limits=Limits(), stop=threading.Event()).run()
    return produced


def skipping(owner: Any, every: int) -> Patch:
    """A track throws away each n-th item that it is given, without a word."""
    original, seen = owner.feed, [0]

    def feed(self: Any, part: Any, *rest: Any) -> Iterator[Any]:
        seen[0] += 1
        return iter(()) if seen[0] % every == 0 else original(self, part, *rest)

    def path(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(owner, "feed", feed)
        patch.setattr(owner, "feed_all", Track.feed_all, raising=False)

    return path


def losing(every: int) -> Patch:
    """A copy throws away each n-th packet of a run, without a word."""
    original = copy.CopyTrack.feed_all

    def feed_all(self: Any, part: Any, run: Run) -> Any:
        kept = [packet for number, packet in enumerate(run.packets, 1) if number % every]
        result = iter(original(self, part, Run.of(run.index, run.base, kept)) if kept else ())
        return [next(result) if number % every else () for number, _ in enumerate(run.packets, 1)]

    return lambda patch: patch.setattr(copy.CopyTrack, "feed_all", feed_all)


def moving(change: Callable[[Any], None], kind: str = "video") -> Patch:
    """Packets that are copied get other times."""
    original = copy.CopyTrack._moved

    def moved(self: Any, item: Any) -> Any:
        packet = original(self, item)
        if self.plan.type == kind:
            change(packet)
        return packet

    def path(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(copy.CopyTrack, "_moved", moved)
        patch.setattr(copy.CopyTrack, "feed_all", Track.feed_all)

    return path


def times_of_decoding(packet: Any) -> None:
    """As AVI would have them."""
    packet.pts = packet.dts = packet.dts + 1000


def stretched(packet: Any) -> None:
    """A fifth longer."""
    packet.pts, packet.dts = packet.pts * 6 // 5, packet.dts * 6 // 5


def shifted(kinds: Sequence[str], seconds: Fraction) -> Patch:
    """The muxer moves some streams."""
    original = segments.Reframing.all_of

    def moved(packet: Any) -> Any:
        if packet.stream.type in kinds:
            ticks = round(seconds / Fraction(packet.time_base.numerator, packet.time_base.denominator))
            packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        return packet

    def all_of(self: Any, bundles: Any) -> Any:
        return original(self, (list(map(moved, packets)) for packets in bundles))

    return lambda patch: patch.setattr(segments.Reframing, "all_of", all_of)


def untimed(patch: pytest.MonkeyPatch) -> None:
    """Frames without a time are thrown away: of several in a packet only the first has one."""
    original = audio_inputs.AudioInput.feed
    patch.setattr(frame_times.FrameTimes, "complete", lambda self, packet, frames, base: frames)
    patch.setattr(
        audio_inputs.AudioInput, "feed", lambda self, part, item: () if item.frame.pts is None else original(self, part, item)
    )


def unfollowed(patch: pytest.MonkeyPatch) -> None:
    """The times of a recording that follows another one begin again."""
    patch.setattr(seek, "continuous", lambda source, streams, seams: source.demux(streams))


def lasting(patch: pytest.MonkeyPatch) -> None:
    """The last frame is told to last nine seconds more."""
    original = video.VideoTrack._end_of
    patch.setattr(video.VideoTrack, "_end_of", lambda self, part: original(self, part) + 9)


def copied_twice(patch: pytest.MonkeyPatch) -> None:
    """Each packet of video is written a second time, a tick later."""
    original = copy.CopyTrack.feed

    def feed(self: Any, part: Any, stream: int, item: Any) -> Iterator[Any]:
        again = twin(item)
        again.pts, again.dts = item.pts + 1, item.dts + 1
        yield from original(self, part, stream, item)
        if self.plan.type == "video":
            yield from original(self, part, stream, again)

    patch.setattr(copy.CopyTrack, "feed", feed)
    patch.setattr(copy.CopyTrack, "feed_all", Track.feed_all)


def filtering(*filters: str) -> Patch:
    """Audio passes further filters."""
    original = audio_inputs.AudioInput._cut
    return lambda patch: patch.setattr(audio_inputs.AudioInput, "_cut", lambda self: (*original(self), *filters))


def uneven(owner: Any, method: str) -> Patch:
    """Each fifth frame that has passed the filters is lost."""
    original, seen = getattr(owner, method), [0]

    def take(self: Any, frame: Any) -> Iterator[Any]:
        seen[0] += 1
        return iter(()) if seen[0] % 5 == 0 else original(self, frame)

    return lambda patch: patch.setattr(owner, method, take)


def opened(module: Any, part: str, **changes: Any) -> Patch:
    """The encoder is opened with other parameters than planned."""
    original = module.open_encoder

    def open_encoder(plan: Any, *rest: Any) -> Any:
        return original(replace(plan, **{part: replace(getattr(plan, part), **changes)}), *rest)

    return lambda patch: patch.setattr(module, "open_encoder", open_encoder)


def short_of_audio(patch: pytest.MonkeyPatch) -> None:
    """A part of joined audio loses its first tenth of a second; silence takes its place."""
    original = audio_inputs.ExactAudioInput._queue
    lost: set[int] = set()

    def queue(self: Any, frame: Any) -> Iterator[Any]:
        begin = frame.pts * frame.time_base
        lost.add(id(frame))
        return iter(()) if begin < Fraction(3, 10) else original(self, frame)

    patch.setattr(audio_inputs.ExactAudioInput, "_queue", queue)


def doubled(patch: pytest.MonkeyPatch) -> None:
    """The frames of joined sources are counted at half their rate: the video lasts twice as long."""
    original = cfr_video.CfrVideoTrack._number
    patch.setattr(cfr_video.CfrVideoTrack, "_number", lambda self, seconds: original(self, seconds * 2))


def nothing(_: pytest.MonkeyPatch) -> None:
    """The path is whole."""


def whole(produced: MediaFile) -> None:
    """The file is whole."""


def lists_less(patch: pytest.MonkeyPatch) -> None:
    """The last segment is said to last 0.1 s."""
    original = listing.checked_playlist

    def checked(*arguments: Any) -> MediaPlaylist:
        playlist = original(*arguments)
        *before, last = playlist.segments
        return replace(playlist, segments=(*before, replace(last, seconds=Fraction(1, 10))))

    patch.setattr("reelmill_server.media.result.verify.checked_playlist", checked)


def lists_wrongly(produced: MediaFile) -> None:
    """The first segment of a playlist is said to last 0.1 s."""
    path = Path(produced.path)
    path.write_text(re.sub(r"#EXTINF:[0-9.]+", "#EXTINF:0.1", path.read_text(), count=1))


@dataclass(frozen=True)
class Fault:
    """A fault in the path, or of what was written, and the words of the refusal."""

    name: str
    words: str
    spec: TargetSpec = ENCODED
    clips: Sequence[Clip | Made] = (CLIP,)
    path: Patch = nothing
    file: Callable[[MediaFile], None] = whole
    error: type[ReelmillError] = OutputInvalid


def blocks(shelf: Shelf) -> Path:
    """Several frames in each packet."""
    return audio_clip(shelf, "samples-adpcm_ms.wav", "-c:a", "adpcm_ms")


def chained(shelf: Shelf) -> Path:
    """Two recordings put one behind the other."""
    links = [audio_clip(shelf, f"link-{number}.opus", "-c:a", "libopus", seconds="1", begin=str(number)) for number in range(2)]
    return shelf.join("chained-twice.opus", *links)


def cut_in_header(shelf: Shelf) -> Path:
    """Players are to show the right half only."""
    return shelf.put(
        "right-half.mkv", with_crop(shelf.get(replace(CODED, format="matroska", options=LIVE)).read_bytes(), 64, 0)
    )


def clear(shelf: Shelf) -> Path:
    """The left half is transparent, and white underneath; the right one is dark above, and bright below."""
    samples = np.full((48, 64, 4), 255, np.uint8)
    samples[:, :32, 3], samples[:24, 32:, :3] = 0, 60
    with io.BytesIO() as file:
        with av.open(file, "w", format="webm") as output:
            stream = output.add_stream("libvpx-vp9", rate=25, options={"auto-alt-ref": "0", "crf": "10", "cpu-used": "8"})
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuva420p"
            frame = av.VideoFrame.from_ndarray(samples, "rgba").reformat(format="yuva420p")
            frame.pts, frame.time_base = 0, Fraction(1, 25)
            output.mux([*stream.encode(frame), *stream.encode(None)])
        return shelf.put("clear.webm", file.getvalue())


def untagged(patch: pytest.MonkeyPatch) -> None:
    """The alpha of an encoder's packets is lost on the way to the file."""
    original = segments.Reframing.all_of

    def bare(packet: Any) -> Any:
        other: Any = av.Packet(bytes(packet))
        other.stream, other.time_base, other.pts, other.dts = packet.stream, packet.time_base, packet.pts, packet.dts
        other.duration, other.is_keyframe = packet.duration, packet.is_keyframe
        return other

    def all_of(self: Any, bundles: Any) -> Any:
        return original(self, (list(map(bare, packets)) for packets in bundles))

    patch.setattr(segments.Reframing, "all_of", all_of)


def cues_at(moved: Callable[[Fraction], Fraction]) -> Patch:
    """Subtitles are shown at other times."""
    original = subtitle.SubtitleTrack._on_output_clock

    def on_output_clock(self: Any, cue: Any) -> Any:
        placed = original(self, cue)
        return placed and replace(placed, start=moved(placed.start))

    return lambda patch: patch.setattr(subtitle.SubtitleTrack, "_on_output_clock", on_output_clock)


def misread(patch: pytest.MonkeyPatch) -> None:
    """UTF-8 is taken for Latin-1."""
    original = subtitle.SubtitleTrack._encoded

    def encoded_cues(self: Any, events: Iterator[Any]) -> Any:
        return original(self, (replace(event, content=event.content.decode("latin-1").encode()) for event in events))

    patch.setattr(subtitle.SubtitleTrack, "_encoded", encoded_cues)


def tiles(shelf: Shelf) -> Path:
    """An image in two tiles."""
    whole = picture(0b1101101010, 128, 64)
    return shelf.put("grid.avif", grid([whole.crop((0, 0, 64, 64)), whole.crop((64, 0, 128, 64))], 126, 64))


def unassembled(patch: pytest.MonkeyPatch) -> None:
    """Nobody sees that libav hands out tiles."""
    patch.setattr(pieces, "has_pieces", lambda container: False)


def captions_clip(shelf: Shelf) -> Path:
    """Each frame has closed captions."""
    return captioned(shelf, "captions-for-the-gate", shown("A" * 30, 1), frames=20)


def uncaptioned(patch: pytest.MonkeyPatch) -> None:
    """A filter throws captions away."""
    patch.setattr(Captions, "filters", (a53.DELETED,))


def turning(**turns: tuple[str, ...]) -> Patch:
    """Frames that are to be turned by so many degrees, or `mirrored`, are turned in another way."""
    keys = {"mirrored": (0, True), "quarter": (90, False), "upright": (0, False)}
    return lambda patch: [patch.setitem(geometry._TURNS, keys[name], filters) for name, filters in turns.items()]  # type: ignore[func-returns-value]


def without_filter(ending: str) -> Patch:
    """A filter is lost on the way to libav."""
    original = Chain.__init__

    def init(self: Any, filters: Callable[[], Sequence[str]], *rest: Any, **names: Any) -> None:
        original(self, lambda: [text for text in filters() if not text.endswith(ending)], *rest, **names)

    return lambda patch: patch.setattr(Chain, "__init__", init)


TWO = (SHORT, SHORT)
FLAC, RATED = target("flac", None, AudioSpec("flac")), target("mp4", encoded(frame_rate=Fraction(50)), None)
LIVE = (("live", "1"),)
CODED = Clip("mp4", (Video(size=(128, 64), seconds=0.4, b_frames=0, pattern="quarters"),), ())
MUTED, SCALED = target("mp4", encoded(), None), target("mp4", encoded(width=96, height=64), None)
MIRRORED, TURNED = (replace(CODED, video=(replace(CODED.video[0], **how),)) for how in ({"mirrored": True}, {"rotation": 90}))
LINES = Clip("matroska", (Video(size=(64, 48), seconds=2),), (), (Subtitle("srt", ((0.4, 0.8, "one"), (1.5, 1.8, "été"))),))
SPOKEN = replace(target("mp4", VideoSpec(), None), subtitle="all")
LINED = replace(target("mkv", VideoSpec(), None), subtitle="all")
ALPHA = target("webm", encoded("vp9"), None)
TONES, SIX_TONES = (
    Clip("wav", (), (Audio("pcm_s16le", seconds=1, layout=layout, channels_hz=tones),))
    for layout, tones in (("stereo", (300, 2400)), ("5.1", (300, 2400, 600, 60, 1200, 4800)))
)
STEREO, SURROUND = target("m4a", None, AudioSpec("aac")), target("mkv", None, AudioSpec("opus"))
FRAGMENTS, DASH = (replace(ENCODED, segment=SegmentSpec(form, 1_000_000)) for form in (SegmentFormat.HLS, SegmentFormat.DASH))
FAULTS = (
    Fault(
        "audio frames are dropped",
        "of audio in the span, of which",
        clips=(UNCLAIMED,),
        path=skipping(audio_inputs.AudioInput, 2),
    ),
    Fault("video frames are dropped", "of video in the span, of which", path=skipping(vfr_video.VfrVideoTrack, 10)),
    Fault("frames of a fixed rate are dropped", "of which", clips=TWO, path=skipping(cfr_video.CfrVideoTrack, 10)),
    Fault("copied packets are dropped", "of which", COPIED, path=skipping(copy.CopyTrack, 10)),
    Fault("packets of a run are dropped", "of which", COPIED, path=losing(10)),
    Fault("times of decoding", "another order", COPIED, path=moving(times_of_decoding)),
    Fault("a stretched copy", "later than in the source", COPIED, path=moving(stretched)),
    Fault("audio is moved", "further apart", path=shifted(("audio",), Fraction(1, 2))),
    Fault("a rendition is moved", "off the clock", SEGMENTS, path=shifted(("audio", "video"), Fraction(1))),
    Fault(
        "frames are decoded too early",
        "off the clock",
        replace(SEGMENTS, audio=None, video=encoded(preset="veryfast", gop_size=250)),
        (SLIDES,),
        lambda patch: patch.setattr(output_file, "begun_together", lambda _, packets: packets),
    ),
    Fault("audio is lost at seams", "of audio in the span", clips=TWO, path=short_of_audio),
    Fault("joined sources grow", "its sources", target("mp4", encoded(), None), (MUTE, MUTE), doubled),
    Fault("other channels", "channels", path=opened(audio, "audio", layout="mono")),
    Fault(
        "other colors", "color space", target("mp4", encoded(), None), (TAGGED,), opened(frame_encoder, "video", color_space=9)
    ),
    Fault("another shape", "shape", path=opened(frame_encoder, "video", sample_aspect_ratio=Fraction(4, 3))),
    Fault("frames without a time are dropped", "of audio in the span", FLAC, (blocks,), untimed),
    Fault("times begin again", "lie over each other", FLAC, (chained,), unfollowed, error=InvalidMedia),
    Fault("the last frame lasts too long", "ends 8.9", path=lasting),
    Fault("packets are copied twice", "were written", COPIED, path=copied_twice),
    Fault("audio of a copy is stretched", "audio ends", COPIED, path=moving(stretched, "audio")),
    Fault("audio is late", "audio begins", path=filtering("asetpts=PTS+2400")),
    Fault("audio is played faster", "audio ends", clips=(UNCLAIMED,), path=filtering("atempo=1.1")),
    Fault("audio is cut short", "audio ends", clips=(UNCLAIMED,), path=filtering("atrim=end=2.9")),
    Fault("a constant rate has gaps", "at a rate of", RATED, (MUTE,), uneven(vfr_video.VfrVideoTrack, "_take")),
    Fault("a rendition in fMP4 is moved", "off the clock", FRAGMENTS, path=shifted(("audio", "video"), Fraction(1))),
    Fault("audio in DASH is moved", "off the clock", DASH, path=shifted(("audio",), Fraction(1, 10))),
    Fault("audio is moved by a frame of video", "further apart", path=shifted(("audio",), Fraction(1, 25))),
    Fault(
        "streams of AVI begin together",
        "further apart",
        target("avi"),
        (LATE_AUDIO,),
        lambda patch: patch.setattr(LateStreams, "all_of", lambda self, bundles: bundles),
    ),
    Fault("a short playlist", "playlist ends", SEGMENTS, path=lists_less),
    Fault("a short manifest", "playlist ends", DASH, path=lists_less),
    Fault("a mirrored source is turned by 180 degrees", "turned", MUTED, (MIRRORED,), turning(mirrored=("hflip", "vflip"))),
    Fault("a source is turned the other way", "turned", MUTED, (TURNED,), turning(quarter=("transpose=cclock",))),
    Fault("frames are mirrored", "turned", MUTED, (CODED,), turning(upright=("hflip",))),
    Fault("cropping is lost", "not cropped", SCALED, (cut_in_header,), without_filter(":exact=1")),
    Fault("cues are late", "subtitle cue begins .* later", LINED, (LINES,), cues_at(lambda time: time + Fraction(1, 2))),
    Fault("cues are early", "subtitle cue begins .* earlier", LINED, (LINES,), cues_at(lambda time: time - Fraction(1, 4))),
    Fault("cues are squeezed", "subtitle cue begins .* earlier", LINED, (LINES,), cues_at(lambda time: time * 4 / 5)),
    Fault("cues are misread", "letters that their source has not: ©Ã", SPOKEN, (LINES,), misread),
    Fault("a grid is read as its first tile", "part of an image of 126x64", MUTED, (tiles,), unassembled),
    Fault("captions are lost", "closed captions of", MUTED, (captions_clip,), uncaptioned),
    Fault("alpha is not encoded", "alpha channel", ALPHA, (clear,), opened(frame_encoder, "video", pixel_format="yuv420p")),
    Fault("alpha is not written", "alpha channel", ALPHA, (clear,), untagged),
    Fault("what is hidden shows", "not composed", MUTED, (clear,), without_filter("premultiply=inplace=1")),
    Fault("channels are swapped", "sound of channel", STEREO, (TONES,), filtering("pan=stereo|c0=c1|c1=c0")),
    Fault("channels are permuted", "sound of channel", SURROUND, (SIX_TONES,), filtering("channelmap=2|1|0|3|4|5:5.1")),
    Fault("a wrong playlist", "does not begin with a key frame", SEGMENTS, file=lists_wrongly),
)


@pytest.mark.sample(every=9)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_refused(fault: Fault, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversion itself does not notice."""
    fault.path(monkeypatch)
    produced = made(shelf, tmp_path, fault.clips, fault.spec)
    fault.file(produced)
    with pytest.raises(fault.error, match=fault.words):
        verify(produced)


def test_an_output_without_a_sample_is_refused(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a span in which no packet can be decoded; the FLAC encoder gives a last packet even so, which is empty."""
    skipping(audio_inputs.AudioInput, 1)(monkeypatch)
    with pytest.raises(InvalidMedia, match="gave nothing"):
        verify(made(shelf, tmp_path, (blocks,), FLAC))


LONG_AUDIO = Clip("mp4", (Video(seconds=1),), (Audio(seconds=1.4),))


@pytest.mark.parametrize(
    ("spec", "clips", "told"),
    [
        (ENCODED, (SHORT,), ["", ""]),
        (ENCODED, (LONG_AUDIO, LONG_AUDIO), ["", r"\d+ samples left out: beyond the end"]),
        (target("mp4", encoded(frame_rate=Fraction(50)), None), (MUTE,), ["25 frames added: repeated for the frame rate"]),
        (target("mp4", encoded(frame_rate=Fraction(10)), None), (MUTE,), ["15 frames left out: more than the frame rate"]),
        (ENCODED, (SHORT, MUTE), ["", r"48\d{3} samples added: silence where there is no audio"]),
        (COPIED, (LONG_AUDIO, LONG_AUDIO), ["", r"\d+ packets left out: (beyond the end|encoder padding).*"]),
    ],
    ids=["nothing", "seam", "faster", "slower", "mute", "copy"],
)
def test_what_is_left_out_is_told(
    spec: TargetSpec, clips: tuple[Clip, ...], told: list[str], shelf: Shelf, tmp_path: Path
) -> None:
    """And nothing else is."""
    streams = verify(made(shelf, tmp_path, clips, spec)).streams
    results = ["; ".join(map(str, stream.adjustments)) for stream in streams]
    assert len(results) == len(told)
    for text, pattern in zip(results, told, strict=True):
        assert re.fullmatch(pattern, text)


@pytest.mark.parametrize("spec", [LINED, SPOKEN], ids=["copied", "encoded"])
def test_sound_subtitles_pass(spec: TargetSpec, shelf: Shelf, tmp_path: Path) -> None:
    """Copied and encoded."""
    verify(made(shelf, tmp_path, (LINES,), spec))


@pytest.mark.parametrize(
    ("text", "written", "charset"),
    [
        ("été", "utf-8", "cp1252"),
        ("été", "utf-8", "utf-8"),
        ("Привет", "utf-16-le", "utf-16-le"),
        ("日本", "iso2022_jp", "iso2022_jp"),
        ("中文", "hz", "hz"),
    ],
)
def test_a_file_read_in_another_charset_is_refused(text: str, written: str, charset: str, shelf: Shelf, tmp_path: Path) -> None:
    """Its letters are known by its bytes, also where all of them are ASCII."""
    cue = f"1\n00:00:00,200 --> 00:00:00,900\n{text}\n".encode(written)
    film, lines = str(shelf.get(MUTE)), shelf.put(f"read.{written}.srt", cue)
    plan = plan_of(Path(film), (SPOKEN,), SourceSpec("file:///a", subtitles=(SubtitleFileSpec(str(lines)),)), Limits())
    *others, planned = plan.targets[0].streams
    (part,) = planned.parts
    assert part.file and part.file.charset == written
    planned = replace(planned, parts=(replace(part, file=replace(part.file, charset=charset)),))
    plan = replace(plan, targets=(replace(plan.targets[0], streams=(*others, planned)),))
    stop, files = threading.Event(), ((str(lines),),)
    (produced,), _ = Conversion(plan, (film,), tmp_path, limits=Limits(), stop=stop, subtitle_locations=files).run()
    with nullcontext() if charset == written else pytest.raises(OutputInvalid, match="letters that their source has not"):
        verify(produced)


@pytest.mark.parametrize("spec", [ENCODED, COPIED, SEGMENTS], ids=["encoded", "copied", "segments"])
@pytest.mark.parametrize("clips", [(CLIP,), TWO], ids=["one", "two"])
def test_a_sound_path_passes(clips: tuple[Clip, ...], spec: TargetSpec, shelf: Shelf, tmp_path: Path) -> None:
    """The same conversions without a fault."""
    verify(made(shelf, tmp_path, clips, spec))
