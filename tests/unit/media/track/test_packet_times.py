"""Times of an accelerator's packets."""

from types import SimpleNamespace

import pytest

from reelmill_server.media.libav.encoder import EncoderDown
from reelmill_server.media.track.packet_times import PacketTimes
from reelmill_server.model.plan import StreamPlan, StreamType


@pytest.mark.parametrize(
    ("packets", "wrong"),
    [
        ([(0, -2), (30, -1), (10, 0), (20, 10)], ""),
        ([(0, None), (10, None)], ""),
        ([(0, 0), (11, 10)], "shown at 11, when no frame was given"),
        ([(0, 0), (0, 10)], "shown at 0, when no frame was given"),
        ([(None, 0)], "shown at None"),
        ([(0, -2), (30, -3)], "decoded at -3, the one ahead at -2"),
        ([(0, -2), (30, -2)], "decoded at -2, the one ahead at -2"),
        ([(0, 5)], "shown at 0 is decoded at 5"),
    ],
)
def test_packets_have_the_times_of_frames(packets: list[tuple[int | None, int | None]], wrong: str) -> None:
    """In whatever order frames are coded; decode times grow, and none is later than its frame."""
    times = PacketTimes(StreamPlan(StreamType.VIDEO, (), "h264", "h264_nvenc", "", device="nvenc"))
    for ticks in (0, 10, 20, 30):
        times.give(ticks)
    try:
        for pts, dts in packets:
            times.check(SimpleNamespace(pts=pts, dts=dts))
    except EncoderDown as error:
        assert wrong and wrong in error.message and error.device == "nvenc"
    else:
        assert not wrong
