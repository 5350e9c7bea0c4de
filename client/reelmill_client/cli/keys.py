"""Commands about API keys: reelmill keys create, list and revoke."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from reelmill_client.cli import service_tables
from reelmill_client.cli.session import session_of

app = typer.Typer(no_args_is_help=True, help="API keys, with which callers authenticate. For administrators.")


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what it is for.")],
    grant: Annotated[
        list[str],
        typer.Option(
            metavar="ROLE@PROJECT",
            help="viewer, submitter or admin of a project, a prefix* of projects, or *; may be repeated.",
        ),
    ],
    days: Annotated[int | None, typer.Option(min=1, max=36500, help="How long it lasts.", show_default="for ever")] = None,
) -> None:
    """Make a key. It is printed once, on standard output, and cannot be shown again."""
    session = session_of(context)
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with session.client() as client:
        created = client.keys.create(name, grant, expire_time=expires)
    if session.json:
        session.print_json(created)
        return
    session.out.print(created.secret, soft_wrap=True)
    session.err.print(f"key {created.key.key_id} of {name}: save it now, it is not shown again", soft_wrap=True)


@app.command(name="list")
def list_(context: typer.Context) -> None:
    """List the keys, without their secrets."""
    session = session_of(context)
    with session.client() as client:
        keys = client.keys.list()
        if session.json:
            for key in keys:
                session.print_json(key)
        else:
            service_tables.print_keys(session, list(keys))


@app.command()
def revoke(context: typer.Context, key_id: Annotated[str, typer.Argument(metavar="KEY_ID")]) -> None:
    """Make a key worthless, at once."""
    session = session_of(context)
    with session.client() as client:
        client.keys.revoke(key_id)
    if session.json:
        session.print_json_data({})
    else:
        session.out.print(f"{key_id}: revoked", soft_wrap=True)
