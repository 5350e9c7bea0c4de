"""Cues that libav leaves out."""

import pytest

from reelmill_server.media.input.subtitle_text import unread_cues

CUE = "00:01.000 --> 00:02.000\nshown\n\n"
OTHER = "00:03.000 --> 00:04.000\nnot read"


@pytest.mark.parametrize("begin", ["NOTE\n", "NOTE on a cue\n", "STYLE\n", "REGION\nid:a\n"])
def test_what_looks_like_a_cue_in_another_block_of_webvtt_is_none(begin: str) -> None:
    """libav leaves these blocks out, with reason; a cue whose name begins so is one."""
    for end in ("\n", "\r\n"):
        text = f"WEBVTT\n\n{begin}{OTHER}\n\n{CUE}".replace("\n", end)
        assert unread_cues(text, [1000]) == 0
    assert unread_cues(f"WEBVTT\n\n{CUE}NOTED\n{OTHER}", [1000]) == 1
    assert unread_cues(f"1\n{CUE}2\n{OTHER}", [1000]) == 1
