"""What workers can do, as responses tell it."""

from reelmill_server.api import workers
from reelmill_server.model.capability import Capability, Feature, FrameSizes, Limits, Report

CARD = Capability(
    "hevc_nvenc",
    "h265",
    "nvenc",
    True,
    pixel_formats=("yuv420p",),
    card="A card",
    features=(Feature("lossless"), Feature("yuv444p", "YUV444P not supported")),
    sizes=FrameSizes(129, 33, 8192, 8192),
    max_b_frames=5,
)


def test_a_card_is_shown_with_its_limits() -> None:
    """Each answer with its driver's reason; nothing for software, which has none."""
    report = Report("w1", (CARD, Capability("libx265", "h265", "software", True)), (), Limits(), {})
    card, software = workers.capabilities(report, "1", "r").encoders
    assert (card.card, list(card.pixel_formats), card.max_b_frames) == ("A card", ["yuv420p"], 5)
    assert [(feature.name, feature.available, feature.reason) for feature in card.features] == [
        ("lossless", True, ""),
        ("yuv444p", False, "YUV444P not supported"),
    ]
    sizes = card.frame_sizes
    assert (sizes.min_width, sizes.min_height, sizes.max_width, sizes.max_height) == (129, 33, 8192, 8192)
    assert not software.HasField("frame_sizes") and not software.features
