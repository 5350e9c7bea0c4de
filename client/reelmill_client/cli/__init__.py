"""Command line client, `reelmill`; needs `typer` and `rich`, which the library beside it does not."""

from reelmill_client.cli.app import app, main

__all__ = ["app", "main"]
