// Submits, watches, cancels and lists tasks: client 127.0.0.1:50051 SOURCE DESTINATION
//
// The stubs are what protoc writes (docs/clients.md).
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	pb "github.com/reelmill/reelmill/sdk/go/reelmill/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

const project = "default"

var service pb.MediaConvertServiceClient

// With a RequestId, a request that is sent twice creates one task.
func submit(source, destination string, preset pb.EncoderPreset) (string, error) {
	codec := &pb.TranscodeVideo{Codec: pb.VideoCodec_VIDEO_CODEC_H264, Preset: preset}
	target := &pb.Target{Uri: destination, Container: pb.Container_CONTAINER_MP4, Video: &pb.TargetVideo{TranscodeVideo: codec}}
	created, err := service.CreateMediaConvertTask(context.Background(), &pb.CreateMediaConvertTaskRequest{
		ProjectName: project, Sources: []*pb.Source{{Uri: source}}, Targets: []*pb.Target{target},
	})
	return created.GetTaskId(), err
}

func main() {
	source, destination, ctx := os.Args[2], os.Args[3], context.Background()
	connection, _ := grpc.Dial(os.Args[1], grpc.WithInsecure())
	service = pb.NewMediaConvertServiceClient(connection)
	id, _ := submit(source, destination, pb.EncoderPreset_ENCODER_PRESET_ULTRAFAST)
	fmt.Println("task", id)
	// The first message is the current state. When the stream ends with Unavailable, watch again.
	stream, _ := service.WatchTask(ctx, &pb.WatchTaskRequest{ProjectName: project, TaskId: id})
	for change, err := stream.Recv(); err == nil; change, err = stream.Recv() {
		task := change.Task
		fmt.Println(strings.ToLower(strings.TrimPrefix(task.Status.String(), "TASK_STATUS_")), task.Progress, task.Artifacts)
	}
	other, _ := submit(source, destination+".mp4", pb.EncoderPreset_ENCODER_PRESET_VERYSLOW)
	canceled, _ := service.CancelTask(ctx, &pb.CancelTaskRequest{ProjectName: project, TaskId: other})
	fmt.Println("canceling", canceled.GetTask().GetTaskId())
	listed, _ := service.ListTasks(ctx, &pb.ListTasksRequest{ProjectName: project, MaxResults: 5})
	fmt.Println("listed", len(listed.GetTasks()))
	_, err := submit("ftp://nowhere/x.mp4", destination, pb.EncoderPreset_ENCODER_PRESET_ULTRAFAST)
	for _, detail := range status.Convert(err).Details() { // the code, and the fields that were wrong
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			fmt.Printf("%s: %s\n", status.Code(err), detail.Metadata["code"])
		case *errdetails.BadRequest:
			for _, bad := range detail.FieldViolations {
				fmt.Printf("%s: %s\n", bad.Field, bad.Description)
			}
		}
	}
}
