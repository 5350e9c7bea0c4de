"""Turns of watchers."""

import asyncio

from reelmill_server.tasks.turns import Turns


async def test_turns_come_in_order_and_a_few_at_a_time() -> None:
    """However many wait, and though some of them leave."""
    turns, had = Turns(200), list[int]()

    async def one(number: int) -> None:
        await turns.take()
        had.append(number)

    waiting = [asyncio.create_task(one(number)) for number in range(12)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert had == [0, 1]
    waiting[4].cancel()
    async with asyncio.timeout(20):
        await asyncio.gather(*waiting, return_exceptions=True)
    assert had == [number for number in range(12) if number != 4]
