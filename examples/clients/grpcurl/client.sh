#!/usr/bin/env bash
# Submits, watches, cancels and lists tasks with grpcurl and jq, by reflection: client.sh 127.0.0.1:50051 SOURCE DESTINATION
set -euo pipefail
server=$1 source=$2 destination=$3

# call METHOD REQUEST: prints the response, or each of a stream; errors with their details go to standard error.
call() { grpcurl -plaintext -d "$2" "$server" "reelmill.v1.MediaConvertService/$1"; }

# request SOURCE DESTINATION PRESET
request() {
    jq -n --arg source "$1" --arg destination "$2" --arg preset "$3" --arg id "$(cat /proc/sys/kernel/random/uuid)" '{
        ProjectName: "default", RequestId: $id, Sources: [{URI: $source}], Targets: [{
            URI: $destination, Container: "CONTAINER_MP4",
            Video: {TranscodeVideo: {Codec: "VIDEO_CODEC_H264", Preset: $preset}}
        }]
    }'
}

# Submit: sent twice with the same RequestId, it creates one task.
task=$(call CreateMediaConvertTask "$(request "$source" "$destination" ENCODER_PRESET_ULTRAFAST)" | jq -r .TaskId)
echo "task $task"

# Watch: each change, until the last state.
call WatchTask "{\"ProjectName\": \"default\", \"TaskId\": \"$task\"}" |
    jq -r --unbuffered '.Task | "\(.Status | sub("TASK_STATUS_"; "") | ascii_downcase) \(.Artifacts[0].URI // "\(.Progress // 0)%")"'

# Cancel another one.
other=$(call CreateMediaConvertTask "$(request "$source" "$destination.mp4" ENCODER_PRESET_VERYSLOW)" | jq -r .TaskId)
call CancelTask "{\"ProjectName\": \"default\", \"TaskId\": \"$other\"}" | jq -r '"canceling \(.Task.TaskId)"'

# List the newest.
call ListTasks '{"ProjectName": "default", "Sort": "TASK_SORT_START_TIME", "Order": "SORT_ORDER_DESC", "MaxResults": 5}' |
    jq -r '"listed \(.Tasks | length): \([.Tasks[].TaskId] | join(" "))"'

# An error, with its code and every field that is wrong.
call CreateMediaConvertTask "$(request ftp://nowhere/x.mp4 "$destination" ENCODER_PRESET_ULTRAFAST)" 2>&1 || true
