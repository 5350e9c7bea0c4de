"""Several sources: behind each other, beside each other, mixed, and slowed down."""

import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from reelmill_server.errors import InvalidArgument, InvalidMedia, OutputInvalid, UnsupportedFormat
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import Limits
from reelmill_server.model.overlay_request import PlaceSpec, WatermarkSpec
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import AlignMode, AudioSpec, ConvertRequest, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from tests import judge
from tests.captions import captioned, heard, shown
from tests.media import test_layouts as layouts
from tests.media.converter import capabilities, encoded, target
from tests.media.extents import reaching
from tests.sources import DARK, Audio, Clip, Shelf, Subtitle, Video

pytestmark = pytest.mark.media

PLAIN = Clip("mp4", (Video(seconds=1),), (Audio(seconds=1),))
UPRIGHT = Clip(
    "mpegts",
    (Video(size=(64, 96), fps=Fraction(30), seconds=1.5),),
    (Audio(rate=44100, layout="mono", seconds=1.5, hz=880),),
    offset=10,
)
SILENT = Clip("matroska", (Video("libvpx-vp9", fps=Fraction(10), seconds=1),), ())
SOUND = Clip("mp4", (), (Audio(seconds=1, hz=220),))
LONG = Clip("mp4", (Video(seconds=3),), (Audio(seconds=3),))
MUTE = Clip("mp4", (Video(seconds=3),), ())
BOTH = target("mp4", encoded(), AudioSpec("aac"))
Joiner = Callable[..., tuple[Plan, tuple[Path, ...]]]


@pytest.fixture
def join(shelf: Shelf, tmp_path: Path) -> Joiner:
    """Converts (clip, how it is taken) pairs as one task; the plan and the outputs."""

    def run(sources: Sequence[Clip | Path | tuple[Clip | Path, SourceSpec]], *targets: TargetSpec, primary: int = 0) -> object:
        pairs = [source if isinstance(source, tuple) else (source, SourceSpec("file:///a")) for source in sources]
        paths = [str(clip if isinstance(clip, Path) else shelf.get(clip)) for clip, _ in pairs]
        numbered = tuple(replace(spec, index=number) for number, spec in enumerate(targets))
        request = ConvertRequest("t", "p", tuple(spec for _, spec in pairs), numbered, primary)
        infos = [probe_file(path, Limits()) for path in paths]
        marks = {uri: probe_file(uri, Limits()) for uri in request.watermark_uris}
        plan = make_plan(request, PlanFacts(infos, capabilities(), watermark_infos=marks))
        files = {uri: uri for uri in marks}
        produced, _ = Conversion(
            plan, paths, tmp_path, limits=Limits(), stop=threading.Event(), watermark_locations=files
        ).run()
        for file in produced:
            verify(file)
            judge.check(Path(file.path))
        return plan, tuple(Path(file.path) for file in produced)

    return run  # type: ignore[return-value]


def beside(mode: AlignMode = AlignMode.NONE) -> SourceSpec:
    """An attached source."""
    return SourceSpec("file:///b", attached=True, align_mode=mode)


def seconds_of_sound(path: Path, stream: int = 0) -> float:
    """How long the decoded sound is."""
    return judge.sound(path, stream).shape[0] / judge.sample_rate(path, stream)


def loudness(path: Path, begin: float, end: float, stream: int = 0) -> float:
    """The root mean square of a span of sound."""
    rate = judge.sample_rate(path, stream)
    return float(np.sqrt(np.mean(judge.sound(path, stream)[round(begin * rate) : round(end * rate)] ** 2)))


@pytest.mark.parametrize("wanted", [BOTH, target("mp4")], ids=["encoded", "copied"])
def test_a_member_that_breaks_off_shortly_before_its_end_is_refused(
    join: Joiner, shelf: Shelf, tmp_path: Path, wanted: TargetSpec
) -> None:
    """MP4 tells where each stream ends."""
    path, broken = shelf.get(LONG), tmp_path / "broken.mp4"
    front = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-c", "copy", "-movflags", "+faststart", broken]
    subprocess.run(front, check=True)
    broken.write_bytes(broken.read_bytes()[:-12_000])
    with pytest.raises(InvalidMedia, match="truncated or broken"):
        join([broken, PLAIN], wanted)


@pytest.mark.parametrize("first", [PLAIN, replace(PLAIN, audio=())], ids=["audio first", "no audio first"])
def test_audio_that_nobody_asked_for_is_encoded_where_sources_lack_it(join: Joiner, first: Clip) -> None:
    """It is copied otherwise; a copy that was asked for is refused."""
    others = [replace(PLAIN, audio=()), PLAIN]
    unasked = replace(target("mkv", encoded()), audio_asked=False)
    plan, (path,) = join([first, *others], unasked)
    assert seconds_of_sound(path) == pytest.approx(3, abs=0.05)
    assert loudness(path, 2.2, 2.8) > 0.05 > 0.001 > loudness(path, 1.2, 1.8)
    assert any("it has no such stream; it is encoded (aac)" in text for text in plan.warnings)
    assert all(stream.encoder == "copy" for stream in join([PLAIN, PLAIN], replace(unasked, video=None))[0].targets[0].streams)
    with pytest.raises(UnsupportedFormat, match="it has no such stream; choose a codec"):
        join([first, *others], target("mkv", encoded()))


@pytest.mark.parametrize("fps", [Fraction(30), Fraction(30000, 1001)])
def test_a_cut_halfway_between_frames_keeps_each_of_them(join: Joiner, fps: Fraction) -> None:
    """Matroska's milliseconds leave it open to which side each is rounded: a third was left out, and others shown twice."""
    half = round(1_000_000 / fps / 2)
    clip = Clip("matroska", (Video(fps=fps, seconds=1, gop=6),), ())
    cuts = [(clip, SourceSpec("file:///a", start_us=start + half)) for start in (200_000, 0)]
    _, (path,) = join(cuts, target("mp4", encoded(), None))
    numbers = judge.numbers(path)
    assert [number for number, _ in groupby(numbers)] == [*range(numbers[0], 30), *range(1, 30)]
    assert len(numbers) <= 59 - numbers[0] + 2


def test_a_source_that_is_thinned_out_is_told(join: Joiner) -> None:
    """The first one's rate is that of the output, unless another is asked for."""
    slides = Clip("mp4", (Video(fps=Fraction(2), seconds=1),), ())
    plan, _ = join([slides, PLAIN], target("mkv", encoded(), None))
    assert any("sources[1] is thinned out: of 25 frames a second 2 are kept" in text for text in plan.warnings)
    for sources, rate in (([slides, PLAIN], Fraction(25)), ([PLAIN, slides], Fraction(0)), ([PLAIN, UPRIGHT], Fraction(0))):
        plan, _ = join(sources, target("mkv", encoded(frame_rate=rate), None))
        assert not any("thinned" in text for text in plan.warnings)


def test_more_frames_a_second_than_can_be_asked_for_are_thinned_out(join: Joiner) -> None:
    """As of high-speed cameras; alone, they are all kept."""
    fast = Clip("mp4", (Video(size=(64, 48), fps=Fraction(1000), seconds=0.1, b_frames=0),), ())
    plan, (path,) = join([fast, fast], target("mkv", encoded(), None))
    assert [number // 4 for number in judge.numbers(path)] == pytest.approx([*range(24), *range(24)], abs=1)
    assert len([text for text in plan.warnings if "of 1000 frames a second 240 are kept" in text]) == 2


def test_sources_of_all_kinds_follow_each_other_on_one_clock(join: Joiner) -> None:
    """Each part has its own pictures and its own tone, at its time; what is missing is black or silent."""
    _, (path,) = join([PLAIN, UPRIGHT, SILENT, SOUND], BOTH)
    times = judge.times(path)
    assert [float(time) for time in times] == pytest.approx([number / 25 for number in range(113)], abs=1e-4)
    numbers = judge.numbers(path)
    assert numbers[:25] == list(range(25))
    assert numbers[63:88] == pytest.approx([(number + 0.5) // 2.5 for number in range(25)], abs=1)
    assert judge.pictures(path)[90:].mean() < 20
    assert seconds_of_sound(path) == pytest.approx(float(times[-1]) + 0.04, abs=0.04)
    rate = judge.sample_rate(path)
    tones = [judge.pitch(judge.sound(path)[round(at * rate) :][: rate // 2, 0], rate) for at in (0.3, 1.5, 3.8)]
    assert tones == pytest.approx([440, 880, 220], abs=4)
    assert loudness(path, 2.7, 3.4) < 0.001


def test_the_primary_source_gives_size_rate_and_sound(join: Joiner) -> None:
    """Whatever comes first."""
    plan, (path,) = join([PLAIN, UPRIGHT], BOTH, primary=1)
    assert judge.describe(path).of("Video")[0].size == (64, 96)
    assert (judge.sample_rate(path), judge.channels(path)) == (44100, 1)
    # In a transport stream the encoder's preroll of sound is before the first picture: 23 ms more of it.
    assert len(judge.times(path)) == 76
    assert plan.targets[0].streams[0].counted


def test_a_turn_that_is_left_out_is_told_of_any_source(join: Joiner) -> None:
    """Also where the first one is upright; each once."""
    tilted = Clip("mp4", (Video(seconds=0.4, rotation=45),), ())
    plan, _ = join([MUTE, tilted, tilted], target("mp4", encoded(), None))
    assert sum("rotated by 45°" in warning for warning in plan.warnings) == 1


def test_nothing_drifts_over_eleven_sources(join: Joiner) -> None:
    """Sound and pictures end within one picture of each other, and each part begins where the ones before it end."""
    odd = Clip(
        "mp4",
        (Video(seconds=0.52, fps=Fraction(30000, 1001), size=(64, 48)),),
        (Audio(rate=44100, seconds=0.61, clicks=(0.1,)),),
    )
    _, (path,) = join([odd] * 11, target("mkv", encoded(), AudioSpec("flac")))
    video_end = len(judge.times(path)) * 1001 / 30000
    assert abs(seconds_of_sound(path) - video_end) < 1001 / 30000
    length = 16 * 1001 / 30000
    assert len(judge.times(path)) == 11 * 16
    assert judge.clicks(path) == pytest.approx([number * length + 0.1 for number in range(11)], abs=0.002)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("seconds", [1, 0], ids=["cut", "whole"])
def test_lines_of_subtitles_make_no_part_longer(join: Joiner, seconds: int) -> None:
    """A line that is shown for long is no reason to go on with black pictures or silence."""
    lasting = Clip("mp4", (Video(seconds=2),), (Audio(seconds=2),), (Subtitle(lines=((0.1, 9.0, "on and on"),)),))
    heard = SourceSpec("file:///a", duration_us=seconds * 1_000_000, disable_video=True)
    plan, (path,) = join([PLAIN, (lasting, heard), PLAIN], BOTH)
    assert [stream.type for stream in plan.targets[0].streams] == ["video", "audio", "subtitle"]
    for length in (len(judge.times(path)) / 25, seconds_of_sound(path)):
        assert length == pytest.approx(2 + (seconds or 2), abs=0.05)


def test_a_copy_is_joined_when_all_is_alike(join: Joiner) -> None:
    """No picture is lost or doubled, timestamps go up."""
    _, (path,) = join([PLAIN, PLAIN, PLAIN], target("mp4"))
    assert judge.numbers(path) == [*range(25)] * 3
    assert [float(time) for time in judge.times(path)] == pytest.approx([number / 25 for number in range(75)], abs=1e-4)
    assert seconds_of_sound(path) == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("other", [UPRIGHT, SILENT, SOUND])
def test_a_copy_of_what_differs_is_refused_with_the_difference(join: Joiner, other: Clip) -> None:
    """Before any work."""
    with pytest.raises(UnsupportedFormat, match=r"sources\[1\] cannot be joined"):
        join([PLAIN, other], target("mkv"))


@pytest.mark.parametrize(
    ("mode", "length", "loud_until"), [(AlignMode.NONE, 1, 1), (AlignMode.LOOP, 3, 3), (AlignMode.PAD, 3, 1)]
)
def test_attached_sound_is_aligned(join: Joiner, mode: AlignMode, length: float, loud_until: float) -> None:
    """Not at all, repeated, or filled with silence."""
    _, (path,) = join([MUTE, (SOUND, beside(mode))], target("mkv", encoded(), AudioSpec("flac")))
    assert judge.numbers(path) == list(range(75))
    assert seconds_of_sound(path) == pytest.approx(length, abs=0.03)
    assert loudness(path, loud_until - 0.4, loud_until - 0.1) > 0.05
    if loud_until < length:
        assert loudness(path, loud_until + 0.1, length) < 0.001


def test_what_is_very_short_is_repeated_no_longer_than_needed(join: Joiner) -> None:
    """A few packets of sound: they are not read on and on because nobody has looked at them yet."""
    short = Clip("mp4", (), (Audio(seconds=0.1, hz=220),))
    _, (path,) = join([MUTE, (short, beside(AlignMode.LOOP))], target("mkv", encoded(), AudioSpec("flac")))
    assert judge.numbers(path) == list(range(75))
    assert seconds_of_sound(path) == pytest.approx(3, abs=0.03)


def test_frames_of_a_gif_that_are_short_beside_others_are_all_shown(join: Joiner, tmp_path: Path) -> None:
    """Its headers tell an average rate, at which a short frame would have no place, and a tick of 1/100 s."""
    path = tmp_path / "a.gif"
    frames = [Image.new("L", (64, 48), level) for level in (40, 120, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[500, 100, 300])
    _, (result,) = join([path, path], target("mp4", encoded(), None))
    levels = [round(float(picture.mean()) / 40) for picture in judge.pictures(result)]
    assert [level for level, _ in groupby(levels)] == [1, 3, 5, 1, 3, 5]
    assert judge.describe(result).duration == pytest.approx(1.8, abs=0.02)


def test_attached_video_that_is_longer_is_cut_when_aligned(join: Joiner) -> None:
    """The others decide how long the output is."""
    _, (path,) = join([PLAIN, (MUTE, beside(AlignMode.PAD))], target("mkv", encoded(), None))
    assert len(judge.frames(path, "v:1")) == 25


def test_an_aligned_copy_is_refused(join: Joiner) -> None:
    """Silence cannot be made without an encoder."""
    with pytest.raises(InvalidArgument) as caught:
        join([MUTE, (SOUND, beside(AlignMode.PAD))], target("mkv", encoded()))
    assert caught.value.violations[0].field == "targets[0].audio.transcode_audio.codec"


def test_attached_sound_is_mixed_in(join: Joiner) -> None:
    """Both tones are heard at once, the second only as long as it lasts; nothing clips."""
    _, (path,) = join([LONG, (SOUND, beside())], target("mkv", encoded(), AudioSpec("flac", mixing=True)))
    assert len(judge.describe(path).of("Audio")) == 1
    rate, wave = judge.sample_rate(path), judge.sound(path)[:, 0]
    for begin, present in ((0.3, True), (1.5, False)):
        spectrum = np.abs(np.fft.rfft(wave[round(begin * rate) :][: rate // 2] * np.hanning(rate // 2)))
        low, high = spectrum[110], spectrum[220]  # 220 Hz and 440 Hz in bins of 2 Hz
        assert high > 100 * np.median(spectrum)
        assert bool(low > high / 4) is present
    assert float(np.abs(wave).max()) < 0.96


def test_streams_are_selected_by_number(join: Joiner) -> None:
    """Unknown ones are ignored, above 100 means all, none means the first."""
    two = Clip(
        "matroska",
        (Video(seconds=1), Video(seconds=1, size=(64, 48))),
        (Audio(seconds=1, hz=300), Audio(seconds=1, hz=600), Audio(seconds=1, hz=900)),
    )
    asked = target("mkv", encoded(), AudioSpec("flac"))
    chosen = [((), ()), ((1,), (2, 0, 7)), ((101,), (101,))]
    targets = [replace(asked, video_streams=video, audio_streams=audio) for video, audio in chosen]
    _, paths = join([two], *targets)
    results = []
    for path in paths:
        sizes = [stream.size for stream in judge.describe(path).of("Video")]
        count = len(judge.describe(path).of("Audio"))
        results.append(
            (sizes, [round(judge.pitch(judge.sound(path, number)[:24000, 0], 48000), -1) for number in range(count)])
        )
    assert results == [([(96, 64)], [300]), ([(64, 48)], [300, 900]), ([(96, 64), (64, 48)], [300, 600, 900])]


@pytest.mark.parametrize("speed", [Fraction(1, 2), Fraction(3, 4)])
def test_speed_stretches_pictures_and_sound_alike(join: Joiner, speed: Fraction) -> None:
    """Every picture is shown longer; the sound is as long and keeps its pitch; a copy keeps its packets."""
    ratio = float(speed)
    asked = replace(target("mp4", encoded(), AudioSpec("aac")), speed=speed)
    _, (result, copied) = join([PLAIN], asked, replace(target("mp4", VideoSpec(), None), speed=speed))
    for path in (result, copied):
        assert judge.numbers(path) == list(range(25))
        assert [float(time) for time in judge.times(path)] == pytest.approx(
            [number / 25 / ratio for number in range(25)], abs=1e-3
        )
        assert judge.describe(path).duration == pytest.approx(1 / ratio, abs=0.05)
    assert seconds_of_sound(result) == pytest.approx(1 / ratio, abs=0.03)
    assert judge.pitch(judge.sound(result)[10000:40000, 0], 48000) == pytest.approx(440, abs=3)


def test_joined_sources_can_be_slowed_down(join: Joiner) -> None:
    """The result of joining is what the speed is about."""
    _, (path,) = join([PLAIN, PLAIN], replace(BOTH, speed=Fraction(1, 2)))
    assert len(judge.times(path)) == 100
    assert seconds_of_sound(path) == pytest.approx(4, abs=0.04)


def test_rare_pictures_are_not_overtaken(join: Joiner) -> None:
    """One picture a second: decoders hold several of them while reading goes on."""
    rare = Clip("mp4", (Video(fps=Fraction(1), seconds=12, gop=12),), (Audio(seconds=12),))
    _, (path,) = join([rare, rare], target("mkv", encoded(frame_rate=Fraction(2)), AudioSpec("flac")))
    assert judge.numbers(path) == [number // 2 for number in range(24)] * 2


def test_padding_of_pictures_is_black(join: Joiner) -> None:
    """Behind all pictures of the attached source, and none before."""
    _, (path,) = join([LONG, (PLAIN, beside(AlignMode.PAD))], target("mkv", encoded(), None))
    assert len(judge.frames(path, "v:1")) == 75
    _, (path,) = join([Clip("mp4", (), (Audio(seconds=3),)), (PLAIN, beside(AlignMode.PAD))], target("mkv", encoded(), None))
    assert judge.numbers(path)[:25] == list(range(25)) and len(judge.times(path)) == 75
    assert judge.pictures(path)[26:].mean() < 20 < judge.pictures(path)[:25].min()


@pytest.mark.parametrize("mode", [AlignMode.PAD, AlignMode.LOOP])
def test_attached_pictures_are_all_there_up_to_the_cut(join: Joiner, mode: AlignMode) -> None:
    """Those that a decoder still holds when the others end belong to the output."""
    _, (path,) = join([SOUND, (LONG, beside(mode))], target("mkv", encoded(), None))
    assert judge.numbers(path) == list(range(25))
    _, (path,) = join([MUTE, (PLAIN, beside(AlignMode.LOOP))], target("mkv", encoded(), None))
    assert len(judge.frames(path, "v:1")) == 75


@pytest.mark.parametrize("primary", [0, 1])
def test_shapes_of_pixels_may_differ(join: Joiner, primary: int) -> None:
    """A circle is as round in the one source as in the other; the output has square pixels."""
    wide = Video(pattern="circle", size=(64, 96), seconds=0.4, sample_aspect_ratio=Fraction(2), options=(("crf", "8"),))
    plain = Video(pattern="circle", size=(128, 96), seconds=0.4, options=(("crf", "8"),))
    clips = [Clip("mp4", (wide,), ()), Clip("matroska", (plain,), ())]
    _, (path,) = join(clips, target("mp4", encoded(crf=8), None), primary=primary)
    assert "SAR 1:1" in judge.describe(path).of("Video")[0].rest
    pictures = judge.pictures(path) > 125
    assert pictures.shape == (20, 96, 128)
    for picture in (pictures[5], pictures[15]):
        assert (picture[48].sum(), picture[:, 64].sum()) == pytest.approx((102, 77), abs=2)


def test_a_source_may_change_its_size_midway(join: Joiner, shelf: Shelf) -> None:
    """In the middle of what is joined: every picture is there, in the size of the first source."""
    parts = [
        Clip("mpegts", (Video(size=size, seconds=1),), (), offset=late) for size, late in (((96, 64), 0), ((192, 128), 1.08))
    ]
    changing = shelf.join("joined-sizes.ts", *(shelf.get(part) for part in parts))
    _, (path,) = join([PLAIN, changing, PLAIN], target("mp4", encoded(), None))
    assert judge.describe(path).of("Video")[0].size == (96, 64)
    numbers = judge.numbers(path)
    assert [number for before, number in zip([-1, *numbers], numbers, strict=False) if number != before] == [*range(25)] * 4


def test_overlays_are_on_the_joined_clock_and_drawn_once_on_pictures_shown_twice(join: Joiner, tmp_path: Path) -> None:
    """A half transparent mark over pictures that are repeated, over black that is made, and over what is slowed down."""
    Image.new("RGBA", (16, 16), (255, 255, 255, 128)).save(tmp_path / "mark.png")
    mark = WatermarkSpec(PlaceSpec(start_us=500_000, duration_us=5_000_000), None, str(tmp_path / "mark.png"))
    dark = Clip("mp4", (Video(pattern="black", seconds=1),), ())
    slow = Clip("mp4", (Video(pattern="black", seconds=1, fps=Fraction(5)),), ())
    video = encoded(crf=0, speed=Fraction(1, 2), watermarks=(mark,))
    _, (path,) = join([dark, slow, SOUND], target("mp4", video, None))
    shown = judge.planes(path, "yuv420p")[0]
    assert len(shown) == 150
    below = np.array([DARK] * 100 + [16] * 50)
    marked = below + (235 - below) * 128 / 255
    inside = (np.arange(150) >= 13) & (np.arange(150) < 138)  # 0.5 s to 5.5 s at 25 a second
    assert np.abs(shown[:, 8, 8] - np.where(inside, marked, below)).max() <= 2
    assert np.abs(shown[:, 40, 40] - below).max() <= 1


def test_drift_is_no_success(shelf: Shelf, tmp_path: Path) -> None:
    """An output whose sound ends a second before its pictures is not published."""
    paths = [str(shelf.get(clip)) for clip in (PLAIN, UPRIGHT)]
    request = ConvertRequest("t", "p", (SourceSpec("file:///a"), SourceSpec("file:///b")), (BOTH,))
    plan = make_plan(request, PlanFacts([probe_file(path, Limits()) for path in paths], capabilities()))
    (produced,), _ = Conversion(plan, paths, tmp_path, limits=Limits(), stop=threading.Event()).run()
    verify(produced)
    pictures, sound = produced.written
    drifted = replace(produced, written=(pictures, reaching(sound, sound.extent.last_start, sound.extent.last - 1)))
    with pytest.raises(OutputInvalid, match="s apart"):
        verify(drifted)


def test_slow_pictures_do_not_count_as_drift(join: Joiner) -> None:
    """At a picture in two seconds, the last one ends up to a second beside the sound."""
    _, (result,) = join([PLAIN, UPRIGHT], target("mp4", encoded(frame_rate=Fraction(1, 2)), AudioSpec("aac")))
    assert len(judge.times(result)) >= 1


def test_each_part_brings_its_channels_to_the_layout_of_the_first(join: Joiner) -> None:
    """Silence between them is made in eight channels, too."""
    first, second = (layouts.clip(layout) for layout in ("7.1", "5.0(side)"))
    silent = Clip("matroska", (Video(seconds=1),), ())
    _, (result,) = join((first, silent, second), target("mkv", None, AudioSpec("aac", bitrate=500_000)))
    wave, count = judge.sound(result), round(layouts.SECONDS * layouts.RATE)
    between = count + layouts.RATE
    for begin, layout in ((0, "7.1"), (between, "5.0(side)")):
        for number, channel in enumerate(layouts.names(layout)):
            loud = layouts.levels(wave[begin : begin + count], layouts.tone(channel, number))
            assert layouts.names("7.1")[int(np.argmax(loud))] == channel
    assert np.abs(wave[count + 4800 : between - 4800]).max() < 0.001


@pytest.mark.slow
@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_joined_recordings_with_pauses_keep_their_frames_and_lengths(join: Joiner, form: str) -> None:
    """At the rate of their bursts, not the average over the pauses; each is as long as it is."""
    times = tuple(Fraction(number, 25) + (4 if number >= 25 else 0) for number in range(50))
    _, (path,) = join([Clip(form, (Video(times=times, gop=250),), (Audio(seconds=6),))] * 2, BOTH)  # type: ignore[misc]
    assert judge.describe(path).duration == pytest.approx(12, abs=0.08)
    assert set(judge.numbers(path)) == set(range(50))
    assert len(judge.times(path)) == 300


def test_joined_slides_are_shown_when_they_are(join: Joiner) -> None:
    """At a rate as slow as theirs, each could be seconds late, and a short one lost."""
    times = tuple(map(Fraction, (0, 2, Fraction(5, 2), 4)))
    slides = Clip("mp4", (Video(times=times, b_frames=0),), ())
    _, (path,) = join([slides, slides], target("mp4", encoded(), None))
    told = list(zip(judge.numbers(path), judge.times(path), strict=True))
    first = {number: min(float(time) for other, time in told if other == number) for number in range(4)}
    assert first == pytest.approx({0: 0.0, 1: 2.0, 2: 2.5, 3: 4.0}, abs=0.021)


def test_captions_of_joined_sources_follow_each_other(join: Joiner, shelf: Shelf) -> None:
    said = [*shown("FIRST WORDS"), *shown("AND MORE")]
    clip = captioned(shelf, "captioned-joined", said, frames=30)
    _, (path,) = join([clip, clip], target("mp4", encoded(frame_rate=Fraction(30)), None))
    assert heard(path) == 2 * said


TOLD = Clip("matroska", (Video(),), (Audio(),), chapters=((0.0, 1.0, "a"), (1.0, 2.0, "b")))


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_chapters_begin_where_their_source_does(join: Joiner, container: str) -> None:
    """Behind a source that has none, and does not say how long it is. MP4 fills the time before the first one."""
    untold = Clip("flv", (Video(),), (Audio(),))
    _, (path,) = join([untold, TOLD, TOLD], target(container, encoded(), AudioSpec("aac")))
    begins = [begin for begin, _ in judge.describe(path).chapters]
    filled = [0] if container == "mp4" else []
    assert begins == pytest.approx([*filled, 2, 3, 4, 5], abs=0.03)


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_chapters_of_copies_begin_with_their_keyframe(join: Joiner, container: str) -> None:
    """A copied source begins before the requested start, and lasts as long as it does. Matroska gives its first packets no
    decode timestamps.
    """
    begun = (TOLD, SourceSpec("file:///a", start_us=1_200_000))
    _, (path,) = join([begun, TOLD], target(container))
    assert judge.numbers(path) == [*range(24, 50), *range(50)]
    begins = [begin for begin, _ in judge.describe(path).chapters]
    assert begins == pytest.approx([0, 0.04, 1.04, 2.04], abs=0.03)


def test_captions_of_the_source_between_two_without_any_pass(join: Joiner, shelf: Shelf) -> None:
    """Most frames have some, but neither those at the front nor those at the end, which are looked at."""
    plain, said = Clip("mp4", (Video(size=(96, 64), seconds=0.6),)), shown("W" * 100)
    clip = captioned(shelf, "captioned-between", said, frames=50)
    _, (path,) = join((plain, clip, plain), target("mp4", encoded(), None))
    assert heard(path) == said[:50]
