"""Put what the steps of a writing thread make in the order of the steps, while other threads make some of it."""

from collections import deque
from collections.abc import Iterator, Sequence

from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.shared_audio import Coming

# Steps whose packets wait for those of an earlier one. More would only take memory: the encoder beside them is behind.
_MOST_WAITING = 32

Made = list[AnyPacket] | Iterator[AnyPacket]


class InOrder:
    """The packets of steps, in their order: what comes later keeps what was made after it waiting."""

    def __init__(self) -> None:
        self._waiting: deque[Made] = deque()

    def add(self, made: Made) -> Iterator[Sequence[AnyPacket]]:
        """Carry out a step that has given `made`; yield what is ready."""
        if not self._waiting and not isinstance(made, Coming):
            yield from _bundles(made)
            return
        self._waiting.append(made if isinstance(made, Coming) else list(made))
        while self._waiting and (len(self._waiting) > _MOST_WAITING or _is_ready(self._waiting[0])):
            yield from _bundles(self._waiting.popleft())

    def rest(self) -> Iterator[Sequence[AnyPacket]]:
        """Yield everything, once it is ready."""
        while self._waiting:
            yield from _bundles(self._waiting.popleft())

    def settle(self) -> None:
        """Wait until everything that was added is made."""
        self._waiting = deque([list(made) for made in self._waiting])


def _is_ready(made: Made) -> bool:
    return not isinstance(made, Coming) or made.ready


def _bundles(made: Made) -> Iterator[Sequence[AnyPacket]]:
    if isinstance(made, list):
        yield made
    else:
        for packet in made:
            yield (packet,)
