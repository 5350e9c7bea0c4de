"""The RPCs that HTTP serves, as their descriptors and the gRPC server's own interceptor give them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from reelmill_server.api.interceptor import CallInterceptor
from reelmill_server.api.services import Services, method_descriptors


@dataclass(frozen=True, eq=False)
class Method:
    """One RPC: what it takes and gives, and its handler behind the interceptor, which has the form of its kind of gRPC handler.

    `safe`: it changes nothing, and may be called with GET.
    """

    path: str
    request_type: type[Message]
    response_type: type[Message]
    streams: bool
    safe: bool
    handler: Any

    @property
    def name(self) -> str:
        """Return its name without its service."""
        return self.path.rpartition("/")[2]


def methods(services: Services, interceptor: CallInterceptor) -> Mapping[str, Method]:
    """Return all RPCs by their paths."""
    handlers = services.handlers()
    by_path = {}
    for path, descriptor in method_descriptors():
        wrapped = interceptor.wrap(path, handlers[path])
        by_path[path] = Method(
            path,
            GetMessageClass(descriptor.input_type),
            GetMessageClass(descriptor.output_type),
            streams=descriptor.server_streaming,
            safe=_is_safe(descriptor),
            handler=wrapped.unary_stream if descriptor.server_streaming else wrapped.unary_unary,
        )
    return by_path


def _is_safe(descriptor: Any) -> bool:
    return bool(descriptor.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS)
