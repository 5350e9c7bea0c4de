"""Ladders in requests: as plain data, and what is wrong with them."""

from collections.abc import Iterator

from reelmill.v1 import target_pb2, video_pb2
from reelmill_server.api.field_values import optional, video_codec
from reelmill_server.errors import Violation
from reelmill_server.model.ladder import LadderSpec
from reelmill_server.plan.output.naming import RUNG, variables_in

_CHOSEN = frozenset(
    "crf bitrate bitrate_option max_bitrate buffer_size resolution resolution_option adaptive_resolution_direction "
    "scale_type".split()
)


def ladder(group: target_pb2.TargetGroup) -> LadderSpec | None:
    """Return the ladder that a group asks for, None if its variants are given."""
    if not group.HasField("auto_ladder"):
        return None
    message = group.auto_ladder
    return LadderSpec(
        max_renditions=message.max_renditions if message.HasField("max_renditions") else LadderSpec.max_renditions,
        min_bitrate=optional(message, "min_bitrate"),
        max_bitrate=optional(message, "max_bitrate"),
        max_height=message.max_height,
        min_step=round(message.min_vmaf_step, 4) if message.HasField("min_vmaf_step") else LadderSpec.min_step,
    )


def ladder_problems(group: target_pb2.TargetGroup, field: str) -> Iterator[Violation]:
    """Yield what is wrong with a group that asks for a ladder, whose URIs are templates; `field` is the group's path."""
    if len(group.targets) != 1:
        yield Violation(f"{field}.targets", "must be one target with auto_ladder: it stands for all variants")
        return
    (target,) = group.targets
    if RUNG not in variables_in(target.uri):
        yield Violation(f"{field}.targets[0].uri", "must have {rung}, the number of a variant, with auto_ladder")
    settings, path = target.video.transcode_video, f"{field}.targets[0].video.transcode_video"
    if video_codec(settings.codec) == "copy" or target.video.disable_video:
        yield Violation(f"{path}.codec", "must be a codec other than COPY with auto_ladder")
        return
    for descriptor, _ in settings.ListFields():
        if descriptor.name in _CHOSEN:
            yield Violation(f"{path}.{descriptor.name}", "is chosen by auto_ladder: leave it out")
    if settings.HasField("quality_target"):
        yield Violation(f"{path}.quality_target", "is not possible with auto_ladder, whose variants have a quality each")
    if settings.passes > 1:
        yield Violation(f"{path}.passes", "must be 1 with auto_ladder: its variants have no bit rate to meet")
    if settings.hardware == video_pb2.HARDWARE_POLICY_REQUIRED:
        yield Violation(f"{path}.hardware", "must not be REQUIRED with auto_ladder: no CRF is searched for hardware encoders")
