"""Copied video that is cut at the frame: the frames at the edges are encoded, all packets between them are the source's."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from reelmill_server.errors import ConditionNotMet, OutputInvalid
from reelmill_server.media.libav.mpeg2 import Headers, as_sequence
from reelmill_server.media.track.edge_encoder import Edge
from reelmill_server.model.plan import COPY
from reelmill_server.model.request import SegmentFormat, SegmentSpec, SourceSpec, VideoSpec
from reelmill_server.model.smart_cut import SmartCut
from reelmill_server.model.task import ArtifactKind
from tests import fields, judge
from tests.media.converter import Converted, Converter, target
from tests.sources import Audio, Clip, Video

pytestmark = pytest.mark.media

FILM = Video(seconds=6, gop=25, b_frames=3)
CLOSED_H265 = replace(FILM, codec="libx265", options=(("x265-params", "log-level=none:open-gop=0"),))
OPEN_H265 = replace(FILM, codec="libx265", options=(("x265-params", "log-level=none:open-gop=1:keyint=25:min-keyint=25"),))
MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
HDR10 = f"log-level=none:hdr10=1:master-display={MASTERING}:max-cll=1000,400"
OPEN, BUFFERED = "open-gop=1:keyint=25:min-keyint=25:bframes=3", (("maxrate", "2M"), ("bufsize", "2M"))
OPEN_H264 = replace(FILM, options=(("x264-params", OPEN),))
MPEG2 = replace(FILM, codec="mpeg2video", b_frames=2)
MPEG2_FIELDS = replace(MPEG2, options=(("flags", "+ildct+ilme"),), fps=Fraction(30000, 1001))
MPEG2_WIDE = replace(MPEG2, pixel_format="yuv422p", options=(("flags", "+cgop"), ("sc_threshold", "1000000000")))
OPEN_PYRAMID = replace(FILM, options=(("x264-params", "open-gop=1:keyint=30:min-keyint=30:bframes=7:b-pyramid=normal:ref=4"),))
VP9 = replace(FILM, codec="libvpx-vp9", b_frames=0, options=(("deadline", "realtime"), ("cpu-used", "8")))
AV1 = replace(FILM, codec="libsvtav1", b_frames=0, options=(("preset", "12"), ("svtav1-params", "keyint=25")))
PYRAMID = replace(FILM, options=(("x264-params", "b-pyramid=normal:bframes=7:ref=4:b-adapt=0"),))
PAUSES = tuple(Fraction(number * 3 + number % 3 + 40 * (number > 70), 100) for number in range(150))
SOUND = (Audio(seconds=6),)
SOURCES = {
    "h264": Clip("mp4", (FILM,), SOUND),
    "h264 pyramid": Clip(
        "mp4", (replace(FILM, options=(("x264-params", "b-pyramid=normal:bframes=7:ref=4:b-adapt=0"),)),), SOUND
    ),
    "h264 main": Clip("mp4", (replace(FILM, options=(("profile", "main"),)),), SOUND),
    "h264 baseline": Clip("mp4", (replace(FILM, b_frames=0, options=(("profile", "baseline"),)),), SOUND),
    "h264 10 bit": Clip("matroska", (replace(FILM, pixel_format="yuv420p10le"),), SOUND),
    "h264 full range": Clip("mp4", (replace(FILM, pixel_format="yuvj420p", color_range=2),), SOUND),
    "h264 in mkv": Clip("matroska", (FILM,), SOUND),
    "h264 in mov": Clip("mov", (FILM,), SOUND),
    "h264 late": Clip("mp4", (FILM,), SOUND, offset=1.6),
    "h264 variable rate": Clip("mp4", (replace(FILM, times=PAUSES),), SOUND),
    "h264 open": Clip("mp4", (OPEN_H264,), SOUND),
    "h264 open pyramid": Clip("matroska", (OPEN_PYRAMID,), SOUND),
    "h264 open in ts": Clip("mpegts", (OPEN_H264,), SOUND),
    "h264 interlaced": Clip("matroska", (replace(FILM, options=(("x264-params", "tff=1:nal-hrd=vbr"), *BUFFERED)),), SOUND),
    "h264 interlaced open in ts": Clip("mpegts", (replace(FILM, options=(("x264-params", f"bff=1:{OPEN}"),)),), SOUND),
    "h265": Clip("mp4", (CLOSED_H265,), SOUND),
    "h265 open": Clip("mp4", (OPEN_H265,), SOUND),
    "h265 10 bit": Clip("mp4", (replace(OPEN_H265, pixel_format="yuv420p10le"),), SOUND),
    "h265 hdr": Clip(
        "mp4", (replace(FILM, codec="libx265", pixel_format="yuv420p10le", options=(("x265-params", HDR10),)),), SOUND
    ),
    "h265 in mkv": Clip("matroska", (OPEN_H265,), SOUND),
    "h264 in ts": Clip("mpegts", (FILM,), SOUND),
    "h265 in ts": Clip("mpegts", (OPEN_H265,), SOUND),
    "vp9": Clip("mp4", (VP9,), SOUND),
    "vp9 in mkv": Clip("matroska", (VP9,), SOUND),
    "av1": Clip("mp4", (AV1,), SOUND),
    "mpeg2": Clip("mp4", (MPEG2,), SOUND),
    "mpeg2 in ts": Clip("mpegts", (MPEG2,), SOUND),
    "mpeg2 of fields": Clip("mpegts", (MPEG2_FIELDS,), SOUND),
    "mpeg2 4:2:2": Clip("matroska", (MPEG2_WIDE,), SOUND),
    "av1 10 bit": Clip("matroska", (replace(AV1, pixel_format="yuv420p10le"),), SOUND),
}
CONTAINERS = {"matroska": "mkv", "mpegts": "ts"}
CUTS = ((0.0, 3.33), (0.513, 2.8), (1.0, 4.0), (1.96, 0.0), (2.2, 2.2))
"""Start and duration: from the front, between keyframes, at one, to the end, and so that keyframes lie a frame apart."""
REQUIRED = VideoSpec(smart_cut=SmartCut.REQUIRED)
PREFERRED = VideoSpec(smart_cut=SmartCut.PREFERRED)


def shown(path: Path, start: float, duration: float) -> list[int]:
    """The positions of the frames of a source that a cut shows."""
    times = judge.times(path)
    begin = Fraction(str(judge.describe(path).start)) + Fraction(str(start))
    tolerance = Fraction(1, 1_000_000)
    return [
        place
        for place, time in enumerate(times)
        if time >= begin - tolerance and (not duration or time < begin + Fraction(str(duration)) - tolerance)
    ]


def alike(result: Path, source: Path) -> int:
    """How many packets of video are the source's, to the byte."""
    counts = [Counter(packet.checksum for packet in judge.packets(path, "v:0")) for path in (result, source)]
    return (counts[0] & counts[1]).total()


def check(converted: Converted, source: Path, start: float, duration: float) -> None:
    """A cut shows the frames asked for at their times; those that are copied are the source's, the others like them."""
    (stream,) = [stream for stream in converted.plan.targets[0].streams if stream.encoder == COPY and stream.smart_cut]
    assert stream.smart_cut
    edges, places = stream.smart_cut.edges, shown(source, start, duration)
    wanted = [judge.times(source)[place] for place in places]
    if edges.holds:
        places.insert(0, places[0] - 1)
        wanted.insert(0, Fraction(str(judge.describe(source).start)) + Fraction(str(start)))
    assert judge.numbers(converted.path) == [judge.numbers(source)[place] for place in places]
    times = judge.times(converted.path)
    apart = [time - times[0] - (asked - wanted[0]) for time, asked in zip(times, wanted, strict=True)]
    assert max(map(abs, apart)) <= Fraction(1, 900)  # Matroska counts milliseconds
    got, had = judge.frames(converted.path), judge.frames(source)
    copied = slice(edges.start_frames, len(places) - edges.end_frames)
    assert [frame.checksum for frame in got][copied] == [had[place].checksum for place in places[copied]]
    pictures, originals = judge.pictures(converted.path), judge.pictures(source)
    for number in (*range(edges.start_frames), *range(len(places) - edges.end_frames, len(places))):
        assert judge.psnr(pictures[number], originals[places[number]]) > 34, number
    if (converted.path.suffix == ".ts") == (source.suffix == ".ts"):  # else packets are framed otherwise
        changed = len(places) // 25 if edges.continues and source.suffix == ".ts" else 0  # parameter sets in keyframes
        assert alike(converted.path, source) >= len(places) - edges.encoded_frames - 1 - changed
    assert converted.artifact.streams[0].packet_count == len(places)


@pytest.mark.parametrize("frames", [8, pytest.param(7, marks=pytest.mark.matrix), pytest.param(10, marks=pytest.mark.matrix)])
@pytest.mark.parametrize("codec", ["libx264", pytest.param("mpeg2video", marks=pytest.mark.matrix)])
def test_a_cut_may_end_shortly_behind_its_first_keyframe(convert: Converter, codec: str, frames: int) -> None:
    """The frames after the copied ones come before those before them are known to be all."""
    options = (("x264-params", "b-adapt=0:scenecut=0"),) if codec == "libx264" else ()
    clip = Clip("mp4", (Video(codec, size=(64, 48), seconds=0.8, gop=6, b_frames=2, options=options),), ())
    converted = convert(clip, target("mkv", REQUIRED, None), start=0.04, duration=frames / 25)
    assert judge.numbers(converted.path) == [*range(1, frames + 1)]
    assert converted.artifact.streams[0].packet_count == frames


@pytest.mark.parametrize("gop", [8, 6])
@pytest.mark.parametrize("codec", ["libx264", pytest.param("libx265", marks=pytest.mark.matrix)])
def test_a_cut_that_begins_in_a_pause_shows_the_frame_on_screen(convert: Converter, codec: str, gop: int) -> None:
    """Also where the next one is a keyframe, before which nothing else is encoded."""
    times = tuple(Fraction(number, 25) + (number >= 8) for number in range(20))
    options = (*CLOSED_H265.options, ("forced-idr", "1")) if codec == "libx265" else ()
    clip = Clip("mp4", (Video(codec, size=(64, 64), times=times, gop=gop, options=options),), ())
    converted = convert(clip, target("mkv", REQUIRED, None), start=0.8)
    assert judge.numbers(converted.path) == [*range(7, 20)]
    assert [float(time) for time in judge.times(converted.path)[:3]] == pytest.approx([0, 0.52, 0.56], abs=0.002)


@pytest.mark.sample(every=93)
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", SOURCES)
def test_a_cut_shows_the_frames_asked_for(convert: Converter, name: str, cut: tuple[float, float]) -> None:
    """To the frame, at both ends, and what lies between the edges is the source's."""
    clip = SOURCES[name]
    converted = convert(clip, target(CONTAINERS.get(clip.format, clip.format), REQUIRED), start=cut[0], duration=cut[1])
    check(converted, convert.shelf.get(clip), *cut)


@pytest.mark.sample(every=5)
@pytest.mark.parametrize(
    ("source", "container"),
    [
        ("h264", "mkv"),
        ("h265 open", "mkv"),
        ("h264 in mkv", "mp4"),
        ("h265", "mov"),
        ("h264", "ts"),
        ("h265 open", "ts"),
        ("h264 in ts", "mp4"),
        ("h265 in ts", "mkv"),
        ("vp9", "mkv"),
        ("av1", "mkv"),
        ("mpeg2", "mkv"),
        ("mpeg2 of fields", "mp4"),
        ("h264 open", "ts"),
        ("h264 open in ts", "mp4"),
    ],
)
def test_a_cut_goes_into_another_container(convert: Converter, source: str, container: str) -> None:
    """Parameter sets of both are where the container describes the stream."""
    converted = convert(SOURCES[source], target(container, REQUIRED), start=0.513, duration=2.8)
    check(converted, convert.shelf.get(SOURCES[source]), 0.513, 2.8)


@pytest.mark.parametrize("name", ["mpeg2", "mpeg2 of fields"])
def test_edges_of_mpeg2_are_of_its_sequence(convert: Converter, name: str) -> None:
    """What is encoded has the sequence header of what is copied, and frames whose fields are of two moments stay such."""
    source = convert.shelf.get(SOURCES[name])
    converted = convert(SOURCES[name], target("ts", REQUIRED), start=0.513, duration=2.8)
    check(converted, source, 0.513, 2.8)
    sequences: set[bytes] = set()
    with av.open(converted.path) as file:
        for packet in file.demux(video=0):
            assert not packet.is_keyframe or Headers.of(bytes(packet)).sequence
            sequences.add(Headers.of(bytes(packet)).sequence)
    assert len(sequences - {b""}) == 1
    with av.open(converted.path) as file:
        assert {bool(frame.interlaced_frame) for frame in file.decode(video=0)} == {name == "mpeg2 of fields"}


@pytest.mark.parametrize("name", ["h264 interlaced", "h264 interlaced open in ts"])
def test_interlaced_frames_stay_so(convert: Converter, name: str) -> None:
    """What is encoded has the sequence of what is copied, and says as it does how each frame is shown."""
    clip = SOURCES[name]
    converted = convert(clip, target(CONTAINERS[clip.format], REQUIRED), start=0.513, duration=2.8)
    check(converted, convert.shelf.get(clip), 0.513, 2.8)
    with av.open(converted.path) as file:
        assert all(frame.interlaced_frame for frame in file.decode(video=0))


def test_frames_beside_fields_are_whole(convert: Converter, tmp_path: Path) -> None:
    """Where each is coded as two fields (PAFF). Where these have packets of their own, nothing is cut so."""
    video = Video(size=(64, 64))
    film = fields.write(tmp_path / "film.mp4", video)
    spec = replace(target("mp4", REQUIRED), audio=None)
    check(convert(film, spec, start=0.52, duration=2.0), film, 0.52, 2.0)
    with pytest.raises(ConditionNotMet, match="its fields have packets of their own"):
        convert(fields.write(tmp_path / "film.ts", video), replace(spec, container="ts"), start=0.52, duration=2.0)


def test_repeated_fields_of_mpeg2_stay_so(convert: Converter, tmp_path: Path) -> None:
    """As in films that televisions of 30 frames a second show (soft telecine): the flags of each frame are those it had."""
    film = tmp_path / "film.mkv"
    cycle = (0x80, 0x82, 0x00, 0x02)  # which field is shown first, and whether again
    with av.open(convert.shelf.get(SOURCES["mpeg2"])) as source, av.open(film, "w") as result:
        origin = source.streams.video[0]
        stream, known = result.add_stream_from_template(origin), Headers()
        for packet in source.demux(origin):
            if packet.pts is None:
                continue
            data = bytes(packet)
            if sequence := bytearray(Headers.of(data).sequence):
                sequence[17] &= 0xF7  # it may be interlaced
                known = Headers(bytes(sequence))
            told = av.Packet(as_sequence(data, known.sequence, cycle[packet.pts // 512 % 4]))
            told.pts, told.dts, told.time_base, told.is_keyframe = packet.pts, packet.dts, packet.time_base, packet.is_keyframe
            told.stream = stream
            result.mux(told)
    made_cut = convert(film, replace(target("mkv", REQUIRED), audio=None), start=0.52, duration=2.8)
    check(made_cut, film, 0.52, 2.8)
    with av.open(made_cut.path) as file:
        got = {packet.pts: Headers.of(bytes(packet)) for packet in file.demux(video=0) if packet.pts is not None}
    assert [got[time].order for time in sorted(got)] == [cycle[number % 4] for number in range(13, 13 + len(got))]
    assert all(headers.is_progressive for headers in got.values())


def test_audio_stays_beside_the_video(convert: Converter) -> None:
    """Copied audio begins with the first packet in the cut, where it was against the frames."""
    clip = SOURCES["h264"]
    result, source = convert(clip, target("mp4", REQUIRED), start=0.513, duration=2.8), convert.shelf.get(clip)
    first = judge.packets(result.path, "a:0")[0]
    same = next(packet for packet in judge.packets(source, "a:0") if packet.checksum == first.checksum)
    place = shown(source, 0.513, 2.8)[0]
    assert abs((first.pts - judge.times(result.path)[0]) - (same.pts - judge.times(source)[place])) <= Fraction(1, 1000)


def test_nothing_is_encoded_where_the_edges_are_keyframes(convert: Converter) -> None:
    """From one keyframe to another, all packets are the source's."""
    converted = convert(SOURCES["h264"], target("mp4", REQUIRED), start=1.0, duration=3.0)
    (video, _) = converted.plan.targets[0].streams
    assert video.smart_cut and not video.smart_cut.edges.encoded_frames
    assert alike(converted.path, convert.shelf.get(SOURCES["h264"])) == 75 == converted.artifact.streams[0].packet_count


@pytest.mark.parametrize("name", ["h265 open", "h264 open pyramid"])
def test_a_cut_is_cut_again(convert: Converter, name: str) -> None:
    """The encoder's parameter sets have other numbers than those of before. Where frames were left out that others drop,
    nothing leads into a recovery point of H.264: the next one is taken.
    """
    clip = SOURCES[name]
    spec = target(CONTAINERS.get(clip.format, clip.format), REQUIRED)
    first = convert(clip, spec, start=0.513, duration=5.2).path
    check(convert(first, spec, start=0.33, duration=4.4), first, 0.33, 4.4)


def test_what_is_encoded_is_told(convert: Converter) -> None:
    """By the plan, and by the artifact."""
    converted = convert(SOURCES["h264"], target("mp4", REQUIRED), start=0.52, duration=2.8)
    assert converted.plan.targets[0].streams[0].reason.endswith("encoded by libx264")
    booked = {(one.unit, one.added): one.count for one in converted.artifact.streams[0].adjustments}
    edges = converted.plan.targets[0].streams[0].smart_cut
    assert edges and booked == {("packets", False): edges.edges.encoded_frames, ("frames", True): edges.edges.encoded_frames}
    assert not converted.warnings


@pytest.mark.parametrize("form", SegmentFormat)
@pytest.mark.parametrize("source", ["h264", "h264 open", "h265 open", "vp9", "h264 in ts", "mpeg2"])
def test_a_cut_goes_into_segments(convert: Converter, source: str, form: SegmentFormat) -> None:
    """Read by its playlist: the frames asked for, copied ones as they are."""
    clip, path = SOURCES[source], convert.shelf.get(SOURCES[source])
    for container in ("mp4", "ts") if form is SegmentFormat.HLS and source != "vp9" else ("mp4",):
        spec = replace(target(container, REQUIRED), segment=SegmentSpec(form, 1_000_000))
        converted = convert(clip, spec, start=0.513, duration=2.8)
        (uri,) = [one.uri for one in converted.artifacts if one.kind in (ArtifactKind.PLAYLIST, ArtifactKind.MANIFEST)]
        listed, places = converted.published / uri.removeprefix("file:///out/"), shown(path, 0.513, 2.8)
        assert judge.numbers(listed) == [judge.numbers(path)[place] for place in places]
        (edges,) = [stream.smart_cut.edges for stream in converted.plan.targets[0].streams if stream.smart_cut]
        copied = slice(edges.start_frames, len(places) - edges.end_frames)
        had = judge.frames(path)
        assert [frame.checksum for frame in judge.frames(listed)][copied] == [had[place].checksum for place in places[copied]]


JOINED = {
    "h264": ((0.513, 2.0), (1.7, 2.2)),
    "h264 in ts": ((0.0, 1.53), (2.0, 2.0), (0.0, 0.0)),
    "h265 open": ((2.0, 1.92), (2.0, 3.0)),  # between two keyframes nothing is encoded: the second must be told from a CRA
    "vp9": ((0.3, 0.0), (0.0, 2.22)),
    "mpeg2 in ts": ((2.0, 1.96), (1.1, 2.22)),
}


def _of(start: float, duration: float) -> SourceSpec:
    return SourceSpec("file:///in/clip.mp4", start_us=round(start * 1e6), duration_us=round(duration * 1e6))


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("name", JOINED)
def test_alike_sources_are_cut_and_joined(convert: Converter, name: str) -> None:
    """Each at the frame, one behind the other; what is copied of any is its source's."""
    clip = SOURCES[name]
    source, spec = convert.shelf.get(clip), target(CONTAINERS.get(clip.format, clip.format), REQUIRED)
    converted = convert.concat([(clip, _of(*cut)) for cut in JOINED[name]], spec)
    (cut,) = [stream.smart_cut for stream in converted.plan.targets[0].streams if stream.smart_cut]
    places = [shown(source, *cut) for cut in JOINED[name]]
    assert judge.numbers(converted.path) == [judge.numbers(source)[place] for part in places for place in part]
    got, had = iter(judge.frames(converted.path)), judge.frames(source)
    for part, edges in zip(places, cut.parts, strict=True):
        same = [next(got).checksum == had[place].checksum for place in part]
        assert all(same[edges.start_frames : len(part) - edges.end_frames])
    assert not converted.warnings


def test_joined_cuts_keep_their_times_in_segments(convert: Converter) -> None:
    """As in a file: where the second begins, decoding goes back a little, and a segment begins."""
    cuts = [(SOURCES["h264"], _of(0.513, 2.3)), (SOURCES["h264"], _of(1.7, 2.2))]
    plain = convert.concat(cuts, target("mp4", REQUIRED))
    parted = convert.concat(cuts, replace(target("mp4", REQUIRED), segment=SegmentSpec(SegmentFormat.HLS, 1_000_000)))
    assert judge.times(parted.published / "x.m3u8") == judge.times(plain.path)
    names = (
        "x-init.mp4",
        *(f"x-{number}.m4s" for number in range(4)),
    )  # the few frames at the end have no segment of their own
    whole = convert.shelf.put("joined.mp4", b"".join((parted.published / name).read_bytes() for name in names))
    shown = []
    for path in (whole, plain.path):  # as players take them: the judge mends equal times
        with av.open(path) as file:
            shown.append(sorted(packet.pts for packet in file.demux(video=0) if packet.pts is not None))
    assert shown[0] == shown[1] and len(shown[0]) == 113


def test_unlike_sources_are_not_joined_so(convert: Converter) -> None:
    """They are encoded, or refused."""
    sources = [(SOURCES["h264"], _of(0.5, 2.0)), (SOURCES["h264 pyramid"], _of(0.5, 2.0))]
    with pytest.raises(ConditionNotMet, match=r"sources\[1\]: its decoder settings differ"):
        convert.concat(sources, target("mp4", REQUIRED))
    converted = convert.concat(sources, target("mp4", PREFERRED))
    assert converted.plan.targets[0].streams[0].encoder != COPY and "sources[1]" in converted.warnings[0]


REFUSED = {
    "its frames are interlaced": (
        Clip("matroska", (replace(FILM, codec="libx265", options=(("x265-params", "log-level=none:interlace=tff"),)),), ()),
        target("mkv"),
    ),
    "no keyframe lies between": (Clip("mp4", (replace(FILM, gop=500),), ()), target("mp4")),
    "flv does not take it": (SOURCES["h264"], target("flv")),
    "its speed is changed": (SOURCES["h264"], replace(target("mp4", audio=None), speed=Fraction(2))),
    "decoding cannot begin with": (
        Clip("mp4", (replace(FILM, b_frames=0, options=(("x264-params", "intra-refresh=1:keyint=25:bframes=0"),)),), ()),
        target("mp4"),
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_cut_is_encoded_or_refused(convert: Converter, reason: str) -> None:
    """PREFERRED encodes all of it and says why, REQUIRED fails: never does it become a cut at a keyframe."""
    clip, spec = REFUSED[reason]
    with pytest.raises(ConditionNotMet, match=reason):
        convert(clip, replace(spec, video=REQUIRED), start=2.52, duration=2.2)
    converted = convert(clip, replace(spec, video=PREFERRED), start=2.52, duration=2.2)
    assert converted.plan.targets[0].streams[0].encoder != COPY
    assert any(reason in text for text in converted.warnings)


def test_without_a_cut_it_is_a_copy(convert: Converter) -> None:
    """All of a source is copied as ever."""
    converted = convert(SOURCES["h264"], target("mp4", REQUIRED))
    assert judge.packets(converted.path, "v:0") == judge.packets(convert.shelf.get(SOURCES["h264"]), "v:0")


def test_the_gate_misses_a_lost_frame(convert: Converter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each packet that is not copied must have an encoded one in its place."""
    finish = Edge.finish
    monkeypatch.setattr(Edge, "finish", lambda self, *key: finish(self, *key)[:-1])
    with pytest.raises(OutputInvalid, match="of which 1 were lost on the way"):
        convert(SOURCES["h264"], target("mp4", REQUIRED), start=1.52, duration=2.0)
