"""Numbers and states of a task as text for people."""

import re
from collections.abc import Iterator

from google.protobuf.timestamp_pb2 import Timestamp

from reelmill import vendor_json
from reelmill.v1.task_pb2 import Artifact, ArtifactKind, ArtifactStream, StreamAdjustment, StreamType, Task
from reelmill_client.watch import is_final

_IMAGE_LISTS = (ArtifactKind.ARTIFACT_KIND_SPRITE_WEB_VTT, ArtifactKind.ARTIFACT_KIND_IMAGE_PLAYLIST)


# Control characters but tab and newline, and what turns the direction of the text behind it.
_UNSEEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return a text for a terminal: what would move its cursor, or show something else than there is, is escaped."""
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def status_word(task: Task) -> str:
    """Return the status in the vendor's spelling, for example `Running`."""
    return str(vendor_json.dump(Task(status=task.status)).get("Status", "-"))


def phase_word(task: Task) -> str:
    """Return what a task is doing in one word: its phase, or its status if it has no phase or has ended."""
    if is_final(task) or not task.phase:
        return status_word(task).lower()
    return "canceling" if task.cancel_requested else str(vendor_json.dump(Task(phase=task.phase))["Phase"]).lower()


def place_text(task: Task) -> str:
    """Return the place of a waiting task among those of its project, as `12 of 2,341`; empty if it has none."""
    return f"{task.wait.place:,} of {task.wait.count:,}" if task.wait.place else ""


def size_text(size_bytes: int) -> str:
    """Format a size in decimal units, as `1.5 MB`."""
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def listed_text(artifact: Artifact) -> str:
    """Return what a playlist, a manifest or a WebVTT file lists, as `3 segments of 1.5 MB`; empty for other files."""
    count = artifact.segment_count
    if not count:
        return ""
    noun = "image" if artifact.kind in _IMAGE_LISTS else "segment"
    total = f" of {size_text(artifact.segments_size)}" if artifact.segments_size else ""
    return f"{count:,} {noun}{'s' if count > 1 else ''}{total}"


def duration_text(seconds: float) -> str:
    """Format a duration as `0:01:05.2`; `-` if unknown (0)."""
    if seconds <= 0:
        return "-"
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    return f"{minutes // 60}:{minutes % 60:02}:{tenths // 10:02}.{tenths % 10}"


def eta_text(seconds: float) -> str:
    """Format the time left as `0:01:05`; `-:--:--` if unknown (0)."""
    if seconds <= 0:
        return "-:--:--"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def time_text(moment: Timestamp) -> str:
    """Format a point in time in UTC, to the second; `-` if absent."""
    if not moment.seconds:
        return "-"
    return moment.ToDatetime().strftime("%Y-%m-%d %H:%M:%S") + "Z"


def short_id(task_id: str) -> str:
    """Return the last characters of a task's id, enough to tell the tasks on one screen apart."""
    return task_id[-8:]


def stream_text(stream: ArtifactStream) -> str:
    """Describe a stream, as `h264 1280x720 30 fps, libx264 (software), VMAF 93.1 at CRF 24`."""
    shape = ""
    if stream.width:
        rate = f" {stream.frame_rate:.6g} fps" if stream.frame_rate else ""
        shape = f" {stream.width}x{stream.height}{rate}"
    elif stream.sample_rate:
        shape = f" {stream.sample_rate} Hz {stream.channels} ch"
    encoder = [encoder_text(stream.encoder, stream.type)] if stream.encoder else []
    return ", ".join([f"{stream.codec}{shape}", *encoder, *_measured(stream)])


def _measured(stream: ArtifactStream) -> Iterator[str]:
    """Yield what was measured of a stream: its quality, its loudness."""
    quality, after = stream.quality, stream.loudness.after
    if stream.HasField("quality"):
        yield f"{quality.metric.upper()} {quality.final:.1f} at CRF {quality.crf:g}"
    elif stream.HasField("vmaf"):
        yield f"VMAF {stream.vmaf:.1f}"
    if stream.HasField("loudness"):
        yield f"{after.integrated:.1f} LUFS, peaks {after.true_peak:.1f} dBTP"


def adjustment_text(adjustment: StreamAdjustment) -> str:
    """Describe what differs between a stream and its source, as `left out 2 packets: encoder padding`."""
    action = "added" if adjustment.added else "left out"
    return f"{action} {adjustment.count} {adjustment.unit}: {adjustment.reason}"


def stream_type_word(kind: int) -> str:
    """Return the kind of a stream in lower case, `other` if this version does not know it."""
    names = {number: name.removeprefix("STREAM_TYPE_").lower().replace("_", " ") for name, number in StreamType.items()}
    return names[kind] if kind and kind in names else "other"


# Ending of an encoder's name in libav -> the device that it runs on.
_DEVICES = {"nvenc": "NVIDIA", "qsv": "Intel", "vaapi": "VAAPI", "amf": "AMD", "videotoolbox": "Apple", "v4l2m2m": "V4L2"}


def encoder_text(encoder: str, kind: int) -> str:
    """Describe an encoder, as `libx264 (software)` or `h264_nvenc (NVIDIA)`; only video is encoded by hardware."""
    if encoder == "copy":
        return "copied"
    if kind != StreamType.STREAM_TYPE_VIDEO:
        return encoder
    return f"{encoder} ({_DEVICES.get(encoder.rpartition('_')[2], 'software')})"
