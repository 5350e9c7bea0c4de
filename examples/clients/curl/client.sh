#!/usr/bin/env bash
# Submits, watches, cancels and lists tasks with curl and jq, over HTTP: client.sh http://127.0.0.1:8080 SOURCE DESTINATION
set -euo pipefail
server=$1 source=$2 destination=$3
service=$server/reelmill.v1.MediaConvertService

# call METHOD REQUEST [OPTION...]: prints the response, or the error with its details.
call() { curl -sS "${@:3}" -d "$2" "$service/$1"; }

# request SOURCE DESTINATION PRESET
request() {
    jq -n --arg source "$1" --arg destination "$2" --arg preset "$3" --arg id "$(cat /proc/sys/kernel/random/uuid)" '{
        ProjectName: "default", RequestId: $id, Sources: [{URI: $source}],
        Targets: [{URI: $destination, Container: "mp4", Video: {TranscodeVideo: {Codec: "h264", Preset: $preset}}}]
    }'
}

# Submit: sent twice with the same RequestId, it creates one task.
task=$(call CreateMediaConvertTask "$(request "$source" "$destination" ultrafast)" | jq -r .TaskId)
echo "task $task"

# Watch: the state as Server-Sent Events, until the last.
call WatchTask "{\"ProjectName\": \"default\", \"TaskId\": \"$task\"}" -N -H 'Accept: text/event-stream' |
    sed -un 's/^data: //p' | jq -r --unbuffered '.Task | select(.Status) | "\(.Status | sub("TASK_STATUS_"; "") | ascii_downcase) \(.Progress // 0)%"'
call GetTask "{\"ProjectName\": \"default\", \"TaskId\": \"$task\"}" | jq -r '.Task | "\(.Status | sub("TASK_STATUS_"; "") | ascii_downcase) \(.Artifacts[0].URI)"'

# Cancel another one.
other=$(call CreateMediaConvertTask "$(request "$source" "$destination.mp4" veryslow)" | jq -r .TaskId)
call CancelTask "{\"ProjectName\": \"default\", \"TaskId\": \"$other\"}" | jq -r '"canceling \(.Task.TaskId)"'

# List the newest.
call ListTasks '{"ProjectName": "default", "Sort": "StartTime", "Order": "desc", "MaxResults": 5}' |
    jq -r '"listed \(.Tasks | length): \([.Tasks[].TaskId] | join(" "))"'

# An error, with its code and every field that is wrong.
call CreateMediaConvertTask "$(request ftp://nowhere/x.mp4 "$destination" ultrafast)" | jq -r '
    "\(.code): \(.details[] | .debug.metadata.code // empty)",
    (.details[].debug.fieldViolations // [] | .[] | "\(.field): \(.description)")'
