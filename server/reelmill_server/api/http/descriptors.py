"""The descriptors of the API as one file, for programs that read them at run time."""

from functools import cache
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2, status_pb2

from reelmill_server.api.services import method_descriptors


@cache
def descriptor_set() -> bytes:
    """Return a FileDescriptorSet of the services, of what they import, and of the details of errors."""
    files: dict[str, Any] = {}
    for _, method in method_descriptors():
        _collect(method.containing_service.file, files)
    for module in (error_details_pb2, status_pb2):
        _collect(module.DESCRIPTOR, files)
    descriptors = FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(descriptors.file.add())
    return bytes(descriptors.SerializeToString())


def _collect(file: Any, files: dict[str, Any]) -> None:
    """Add a file after those that it imports."""
    if file.name not in files:
        for imported in file.dependencies:
            _collect(imported, files)
        files[file.name] = file
