"""What one thread hands to another."""

import threading
import time
from collections.abc import Iterator

import pytest

from reelmill_server.media.output.queue import EventQueue, OwnEvents
from tests.servers import wait_for


class Reader:
    """The other thread: goes over what it is given, one by one when `gate` is set."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.line = EventQueue[int](self.check)
        self.gate = threading.Event()
        self.seen: list[int] = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def check(self) -> None:
        """Raises when all is to end."""
        if self.failure:
            raise self.failure

    def read(self) -> None:
        """Until there are no more."""
        try:
            for number in self.line:
                self.gate.wait()
                self.seen.append(number)
        except InterruptedError:
            self.seen.append(-1)


@pytest.fixture
def reader() -> Reader:
    """A thread that has begun to read."""
    return Reader()


@pytest.mark.parametrize("size", [0, 1000, 1 << 30])
def test_all_comes_in_order(reader: Reader, size: int) -> None:
    """Alone or together, and the last that still wait for others, too."""
    reader.gate.set()
    for number in range(1000):
        reader.line.give(number, size)
    reader.line.finish()
    reader.thread.join(10)
    assert reader.seen == list(range(1000))


def test_what_was_given_is_done_when_it_settles(reader: Reader) -> None:
    """Not only taken: the last one is, too, although it would wait for others."""
    for number in range(3):
        reader.line.give(number, 0)
    threading.Timer(0.05, reader.gate.set).start()
    reader.line.settle()
    assert reader.seen == [0, 1, 2]
    reader.line.settle()


@pytest.mark.parametrize("size", [0, 1 << 30])
def test_nobody_runs_far_ahead(reader: Reader, size: int) -> None:
    """Many large things wait; of small ones a bundle, until it is done."""
    given = 0

    def give() -> None:
        nonlocal given
        for number in range(1000):
            reader.line.give(number, size)
            given = number + 1
        reader.line.finish()

    giver = threading.Thread(target=give, daemon=True)
    giver.start()
    wait_for(lambda: given >= 20, "a full queue")
    time.sleep(0.3)  # more would come now
    assert given <= (24 + 3 if size else 256)
    reader.gate.set()
    giver.join(10)
    reader.thread.join(10)
    assert reader.seen == list(range(1000))


def test_both_end_when_they_are_to(reader: Reader) -> None:
    """Whoever waits for room, for the rest to be done, or for more."""
    reader.line.give(0)
    reader.failure = InterruptedError()
    for wait in (lambda: reader.line.give(1), reader.line.settle, reader.line.finish):
        with pytest.raises(InterruptedError):
            wait()
    reader.gate.set()
    reader.thread.join(10)
    assert reader.seen == [0, -1]


def test_a_thread_that_hands_to_itself_makes_what_it_takes() -> None:
    """Each step is taken when all that was given before it is done, and what comes last is not lost."""
    seen: list[str] = []

    def steps() -> Iterator[None]:
        for number in range(3):
            seen.append(f"step {number}")
            line.give(f"a{number}")
            line.give(f"b{number}")
            yield
        line.give("last")
        line.finish()

    line = OwnEvents[str](lambda: None, steps())
    seen.extend(line)
    assert seen == ["step 0", "a0", "b0", "step 1", "a1", "b1", "step 2", "a2", "b2", "last"]
    assert line.failure is None


def test_what_a_step_fails_with_is_told_apart() -> None:
    """Else a broken source would be taken for a file that cannot be written."""

    def steps() -> Iterator[None]:
        line.give("a")
        yield
        raise InterruptedError

    line = OwnEvents[str](lambda: None, steps())
    seen = []
    with pytest.raises(InterruptedError) as raised:
        for event in line:
            seen.append(event)
    assert seen == ["a"]
    assert line.failure is raised.value
