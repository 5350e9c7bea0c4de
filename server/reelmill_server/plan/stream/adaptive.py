"""Apply the contract's `*Option` fields: what to do if the source has less than requested."""

from dataclasses import replace
from fractions import Fraction

from reelmill_server.errors import ConditionNotMet
from reelmill_server.model.media_info import AudioStreamInfo, StreamInfo, VideoStreamInfo
from reelmill_server.model.request import Adapt, AudioSpec, ConvertRequest, VideoSpec
from reelmill_server.plan.stream.geometry import asked_size, displayed_size


def keeps_source(option: Adapt, wanted: Fraction | int, source: Fraction | int, field: str) -> bool:
    """Return whether the source's value is kept; a source that does not state it (0) counts as having enough.

    Raises ConditionNotMet if the option is FALL and the source has less.
    """
    if option is Adapt.FIXED or not source or source >= wanted:
        return False
    if option is Adapt.FALL:
        raise ConditionNotMet(f"{field} is {_number(wanted)}, but the source has only {_number(source)}")
    return True


def _number(value: Fraction | int) -> str:
    return f"{float(value):.3f}".rstrip("0").rstrip(".")


def adapted_video(spec: VideoSpec, stream: VideoStreamInfo, source_rate: Fraction, field: str) -> VideoSpec:
    """Return `spec` without the frame rate and the size for which the source's are kept, and with its bit rate if that is kept.

    Sizes are compared by area, as displayed.
    """
    if spec.frame_rate and keeps_source(spec.frame_rate_option, spec.frame_rate, source_rate, f"{field}.frame_rate"):
        spec = replace(spec, frame_rate=Fraction(0))
    if spec.width or spec.height:
        width, height = displayed_size(stream, spec.rotation)
        asked_width, asked_height = asked_size(spec, width, height)
        if keeps_source(spec.resolution_option, asked_width * asked_height, width * height, f"{field}.resolution (area)"):
            spec = replace(spec, width=0, height=0)
    bitrate = adapted_bitrate(spec, stream, f"{field}.bitrate")
    return spec if bitrate is None else replace(spec, bitrate=bitrate)


def adapted_rate(spec: AudioSpec, stream: AudioStreamInfo, field: str) -> AudioSpec:
    """Return `spec` without the sample rate if the source's is kept."""
    if spec.sample_rate and keeps_source(spec.sample_rate_option, spec.sample_rate, stream.sample_rate, f"{field}.sample_rate"):
        return replace(spec, sample_rate=None)
    return spec


def adapted_bitrate(spec: AudioSpec | VideoSpec, stream: StreamInfo, field: str) -> int | None:
    """Return the source's bit rate in bit/s if it is kept, else None."""
    keeps = spec.bitrate and keeps_source(spec.bitrate_option, spec.bitrate, stream.bitrate, field)
    return stream.bitrate if keeps else None


def needs_bitrates(request: ConvertRequest) -> bool:
    """Return whether the plan of `request` compares bit rates with those of sources, which some containers do not state."""
    specs = [spec for target in request.targets for spec in (target.video, target.audio) if spec is not None]
    return any(spec.bitrate and spec.bitrate_option is not Adapt.FIXED for spec in specs)
