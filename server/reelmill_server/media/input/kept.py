"""Keep a source open between the look at it and the conversion: opening it again would decode frames again, seven of H.264 in
Matroska and MPEG-TS.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import BinaryIO

from av.container import InputContainer

from reelmill_server.media.input.source import Location, open_bytes, open_source
from reelmill_server.media.libav.demuxing import forget, put_back, reads_ahead
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.capability import Limits

# Of others, reading may change what is known of streams; of MPEG-TS it does the bit rate of audio, an average of what was read.
_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts")
_MOST_PACKETS, _MOST_BYTES = 64, 16 << 20


class KeptSource:
    """A location where whoever looks at the source may leave it open for the conversion."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._kept: tuple[ExitStack, InputContainer] | None = None

    def open(self) -> AbstractContextManager[BinaryIO]:
        """Open the file, whatever is kept."""
        return open_bytes(self._location)

    def keep(self, opened: ExitStack, container: InputContainer, begun: Sequence[AnyPacket]) -> None:
        """Keep what was `opened`, a container of which all packets that were read are `begun`, unless that is too much."""
        ended = not all(packet.size for packet in begun)
        large = len(begun) > _MOST_PACKETS or sum(packet.size for packet in begun) > _MOST_BYTES
        if container.format.name in _FORMATS and not (ended or large or reads_ahead(container)):
            put_back(container, begun)
            opened.callback(forget, container)
            self._kept = opened.pop_all(), container

    def take(self) -> tuple[ExitStack, InputContainer] | None:
        """Return what is kept, once: what closes it, and the container, which is read as if it had just been opened."""
        kept, self._kept = self._kept, None
        return kept


@contextmanager
def open_kept(location: Location, limits: Limits) -> Iterator[InputContainer]:
    """Open a source as `open_source` does, or take the one that was kept at its location."""
    kept = location.take() if isinstance(location, KeptSource) else None
    if kept is None:
        with open_source(location, limits) as container:
            yield container
        return
    opened, container = kept
    with opened:
        yield container
