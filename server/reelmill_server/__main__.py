"""Entry point of the server. Each role imports only what it needs."""

import asyncio
import gc
import logging
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from reelmill_server.errors import ReelmillError
from reelmill_server.modes import keep_private

if TYPE_CHECKING:
    from reelmill_server.settings.command_line import CommandLine


def main() -> None:
    """Run the role that the command line names; an error exits with status 1 and one sentence."""
    gc.disable()  # until a server is ready: going through all that it imports again and again took a fifth of the time
    from reelmill_server.settings.command_line import parse_command_line
    from reelmill_server.telemetry.logging import configure_logging

    command = parse_command_line(sys.argv[1:])
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its errors reach us as exceptions; its own lines are not of our format
    configure_logging(command.settings.log_format, command.settings.log_level)
    if command.role in _KEEPING:
        keep_private()
    try:
        asyncio.run(_ROLES[command.role](command))
        _exit()
    except ReelmillError as error:
        sys.exit(f"reelmill-server: {error.code}: {error.message}")
    except OSError as error:
        sys.exit(f"reelmill-server: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _exit() -> NoReturn:
    """Exit with status 0 after everything is closed, without finalizing the interpreter.

    Threads of gRPC's and Temporal's native runtimes outlive their Python objects; one that releases the GIL during finalization
    aborts the process (`PyGILState_Release: thread state must be current`).
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


async def _serve(command: "CommandLine") -> None:
    from reelmill_server.app.run import run

    await run(command.settings, control=True, work=command.settings.worker_slots > 0)


async def _api(command: "CommandLine") -> None:
    from reelmill_server.app.run import run

    await run(command.settings, control=True, work=False)


async def _worker(command: "CommandLine") -> None:
    from reelmill_server.app.run import run

    await run(command.settings, control=False, work=True)


async def _migrate(command: "CommandLine") -> None:
    from reelmill_server.tasks.migrate import upgrade

    print(f"the database is at revision {await upgrade(command.settings.resolved_database_url())}")


async def _plan(command: "CommandLine") -> None:
    from reelmill_server.report import print_plan

    await print_plan(command.settings, command.file)


async def _capabilities(command: "CommandLine") -> None:
    from reelmill_server.report import print_capabilities

    await print_capabilities(command.settings, command.json)


_ROLES = {
    "serve": _serve,
    "api": _api,
    "worker": _worker,
    "migrate": _migrate,
    "plan": _plan,
    "capabilities": _capabilities,
}

_KEEPING = ("serve", "api", "worker", "migrate")
"""The roles that keep something."""


if __name__ == "__main__":
    main()
