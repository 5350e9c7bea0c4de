"""The list of tasks: what a page of it asks for, and its rows."""

from typing import Any

from aiohttp import web

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import task_pb2
from reelmill_server.api.console import pages, text
from reelmill_server.api.console.calls import Calls, place_of
from reelmill_server.api.console.titles import Titles
from reelmill_server.api.masking import mask_task

STATUSES = ("running", "succeeded", "failed", "canceled")
_PAGE = 50


class Listing:
    """Makes the rows of tasks, and knows what to call them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._titles = Titles()

    async def name(self, request: web.Request, query: pb.ListTasksRequest, answer: pb.ListTasksResponse) -> None:
        """Learn what to call the tasks of a page, by another look where some are not known yet."""
        if all(task.task_id in self._titles for task in answer.tasks):
            return
        again = pb.ListTasksRequest()
        again.CopyFrom(query)
        again.request_definition = True
        for task in (await self._calls.call(request, "ListTasks", again)).tasks:
            self._titles.keep(task.task_id, text.title(task.task_request_definition))

    def rows(self, tasks: Any) -> dict[str, str]:
        """Return the HTML of each task's row by the task's id, without secrets."""
        rows = {}
        for task in tasks:
            mask_task(task)
            rows[task.task_id] = pages.render("_row.html", task=task, title=self._titles.get(task.task_id), at=place_of(task))
        return rows


def list_request(request: web.Request) -> pb.ListTasksRequest:
    """Return the call for the tasks that a page shows, as its query chooses them."""
    query = request.query
    status = query.get("status", "").lower()
    return pb.ListTasksRequest(
        project_name=query.get("project") or "default",
        status=task_pb2.TaskStatus.Value(f"TASK_STATUS_{status.upper()}") if status in STATUSES else 0,  # type: ignore[arg-type]
        tag_selector=query.get("tag", "").strip(),
        sort=pb.TASK_SORT_START_TIME,
        order=pb.SORT_ORDER_DESC,
        max_results=_PAGE,
        next_token=query.get("after", ""),
    )
