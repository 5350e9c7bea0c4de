"""Spans, sound, pixel formats and what goes into which container."""

from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction

import pytest

from reelmill_server.errors import InvalidArgument, InvalidMedia, UnsupportedFormat
from reelmill_server.model.capability import SOFTWARE, Capability
from reelmill_server.model.media_info import AudioStreamInfo, MediaInfo, VideoStreamInfo
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import Adapt, AudioSpec, ConvertRequest, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.plan.clock import Clock
from reelmill_server.plan.codec.containers import CONTAINERS, fitting
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from reelmill_server.plan.stream.audio import plan_audio
from reelmill_server.plan.stream.video import natural_format, usual_rate

MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
VIDEO = VideoStreamInfo(
    0, "h264", width=640, height=480, pixel_format="yuv420p", average_rate=Fraction(25), time_base=Fraction(1, 12800),
    start_seconds=0.0, duration_seconds=10.0,
)  # fmt: skip
AUDIO = AudioStreamInfo(
    1, "aac", sample_rate=44100, channels=2, layout="stereo", sample_format="fltp", start_seconds=0.5, duration_seconds=9.0
)
INFO = MediaInfo(MP4, duration_seconds=10.0, video=(VIDEO,), audio=(AUDIO,))
WORKER = {"libx264": Capability("libx264", "h264", SOFTWARE, True)}
SECONDS = 1_000_000


def plan(info: MediaInfo, *targets: TargetSpec, source: SourceSpec = SourceSpec("file:///in/a.mp4")) -> Plan:  # noqa: B008
    """The plan of a request with these targets."""
    return make_plan(ConvertRequest("t", "p", (source,), targets), PlanFacts((info,), WORKER))


def target(container: str, video: VideoSpec | None = None, audio: AudioSpec | None = None) -> TargetSpec:
    """A target that names both."""
    return TargetSpec(0, "file:///out/a", container, video, audio, video_asked=True, audio_asked=True)


@pytest.mark.parametrize(
    ("start", "duration", "expected"),
    [(0, 0, (0, 0, 10)), (2, 0, (2, 0, 8)), (2, 3, (2, 5, 3)), (8, 5, (8, 13, 2)), (0, 10, (0, 10, 10))],
)
def test_a_span_ends_with_the_source(start: int, duration: int, expected: tuple[int, int, int]) -> None:
    """Start, end (0: the source's) and how much lies between."""
    clock = Clock.of(SourceSpec("", start * SECONDS, duration * SECONDS), INFO)
    assert (clock.start_us, clock.end_us, clock.duration_us) == tuple(value * SECONDS for value in expected)


def test_a_span_behind_the_end_is_refused() -> None:
    """The message says where the end is."""
    with pytest.raises(InvalidArgument, match=r"10\.000 s"):
        Clock.of(SourceSpec("", 10 * SECONDS), INFO)


def test_a_length_that_is_a_guess_promises_nothing() -> None:
    """MP3 and raw streams are measured by their bit rate."""
    clock = Clock.of(SourceSpec("", 20 * SECONDS), replace(INFO, format="mp3"))
    assert (clock.duration_us, clock.expected_us(AUDIO)) == (0, 0)


@pytest.mark.parametrize(
    ("start", "duration", "video", "audio"), [(0, 0, 10, 9.5), (0, 3, 3, 3), (9, 0, 1, 0.5), (9.8, 0, 0.2, 0)]
)
def test_each_stream_ends_where_its_container_says(start: float, duration: float, video: float, audio: float) -> None:
    """Counted from the span's beginning; a stream that begins late ends late."""
    clock = Clock.of(SourceSpec("", round(start * SECONDS), round(duration * SECONDS)), INFO)
    assert clock.expected_us(VIDEO) == round(video * SECONDS)
    assert clock.expected_us(AUDIO) == round(audio * SECONDS)


def test_a_source_that_begins_late_has_its_own_zero() -> None:
    """A transport stream's clock."""
    late = replace(
        INFO, start_seconds=100.0, video=(replace(VIDEO, start_seconds=100.0),), audio=(replace(AUDIO, start_seconds=100.5),)
    )
    clock = Clock.of(SourceSpec("", 1 * SECONDS), late)
    assert clock.origin_us == 100 * SECONDS
    assert clock.expected_us(late.audio[0]) == round(8.5 * SECONDS)


@pytest.mark.parametrize(
    ("spec", "stream", "expected"),
    [
        (AudioSpec("aac"), AUDIO, (44100, "stereo", "fltp", "128000")),
        (AudioSpec("opus"), AUDIO, (48000, "stereo", "flt", "128000")),
        (AudioSpec("mp3"), replace(AUDIO, channels=6, layout="5.1"), (44100, "stereo", "fltp", "192000")),
        (AudioSpec("aac", channels=6), replace(AUDIO, channels=6), (44100, "5.1", "fltp", "384000")),
        (AudioSpec("opus", channels=4), AUDIO, (48000, "quad", "flt", "256000")),
        (AudioSpec("flac"), AUDIO, (44100, "stereo", "s32", None)),
        (AudioSpec("flac"), replace(AUDIO, sample_format="s16p"), (44100, "stereo", "s16", None)),
        (AudioSpec("aac", sample_rate=22050, bitrate=40_000), AUDIO, (22050, "stereo", "fltp", "40000")),
        (AudioSpec("aac"), replace(AUDIO, sample_rate=192000), (96000, "stereo", "fltp", "128000")),
        (AudioSpec("mp3"), replace(AUDIO, sample_rate=7000, channels=1, layout="mono"), (8000, "mono", "fltp", "24000")),
    ],
)
def test_sound_is_planned_as_asked_or_as_near_as_the_codec_goes(
    spec: AudioSpec, stream: AudioStreamInfo, expected: tuple[int, str, str, str | None]
) -> None:
    """Rate, layout, sample format and bit rate."""
    planned, _ = plan_audio(spec, stream, Clock.of(SourceSpec(""), INFO), "f", {}, CONTAINERS["mkv"])
    assert planned.audio
    assert (
        planned.audio.sample_rate, planned.audio.layout, planned.audio.sample_format, planned.options.get("b")
    ) == expected  # fmt: skip


EIGHT = ("yuv420p", "yuv422p", "yuv444p")
TEN = (*EIGHT, "yuv420p10le", "yuv422p10le", "yuv444p10le")


@pytest.mark.parametrize(
    ("source", "takes", "expected"),
    [
        ("yuv420p", TEN, "yuv420p"),
        ("yuvj420p", TEN, "yuv420p"),
        ("yuv422p12le", TEN, "yuv422p10le"),
        ("yuv444p10le", EIGHT, "yuv444p"),
        ("yuv444p10le", ("yuv420p", "yuv420p10le"), "yuv420p10le"),
        ("p010le", TEN, "yuv420p10le"),
        ("nv12", TEN, "yuv420p"),
        ("yuv410p", TEN, "yuv420p"),
        ("yuv440p", TEN, "yuv444p"),
        ("yuva420p", (*TEN, "yuva420p"), "yuva420p"),
        ("yuva444p", TEN, "yuv444p"),
        ("rgb24", TEN, "yuv420p"),
        ("gbrp10le", TEN, "yuv420p"),
        ("pal8", TEN, "yuv420p"),
        ("gray10le", TEN, "yuv420p"),
        ("", TEN, "yuv420p"),
    ],
)
def test_the_nearest_pixel_format_is_taken(source: str, takes: tuple[str, ...], expected: str) -> None:
    """Chroma and depth stay as far as the encoder goes."""
    assert natural_format(source, takes) == expected


@pytest.mark.parametrize(("average", "base", "expected"), [(25, 50, 25), (0, 30, 30), (0, 1000, 0), (90000, 50, 50)])
def test_a_tick_is_not_taken_for_a_rate(average: int, base: int, expected: int) -> None:
    """A variable rate's ticks per second are no pictures per second."""
    assert usual_rate(replace(VIDEO, average_rate=Fraction(average), frame_rate=Fraction(base))) == expected


def test_a_copy_that_does_not_fit_says_where_it_would() -> None:
    """Before any work."""
    with pytest.raises(UnsupportedFormat, match=r"webm does not hold \(mp4, mov, mkv, ts, asf, avi, mxf, flv would\)"):
        plan(INFO, target("webm", VideoSpec()))
    with pytest.raises(UnsupportedFormat, match="mp3 does not hold"):
        plan(INFO, target("mp3", None, AudioSpec()))


def test_an_encode_that_does_not_fit_names_the_field() -> None:
    """As a violation of the request."""
    with pytest.raises(InvalidArgument) as caught:
        plan(INFO, target("webm", VideoSpec("h264")))
    assert caught.value.violations[0].field == "targets[0].video.transcode_video.codec"


def test_what_nobody_can_decode_is_refused() -> None:
    """Encoding needs a decoder, copying a known codec."""
    blind = replace(INFO, video=(replace(VIDEO, codec="", decodable=False, width=0),))
    with pytest.raises(InvalidMedia, match="cannot be decoded"):
        plan(blind, target("mkv", VideoSpec("h264")))
    with pytest.raises(UnsupportedFormat, match="not known"):
        plan(blind, target("mkv", VideoSpec()))


@pytest.mark.parametrize("codec", ["aac", "copy"])
@pytest.mark.parametrize(
    ("asked", "first", "kept"),
    [((), False, [2]), ((), True, [1]), ((0, 1), False, [2]), ((101,), True, [1]), ((1,), False, [2])],
)
def test_audio_that_can_be_decoded_is_taken(codec: str, asked: tuple[int, ...], first: bool, kept: list[int]) -> None:
    """Of two streams, one without a decoder: what is left out is named where it was asked for."""
    blind = AudioStreamInfo(0, "", decodable=False)
    known, unknown = replace(AUDIO, index=1 if first else 2), replace(blind, index=2 if first else 1)
    info = replace(INFO, audio=(known, unknown) if first else (unknown, known))
    planned = plan(info, replace(target("mp4", None, AudioSpec(codec)), audio_streams=asked))
    assert [part.stream for stream in planned.targets[0].streams for part in stream.parts] == kept
    named = any("a codec that is not known here" in text for text in planned.warnings)
    assert named is not (asked == (1,) or (first and not asked))


def test_audio_that_cannot_be_decoded_is_refused_by_name() -> None:
    """Nothing else was asked for."""
    info = replace(INFO, audio=(AUDIO, AudioStreamInfo(2, "", decodable=False)))
    with pytest.raises(InvalidMedia, match="stream 2 of the file"):
        plan(info, replace(target("mp4", None, AudioSpec("aac")), audio_streams=(1,)))


def test_an_audio_container_takes_no_video_that_was_not_asked_for() -> None:
    """M4A of a film is its sound."""
    planned = plan(INFO, TargetSpec(0, "file:///out/a", "m4a"))
    assert [stream.type for stream in planned.targets[0].streams] == ["audio"]
    assert planned.warnings == ()


def test_a_bit_rate_that_adapts_is_only_an_upper_bound() -> None:
    """More than the codec can do is no mistake where the source's rate is taken."""
    asked = AudioSpec("aac", bitrate=2_000_000, bitrate_option=Adapt.ADAPTIVE)
    planned, _ = plan_audio(asked, replace(AUDIO, bitrate=125_375), Clock.of(SourceSpec(""), INFO), "f", {}, CONTAINERS["mkv"])
    assert planned.options["b"] == "125375"
    with pytest.raises(InvalidArgument, match=r"f\.bitrate"):
        plan_audio(
            replace(asked, bitrate_option=Adapt.FIXED), AUDIO, Clock.of(SourceSpec(""), INFO), "f", {}, CONTAINERS["mkv"]
        )


def test_an_output_does_not_replace_a_source() -> None:
    """Whatever names it: a template does so only when the source is known."""
    asked = replace(target("mp4", VideoSpec("copy"), AudioSpec("copy")), uri="file:///in/{barename}")
    with pytest.raises(InvalidArgument, match=r"targets\[0\]: would replace the source file:///in/a\.mp4"):
        plan(INFO, asked)
    assert plan(INFO, replace(asked, container="mkv")).targets[0].uri == "file:///in/a.mkv"


@pytest.mark.parametrize("uri", ["file:///in/%61.mp4", "file://localhost/in/a.mp4", "file:///in//./a.mp4"])
def test_an_output_does_not_replace_a_source_by_another_spelling(uri: str) -> None:
    """What URIs name is compared."""
    with pytest.raises(InvalidArgument, match="would replace the source"):
        plan(INFO, replace(target("mp4", VideoSpec("copy"), AudioSpec("copy")), uri=uri))


def test_two_outputs_in_one_place_are_told_however_they_are_spelled() -> None:
    """By both spellings."""
    copied = target("mp4", VideoSpec("copy"), AudioSpec("copy"))
    specs = tuple(
        replace(copied, index=index, uri=uri) for index, uri in enumerate(("file:///out/b c.mp4", "file:///out/b%20c.mp4"))
    )
    request = ConvertRequest("t", "p", (SourceSpec("file:///in/a.mp4"),), specs)
    warnings = make_plan(request, PlanFacts((INFO,), WORKER)).warnings
    assert warnings == tuple(f"several outputs go to {spec.uri}: the last one stays" for spec in specs)


def test_every_container_is_said_to_hold_what_it_holds() -> None:
    """Error messages come from the table."""
    assert fitting("video", "vp8") == ["mkv", "webm", "asf", "avi"]
    assert fitting("audio", "flac") == ["mp4", "mkv", "flac", "oga", "wav"]
    assert all(container.extension == container.name for container in CONTAINERS.values())


def test_attached_sound_is_counted_behind_that_of_the_sources_in_a_row() -> None:
    """No two files of one target have the same number."""
    two = replace(INFO, audio=(AUDIO, replace(AUDIO, index=2)))
    sources = (SourceSpec("file:///in/b.mp4", attached=True), SourceSpec("file:///in/a.mp4"))
    asked = replace(target("mp3", None, AudioSpec("mp3")), audio_streams=(1,))
    request = ConvertRequest("t", "p", sources, (asked,), alignment_index=1)
    planned = make_plan(request, PlanFacts((INFO, two), WORKER)).targets
    assert [file.uri for file in planned] == ["file:///out/a_1.mp3", "file:///out/a_2.mp3"]
    assert [file.streams[0].parts[0].input for file in planned] == [0, 1]


@pytest.mark.parametrize(("codec", "encoder", "least"), [("h265", "libx265", 16), ("av1", "libsvtav1", 4)])
def test_frames_too_small_for_an_encoder_are_refused(codec: str, encoder: str, least: int) -> None:
    """By name; in H.264 and VP9 one of 1x1 becomes 2x2."""
    request = ConvertRequest("t", "p", (SourceSpec("file:///in/a.mp4"),), (target("mkv", VideoSpec(codec)),))
    for width, refused in ((1, True), (least - 2, True), (least, False)):
        info = replace(INFO, video=(replace(VIDEO, width=width, height=least),))
        facts = PlanFacts((info,), {encoder: Capability(encoder, codec, SOFTWARE, True)})
        with pytest.raises(UnsupportedFormat, match=f"{least} pixels or more") if refused else nullcontext():
            make_plan(request, facts)


@pytest.mark.parametrize(("size", "refused"), [((130, 20), True), ((20, 130), True), ((64, 20), False), ((130, 28), False)])
def test_frames_on_which_svt_av1_hangs_are_refused(size: tuple[int, int], refused: bool) -> None:
    """By name: the encoder would never return."""
    info = replace(INFO, video=(replace(VIDEO, width=size[0], height=size[1]),))
    facts = PlanFacts((info,), {"libsvtav1": Capability("libsvtav1", "av1", SOFTWARE, True)})
    request = ConvertRequest("t", "p", (SourceSpec("file:///in/a.mp4"),), (target("mkv", VideoSpec("av1")),))
    with pytest.raises(UnsupportedFormat, match="libsvtav1 does not encode") if refused else nullcontext():
        make_plan(request, facts)
