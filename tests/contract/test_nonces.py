"""Nonces of signed requests, on SQLite and PostgreSQL."""

import asyncio
from unittest.mock import AsyncMock

import pytest
from sqlalchemy import func, select

from reelmill_server.tasks.database import Database
from reelmill_server.tasks.nonces import NonceStore
from reelmill_server.tasks.tables import used_nonces


async def test_a_nonce_is_new_once_on_all_replicas(database: Database, database_url: str) -> None:
    """Of many calls at once on two replicas, one has it; a nonce of another counts by itself; what has expired is forgotten."""
    other = Database(database_url)
    stores = NonceStore(database), NonceStore(other)
    try:
        asked = [store.use("a" * 32, 1_000) for store in stores for _ in range(20)]
        asked += [stores[0].use(f"{number:032}", 2_000) for number in range(600)]
        answers = await asyncio.gather(*asked)
        assert sum(answers[:40]) == 1 and all(answers[40:])
        assert not await stores[1].use("0" * 32, 2_000)
        await stores[0].forget_expired(1_500)
        assert await _count(database) == 600
        assert await stores[1].use("a" * 32, 1_000)
    finally:
        await stores[0].forget_expired(3_000)
        await other.close()
    assert await _count(database) == 0


async def test_whoever_waits_hears_of_any_error(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of one that nobody expects; the next nonce is written."""
    store = NonceStore(database)
    with monkeypatch.context() as patch:
        patch.setattr(store, "_insert", AsyncMock(side_effect=RuntimeError("unexpected")))
        with pytest.raises(RuntimeError):
            await asyncio.wait_for(store.use("b" * 32, 1_000), 10)
    assert await store.use("b" * 32, 1_000)
    await store.forget_expired(2_000)


async def _count(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(used_nonces))).scalar_one())
