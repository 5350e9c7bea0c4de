"""HDR metadata: told to the encoder, given to its packets, or said to be lost."""

from dataclasses import replace

import pytest

from reelmill_server.model.media_info import ContentLight, MasteringDisplay, VideoStreamInfo
from reelmill_server.plan.codec.video_encoders import PIXEL_FORMATS
from reelmill_server.plan.stream.hdr import lost_metadata, packet_metadata, unusual, with_metadata

DISPLAY = MasteringDisplay((34000, 16000), (13250, 34500), (7500, 3000), (15635, 16450), 50, 10_000_000)
PLAIN = VideoStreamInfo(index=0, codec="hevc", width=64, height=64)
HDR = replace(PLAIN, mastering_display=DISPLAY, content_light=ContentLight(1000, 400))


def test_hdr_that_few_players_show_is_told() -> None:
    """H.264 keeps it in 10 bits only."""
    assert "few players" in unusual("h264") and not unusual("h265") and not unusual("av1")


@pytest.mark.parametrize("encoder", PIXEL_FORMATS)
def test_metadata_are_passed_on_or_a_warning_says_that_they_are_lost(encoder: str) -> None:
    """By every encoder; by one way only."""
    told = with_metadata({}, encoder, HDR) != {}
    given = packet_metadata(encoder, HDR) != (None, None)
    by_frames = encoder.endswith(("vaapi", "qsv")) and not encoder.startswith(("vp9", "h264"))
    lost = lost_metadata(encoder, HDR)
    assert [told, given, by_frames, bool(lost)].count(True) == 1
    assert not lost or encoder in lost
    assert not lost_metadata(encoder, PLAIN) and with_metadata({}, encoder, PLAIN) == {}
