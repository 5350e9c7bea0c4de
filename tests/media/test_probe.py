"""What is found in a file."""

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import pytest

from reelmill_server.media.capabilities import library_versions, list_decoders, try_encoders, try_video
from reelmill_server.media.input import first_frames
from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from reelmill_server.plan.codec.video_encoders import DEFAULT_ORDER, PIXEL_FORMATS
from tests.sources import Audio, Clip, Shelf, Subtitle, Video

pytestmark = pytest.mark.media

PHONE = Clip(
    "mov",
    (
        Video(
            "libx265",
            pixel_format="yuv420p10le",
            rotation=90,
            sample_aspect_ratio=Fraction(4, 3),
            color_range=1,
            color_space=9,
            color_primaries=9,
            color_transfer=18,
            language="deu",
        ),
    ),
    (Audio(rate=44100, language="eng"),),
    subtitles=(Subtitle(language="ita"),),
    metadata=(("title", "Übung"),),
)


def test_everything_in_a_phones_file_is_found(shelf: Shelf) -> None:
    """Streams, times, colours, rotation, shape, languages."""
    info = probe_file(str(shelf.get(PHONE)), Limits())
    (video,), (audio,), (subtitle,) = info.video, info.audio, info.subtitles
    assert info.format == "mov,mp4,m4a,3gp,3g2,mj2"
    assert (info.duration_seconds, info.start_seconds) == pytest.approx((2, 0), abs=0.03)
    assert info.metadata["title"] == "Übung"
    assert (video.codec, video.width, video.height, video.rotation) == ("hevc", 96, 64, 90)
    assert (video.pixel_format, video.bit_depth, video.profile) == ("yuv420p10le", 10, "Main 10")
    assert (video.sample_aspect_ratio, video.average_rate, video.frame_count) == (Fraction(4, 3), 25, 50)
    assert (video.color_space, video.color_range, video.color_primaries, video.color_transfer) == (9, 1, 9, 18)
    assert (audio.codec, audio.sample_rate, audio.channels, audio.layout) == ("aac", 44100, 2, "stereo")
    assert (subtitle.codec, subtitle.language, audio.language) == ("mov_text", "ita", "eng")
    assert not video.attached_picture


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_rotations_are_clockwise(shelf: Shelf, form: str, rotation: int) -> None:
    """Degrees that turn the picture for display."""
    info = probe_file(str(shelf.get(Clip(form, (Video(rotation=rotation, seconds=0.4),), ()))), Limits())
    assert info.video[0].rotation == rotation


def test_a_cover_is_no_picture_of_a_film(shelf: Shelf) -> None:
    """It is listed, and told apart."""
    info = probe_file(str(shelf.get(Clip("mp4", (Video(),), (Audio(),), covers=("png",)))), Limits())
    assert sorted(stream.attached_picture for stream in info.video) == [False, True]
    assert [stream.codec for stream in info.pictures] == ["h264"]


@pytest.mark.parametrize(
    "clip",
    [
        PHONE,
        Clip("mp4", (Video(),), (Audio(),), covers=("png",)),
        Clip("mpegts", (Video(),), (Audio(),)),
        Clip("avi", (Video(),), (Audio(),)),
        Clip("matroska", (Video("libvpx-vp9"),), (Audio(),)),
    ],
    ids=lambda clip: clip.format,
)
def test_a_single_frame_tells_all_that_a_copy_must_know(shelf: Shelf, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as eight do, unless only these tell in which order frames are shown."""
    path, counts = str(shelf.get(clip)), list[int]()
    whole = probe_file(path, Limits())
    add = first_frames.FirstFrames.add
    monkeypatch.setattr(first_frames.FirstFrames, "add", lambda seen, frame: (add(seen, frame), counts.append(seen.count)))
    assert probe_file(path, Limits(), copied=True) == whole
    assert (max(counts) >= 8) == (clip.format == "avi")


def test_a_cover_does_not_make_the_probe_read_on(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has one picture; more are not waited for."""
    read: list[object] = []

    def counted(packets: Iterator[object], limit: int) -> Iterator[object]:
        for packet in islice(packets, limit):
            read.append(packet)
            yield packet

    monkeypatch.setattr(first_frames, "islice", counted)
    probe_file(str(shelf.get(Clip("mp4", (Video(),), (Audio(),), covers=("png",)))), Limits())
    assert 1 <= len(read) <= 20  # of 51


@pytest.mark.parametrize(
    ("clip", "several"),
    [
        (Clip("mp4", (Video(),), ()), False),
        (Clip("matroska", (Video(),), ()), False),
        (Clip("mp4", (Video(fields="tt", options=(("x264-params", "tff=1"),)),), ()), True),
        (Clip("mp4", (Video(options=(("x264-params", "pic-struct=1"),)),), ()), True),
        (Clip("mpegts", (Video(),), ()), True),
        (Clip("mp4", (Video("libx265"),), ()), True),
    ],
)
def test_headers_tell_that_no_frame_is_interlaced(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, clip: Clip, several: bool
) -> None:
    """Then one is decoded; else as many as may show one that is, also of those coded whole that may be shown in fields."""
    counts, add = list[int](), first_frames.FirstFrames.add
    monkeypatch.setattr(first_frames.FirstFrames, "add", lambda seen, frame: (add(seen, frame), counts.append(seen.count)))
    probe_file(str(shelf.get(clip)), Limits())
    assert (max(counts) >= 8) is several


def test_parameter_sets_among_the_packets_hold(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those in the header, which say that no frame is interlaced, are of another encode: several frames are decoded."""
    options = (("x264-params", "fake-interlaced=1:repeat-headers=1"),)
    plain, fields = (shelf.get(Clip("mp4", (video,), ())) for video in (Video(), Video(options=options)))
    mixed = tmp_path / "mixed.mp4"
    with av.open(str(plain)) as header, av.open(str(fields)) as source, av.open(str(mixed), "w") as output:
        stream = output.add_stream_from_template(header.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    counts, add = list[int](), first_frames.FirstFrames.add
    monkeypatch.setattr(first_frames.FirstFrames, "add", lambda seen, frame: (add(seen, frame), counts.append(seen.count)))
    probe_file(str(mixed), Limits())
    assert max(counts) >= 8


def test_a_transport_stream_begins_where_it_begins(shelf: Shelf) -> None:
    """The earliest timestamp of all streams."""
    info = probe_file(str(shelf.get(Clip("mpegts", (Video(),), (), offset=10.04))), Limits())
    assert info.start_seconds == pytest.approx(10.04, abs=0.001)
    assert info.video[0].start_seconds == pytest.approx(10.04, abs=0.001)


def test_every_software_encoder_of_the_tables_passes_its_trial() -> None:
    """The wheel has them all; hardware that is not here says why."""
    results = {capability.name: capability for capability in try_encoders(DEFAULT_ORDER)}
    for name in ("libx264", "libx265", "libvpx-vp9", "libsvtav1", "aac", "libmp3lame", "libopus", "flac"):
        assert results[name].available, results[name].reason
        assert results[name].tried_us > 0
    for name, capability in results.items():
        assert capability.available or capability.reason
        assert set(capability.pixel_formats) <= set(PIXEL_FORMATS.get(name, ()))
    assert "yuv420p10le" in results["libx265"].pixel_formats


@pytest.mark.parametrize("family", ["nvenc", "qsv", "vaapi"])
def test_hardware_that_is_not_there_says_so(family: str) -> None:
    """Rather than a number; and what is not built in says that, as VAAPI in the wheel."""
    encoder = f"h264_{family}"
    capability = try_video("h264", family, encoder)
    if capability.available:
        pytest.skip(f"{encoder} works here")
    if encoder in av.codecs_available:
        assert re.fullmatch(r".*[^.] \(no .*GPU.+, or no .+\?\)", capability.reason)
    else:
        assert capability.reason == "is not built in"


def test_usual_decoders_are_there() -> None:
    """And the versions of the libraries are told."""
    assert all(decoder.available for decoder in list_decoders())
    assert {"pyav", "libavcodec"} <= set(library_versions())
