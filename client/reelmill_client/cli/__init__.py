"""The command line client, `reelmill`. Needs `typer` and `rich`; the library beside it does not."""

from reelmill_client.cli.app import app, main

__all__ = ["app", "main"]
