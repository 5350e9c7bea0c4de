"""Submit, watch, cancel and list tasks by reflection alone: client.py 127.0.0.1:50051 SOURCE DESTINATION.

It needs grpcio-reflection and grpcio-status. What reelmill-client offers beyond this is in docs/clients.md.
"""

import sys
import uuid
from typing import Any

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

server, source, destination = sys.argv[1:]
channel = grpc.insecure_channel(server)
pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
service = pool.FindServiceByName("reelmill.v1.MediaConvertService")


def call(name: str, **fields: Any) -> Any:
    """Call a method; what streams is returned as an iterator."""
    method = service.methods_by_name[name]
    request = ParseDict({"project_name": "default", **fields}, GetMessageClass(method.input_type)())
    kind = channel.unary_stream if method.server_streaming else channel.unary_unary
    send = kind(f"/{service.full_name}/{name}", type(request).SerializeToString, GetMessageClass(method.output_type).FromString)
    return send(request)


def submit(uri: str, output: str, preset: str) -> str:
    """Create a task: sent twice with the same request_id, it creates one."""
    video = {"transcode_video": {"codec": "VIDEO_CODEC_H264", "preset": f"ENCODER_PRESET_{preset}"}}
    target = {"uri": output, "container": "CONTAINER_MP4", "video": video}
    created = call("CreateMediaConvertTask", request_id=str(uuid.uuid4()), sources=[{"uri": uri}], targets=[target])
    return str(created.task_id)


task_id = submit(source, destination, "ULTRAFAST")
print("task", task_id)
statuses = pool.FindEnumTypeByName("reelmill.v1.TaskStatus").values_by_number
for change in call("WatchTask", task_id=task_id):
    task = change.task
    status = statuses[task.status].name.removeprefix("TASK_STATUS_").lower()
    print(status, *([file.uri for file in task.artifacts] or [f"{task.progress}%"]))
other = submit(source, f"{destination}.mp4", "VERYSLOW")
print("canceling", call("CancelTask", task_id=other).task.task_id)
listed = call("ListTasks", sort="TASK_SORT_START_TIME", order="SORT_ORDER_DESC", max_results=5).tasks
print(f"listed {len(listed)}:", *(task.task_id for task in listed))
try:
    submit("ftp://nowhere/x.mp4", destination, "ULTRAFAST")
except grpc.RpcError as error:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in rpc_status.from_call(error).details:
        detail.Unpack(info)
        detail.Unpack(bad)
    print(f"{error.code().name}: {info.metadata['code']}, request {info.metadata['request_id']}")
    print(*(f"{wrong.field}: {wrong.description}" for wrong in bad.field_violations), sep="\n")
