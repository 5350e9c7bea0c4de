"""Tell which channels of closed captions a video stream has."""

from reelmill_server.media.libav import a53

_CODES = range(0x10, 0x20)  # CEA-608: the first byte of a control code, of which one bit tells the channel of the field
_TEXT_MODES = (0x2A, 0x2B)
_EXTENDED = 7  # CEA-708: a service number beyond 6


class CaptionChannels:
    """Collect channels from the `cc_data` of frames, in any order."""

    def __init__(self) -> None:
        self._fields: set[int] = set()
        self._services: set[int] = set()

    def see(self, data: bytes) -> None:
        """Look at the captions of a frame."""
        for part in a53.tuples(data):
            kind, first, second = a53.kind_of(part), part[1] & 0x7F, part[2] & 0x7F
            if kind in a53.FIELDS and first in _CODES and second not in _TEXT_MODES:
                self._fields.add(2 * kind + (first >> 3 & 1) + 1)
            elif kind == a53.PACKET_START and 0 < part[2] >> 5 < _EXTENDED:
                self._services.add(part[2] >> 5)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names as HLS and DASH call them: CC1 to CC4 of CEA-608, SERVICE1 to SERVICE6 of CEA-708."""
        return (*(f"CC{number}" for number in sorted(self._fields)), *(f"SERVICE{number}" for number in sorted(self._services)))
