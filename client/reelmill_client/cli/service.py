"""Commands about media and the service itself: probe, capabilities and workers."""

from typing import Annotated

import typer

from reelmill_client.cli import service_tables, tables
from reelmill_client.cli.session import session_of


def probe(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SRC", help="A URI, or a path on the server's machine.")],
) -> None:
    """Print what a media file contains."""
    session = session_of(context)
    with session.client() as client:
        info = client.probe(source)
    if session.json:
        session.print_json(info)
    else:
        tables.print_media_info(session, info)


def capabilities(context: typer.Context) -> None:
    """Print which encoders and decoders work on the server, and its limits."""
    session = session_of(context)
    with session.client() as client:
        response = client.capabilities()
    if session.json:
        session.print_json(response)
    else:
        service_tables.print_capabilities(session, response)


def workers(context: typer.Context) -> None:
    """Print the workers: how much room each has, and what it runs now."""
    session = session_of(context)
    with session.client() as client:
        listed = client.workers()
    if session.json:
        for worker in listed:
            session.print_json(worker)
    else:
        service_tables.print_workers(session, listed)
