"""Which encoder runs and why, and what it is told."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from reelmill_server.errors import HardwareUnavailable, InvalidArgument, UnsupportedFormat
from reelmill_server.model.capability import SOFTWARE, Capability, Feature, FrameSizes
from reelmill_server.model.request import Hardware, VideoSpec
from reelmill_server.plan.codec.audio_encoders import AUDIO_ENCODERS, audio_bitrate, audio_encoder, quality_options
from reelmill_server.plan.codec.encoder_options import PRESETS, options
from reelmill_server.plan.codec.video_encoders import VIDEO_ENCODERS, EncoderChoice, choose


def working(*devices: str) -> Mapping[str, Capability]:
    """Capabilities of a worker on which only the encoders of `devices` passed their trial."""
    return {
        name: Capability(name, codec, device, device in devices, "" if device in devices else "no such device")
        for codec, candidates in VIDEO_ENCODERS.items()
        for device, name in candidates.items()
    }


ALL = working("nvenc", "vaapi", "qsv", SOFTWARE)


@pytest.mark.parametrize(
    ("devices", "order", "encoder"),
    [
        (("nvenc", "vaapi", "qsv", SOFTWARE), ("nvenc", "vaapi", "qsv", SOFTWARE), "h264_nvenc"),
        (("nvenc", "vaapi", "qsv", SOFTWARE), ("qsv", "nvenc", SOFTWARE), "h264_qsv"),
        (("qsv", SOFTWARE), ("nvenc", "vaapi", "qsv", SOFTWARE), "h264_qsv"),
        ((SOFTWARE,), ("nvenc", "vaapi", "qsv", SOFTWARE), "libx264"),
        (("nvenc", SOFTWARE), (SOFTWARE, "nvenc"), "libx264"),
        (("nvenc", SOFTWARE), ("unheard of", SOFTWARE), "libx264"),
    ],
)
def test_the_first_that_works_in_the_order_runs(devices: tuple[str, ...], order: tuple[str, ...], encoder: str) -> None:
    """The order is the operator's; what did not pass its trial is passed over."""
    assert choose(VideoSpec("h264"), "yuv420p", working(*devices), order).encoder == encoder


def test_the_reason_names_what_was_passed_over() -> None:
    """A user sees why software ran."""
    choice = choose(VideoSpec("h264"), "yuv422p", working("nvenc", SOFTWARE), excluded={"h264_vaapi": "failed before"})
    assert choice.reason == (
        "software; h264_nvenc: does not take yuv422p; h264_vaapi: does not take yuv422p; h264_qsv: does not take yuv422p"
    )
    choice = choose(
        VideoSpec("h264"), "yuv420p", working("vaapi", SOFTWARE), excluded={"h264_vaapi": "all 2 sessions are in use"}
    )
    assert choice.reason == (
        "software; h264_nvenc: no such device; h264_vaapi: all 2 sessions are in use; h264_qsv: no such device"
    )


def test_never_means_software_although_hardware_works() -> None:
    """NEVER is for those who want the same bits everywhere."""
    choice = choose(VideoSpec("h265", hardware=Hardware.NEVER), "yuv420p", ALL)
    assert (choice.encoder, choice.device) == ("libx265", SOFTWARE)
    assert choice.reason.startswith("software, as hardware is NEVER to be used")


def test_required_is_an_error_without_hardware() -> None:
    """REQUIRED does not fall back, and says what stands in the way of each."""
    spec = VideoSpec("h264", hardware=Hardware.REQUIRED)
    assert choose(spec, "yuv420p", ALL).encoder == "h264_nvenc"
    with pytest.raises(HardwareUnavailable, match=r"h264_nvenc: no such device.*libx264: hardware is REQUIRED"):
        choose(spec, "yuv420p", working(SOFTWARE))
    with pytest.raises(HardwareUnavailable, match="does not take yuv422p10le"):
        choose(spec, "yuv422p10le", ALL)


def test_an_excluded_encoder_gives_way_to_the_next() -> None:
    """After a failure, or when no session is free."""
    excluded = {"h264_nvenc": "no session is free"}
    assert choose(VideoSpec("h264"), "yuv420p", ALL, excluded=excluded).encoder == "h264_vaapi"
    excluded = dict.fromkeys(VIDEO_ENCODERS["h264"].values(), "out")
    with pytest.raises(UnsupportedFormat, match="libx264: out"):
        choose(VideoSpec("h264"), "yuv420p", ALL, excluded=excluded)


def test_an_untried_encoder_does_not_run() -> None:
    """Nothing runs that was not proved on this worker."""
    with pytest.raises(UnsupportedFormat, match="was not tried"):
        choose(VideoSpec("av1"), "yuv420p", {})


def test_ten_bits_go_to_the_hardware_that_has_them() -> None:
    """HEVC has a 10-bit surface, H.264 encoders in hardware have none."""
    choice = choose(VideoSpec("h265"), "yuv420p10le", ALL)
    assert (choice.encoder, choice.pixel_format) == ("hevc_nvenc", "p010le")
    assert choose(VideoSpec("h264"), "yuv420p10le", ALL).encoder == "libx264"


def test_a_trial_may_find_fewer_pixel_formats_than_an_encoder_can_have() -> None:
    """libvpx is built with or without 10 bits."""
    plain = {"libvpx-vp9": Capability("libvpx-vp9", "vp9", SOFTWARE, True, pixel_formats=("yuv420p", "yuv444p"))}
    with pytest.raises(UnsupportedFormat, match="does not take yuv420p10le"):
        choose(VideoSpec("vp9"), "yuv420p10le", plain)
    assert choose(VideoSpec("vp9"), "yuv444p", plain).encoder == "libvpx-vp9"


def settings(encoder: str, device: str, spec: VideoSpec) -> dict[str, str]:
    """What the encoder is told."""
    return options(EncoderChoice(encoder, device, "yuv420p", ""), spec)


CONTROLS = {
    "default": {},
    "crf": {"crf": 18.5},
    "bitrate": {"bitrate": 800_000},
    "lossless": {"crf": 0.0},
    "nearly": {"crf": 0.5},
    "nearly in 10 bits": {"crf": 0.5, "pixel_format": "yuv420p10le"},
    "bound": {"crf": 20.0, "max_bitrate": 1_000_000, "buffer_size": 2_000_000},
}


@pytest.mark.parametrize(
    ("encoder", "device", "codec", "control", "expected"),
    [
        ("libx264", SOFTWARE, "h264", "default", {"crf": "23", "bf": "3", "refs": "2", "g": "150", "preset": "medium"}),
        ("libx264", SOFTWARE, "h264", "crf", {"crf": "18.5"}),
        ("libx264", SOFTWARE, "h264", "bitrate", {"b": "800000", "crf": None, "maxrate": None}),
        ("libx264", SOFTWARE, "h264", "bound", {"crf": "20", "maxrate": "1000000", "bufsize": "2000000", "b": None}),
        ("libx265", SOFTWARE, "h265", "bound", {"crf": "20", "maxrate": "1000000", "x265-params": "log-level=none"}),
        ("libvpx-vp9", SOFTWARE, "vp9", "default", {"crf": "28", "b": "0", "bf": None, "refs": None, "g": "150"}),
        ("libvpx-vp9", SOFTWARE, "vp9", "bitrate", {"crf": None, "b": "800000"}),
        ("libvpx-vp9", SOFTWARE, "vp9", "bound", {"crf": "25", "b": "1000000", "maxrate": "1000000"}),
        ("libsvtav1", SOFTWARE, "av1", "default", {"crf": "28", "preset": "7", "bf": None}),
        ("libsvtav1", SOFTWARE, "av1", "bitrate", {"crf": None, "b": "800000"}),
        ("h264_nvenc", "nvenc", "h264", "default", {"rc": "vbr", "cq": "23", "b": "0", "preset": "p4"}),
        ("hevc_nvenc", "nvenc", "h265", "bitrate", {"rc": "vbr", "cq": None, "b": "800000"}),
        ("hevc_nvenc", "nvenc", "h265", "lossless", {"tune": "lossless", "rc": "constqp", "qp": "0", "cq": None, "b": None}),
        ("av1_nvenc", "nvenc", "av1", "lossless", {"rc": "vbr", "cq": "1", "tune": None}),
        ("h264_nvenc", "nvenc", "h264", "nearly", {"rc": "vbr", "cq": "1", "profile": "high"}),
        ("hevc_nvenc", "nvenc", "h265", "nearly", {"cq": "1", "profile": None}),
        ("libx264", SOFTWARE, "h264", "nearly", {"crf": "1"}),
        ("libx264", SOFTWARE, "h264", "nearly in 10 bits", {"crf": "0.5"}),
        ("libx264", SOFTWARE, "h264", "lossless", {"crf": "0"}),
        ("libx265", SOFTWARE, "h265", "nearly", {"crf": "0.5"}),
        ("h264_qsv", "qsv", "h264", "lossless", {"global_quality": "1"}),
        ("hevc_vaapi", "vaapi", "h265", "lossless", {"global_quality": "1"}),
        ("h264_qsv", "qsv", "h264", "crf", {"global_quality": "18", "b": None}),
        ("h264_qsv", "qsv", "h264", "bitrate", {"global_quality": None, "b": "800000"}),
        ("hevc_vaapi", "vaapi", "h265", "default", {"rc_mode": "CQP", "global_quality": "23"}),
        ("hevc_vaapi", "vaapi", "h265", "bound", {"rc_mode": "QVBR", "maxrate": "1000000", "b": "1000000"}),
        ("hevc_vaapi", "vaapi", "h265", "bitrate", {"rc_mode": "VBR", "b": "800000", "global_quality": None}),
    ],
)
def test_rate_control_is_said_in_each_familys_words(
    encoder: str, device: str, codec: str, control: str, expected: dict[str, str | None]
) -> None:
    """CRF in the sense of x264; scales of 63 are stretched; a mean bit rate excludes quality."""
    told = settings(encoder, device, VideoSpec(codec, **CONTROLS[control]))  # type: ignore[arg-type]
    assert {name: told.get(name) for name in expected} == expected


@pytest.mark.parametrize(("crf", "own"), [(0.0, "0"), (23.0, "28"), (51.0, "63")])
def test_the_ends_of_the_crf_scale_meet(crf: float, own: str) -> None:
    """0 is best and 51 worst, on every scale."""
    assert settings("libsvtav1", SOFTWARE, VideoSpec("av1", crf=crf))["crf"] == own


@pytest.mark.parametrize(
    ("gop", "asked", "given"),
    [(1, 3, ("0", "0")), (2, 3, ("0", "2")), (3, 3, ("1", "3")), (4, 5, ("2", "4")), (150, 3, ("3", "150"))],
)
def test_nvenc_gets_no_more_b_frames_than_fit_a_group(gop: int, asked: int, given: tuple[str, str]) -> None:
    """It refuses to open otherwise: "GOP Length should be greater than number of B frames + 1"."""
    told = settings("h264_nvenc", "nvenc", VideoSpec("h264", gop_size=gop, b_frames=asked))
    assert (told["bf"], told["g"]) == given


def test_a_setting_that_an_accelerator_would_drop_keeps_it_out() -> None:
    """FFmpeg sets NVENC's buffer to 0 where the quality is given: software, or a clear refusal."""
    spec = VideoSpec("h264", crf=20.0, max_bitrate=1_000_000, buffer_size=2_000_000)
    choice = choose(spec, "yuv420p", working("nvenc", SOFTWARE))
    assert choice.encoder == "libx264" and "h264_nvenc: keeps MaxBitrate with a CRF, but no BufferSize" in choice.reason
    with pytest.raises(HardwareUnavailable, match="no BufferSize"):
        choose(replace(spec, hardware=Hardware.REQUIRED), "yuv420p", working("nvenc", SOFTWARE))


CARD = Capability(
    "h264_nvenc",
    "h264",
    "nvenc",
    True,
    features=(Feature("128x72", "too small"), Feature("4096x2160"), Feature("7680x4320", "too large")),
    sizes=FrameSizes(145, 49, 4096, 0),
    max_b_frames=4,
)


@pytest.mark.parametrize(
    ("size", "objection"),
    [
        ((1920, 1080), ""),
        ((4096, 9000), ""),
        ((144, 1080), "takes no frames below 145x49"),
        ((1920, 48), "takes no frames below 145x49"),
        ((4098, 2160), "takes no frames above 4096xany"),
    ],
)
def test_frames_that_a_card_does_not_take_are_planned_in_software(size: tuple[int, int], objection: str) -> None:
    """With the reason; nothing has to fail for it."""
    known = {"h264_nvenc": CARD, **{name: ALL[name] for name in ("libx264",)}}
    choice = choose(VideoSpec("h264"), "yuv420p", known, size=size)
    assert choice.encoder == ("libx264" if objection else "h264_nvenc")
    assert not objection or f"h264_nvenc: {objection}" in choice.reason


@pytest.mark.parametrize(
    ("size", "refused"),
    [
        ((128, 72), True),
        ((96, 64), True),
        ((128, 74), False),
        ((7680, 4320), True),
        ((8192, 4320), True),
        ((7680, 4318), False),
        ((4320, 7680), False),
    ],
)
def test_refused_sizes_stand_for_those_that_are_more_extreme(size: tuple[int, int], refused: bool) -> None:
    """And for no others: a card that has no words for its limits is asked when it is opened."""
    assert bool(replace(CARD, sizes=FrameSizes()).objection_to_size(*size)) is refused


@pytest.mark.parametrize(("asked", "gop", "taken"), [(4, 150, True), (5, 150, False), (5, 6, True), (None, 150, True)])
def test_more_b_frames_than_a_card_has_are_left_to_software(asked: int | None, gop: int, taken: bool) -> None:
    """Unless a group has no room for so many."""
    known = {"h264_nvenc": CARD, "libx264": ALL["libx264"]}
    choice = choose(VideoSpec("h264", b_frames=asked, gop_size=gop), "yuv420p", known)
    assert (choice.encoder == "h264_nvenc") is taken
    assert taken or "h264_nvenc: has at most 4 B-frames in a row" in choice.reason


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_word_in_every_family(preset: str) -> None:
    """And is harmless where it has none (VAAPI)."""
    for codec, candidates in VIDEO_ENCODERS.items():
        for device, encoder in candidates.items():
            assert settings(encoder, device, VideoSpec(codec, preset=preset))["g"] == "150"


def test_references_and_b_frames_are_passed_on_where_they_exist() -> None:
    """H.264 and H.265 take them, zero included."""
    told = settings("libx264", SOFTWARE, VideoSpec("h264", b_frames=0, refs=5))
    assert (told["bf"], told["refs"]) == ("0", "5")


@pytest.mark.parametrize(
    ("codec", "rate", "channels", "asked", "given"),
    [
        ("aac", 48000, 2, None, 128_000),
        ("aac", 8000, 1, None, 24_000),
        ("aac", 48000, 6, None, 384_000),
        ("mp3", 44100, 2, None, 192_000),
        ("opus", 48000, 2, None, 128_000),
        ("opus", 48000, 2, 32_000, 32_000),
    ],
)
def test_a_usual_bitrate_depends_on_channels_and_rate(
    codec: str, rate: int, channels: int, asked: int | None, given: int
) -> None:
    """Low sample rates cannot use more."""
    assert audio_bitrate(AUDIO_ENCODERS[codec], rate, channels, asked, "f") == given


@pytest.mark.parametrize(
    ("codec", "rate", "asked"), [("mp3", 48000, 320_001), ("opus", 48000, 510_001), ("aac", 8000, 100_000)]
)
def test_a_bitrate_beyond_the_codec_is_refused_with_the_most(codec: str, rate: int, asked: int) -> None:
    """The message says how much is possible."""
    with pytest.raises(InvalidArgument, match="at most"):
        audio_bitrate(AUDIO_ENCODERS[codec], rate, 1, asked, "f")


@pytest.mark.parametrize("codec", [name for name, encoder in AUDIO_ENCODERS.items() if not encoder.lossless])
@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_more_quality_never_means_fewer_bits(codec: str, rate: int) -> None:
    """At every sample rate and number of channels that the encoder has."""
    encoder = AUDIO_ENCODERS[codec]
    if encoder.sample_rates and rate not in encoder.sample_rates:
        rate = encoder.sample_rates[0]
    for channels in encoder.counts:
        told = [quality_options(encoder, rate, channels, quality) for quality in range(101)]
        if encoder.scale:
            steps = [int(options["global_quality"]) for options in told]
            assert sorted(steps, reverse=encoder.scale[0] > encoder.scale[1]) == steps
            continue
        rates = [int(options["b"]) for options in told]
        assert rates == sorted(rates)
        assert encoder.floor(channels) <= rates[0] < rates[-1]
        # What a quality stands for can be asked for by its bit rate, too.
        assert audio_bitrate(encoder, rate, channels, rates[-1], "f") == rates[-1]


@pytest.mark.parametrize(("available", "name"), [(True, "libvorbis"), (False, "vorbis")])
def test_the_better_encoder_runs_where_its_trial_succeeded(available: bool, name: str) -> None:
    """libvorbis has mono, surround and bit rates; libav's own is stereo by quality."""
    results = {"libvorbis": Capability("libvorbis", "vorbis", SOFTWARE, available, "")}
    assert audio_encoder("vorbis", results).encoder == name
    assert audio_encoder("vorbis", {}).encoder == "vorbis"


@pytest.mark.parametrize("device", ["vaapi", "qsv"])
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_an_accelerator_that_has_no_lossless_encoding_is_not_asked_for_it(codec: str, device: str) -> None:
    """A CRF of 0 would become 1 without a word."""
    choice = choose(VideoSpec(codec, crf=0.0), "yuv420p", working(device, SOFTWARE))
    assert choice.device == SOFTWARE and f"{codec.replace('h265', 'hevc')}_{device}: has no lossless encoding" in choice.reason
    assert choose(VideoSpec(codec, crf=0.5), "yuv420p", working(device, SOFTWARE)).device == device
