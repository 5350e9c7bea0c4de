"""Frames that an edit list hides, as copies hold them."""

import pytest
from av import Packet

from reelmill_server.media.track import hidden_frames
from reelmill_server.media.track.hidden_frames import HiddenFrames


def _packet(shown: int, key: bool = False) -> Packet:
    packet = Packet(bytes(1000))
    packet.pts, packet.is_keyframe = shown, key
    return packet


def test_frames_are_held_until_one_is_shown_or_a_keyframe_comes() -> None:
    """Those before the keyframe are needed by nothing."""
    hidden = HiddenFrames()
    for shown in (-3, -2):
        assert not hidden.push(_packet(shown, shown == -3), shown, 0)
    assert not hidden.push(_packet(-1, True), -1, 0) and hidden.dropped == 2
    assert [packet.pts for packet in hidden.push(_packet(0), 0, 0)] == [-1, 0]


def test_no_more_than_a_bound_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a group of pictures that never ends, what was held is copied."""
    monkeypatch.setattr(hidden_frames, "_MOST_BYTES", 5000)
    hidden = HiddenFrames()
    given = [[packet.pts for packet in hidden.push(_packet(shown, shown == -20), shown, 0)] for shown in range(-20, 1)]
    assert [pts for pushed in given for pts in pushed] == [*range(-20, 1)]
    assert max(map(len, given)) <= 7 and hidden.dropped == 0
