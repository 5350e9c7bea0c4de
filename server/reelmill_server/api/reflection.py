"""Reflection, by which tools find services without protos: v1, which they ask for first, and v1alpha, which older ones know."""

from collections.abc import Collection

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha._async import ReflectionServicer

_OLD = reflection_pb2.DESCRIPTOR.package
_NEW = _OLD.replace("v1alpha", "v1")
_METHOD = "ServerReflectionInfo"
SERVICE_NAMES = (reflection.SERVICE_NAME.replace(_OLD, _NEW), reflection.SERVICE_NAME)


def add_reflection(service_names: Collection[str], server: grpc.aio.Server) -> None:
    """Let both versions of reflection tell of these services, and of each other."""
    _add_descriptor()
    servicer = ReflectionServicer((*service_names, *SERVICE_NAMES))
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE_NAMES[0], {_METHOD: handler}),))


def _add_descriptor() -> None:
    """Add v1 to what reflection can describe: the same messages under another name, which the library does not have yet."""
    file = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.name, file.package = file.name.replace("v1alpha", "v1"), _NEW
    for field in (field for message in file.message_type for field in message.field if field.type_name):
        field.type_name = field.type_name.replace(_OLD, _NEW)
    for method in (method for service in file.service for method in service.method):
        method.input_type, method.output_type = (kind.replace(_OLD, _NEW) for kind in (method.input_type, method.output_type))
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
