"""Names for tasks and their targets on a screen, from the request: a user knows files, not indexes."""

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from reelmill import vendor_json
from reelmill.v1 import media_convert_service_pb2 as media_convert
from reelmill.v1.task_pb2 import Task
from reelmill_client.formatting import printable, short_id


@dataclass(frozen=True)
class TaskLabel:
    """Names of a task's files, without their folders: its first source, and its targets in the order of TargetProgress."""

    source: str
    targets: tuple[str, ...] = ()

    def target(self, index: int) -> str:
        """Return the name of a target, or its number if the request is not known."""
        return self.targets[index] if index < len(self.targets) and self.targets[index] else f"target {index}"


def request_label(request: media_convert.CreateMediaConvertTaskRequest) -> TaskLabel:
    """Return the names in a request; `{barename}` is filled in, other templates stay as they are."""
    source = file_name(request.sources[0].uri) if request.sources else ""
    uris = [target.uri for target in request.targets]
    uris += [target.uri for group in request.target_groups for target in group.targets]
    bare = PurePosixPath(source).stem
    return TaskLabel(source, tuple(file_name(uri).replace("{barename}", bare) for uri in uris))


def task_label(task: Task) -> TaskLabel:
    """Return the names in a task's request, or the end of its id if the task was fetched without its definition."""
    try:
        data = json.loads(task.task_request_definition)
        label = request_label(vendor_json.parse(data, media_convert.CreateMediaConvertTaskRequest, ignore_unknown=True))
    except ValueError:  # no definition, or one of a later version
        label = TaskLabel("")
    return label if label.source else TaskLabel(short_id(task.task_id), label.targets)


def file_name(uri: str) -> str:
    """Return the last part of a URI's path, decoded, in one line for a terminal."""
    return printable(unquote(uri.rstrip("/").rsplit("/", 1)[-1])).replace("\n", r"\n")
