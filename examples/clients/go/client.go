// Submits, watches, cancels and lists tasks: client 127.0.0.1:50051 SOURCE DESTINATION
//
// The stubs are what protoc writes (docs/clients.md).
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	pb "github.com/reelmill/reelmill/sdk/go/reelmill/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	source, destination, ctx := os.Args[2], os.Args[3], context.Background()
	service := pb.NewMediaConvertServiceClient(must(grpc.Dial(os.Args[1], grpc.WithInsecure())))
	submit := func(source, destination string, preset pb.EncoderPreset) (*pb.CreateMediaConvertTaskResponse, error) {
		codec := &pb.TranscodeVideo{Codec: pb.VideoCodec_VIDEO_CODEC_H264, Preset: preset}
		target := &pb.Target{Uri: destination, Container: pb.Container_CONTAINER_MP4, Video: &pb.TargetVideo{TranscodeVideo: codec}}
		// With a RequestId, a UUID, a request that is sent twice creates one task.
		return service.CreateMediaConvertTask(ctx, &pb.CreateMediaConvertTaskRequest{ProjectName: "default",
			Sources: []*pb.Source{{Uri: source}}, Targets: []*pb.Target{target}})
	}
	id := must(submit(source, destination, pb.EncoderPreset_ENCODER_PRESET_ULTRAFAST)).TaskId
	fmt.Println("task", id)
	// The first message is the current state, the last one the outcome. When the stream ends with Unavailable, watch again.
	stream := must(service.WatchTask(ctx, &pb.WatchTaskRequest{ProjectName: "default", TaskId: id}))
	for task := (&pb.Task{}); task.EndTime == nil; {
		task = must(stream.Recv()).Task
		fmt.Println(strings.ToLower(strings.TrimPrefix(task.Status.String(), "TASK_STATUS_")), task.Progress, task.Artifacts)
	}
	other := must(submit(source, destination+".mp4", pb.EncoderPreset_ENCODER_PRESET_VERYSLOW)).TaskId
	fmt.Println("canceling", must(service.CancelTask(ctx, &pb.CancelTaskRequest{ProjectName: "default", TaskId: other})).Task.TaskId)
	fmt.Println("listed", len(must(service.ListTasks(ctx, &pb.ListTasksRequest{ProjectName: "default", MaxResults: 5})).Tasks))
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
