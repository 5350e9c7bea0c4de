"""One engine for all tests of a process, in which each has a namespace of its own."""

import asyncio
from collections.abc import Iterator
from itertools import count

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from reelmill_server.engine.connection import connect
from reelmill_server.engine.embedded import EmbeddedEngine

_names = count()


@pytest.fixture(scope="session")
def engine_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a running engine."""
    engine = EmbeddedEngine(tmp_path_factory.mktemp("engine"), "", "unused", 24, lambda: None)
    asyncio.run(engine.start())
    yield engine.address
    asyncio.run(engine.stop())


@pytest.fixture
async def engine_client(engine_address: str) -> Client:
    """A client of a new namespace: nothing in it is known to other tests."""
    name = f"test-{next(_names)}"
    registration = RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=Duration(seconds=86400))
    await (await connect(engine_address, "default")).workflow_service.register_namespace(registration)
    return await connect(engine_address, name, wait_seconds=30)
