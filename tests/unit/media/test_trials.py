"""Trials of encoders: what an older accelerator lacks is found out."""

from typing import Any

import pytest

from reelmill_server.media import capabilities
from reelmill_server.media.capabilities import try_video
from reelmill_server.media.feature_trials import Budget, FeatureTrials
from reelmill_server.model.capability import SOFTWARE, FrameSizes
from reelmill_server.model.request import Hardware, VideoSpec
from reelmill_server.plan.codec.encoder_options import options
from reelmill_server.plan.codec.video_encoders import choose


@pytest.mark.parametrize(
    ("missing", "lacks"),
    [
        ((), ()),
        (("bf",), ("bf",)),
        (("refs",), ("bf", "refs")),
        (("bf", "refs"), ("bf", "refs")),
        (("bf", "refs", "all"), None),
    ],
)
def test_a_trial_steps_down(monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], lacks: tuple[str, ...] | None) -> None:
    """The first refusal is the reason where nothing helps."""

    def trial(*arguments: Any) -> str:
        return next((f"no {name} here" for name in missing if name not in arguments[-1]), "")

    monkeypatch.setattr(capabilities, "_trial", trial)
    result = try_video("h265", "nvenc", "hevc_nvenc")
    assert result.available == (lacks is not None)
    assert result.lacks == (lacks or ()) and result.reason.startswith("" if result.available else "no bf here (no NVIDIA GPU")


def test_pixel_formats_are_those_that_the_card_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card without 10 bits refuses them; others are not tried in vain."""
    monkeypatch.setattr(capabilities, "_trial", lambda *arguments: "no 10 bit" if arguments[3] == "p010le" else "")
    result = try_video("h265", "nvenc", "hevc_nvenc")
    assert result.pixel_formats == ("yuv420p", "yuv444p")
    choice = choose(VideoSpec("h265"), "yuv420p10le", {"hevc_nvenc": result, "libx265": try_video("h265", SOFTWARE, "libx265")})
    assert choice.encoder == "libx265"


def test_what_a_card_lacks_is_not_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default it goes without; who asks for it by name gets software."""
    monkeypatch.setattr(capabilities, "_trial", lambda *arguments: "" if arguments[-1] == ("bf", "refs") else "no")
    known = {"h264_nvenc": try_video("h264", "nvenc", "h264_nvenc")}
    choice = choose(VideoSpec("h264", hardware=Hardware.REQUIRED), "yuv420p", known)
    told = options(choice, VideoSpec("h264"))
    assert told["bf"] == "0" and "refs" not in told and "which has no B-frames" in choice.reason
    for spec, reason in (({"b_frames": 2}, "has no B-frames"), ({"refs": 4}, "has no choice of reference frames")):
        with pytest.raises(Exception, match=reason):
            choose(VideoSpec("h264", hardware=Hardware.REQUIRED, **spec), "yuv420p", known)  # type: ignore[arg-type]


def asked(answers: dict[str, str]) -> FeatureTrials:
    """Trials whose driver refuses frames like this."""

    class Trials(FeatureTrials):
        def _refusal(self, size: tuple[int, int], settings: Any = None) -> str:
            if self.budget.spent:
                return super()._refusal(size)
            width, height = size
            told = (
                (width > 4096, answers.get("wide", "")),
                (height > 4096, answers.get("high", "")),
                (width < 145, answers.get("narrow", "")),
                (height < 49, answers.get("low", "")),
            )
            return next((text for refused, text in told if refused and text), "")

    return Trials("h264", "nvenc", "h264_nvenc", "yuv420p", ())


NVENC = {"wide": "Width 16384 exceeds 4096", "high": "Height 16384 exceeds 4090", "narrow": "too small", "low": "too small"}
VAAPI = "Hardware does not support encoding at size 16384x256 (constraints: width 32-4096 height 16-4088)."


@pytest.mark.parametrize(
    ("answers", "sizes"),
    [
        (NVENC, FrameSizes(145, 49, 4096, 4090)),
        ({"wide": VAAPI}, FrameSizes(32, 16, 4096, 4088)),
        ({"wide": "no", "high": "no"}, FrameSizes()),
        ({}, FrameSizes()),
    ],
)
def test_limits_of_frames_are_those_that_the_driver_tells_or_keeps(answers: dict[str, str], sizes: FrameSizes) -> None:
    """The least is found by asking where nothing tells it."""
    assert asked(answers).sizes() == sizes


def test_a_card_that_answers_slowly_is_not_lost_over_its_features() -> None:
    """What was not asked in time stays unknown."""
    trials = asked(NVENC)
    trials.budget = Budget(0.0)
    assert (list(trials.features()), trials.sizes(), trials.max_b_frames()) == ([], FrameSizes(), 0)


def test_a_format_is_not_lacking_where_no_session_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task finds out."""
    full = "OpenEncodeSessionEx failed: out of memory (10)"
    monkeypatch.setattr(capabilities, "_trial", lambda *arguments: full if arguments[3] == "p010le" else "")
    assert "yuv420p10le" in try_video("h265", "nvenc", "hevc_nvenc", Budget(0.0)).pixel_formats
