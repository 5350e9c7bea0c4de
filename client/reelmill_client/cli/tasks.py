"""The commands about existing tasks: watch, get, list and cancel."""

from itertools import islice
from typing import Annotated, cast

import typer

from reelmill_client.cli import tables
from reelmill_client.cli.session import session_of
from reelmill_client.cli.waiting import show_all, wait_for
from reelmill_client.formatting import phase_word
from reelmill_client.requests import TaskFilter, pairs

_TASK_ID = typer.Argument(metavar="TASK_ID")


def watch(
    context: typer.Context,
    task_ids: Annotated[list[str] | None, typer.Argument(metavar="TASK_ID")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All running tasks of the project, until Ctrl-C.")] = False,
) -> None:
    """Show tasks until they end, then their results. Several tasks: the highest exit code counts."""
    if bool(task_ids) == all_:
        raise typer.BadParameter("give either task ids or --all")
    session = session_of(context)
    with session.client() as client:
        if task_ids:
            wait_for(session, client, task_ids, project=session.project, offer_cancel=False)
        else:
            show_all(session, client.watch_all(status="Running"))


def get(
    context: typer.Context,
    task_id: Annotated[str, _TASK_ID],
    definition: Annotated[bool, typer.Option("--definition", help="With the request, as JSON.")] = False,
) -> None:
    """Print one task."""
    session = session_of(context)
    with session.client() as client:
        task = client.get(task_id, with_definition=definition)
    if session.json:
        session.print_json(task)
    else:
        tables.print_task(session, task)


def list_(
    context: typer.Context,
    *,
    status: Annotated[str | None, typer.Option(help="Running, Succeeded, Failed or Canceled.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A label to match; may be repeated.")] = None,
    sort: Annotated[str | None, typer.Option(help="TaskId, StartTime or EndTime. Default: TaskId.")] = None,
    order: Annotated[str | None, typer.Option(help="asc or desc. Default: asc.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many tasks. Default: all.")] = None,
    start_from: Annotated[str | None, typer.Option(metavar="TIME", help="Created then or later, RFC 3339.")] = None,
    start_to: Annotated[str | None, typer.Option(metavar="TIME", help="Created then or earlier.")] = None,
    end_from: Annotated[str | None, typer.Option(metavar="TIME", help="Ended then or later.")] = None,
    end_to: Annotated[str | None, typer.Option(metavar="TIME", help="Ended then or earlier.")] = None,
    definition: Annotated[bool, typer.Option("--definition", help="With the requests, as JSON; shown with --json.")] = False,
) -> None:
    """List tasks."""
    words = {"status": status, "sort": sort, "order": order}
    times = {"start_from": start_from, "start_to": start_to, "end_from": end_from, "end_to": end_to}
    given = {name: value for name, value in {**words, **times}.items() if value is not None}
    task_filter = cast(TaskFilter, {**given, "tags": pairs(tag or []), "with_definition": definition})
    session = session_of(context)
    with session.client() as client:
        tasks = islice(client.list(**task_filter), limit)
        if session.json:
            for task in tasks:
                session.print_json(task)
        else:
            tables.print_tasks(session, list(tasks))


def cancel(context: typer.Context, task_id: Annotated[str, _TASK_ID]) -> None:
    """Ask for a task to be canceled; watch tells when it is."""
    session = session_of(context)
    with session.client() as client:
        task = client.cancel(task_id)
    if session.json:
        session.print_json(task)
    else:
        session.out.print(f"{task.task_id}: {phase_word(task)}", soft_wrap=True)
