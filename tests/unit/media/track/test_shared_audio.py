"""What one thread encodes for the tracks of several outputs."""

import threading
from collections.abc import Iterator
from typing import Any

import av
import pytest

from reelmill_server.errors import OutOfMemory
from reelmill_server.media.output.in_order import InOrder
from reelmill_server.media.track.shared_audio import AudioEncoding, PendingPackets
from tests.servers import wait_for


class Stop(Exception):
    """Everything is to end."""


class Member:
    """A track that takes packets as they are."""

    def own(self, packets: Any) -> Any:
        return packets


class Encoding:
    """An encode for two outputs, which ends when told."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.encoding = AudioEncoding(None, self.check)  # type: ignore[arg-type]
        self.encoding.members += [Member(), Member()]  # type: ignore[list-item]

    def check(self) -> None:
        if self.stopped.is_set():
            raise Stop

    def call(self, member: int, key: object, count: int = 1) -> PendingPackets:
        return self.encoding.call(member, key, lambda: _packets(count))


def _packets(count: int) -> Iterator[av.Packet]:
    return (av.Packet(b"x" * (number + 1)) for number in range(count))


def _sizes(coming: Iterator[av.Packet]) -> list[int]:
    return [packet.size for packet in coming]


@pytest.fixture
def shared() -> Iterator[Encoding]:
    """An encode that is ended at last."""
    encoding = Encoding()
    yield encoding
    encoding.stopped.set()
    encoding.encoding.close()


def test_each_gets_what_is_made_once(shared: Encoding) -> None:
    """Whoever asks first, and however late the other one comes."""
    first = [shared.call(0, key, 3) for key in range(5)]
    assert [_sizes(coming) for coming in first] == [[1, 2, 3]] * 5
    assert [_sizes(shared.call(1, key, 100)) for key in range(5)] == [[1, 2, 3]] * 5
    assert not shared.encoding._calls


def test_much_waits_for_the_slower_one(shared: Encoding) -> None:
    """Silence for a gap of hours is not held in memory, but comes as both take it."""
    results: list[int] = []

    def work() -> Iterator[av.Packet]:
        for packet in _packets(2000):
            results.append(packet.size)
            yield packet

    fast = shared.encoding.call(0, 0, work)
    taken: list[int] = []
    thread = threading.Thread(target=lambda: taken.extend(_sizes(fast)), daemon=True)
    thread.start()
    wait_for(lambda: len(results) >= 500, "a full queue")
    assert len(results) < 1000 and thread.is_alive()
    assert _sizes(shared.call(1, 0)) == [*range(1, 2001)]
    thread.join(10)
    assert taken == results == [*range(1, 2001)]


def test_a_failure_reaches_all(shared: Encoding) -> None:
    """After what was made before it."""

    def work() -> Iterator[av.Packet]:
        yield from _packets(1)
        raise ValueError("broken")

    for member in range(2):
        coming = shared.encoding.call(member, 0, work)
        with pytest.raises(ValueError, match="broken"):
            list(coming)


def test_nobody_waits_when_all_is_to_end(shared: Encoding) -> None:
    """Neither those who take nor the thread that makes."""
    coming = shared.call(0, 0, 5000)
    threading.Timer(0.1, shared.stopped.set).start()
    with pytest.raises(Stop):
        list(coming)
    shared.encoding.close()


def test_a_thread_that_is_gone_is_not_waited_for(shared: Encoding) -> None:
    """One that finds no memory when it starts ends without a word."""
    shared.encoding.close()
    with pytest.raises(OutOfMemory):
        list(shared.call(0, 0))


def test_what_comes_later_keeps_its_place(shared: Encoding) -> None:
    """What was made after it waits; without it, nothing does."""
    gate, order = threading.Event(), InOrder()

    def late() -> Iterator[av.Packet]:
        gate.wait(10)
        return _packets(2)

    def given(bundles: Iterator[Any]) -> list[int]:
        return [packet.size for bundle in bundles for packet in bundle]

    assert given(order.add(_packets(1))) == [1]
    shared.encoding.members.pop()
    coming = shared.encoding.call(0, 0, late)
    assert given(order.add(coming)) == given(order.add([av.Packet(b"1234")])) == []
    gate.set()
    wait_for(lambda: coming.ready, "the late packets")
    assert given(order.add([])) == [1, 2, 4]
    assert given(order.add(shared.call(0, 1))) + given(order.rest()) == [1]
