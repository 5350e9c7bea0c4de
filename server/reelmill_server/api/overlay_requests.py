"""Overlays and desensitization of targets as plain data."""

from reelmill.v1 import video_pb2
from reelmill_server.api.field_values import color, enum_name, length, optional, optional_length
from reelmill_server.model.overlay_request import (
    Corner,
    DelogoSpec,
    DesensitizationRule,
    DesensitizationSpec,
    PlaceSpec,
    TextSpec,
    WatermarkSpec,
)
from reelmill_server.model.time import MICROSECONDS


def _position(message: video_pb2.Watermark | video_pb2.Delogo) -> PlaceSpec:
    return PlaceSpec(
        corner=Corner(enum_name(video_pb2.ReferPos, message.refer_pos, "REFER_POS_") or "topleft"),
        dx=length(message.dx),
        dy=length(message.dy),
        start_us=round(message.start_time * MICROSECONDS),
        duration_us=round(message.duration * MICROSECONDS),
    )


def delogo(message: video_pb2.Delogo) -> DelogoSpec:
    return DelogoSpec(_position(message), optional_length(message, "width"), optional_length(message, "height"))


def desensitization(message: video_pb2.FilterVideo) -> DesensitizationSpec | None:
    if not message.HasField("desensitization"):
        return None
    rules = message.desensitization
    return DesensitizationSpec(
        face=_rule(rules.face) if rules.HasField("face") else None,
        license_plate=_rule(rules.license_plate) if rules.HasField("license_plate") else None,
    )


def _rule(message: video_pb2.DesensitizationRule) -> DesensitizationRule:
    return DesensitizationRule(
        confidence=round(message.confidence, 6),
        min_size=message.min_size,
        blur_radius=optional(message, "blur_radius"),
        scale_ratio=round(message.scale_ratio, 6) if message.HasField("scale_ratio") else DesensitizationRule.scale_ratio,
        transparency=round(message.transparency, 6),
    )


def watermark(message: video_pb2.Watermark) -> WatermarkSpec:
    if message.type == video_pb2.WATERMARK_TYPE_FILE:
        return WatermarkSpec(
            _position(message), None, message.uri, optional_length(message, "width"), optional_length(message, "height")
        )
    text = TextSpec(
        content=message.content,
        font=message.font_name or TextSpec.font,
        size=message.font_size if message.HasField("font_size") else TextSpec.size,
        color=color(message.font_color) or TextSpec.color,
        opacity=round(message.font_apha, 6) if message.HasField("font_apha") else TextSpec.opacity,
        border_width=message.border_width,
        border_color=color(message.border_color) or TextSpec.border_color,
    )
    return WatermarkSpec(_position(message), text)
