<?php
// Submits, watches, cancels and lists tasks over HTTP: php client.php http://127.0.0.1:8080 SOURCE DESTINATION
// It needs PHP 8 and no extension; php_namespace of the protos is for those who have that of gRPC.
declare(strict_types=1);
[, $server, $source, $destination] = $argv;

// Opens a call. The response of a refused one is its error.
function open(string $method, array $request, string $accept = "application/json") {
    global $server;
    $http = ["method" => "POST", "header" => "Content-Type: application/json\r\nAccept: $accept", "content" => json_encode($request)];
    $context = stream_context_create(["http" => $http + ["ignore_errors" => true, "timeout" => 60]]);
    return fopen("$server/reelmill.v1.MediaConvertService/$method", "r", false, $context) ?: exit("no answer of $server\n");
}

function call(string $method, array $request): array {
    return json_decode(stream_get_contents(open($method, $request)), true, 512, JSON_THROW_ON_ERROR);
}

// Sent twice with the same RequestId, it creates one task.
function submit(string $source, string $destination, string $preset): array {
    $id = vsprintf("%s%s-%s-%s-%s-%s%s%s", str_split(bin2hex(random_bytes(16)), 4)); // a UUID
    $video = ["TranscodeVideo" => ["Codec" => "h264", "Preset" => $preset]];
    return call("CreateMediaConvertTask", [
        "ProjectName" => "default", "RequestId" => $id, "Sources" => [["URI" => $source]],
        "Targets" => [["URI" => $destination, "Container" => "mp4", "Video" => $video]],
    ]);
}

$task = ["ProjectName" => "default", "TaskId" => submit($source, $destination, "ultrafast")["TaskId"]];
echo "task {$task["TaskId"]}\n";

// The first event is the current state, the last one the final state. When the connection is lost, watch again.
$events = open("WatchTask", $task, "text/event-stream");
while (($line = fgets($events)) !== false) {
    $state = str_starts_with($line, "data: ") ? json_decode(substr($line, 6), true)["Task"] ?? null : null;
    if ($state) {
        $status = strtolower(str_replace("TASK_STATUS_", "", $state["Status"]));
        echo "$status ", $state["Artifacts"][0]["URI"] ?? ($state["Progress"] ?? 0) . "%", "\n";
    }
}

$other = submit($source, "$destination.mp4", "veryslow")["TaskId"];
echo "canceling ", call("CancelTask", ["ProjectName" => "default", "TaskId" => $other])["Task"]["TaskId"], "\n";

$newest = ["ProjectName" => "default", "Sort" => "StartTime", "Order" => "desc", "MaxResults" => 5];
$ids = array_column(call("ListTasks", $newest)["Tasks"], "TaskId");
echo "listed ", count($ids), ": ", implode(" ", $ids), "\n";

// Every error carries its code, and the fields that were wrong.
foreach (submit("ftp://nowhere/x.mp4", $destination, "ultrafast")["details"] as ["debug" => $detail]) {
    if (isset($detail["metadata"])) {
        echo "refused: {$detail["metadata"]["code"]}, request {$detail["metadata"]["request_id"]}\n";
    }
    foreach ($detail["fieldViolations"] ?? [] as $bad) {
        echo "{$bad["field"]}: {$bad["description"]}\n";
    }
}
