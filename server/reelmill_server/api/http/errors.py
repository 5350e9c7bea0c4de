"""The google.rpc.Status of a call as JSON, and what HTTP has words for in it."""

import base64
from typing import Any, TypeVar

from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

from reelmill_server.api.http.codes import CODES

DetailT = TypeVar("DetailT", bound=Any)


def error_json(status: status_pb2.Status) -> dict[str, Any]:
    """Return an error in Connect's form. `debug` is what a detail says, for people."""
    error: dict[str, Any] = {"code": CODES[status.code].name, "message": status.message}
    if status.details:
        error["details"] = [_detail_json(detail) for detail in status.details]
    return error


def _detail_json(detail: Any) -> dict[str, Any]:
    debug = json_format.MessageToDict(detail)
    debug.pop("@type", None)
    value = base64.b64encode(detail.value).rstrip(b"=").decode()
    return {"type": detail.TypeName(), "value": value, "debug": debug}


def unpacked(status: status_pb2.Status, kind: type[DetailT]) -> DetailT:
    """Return the detail of a kind, an empty one if there is none."""
    detail_message: Any = kind()
    for detail in status.details:
        if detail.Unpack(detail_message):
            break
    return detail_message  # type: ignore[no-any-return]


def retry_seconds(status: status_pb2.Status) -> float:
    """Return after how many seconds another call may succeed; 0: nothing is said of it."""
    delay: Any = unpacked(status, error_details_pb2.RetryInfo).retry_delay
    return float(delay.seconds + delay.nanos / 1e9)
