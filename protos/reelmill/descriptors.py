"""The API as a descriptor set: what compilers, grpcurl and buf read instead of the protos."""

from functools import cache
from importlib import import_module, resources

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2, status_pb2

_ERRORS = (status_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR)
"""Files that no proto of the API imports: errors hold their messages."""


@cache
def descriptor_set() -> bytes:
    """Return a serialized FileDescriptorSet of all protos with all that they import, and of the details of errors.

    Each file comes after those that it imports. Comments are not in it.
    """
    found: dict[str, FileDescriptor] = {}
    for entry in sorted(resources.files("reelmill.v1").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith("_pb2.py"):
            _add(import_module(f"reelmill.v1.{entry.name.removesuffix('.py')}").DESCRIPTOR, found)
    for file in _ERRORS:
        _add(file, found)
    files = FileDescriptorSet()
    for file in found.values():
        file.CopyToProto(files.file.add())
    return files.SerializeToString(deterministic=True)


def _add(file: FileDescriptor, found: dict[str, FileDescriptor]) -> None:
    """Add a file after those that it imports."""
    if file.name not in found:
        for imported in file.dependencies:
            _add(imported, found)
        found[file.name] = file
