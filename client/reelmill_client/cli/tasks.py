"""Commands about existing tasks: watch, get, ladder, list, cancel and retry."""

from itertools import islice
from pathlib import Path
from typing import Annotated, cast

import typer

from reelmill.v1.task_pb2 import Ladder
from reelmill_client.cli import hull, tables
from reelmill_client.cli.convert import DETACH, follow_created
from reelmill_client.cli.failures import EXIT_OK, exit_code, report
from reelmill_client.cli.session import session_of
from reelmill_client.cli.wait import show_all, wait_for
from reelmill_client.errors import InvalidArgument, NotFound, ReelmillError
from reelmill_client.formatting import phase_word
from reelmill_client.requests import TaskFilter, pairs
from reelmill_client.watch import is_final

_TASK_ID = typer.Argument(metavar="TASK_ID")
_LISTED = 20


def watch(
    context: typer.Context,
    task_ids: Annotated[list[str] | None, typer.Argument(metavar="TASK_ID")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Show all running tasks of the project until Ctrl-C.")] = False,
) -> None:
    """Show tasks until they end, then their results. With several tasks, the highest exit code counts."""
    if bool(task_ids) == all_:
        raise typer.BadParameter("give either task IDs or --all")
    session = session_of(context)
    with session.client() as client:
        if task_ids:
            wait_for(session, client, task_ids, project=session.project, offer_cancel=False)
        else:
            show_all(session, client)


def get(
    context: typer.Context,
    task_id: Annotated[str, _TASK_ID],
    definition: Annotated[bool, typer.Option("--definition", help="Include the request, as JSON.")] = False,
) -> None:
    """Print one task."""
    session = session_of(context)
    with session.client() as client:
        task = client.get(task_id, with_definition=definition)
    if session.json:
        session.print_json(task)
    else:
        tables.print_task(session, task)


def ladder(
    context: typer.Context,
    task_id: Annotated[str, _TASK_ID],
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg", dir_okay=False, help="Draw what was measured, too; a second ladder to FILE-2.svg."),
    ] = None,
) -> None:
    """Print the ladders that a task chose for its sources."""
    session = session_of(context)
    with session.client() as client:
        task = client.get(task_id)
    masters = [artifact for artifact in task.artifacts if artifact.HasField("ladder")]
    if not masters:
        raise NotFound(f"{task_id} has no ladder" + ("" if is_final(task) else " yet"))
    for number, artifact in enumerate(masters, 1):
        if session.json:
            session.print_json(artifact.ladder)
        else:
            tables.print_ladder(session, artifact)
        if plot is not None:
            _draw(artifact.ladder, plot if number == 1 else plot.with_stem(f"{plot.stem}-{number}"))


def _draw(chosen: Ladder, path: Path) -> None:
    """Draw a ladder to a file. Raises InvalidArgument if it cannot be written."""
    try:
        path.write_text(hull.drawing(chosen), encoding="utf-8")
    except OSError as error:
        raise InvalidArgument(f"cannot write {path}: {error.strerror}") from error


def list_(
    context: typer.Context,
    *,
    status: Annotated[str | None, typer.Option(help="Running, Succeeded, Failed or Canceled.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A label to match; may be repeated.")] = None,
    sort: Annotated[str | None, typer.Option(help="TaskId, StartTime or EndTime. Default: StartTime.")] = None,
    order: Annotated[str | None, typer.Option(help="asc or desc. Default: desc, newest first.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most tasks to list. Default: 20, with --json all.")] = None,
    start_from: Annotated[str | None, typer.Option(metavar="TIME", help="Created at or after this time, RFC 3339.")] = None,
    start_to: Annotated[str | None, typer.Option(metavar="TIME", help="Created at or before this time.")] = None,
    end_from: Annotated[str | None, typer.Option(metavar="TIME", help="Ended at or after this time.")] = None,
    end_to: Annotated[str | None, typer.Option(metavar="TIME", help="Ended at or before this time.")] = None,
    definition: Annotated[bool, typer.Option("--definition", help="Include the requests, as JSON; needs --json.")] = False,
) -> None:
    """List tasks."""
    enums = {"status": status, "sort": sort or "StartTime", "order": order or "desc"}
    times = {"start_from": start_from, "start_to": start_to, "end_from": end_from, "end_to": end_to}
    conditions = {name: value for name, value in {**enums, **times}.items() if value is not None}
    session = session_of(context)
    # For people the request is what the name of the file comes from.
    task_filter = cast(TaskFilter, {**conditions, "tags": pairs(tag or []), "with_definition": definition or not session.json})
    with session.client() as client:
        tasks = client.list(**task_filter)
        if session.json:
            for task in islice(tasks, limit):
                session.print_json(task)
            return
        shown = list(islice(tasks, limit or _LISTED))
        tables.print_tasks(session, shown)
        if limit is None and next(tasks, None) is not None:
            session.err.print(f"(the first {_LISTED}; --limit shows more)")


def cancel(context: typer.Context, task_ids: Annotated[list[str], _TASK_ID]) -> None:
    """Cancel tasks; watch shows when they have ended. With several, an error with one does not stop the others."""
    session = session_of(context)
    codes = [EXIT_OK]
    with session.client() as client:
        for task_id in dict.fromkeys(task_ids):
            try:
                task = client.cancel(task_id)
            except ReelmillError as error:
                report(session, error)
                codes.append(exit_code(error))
                continue
            if session.json:
                session.print_json(task)
            else:
                session.out.print(f"{task.task_id}: {phase_word(task)}", soft_wrap=True)
    if any(codes):
        raise typer.Exit(max(codes))


def retry(
    context: typer.Context,
    task_id: Annotated[str, _TASK_ID],
    detach: Annotated[bool, DETACH] = False,
) -> None:
    """Create a new task from the request of one that has ended, and wait for the result."""
    session = session_of(context)
    with session.client() as client:
        follow_created(session, client, client.retry(task_id), session.project, detach)
