"""Commands about notifications: reelmill notifications list and redeliver."""

from typing import Annotated

import typer

from reelmill_client.cli import service_tables
from reelmill_client.cli.session import session_of

app = typer.Typer(no_args_is_help=True, help="Notifications about tasks and their delivery.")


@app.command(name="list")
def list_(
    context: typer.Context,
    task_id: Annotated[str, typer.Argument(metavar="[TASK_ID]", show_default=False)] = "",
    state: Annotated[
        str | None, typer.Option(help="Waiting, Pending, Delivered, Failed or Superseded.", show_default=False)
    ] = None,
) -> None:
    """List the notifications of one task, or of all tasks in the project."""
    session = session_of(context)
    with session.client() as client:
        notifications = client.notifications.list(task_id, state=state)
        if session.json:
            for notification in notifications:
                session.print_json(notification)
        else:
            service_tables.print_notifications(session, list(notifications))


@app.command()
def redeliver(context: typer.Context, notification_id: Annotated[str, typer.Argument(metavar="NOTIFICATION_ID")]) -> None:
    """Send a notification again, now; `list` shows the outcome."""
    session = session_of(context)
    with session.client() as client:
        notification = client.notifications.redeliver(notification_id)
    if session.json:
        session.print_json(notification)
    else:
        session.out.print(f"{notification.notification_id}: being sent again", soft_wrap=True)
