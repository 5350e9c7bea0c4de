"""Program `reelmill`: its global options and commands."""

import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from reelmill_client.channel import DEFAULT_PROJECT, DEFAULT_TARGET, DEFAULT_TIMEOUT_SECONDS
from reelmill_client.cli import convert, example, keys, notifications, projects, service, tasks
from reelmill_client.cli.failures import EXIT_CODES_HELP, EXIT_INTERRUPTED, exit_code, report
from reelmill_client.cli.session import Session
from reelmill_client.errors import ReelmillError

_GLOBAL_FLAGS = frozenset({"--json", "--tls", "--verbose"})
_GLOBAL_VALUES = frozenset({"--server", "--project", "--timeout", "--ca-file", "--cert-file", "--key-file", "--token-file"})


class _Program(TyperGroup):
    """Command group that accepts global options anywhere and turns errors into messages and exit codes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line with the global options moved to its front."""
        return super().parse_args(ctx, global_options_first(args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command and exit with the code of its error, if any."""
        try:
            return super().invoke(ctx)
        except ReelmillError as error:
            report(ctx.obj, error)
            raise typer.Exit(exit_code(error)) from error
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            version = installed_version("reelmill-client")
        except PackageNotFoundError:  # a checkout, which is one package
            version = installed_version("reelmill")
        typer.echo(f"reelmill {version}")
        raise typer.Exit


app = typer.Typer(
    cls=_Program,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=EXIT_CODES_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    context: typer.Context,
    *,
    server: Annotated[
        str, typer.Option(envvar="REELMILL_SERVER", metavar="HOST:PORT", help="Address of the server.")
    ] = DEFAULT_TARGET,
    project: Annotated[str, typer.Option(envvar="REELMILL_PROJECT", help="The project to work in.")] = DEFAULT_PROJECT,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs, one object per line.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Also say why each encoder was chosen.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0.001, metavar="SECONDS", help="Longest time for one call; waiting for a task has no limit.")
    ] = DEFAULT_TIMEOUT_SECONDS,
    tls: Annotated[bool, typer.Option("--tls", help="Connect with TLS and the system's certificates.")] = False,
    ca_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="FILE", help="Connect with TLS and these PEM root certificates."),
    ] = None,
    cert_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="FILE", help="Show the server this PEM certificate; needs its key."),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, metavar="FILE", help="PEM private key of that certificate.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="File with an API key or a JWT; or set REELMILL_TOKEN to the token itself.",
        ),
    ] = None,
    version: Annotated[  # done by its callback
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Convert media with a Reelmill server. These options may stand before or after the command."""
    if (cert_file is None) != (key_file is None):
        raise typer.BadParameter("--cert-file and --key-file: give both or neither")
    context.obj = Session(
        server=server,
        project=project,
        json=json,
        verbose=verbose,
        timeout_seconds=timeout,
        tls=tls,
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
        # No flag holds it: every user of a machine can read its command lines.
        token=(token_file.read_text() if token_file else os.environ.get("REELMILL_TOKEN", "")).strip(),
    )


app.command()(convert.convert)
app.command()(convert.submit)
app.command()(convert.plan)
app.command()(tasks.watch)
app.command()(tasks.get)
app.command()(tasks.ladder)
app.command(name="list")(tasks.list_)
app.command()(tasks.cancel)
app.command()(tasks.retry)
app.command()(example.example)
app.command()(service.probe)
app.command()(service.capabilities)
app.command()(service.workers)
app.add_typer(projects.app, name="projects")
app.add_typer(notifications.app, name="notifications")
app.add_typer(keys.app, name="keys")


def global_options_first(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with global options moved before the command; nothing moves from behind `--`."""
    front: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        name, equals, _ = argument.partition("=")
        if argument == "--":
            rest += [argument, *remaining]
        elif argument in _GLOBAL_FLAGS or (equals and name in _GLOBAL_VALUES):
            front.append(argument)
        elif argument in _GLOBAL_VALUES:
            front += [argument, *([value] if (value := next(remaining, None)) is not None else [])]
        else:
            rest.append(argument)
    return front + rest


def main() -> None:
    """Run the program, without the gRPC core's own logs on the terminal unless the environment asks for them."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    app()
