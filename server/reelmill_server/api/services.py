"""The services of the API, and their RPCs as the generated modules describe them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reelmill.v1 import (
    key_service_pb2,
    key_service_pb2_grpc,
    media_convert_service_pb2,
    media_convert_service_pb2_grpc,
    notification_service_pb2,
    notification_service_pb2_grpc,
    project_service_pb2,
    project_service_pb2_grpc,
)
from reelmill_server.api.keys import KeyService
from reelmill_server.api.media_convert import MediaConvertService
from reelmill_server.api.notifications import NotificationService
from reelmill_server.api.projects import ProjectService

_DESCRIPTORS = (
    media_convert_service_pb2.DESCRIPTOR.services_by_name["MediaConvertService"],
    project_service_pb2.DESCRIPTOR.services_by_name["ProjectService"],
    notification_service_pb2.DESCRIPTOR.services_by_name["NotificationService"],
    key_service_pb2.DESCRIPTOR.services_by_name["KeyService"],
)
SERVICES = tuple(descriptor.full_name for descriptor in _DESCRIPTORS)
METHODS = tuple(method.name for descriptor in _DESCRIPTORS for method in descriptor.methods)


@dataclass(frozen=True)
class Services:
    """An implementation of each service."""

    media_convert: MediaConvertService
    projects: ProjectService
    notifications: NotificationService
    keys: KeyService

    def register(self, server: Any) -> None:
        """Add their handlers to a gRPC server, or to what takes handlers as one does."""
        media_convert_service_pb2_grpc.add_MediaConvertServiceServicer_to_server(self.media_convert, server)  # type: ignore[no-untyped-call]
        project_service_pb2_grpc.add_ProjectServiceServicer_to_server(self.projects, server)  # type: ignore[no-untyped-call]
        notification_service_pb2_grpc.add_NotificationServiceServicer_to_server(self.notifications, server)  # type: ignore[no-untyped-call]
        key_service_pb2_grpc.add_KeyServiceServicer_to_server(self.keys, server)  # type: ignore[no-untyped-call]

    def handlers(self) -> Mapping[str, Any]:
        """Return the handlers of all RPCs, by their paths."""
        collected = _Collector()
        self.register(collected)
        return collected.by_path


class _Collector:
    """Takes handlers as a gRPC server does."""

    def __init__(self) -> None:
        self.by_path: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, _: Any) -> None:
        """Do nothing: the same handlers come once more, by their names."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Collect the handlers of a service."""
        self.by_path.update({f"/{service}/{name}": handler for name, handler in handlers.items()})


def method_descriptors() -> Iterator[tuple[str, Any]]:
    """Yield each RPC's path and descriptor."""
    for service in _DESCRIPTORS:
        for method in service.methods:
            yield f"/{service.full_name}/{method.name}", method
