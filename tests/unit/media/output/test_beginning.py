"""Packets of video that are decoded long before the first frame is shown."""

from collections.abc import Sequence
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.output.beginning import begun_together
from reelmill_server.model.plan import StreamType

SECOND = 12_800


def written(times: Sequence[tuple[int, int | None]]) -> list[tuple[int, int]]:
    """The presentation and decode timestamps with which packets of these are written."""
    plan: Any = SimpleNamespace(streams=(SimpleNamespace(type=StreamType.VIDEO),))
    packets = []
    for shown, decoded in times:
        packet: Any = AnyPacket(b"x")
        packet.pts, packet.dts, packet.duration, packet.time_base = shown, decoded, 512, Fraction(1, SECOND)
        packets.append(packet)
    return [(packet.pts, packet.dts) for bundle in begun_together(plan, iter([packets])) for packet in bundle]  # type: ignore[misc]


LEADING = [11776, 7680, 3584, 1536, 512, 0, 1024, 2560, 2048, 3072, 5632, 4608, 4096, 5120, 6656, 6144, 7168]


@pytest.mark.parametrize("count", [5, 17])
def test_frames_that_lead_the_first_keyframe_keep_their_times(count: int) -> None:
    """H.266 and open GOPs: the frame decoded first is not the one shown first."""
    source = [(shown, -2560 + 512 * number) for number, shown in enumerate(LEADING[:count])]
    assert written(source) == source


def test_frames_that_are_far_apart_are_decoded_in_time() -> None:
    """An encoder counts its delay in frames, which last a second."""
    source = [(0, -2 * SECOND), (4 * SECOND, -SECOND), (2 * SECOND, 0), (SECOND, SECOND), (3 * SECOND, 2 * SECOND)]
    result = written(source)
    assert [shown for shown, _ in result] == [shown for shown, _ in source]
    decoded = [time for _, time in result]
    assert decoded[0] == -SECOND // 2 and decoded == sorted(set(decoded))
    assert all(time <= shown for shown, time in result)


def test_packets_without_decode_timestamps_get_some() -> None:
    """As in containers with one time per frame."""
    result = written([(1024, None), (512, None), (1536, 512)])
    assert [shown for shown, _ in result] == [1024, 512, 1536]
    assert [time for _, time in result] == [-512, 0, 512]
