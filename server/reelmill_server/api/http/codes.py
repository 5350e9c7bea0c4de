"""gRPC's status codes in HTTP's and in Connect's terms."""

from collections.abc import Mapping
from typing import NamedTuple

import grpc


class Code(NamedTuple):
    """A code's name in Connect, and the HTTP status of a unary call that ends with it."""

    name: str
    http: int


CODES: Mapping[int, Code] = {
    grpc.StatusCode[name].value[0]: Code(connect, http)
    for name, connect, http in (
        ("CANCELLED", "canceled", 499),
        ("UNKNOWN", "unknown", 500),
        ("INVALID_ARGUMENT", "invalid_argument", 400),
        ("DEADLINE_EXCEEDED", "deadline_exceeded", 504),
        ("NOT_FOUND", "not_found", 404),
        ("ALREADY_EXISTS", "already_exists", 409),
        ("PERMISSION_DENIED", "permission_denied", 403),
        ("RESOURCE_EXHAUSTED", "resource_exhausted", 429),
        ("FAILED_PRECONDITION", "failed_precondition", 400),
        ("ABORTED", "aborted", 409),
        ("OUT_OF_RANGE", "out_of_range", 400),
        ("UNIMPLEMENTED", "unimplemented", 501),
        ("INTERNAL", "internal", 500),
        ("UNAVAILABLE", "unavailable", 503),
        ("DATA_LOSS", "data_loss", 500),
        ("UNAUTHENTICATED", "unauthenticated", 401),
    )
}
