"""A private PostgreSQL for tests."""

import os
import subprocess

import psycopg
import pytest

from examples.local_cluster.postgres import PrivatePostgres


def started() -> PrivatePostgres:
    """A running PostgreSQL, quick rather than durable; skips where none can run, but fails in CI."""
    server = PrivatePostgres(durable=False)
    try:
        server.start()
    except (OSError, subprocess.SubprocessError, psycopg.Error) as error:
        server.stop()
        reason = f"PostgreSQL cannot be started: {error}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return server
