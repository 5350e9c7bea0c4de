// Submits, watches, cancels and lists tasks: client 127.0.0.1:50051 SOURCE DESTINATION
// with the stubs that protoc writes (docs/clients.md).
#include <grpcpp/grpcpp.h>
#include <iostream>
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "reelmill/v1/media_convert_service.grpc.pb.h"

using namespace reelmill::v1;
std::unique_ptr<MediaConvertService::Stub> service;

void Check(const grpc::Status& status) { if (!status.ok()) std::cerr << status.error_message() << std::endl, std::exit(1); }
grpc::Status Submit(const std::string& source, const std::string& output, EncoderPreset preset, std::string* task_id) {
  CreateMediaConvertTaskRequest request;
  CreateMediaConvertTaskResponse response;
  request.set_project_name("default");  // with a request_id, a UUID, a request that is sent twice creates one task
  request.add_sources()->set_uri(source);
  Target* target = request.add_targets();
  target->set_uri(output), target->set_container(CONTAINER_MP4);
  TranscodeVideo* video = target->mutable_video()->mutable_transcode_video();
  video->set_codec(VIDEO_CODEC_H264), video->set_preset(preset);
  grpc::ClientContext context;
  grpc::Status status = service->CreateMediaConvertTask(&context, request, &response);
  return *task_id = response.task_id(), status;
}

// Another request, about a task or the project.
template <class Request> Request About(const std::string& task_id = "") {
  Request request;
  request.set_project_name("default");
  if constexpr (!std::is_same_v<Request, ListTasksRequest>) request.set_task_id(task_id);
  return request;
}

int main(int, char** arguments) {
  service = MediaConvertService::NewStub(grpc::CreateChannel(arguments[1], grpc::InsecureChannelCredentials()));
  std::string source = arguments[2], destination = arguments[3], task_id, other;
  grpc::ClientContext watching, canceling, listing;
  CancelTaskResponse canceled;
  ListTasksResponse listed;
  Check(Submit(source, destination, ENCODER_PRESET_ULTRAFAST, &task_id));
  std::cout << "task " << task_id << std::endl;
  // The first message is the current state. When the stream ends with UNAVAILABLE, watch again.
  auto stream = service->WatchTask(&watching, About<WatchTaskRequest>(task_id));
  for (WatchTaskResponse change; stream->Read(&change);)
    std::cout << (change.task().artifacts_size() ? "succeeded " + change.task().artifacts(0).uri() : "running") << std::endl;
  Check(stream->Finish());
  Check(Submit(source, destination + ".mp4", ENCODER_PRESET_VERYSLOW, &other));
  Check(service->CancelTask(&canceling, About<CancelTaskRequest>(other), &canceled));
  Check(service->ListTasks(&listing, About<ListTasksRequest>(), &listed));
  std::cout << "canceling " << canceled.task().task_id() << "\nlisted " << listed.tasks_size() << std::endl;
  google::rpc::Status status;  // of an error: its code, and the fields that were wrong
  status.ParseFromString(Submit("ftp://nowhere/x.mp4", destination, ENCODER_PRESET_ULTRAFAST, &other).error_details());
  google::rpc::ErrorInfo info;
  google::rpc::BadRequest bad;
  for (const auto& detail : status.details()) detail.UnpackTo(&info) || detail.UnpackTo(&bad);
  std::cout << info.metadata().at("code") << std::endl;
  for (const auto& wrong : bad.field_violations()) std::cout << wrong.field() << ": " << wrong.description() << "\n";
}
