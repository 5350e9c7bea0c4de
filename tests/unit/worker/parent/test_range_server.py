"""The two ends of reading through the parent, without a child: what is read is right, once, bounded, and only what may be."""

import asyncio
import os
import random
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from reelmill_server.errors import AccessDenied, InternalError, MediaLimitExceeded
from reelmill_server.media.output.base import Stopped
from reelmill_server.worker.child.opened_file import OpenedFile
from reelmill_server.worker.child.range_client import RangeClient, RemoteObject
from reelmill_server.worker.frames import BLOCK_BYTES, MAX_LENGTH, REQUEST_BYTES, AnswerHead, Request
from reelmill_server.worker.parent.range_server import RangeServer
from reelmill_server.worker.parent.workspace import Scratch
from tests.remote import RemoteStorage

SIZE = 5_000_123


@pytest.fixture(scope="module")
def data() -> bytes:
    """Nothing in it repeats."""
    return random.Random(1).randbytes(SIZE)


def remote_object(channel: socket.socket, stop: threading.Event) -> RemoteObject:
    """The first object that is served on `channel`."""
    ranges = RangeClient(channel, stop)
    ranges.listen()
    return RemoteObject(ranges, 0, SIZE)


class Ends:
    """A parent's end that serves one object, and the socket of its child."""

    def __init__(self, broker: RangeServer, storage: RemoteStorage, channel: socket.socket) -> None:
        self.broker, self.storage, self.channel = broker, storage, channel
        self.stop = threading.Event()

    def remote(self) -> RemoteObject:
        """The object, as the child's side knows it."""
        return remote_object(self.channel, self.stop)


@asynccontextmanager
async def ends(folder: Path, data: bytes, cache: int = 1 << 30) -> AsyncIterator[Ends]:
    """Serves `data`."""
    (folder / "object").write_bytes(data)
    storage = RemoteStorage(folder)
    with Scratch(folder / "scratch", cache_bytes=cache).cache() as kept:
        broker = RangeServer(storage, kept, 0)
        ref, _ = await broker.open(storage.uri(folder / "object"))
        assert (ref.descriptor, ref.key, ref.size_bytes) == (-1, 0, SIZE)
        ours, theirs = socket.socketpair()
        serving = asyncio.create_task(broker.serve(ours))
        try:
            yield Ends(broker, storage, theirs)
        finally:
            theirs.close()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await broker.close()
    assert storage.open_count == 0


def _wander(remote: RemoteObject, data: bytes, seed: int, steps: int = 150) -> None:
    """Reads here and there, on and on, and a little back; compares."""
    chance = random.Random(seed)
    with remote.open() as file:
        for _ in range(steps):
            move = chance.choice(["jump", "on", "on", "on", "skip", "back", "end"])
            if move == "jump":
                file.seek(chance.randrange(SIZE))
            elif move == "skip":
                file.seek(chance.randrange(600_000), 1)
            elif move == "back":
                file.seek(-chance.randrange(600_000), 1)
            elif move == "end":
                file.seek(-chance.randrange(1000), 2)
            at, size = file.tell(), chance.choice([1, 1000, 4096, 256 * 1024, 3 << 20])
            result = file.read(size)
            assert len(result) <= size and result == data[at : at + len(result)]
            assert result or at >= SIZE
            assert file.tell() == at + len(result)


@pytest.mark.parametrize("cache", [0, 4 * BLOCK_BYTES, 1 << 30])
async def test_what_is_read_is_what_is_there(tmp_path: Path, data: bytes, cache: int) -> None:
    """Several threads wander through the object at once; with room for all of it no byte is read twice."""
    async with ends(tmp_path, data, cache) as both:
        remote = both.remote()
        await asyncio.gather(*(asyncio.to_thread(_wander, remote, data, seed) for seed in range(4)))
        if cache > SIZE:
            assert both.storage.bytes_read == both.broker.fetched_bytes <= SIZE


async def test_reading_on_is_ahead_and_in_large_steps(tmp_path: Path, data: bytes) -> None:
    """From the first byte to the last, in few requests."""
    async with ends(tmp_path, data) as both:

        def read() -> bytes:
            with both.remote().open() as file:
                return b"".join(iter(lambda: file.read(256 * 1024), b""))

        assert await asyncio.to_thread(read) == data
        assert both.storage.bytes_read == SIZE and len(both.storage.reads) < 20


async def test_single_reads_cost_little(tmp_path: Path, data: bytes) -> None:
    """A jump reads a quarter of a megabyte, whatever is asked for."""
    async with ends(tmp_path, data) as both:

        def read() -> None:
            with both.remote().open() as file:
                for at in (4_000_000, 1_000_000, 2_500_000):
                    file.seek(at)
                    assert file.read(100) == data[at : at + 100]

        await asyncio.to_thread(read)
        assert both.storage.bytes_read <= 3 * 4 * BLOCK_BYTES


async def test_reading_in_two_places_in_turn_is_ahead_in_both(tmp_path: Path, data: bytes) -> None:
    """As badly interleaved files are read."""
    async with ends(tmp_path, data) as both:

        def read() -> None:
            with both.remote().open() as file:
                for step in range(0, 2_000_000, 20_000):
                    for at in (step, 2_500_000 + step):
                        file.seek(at)
                        assert file.read(20_000) == data[at : at + 20_000][: file.tell() - at]

        await asyncio.to_thread(read)
        assert len(both.storage.reads) < 30


async def test_an_error_is_raised_once_and_again_at_the_end(tmp_path: Path, data: bytes) -> None:
    """Whoever swallows it in between is told when the file is left."""
    async with ends(tmp_path, data) as both:
        both.storage.fails_at, both.storage.failure = 0, AccessDenied("remote:///object: no")

        def read() -> None:
            with both.remote().open() as file:
                with pytest.raises(AccessDenied, match="object: no"):
                    file.read(10)
                assert file.read(10) == b""
                raise ValueError("the file is broken")

        with pytest.raises(AccessDenied, match="object: no"):
            await asyncio.to_thread(read)


async def test_a_stop_ends_waiting(tmp_path: Path, data: bytes) -> None:
    """Whatever the storage does."""
    async with ends(tmp_path, data) as both:
        both.storage.fails_at = 0  # without an answer

        def read() -> None:
            with both.remote().open() as file:
                file.read(10)

        reading = asyncio.ensure_future(asyncio.to_thread(read))
        await asyncio.wait({reading}, timeout=0.3)
        assert not reading.done()
        both.stop.set()
        with pytest.raises(Stopped):
            await reading


@pytest.mark.parametrize(
    "request_",
    [
        Request(1, 1, 0, 10),
        Request(1, 2**32 - 1, 0, 10),
        Request(1, 0, SIZE - 5, 10),
        Request(1, 0, 2**64 - 1, 1),
        Request(1, 0, 0, 0),
        Request(1, 0, 0, MAX_LENGTH + 1),
    ],
)
async def test_a_child_that_asks_for_what_is_not_its_own_is_cut_off(tmp_path: Path, data: bytes, request_: Request) -> None:
    """Another object, what lies outside, too much: nothing is read, and nothing more answered."""
    async with ends(tmp_path, data) as both:
        both.channel.sendall(request_.packed())
        assert await asyncio.to_thread(both.channel.recv, 1) == b""
        assert both.storage.reads == []


async def test_a_child_that_does_not_take_its_answers_holds_nobody_up(tmp_path: Path, data: bytes) -> None:
    """It asks without end and reads nothing: what is held for it is bounded, and others are served."""
    async with ends(tmp_path, data, cache=0) as both:
        both.channel.setblocking(False)
        for number in range(2000):
            try:
                both.channel.send(Request(number, 0, 0, MAX_LENGTH).packed())
            except BlockingIOError:
                break
            if number % 100 == 0:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert both.broker.fetched_bytes <= 17 * (MAX_LENGTH + BLOCK_BYTES)


async def test_answers_that_nobody_asked_for_break_the_connection(data: bytes) -> None:
    """The child's side checks what it is told, too."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        remote = remote_object(theirs, threading.Event())
        ours.sendall(AnswerHead(77, False, 10).packed())
        with remote.open() as file:
            with pytest.raises(InternalError):
                await asyncio.to_thread(file.read, 10)
            file.failure = None


@pytest.mark.parametrize(
    ("failed", "length", "body"),
    [(False, 10, b"x" * 10), (False, None, b"breaks off"), (True, 1, b"["), (True, 3, b"[1]"), (True, 4, b"[[]]")],
)
async def test_whoever_waits_for_an_answer_that_goes_wrong_is_told(failed: bool, length: int | None, body: bytes) -> None:
    """Only those were told that waited for later answers: this one waited until the attempt had stalled."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stop = threading.Event()
        remote = remote_object(theirs, stop)
        with remote.open() as file:
            reading = asyncio.create_task(asyncio.to_thread(file.read, 10))
            request = Request.unpacked(await asyncio.to_thread(ours.recv, REQUEST_BYTES))
            ours.sendall(AnswerHead(request.number, failed, request.length if length is None else length).packed() + body)
            ours.shutdown(socket.SHUT_WR)
            try:
                async with asyncio.timeout(10):
                    with pytest.raises(InternalError, match="gives no more of the sources"):
                        await asyncio.shield(reading)
            finally:
                stop.set()
            file.failure = None


async def test_what_was_read_before_is_counted_as_a_hit(tmp_path: Path, data: bytes) -> None:
    """The first reader of a block misses; whoever comes while it is read, or later, does not."""
    async with ends(tmp_path, data) as both:
        request = Request(1, 0, 0, BLOCK_BYTES + 1)
        both_at_once = await asyncio.gather(both.broker._range(request), both.broker._range(request))
        assert both_at_once == [data[: BLOCK_BYTES + 1]] * 2
        assert (both.broker.hits, both.broker.misses) == (2, 2)
        await both.broker._range(request)
        assert (both.broker.hits, both.broker.misses) == (4, 2)


async def test_an_object_that_is_too_large_is_not_opened(tmp_path: Path, data: bytes) -> None:
    """And closed all the same."""
    (tmp_path / "object").write_bytes(data)
    storage = RemoteStorage(tmp_path)
    with Scratch(tmp_path / "scratch").cache() as cache:
        broker = RangeServer(storage, cache, SIZE - 1)
        with pytest.raises(MediaLimitExceeded):
            await broker.open(storage.uri(tmp_path / "object"))
        await broker.close()
    assert storage.open_count == 0


async def test_local_files_are_inherited_and_the_rest_of_very_many_is_served(tmp_path: Path) -> None:
    """A child has few descriptors. Neither way names a path, and both read the same."""
    storage = RemoteStorage(tmp_path, local=True)
    with Scratch(tmp_path / "scratch", cache_bytes=1 << 20).cache() as cache:
        broker = RangeServer(storage, cache, 0)
        refs = []
        for number in range(70):
            (tmp_path / str(number)).write_bytes(b"%d" % number)
            ref, _ = await broker.open(storage.uri(tmp_path / str(number)))
            refs.append(ref)
            assert (await broker.open(storage.uri(tmp_path / str(number))))[0] == ref
        assert len(broker.descriptors) == 64 and broker.serves
        assert str(tmp_path) not in repr(refs)
        ours, theirs = socket.socketpair()
        serving = asyncio.create_task(broker.serve(ours))
        ranges = RangeClient(theirs, threading.Event())
        ranges.listen()
        for number, ref in enumerate(refs):
            place = (
                OpenedFile(broker.descriptors[ref.descriptor])
                if ref.descriptor >= 0
                else RemoteObject(ranges, ref.key, ref.size_bytes)
            )
            with place.open() as file:
                assert await asyncio.to_thread(file.read) == b"%d" % number
        theirs.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await broker.close()
    assert storage.open_count == 0


def test_readers_of_one_descriptor_have_places_of_their_own(tmp_path: Path, data: bytes) -> None:
    """Several threads read a source at once; the descriptor stays open."""
    (tmp_path / "file").write_bytes(data)
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    opened = OpenedFile(descriptor)
    with opened.open() as one, opened.open() as other:
        assert one.read(1000) == data[:1000] == other.read(1000)
        assert one.seek(-10, 2) == SIZE - 10 and one.read() == data[-10:] and one.read(1) == b""
        assert other.seek(500, 1) == 1500 and other.read(500_000) == data[1500:501_500] and other.tell() == 501_500
    assert os.read(descriptor, 5) == data[:5]
    os.close(descriptor)
