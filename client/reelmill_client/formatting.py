"""Numbers and states of a task as text for people."""

from google.protobuf.timestamp_pb2 import Timestamp

from reelmill import vendor_json
from reelmill.v1.task_pb2 import Artifact, ArtifactStream, Task
from reelmill_client.watch import is_final


def status_word(task: Task) -> str:
    """Return the status in the vendor's spelling, for example `Running`."""
    return str(vendor_json.dump(Task(status=task.status)).get("Status", "-"))


def phase_word(task: Task) -> str:
    """Return what a task is doing in one word: its phase, or its status if it has no phase or has ended."""
    if is_final(task) or not task.phase:
        return status_word(task).lower()
    return "canceling" if task.cancel_requested else str(vendor_json.dump(Task(phase=task.phase))["Phase"]).lower()


def size_text(size_bytes: int) -> str:
    """Format a size in decimal units, as `1.5 MB`."""
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


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
    """Describe a stream, as `h264 1280x720 (libx264)`."""
    shape = ""
    if stream.width:
        shape = f" {stream.width}x{stream.height}"
    elif stream.sample_rate:
        shape = f" {stream.sample_rate} Hz {stream.channels} ch"
    return f"{stream.codec}{shape} ({stream.encoder})" if stream.encoder else f"{stream.codec}{shape}"


def artifact_reasons(artifact: Artifact) -> str:
    """Return why these encoders were chosen, one line per stream."""
    return "\n".join(stream.reason for stream in artifact.streams if stream.reason)
