"""What is in a media file, as the reply of ProbeMedia tells it."""

from reelmill_server.api.media_info import media_info
from reelmill_server.model.media_info import ContentLight, MasteringDisplay, MediaInfo, VideoStreamInfo

DISPLAY = MasteringDisplay((34000, 16000), (13250, 34500), (7500, 3000), (15635, 16450), 50, 10_000_000)


def test_hdr_and_fields_are_told_in_words() -> None:
    """In coordinates and cd/m², as people write them."""
    film = VideoStreamInfo(
        0,
        "hevc",
        field_order="tt",
        color_transfer=16,
        color_primaries=9,
        mastering_display=DISPLAY,
        content_light=ContentLight(1000, 400),
    )
    (told,) = media_info(MediaInfo("matroska,webm", video=(film,))).video_streams
    assert (told.color_transfer, told.color_primaries, told.field_order) == ("smpte2084", "bt2020", "tt")
    assert told.mastering_display == "R(0.68,0.32)G(0.265,0.69)B(0.15,0.06)WP(0.3127,0.329)L(1000,0.005)"
    assert told.content_light == "1000,400"


def test_what_is_not_said_stays_empty() -> None:
    """No metadata, no words."""
    (told,) = media_info(MediaInfo("avi", video=(VideoStreamInfo(0, "mpeg4"),))).video_streams
    assert (told.mastering_display, told.content_light, told.field_order) == ("", "", "")
