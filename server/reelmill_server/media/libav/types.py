"""Names for types of PyAV that are generic in its stubs only."""

from typing import TYPE_CHECKING

from av import Packet

if TYPE_CHECKING:
    from av.stream import Stream

    AnyPacket = Packet[Stream]
else:
    AnyPacket = Packet

__all__ = ["AnyPacket"]
