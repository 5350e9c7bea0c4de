// Submits, watches, cancels and lists tasks: java Client 127.0.0.1:50051 SOURCE DESTINATION
//
// The stubs are what protoc writes (docs/clients.md).
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.github.reelmill.v1.*;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.UUID;

public class Client {
  private static MediaConvertServiceGrpc.MediaConvertServiceBlockingStub service;

  // Sent twice with the same request_id, it creates one task.
  private static String submit(String source, String destination, EncoderPreset preset) {
    var codec = TranscodeVideo.newBuilder().setCodec(VideoCodec.VIDEO_CODEC_H264).setPreset(preset);
    var target = Target.newBuilder().setUri(destination).setContainer(Container.CONTAINER_MP4)
        .setVideo(TargetVideo.newBuilder().setTranscodeVideo(codec));
    return service.createMediaConvertTask(CreateMediaConvertTaskRequest.newBuilder()
        .setProjectName("default").setRequestId(UUID.randomUUID().toString())
        .addSources(Source.newBuilder().setUri(source)).addTargets(target).build()).getTaskId();
  }

  public static void main(String[] arguments) throws Exception {
    String source = arguments[1], destination = arguments[2];
    ManagedChannel channel = ManagedChannelBuilder.forTarget(arguments[0]).usePlaintext().build();
    service = MediaConvertServiceGrpc.newBlockingStub(channel);
    String id = submit(source, destination, EncoderPreset.ENCODER_PRESET_ULTRAFAST);
    System.out.println("task " + id);
    // The first message is the current state. When the stream ends with UNAVAILABLE, watch again.
    var watched = WatchTaskRequest.newBuilder().setProjectName("default").setTaskId(id).build();
    service.watchTask(watched).forEachRemaining(change -> {
      Task task = change.getTask();
      String result = task.getArtifactsCount() > 0 ? task.getArtifacts(0).getUri() : task.getProgress() + "%";
      System.out.println(task.getStatus().name().replace("TASK_STATUS_", "").toLowerCase() + " " + result);
    });
    String other = submit(source, destination + ".mp4", EncoderPreset.ENCODER_PRESET_VERYSLOW);
    var cancel = CancelTaskRequest.newBuilder().setProjectName("default").setTaskId(other).build();
    System.out.println("canceling " + service.cancelTask(cancel).getTask().getTaskId());
    var newest = ListTasksRequest.newBuilder().setProjectName("default").setMaxResults(5)
        .setSort(TaskSort.TASK_SORT_START_TIME).setOrder(SortOrder.SORT_ORDER_DESC).build();
    System.out.println("listed " + service.listTasks(newest).getTasksCount());
    try {
      submit("ftp://nowhere/x.mp4", destination, EncoderPreset.ENCODER_PRESET_ULTRAFAST);
    } catch (StatusRuntimeException error) { // every error carries its code, and the fields that were wrong
      for (var detail : StatusProto.fromThrowable(error).getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          System.out.println(error.getStatus().getCode() + ": " + detail.unpack(ErrorInfo.class).getMetadataMap().get("code"));
        } else if (detail.is(BadRequest.class)) {
          detail.unpack(BadRequest.class).getFieldViolationsList()
              .forEach(wrong -> System.out.println(wrong.getField() + ": " + wrong.getDescription()));
        }
      }
    }
    channel.shutdown();
  }
}
