"""What attempts hold of the disk together."""

import shutil
from pathlib import Path

import pytest

from reelmill_server.errors import MediaLimitExceeded, OutputError
from reelmill_server.worker.frames import BLOCK_BYTES
from reelmill_server.worker.parent.workspace import Scratch

QUOTA = 32 * BLOCK_BYTES


async def test_outputs_that_are_too_large_alone_fail_for_good(tmp_path: Path) -> None:
    """No other worker would have more room."""
    scratch = Scratch(tmp_path, QUOTA)
    with scratch.attempt("one") as folder:
        (folder / "out.mp4").write_bytes(bytes(QUOTA // 2))
        await scratch.check(folder)
        (folder / "out.mp4").write_bytes(bytes(QUOTA + BLOCK_BYTES))
        with pytest.raises(MediaLimitExceeded, match="scratch"):
            await scratch.check(folder)


async def test_an_attempt_that_finds_no_room_may_try_again(tmp_path: Path) -> None:
    """Others hold it now."""
    scratch = Scratch(tmp_path, QUOTA)
    with scratch.attempt("one") as first, scratch.attempt("two") as second:
        for folder in (first, second):
            (folder / "out.mp4").write_bytes(bytes(QUOTA * 3 // 4))
        with pytest.raises(OutputError, match="scratch"):
            await scratch.check(second)
    assert OutputError.retryable


def test_what_the_disk_still_takes_is_known(tmp_path: Path) -> None:
    """As `df` says it."""
    scratch = Scratch(tmp_path)
    assert abs(scratch.free_bytes() - shutil.disk_usage(tmp_path).free) < 1 << 28
    shutil.rmtree(tmp_path)
    assert scratch.free_bytes() == 0


async def test_what_is_kept_of_sources_gives_way(tmp_path: Path) -> None:
    """It grows as far as there is room, and is dropped when outputs need it."""
    scratch = Scratch(tmp_path, QUOTA)
    with scratch.attempt("one") as folder, scratch.cache() as cache:
        blocks = {(0, number): bytes([number]) * BLOCK_BYTES for number in range(40)}
        await cache.put(blocks)
        assert cache.size_bytes == QUOTA and len(await cache.get(list(blocks))) == 32
        (folder / "out.mp4").write_bytes(bytes(QUOTA // 2))
        await scratch.check(folder)
        assert cache.size_bytes == 0 and await cache.get(list(blocks)) == {}
        await cache.put(blocks)
        assert 0 < cache.size_bytes <= QUOTA // 2
