# Submits, watches, cancels and lists tasks: ruby -I gen client.rb 127.0.0.1:50051 SOURCE DESTINATION
#
# gen is what protoc writes (docs/clients.md); gems: grpc, googleapis-common-protos-types.
require "securerandom"
require "google/protobuf/well_known_types"
require "google/rpc/error_details_pb"
require "google/rpc/status_pb"
require "reelmill/v1/media_convert_service_services_pb"

include Reelmill::V1
server, source, destination = ARGV
$client = MediaConvertService::Stub.new(server, :this_channel_is_insecure)

# Sent twice with the same request_id, it creates one task.
def submit(uri, output, preset)
  video = TargetVideo.new(transcode_video: TranscodeVideo.new(codec: :VIDEO_CODEC_H264, preset: preset))
  target = Target.new(uri: output, container: :CONTAINER_MP4, video: video)
  request = CreateMediaConvertTaskRequest.new(
    project_name: "default", request_id: SecureRandom.uuid, sources: [Source.new(uri: uri)], targets: [target]
  )
  $client.create_media_convert_task(request).task_id
end

task_id = submit(source, destination, :ENCODER_PRESET_ULTRAFAST)
puts "task #{task_id}"
# The first message is the current state. When the stream ends with GRPC::Unavailable, watch again.
$client.watch_task(WatchTaskRequest.new(project_name: "default", task_id: task_id)).each do |change|
  task = change.task
  status = task.status.to_s.delete_prefix("TASK_STATUS_").downcase
  puts "#{status} #{task.artifacts.empty? ? "#{task.progress}%" : task.artifacts[0].uri}"
end

other = submit(source, "#{destination}.mp4", :ENCODER_PRESET_VERYSLOW)
canceled = $client.cancel_task(CancelTaskRequest.new(project_name: "default", task_id: other))
puts "canceling #{canceled.task.task_id}"

newest = { sort: :TASK_SORT_START_TIME, order: :SORT_ORDER_DESC, max_results: 5 }
tasks = $client.list_tasks(ListTasksRequest.new(project_name: "default", **newest)).tasks
puts "listed #{tasks.size}: #{tasks.map(&:task_id).join(" ")}"

begin
  submit("ftp://nowhere/x.mp4", destination, :ENCODER_PRESET_ULTRAFAST)
rescue GRPC::BadStatus => error
  # Every error carries its code, and the fields that were wrong.
  status = Google::Rpc::Status.decode(error.metadata["grpc-status-details-bin"])
  status.details.each do |detail|
    if detail.is(Google::Rpc::ErrorInfo)
      info = detail.unpack(Google::Rpc::ErrorInfo)
      puts "#{error.class.name.split("::").last}: #{info.metadata["code"]}, request #{info.metadata["request_id"]}"
    elsif detail.is(Google::Rpc::BadRequest)
      detail.unpack(Google::Rpc::BadRequest).field_violations.each { |bad| puts "#{bad.field}: #{bad.description}" }
    end
  end
end
