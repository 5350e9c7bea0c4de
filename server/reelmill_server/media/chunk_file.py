"""The files that units hand to the one that joins them: packets as the encoder gave them, or pictures without loss.

No container keeps all of a packet (NUT drops decoding times and side data, MP4 the alpha of VP9), so these have a form of their
own: records, a summary in JSON behind them, and at the very end where that begins. A file that breaks off has no summary.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from av import VideoFrame
from av.packet import PacketSideData, packet_sidedata_type_from_literal

from reelmill_server.errors import ChunksDiffer
from reelmill_server.media.input.decoding import StreamDecoding
from reelmill_server.media.input.source import Location, open_bytes
from reelmill_server.media.libav.types import AnyPacket

_MAGIC = b"reelmill unit 1\n"
_FOOTER = struct.Struct(f">Q{len(_MAGIC)}s")
_PACKET = struct.Struct(">cqqqBBI")  # P, pts, dts, duration, flags, pieces of side data, bytes
_SIDE = struct.Struct(">HI")  # kind, bytes
_PICTURE = struct.Struct(">cII")  # F, bytes of what is said of it, bytes
_KEY, _UNDATED = 1, 2
_MOST_BYTES = 1 << 30
_DROPPED_SIDE_DATA = ("quality_stats",)  # for statistics only


@dataclass
class Summary:
    """What a file of a unit holds.

    `digest`, `unit`, `slot` and `stream` as in Split and UnitFile. Of packets: `time_base`; where the pictures begin and end,
    and how long they are shown together, in ticks; their `size_bytes`; the encoder's `extradata` and `head`, a file of NUT that
    describes the stream, both in hexadecimal; the `shape` of the source's first picture; `vmaf` where it was measured, and
    `frames` that were to be encoded. Of pictures: whether they are `final`, or only all that come into question.

    `decoding`: how it went in the whole unit, of which this is one file.
    """

    digest: str = ""
    unit: int = 0
    slot: int = 0
    stream: int = 0
    count: int = 0
    time_base: str = ""
    first: int | None = None
    end: int | None = None
    shown: int = 0
    size_bytes: int = 0
    frames: int = 0
    unordered: int = 0
    extradata: str = ""
    head: str = ""
    shape: str = ""
    vmaf: float | None = None
    final: bool = False
    decoding: list[StreamDecoding] = field(default_factory=list)

    def add(self, packet: AnyPacket) -> None:
        """Counts a packet."""
        self.count += 1
        self.size_bytes += packet.size
        if packet.pts is not None:
            duration = packet.duration or 0
            self.first = packet.pts if self.first is None else min(self.first, packet.pts)
            self.end = packet.pts + duration if self.end is None else max(self.end, packet.pts + duration)
            self.shown += duration


@dataclass(frozen=True)
class PackedFrame:
    """A picture as it is written in the end, and its time, seconds. `blank`: whether the source's picture shows nothing, None:
    nobody looked."""

    time: Fraction
    frame: VideoFrame
    blank: bool | None = None


class ChunkFileWriter:
    """Writes one file of a unit."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def packet(self, packet: AnyPacket) -> None:
        """Adds a packet."""
        side = [data for data in packet.iter_sidedata() if data.data_type not in _DROPPED_SIDE_DATA]
        flags = _KEY * packet.is_keyframe | _UNDATED * (packet.dts is None)
        stamps = (packet.pts or 0, packet.dts or 0, packet.duration or 0)
        self._file.write(_PACKET.pack(b"P", *stamps, flags, len(side), packet.size))
        for data in side:
            self._file.write(_SIDE.pack(packet_sidedata_type_from_literal(data.data_type), data.data_size))  # type: ignore[arg-type]
            self._file.write(bytes(data))
        self._file.write(bytes(packet))

    def picture(self, picture: PackedFrame) -> None:
        """Adds a picture."""
        frame = picture.frame
        said = {
            "time": str(picture.time),
            "blank": picture.blank,
            "format": frame.format.name,
            "size": [frame.width, frame.height],
            "range": int(frame.color_range),
            "space": int(frame.colorspace),
            "rows": [plane.line_size for plane in frame.planes],
        }
        head = json.dumps(said).encode()
        content = zlib.compress(b"".join(bytes(plane) for plane in frame.planes), 1)
        self._file.write(_PICTURE.pack(b"F", len(head), len(content)) + head + content)

    def finish(self, summary: Summary) -> None:
        """Adds the summary; the file is whole."""
        begin = self._file.tell()
        self._file.write(json.dumps(asdict(summary)).encode())
        self._file.write(_FOOTER.pack(begin, _MAGIC))
        self._file.close()

    def close(self) -> None:
        """Closes the file, whole or not."""
        self._file.close()


@dataclass
class ChunkFile:
    """One file of a unit that lies at `place`."""

    place: Location
    summary: Summary = field(init=False)

    def __post_init__(self) -> None:
        """Reads the summary. Raises ChunksDiffer when there is none."""
        with open_bytes(self.place) as file:
            self._end, self.summary = _summary(file)

    def packets(self) -> Iterator[AnyPacket]:
        """The packets, in the order in which they were written. Raises ChunksDiffer when one is broken."""
        time_base = Fraction(self.summary.time_base or 1)
        with open_bytes(self.place) as file:
            while file.tell() < self._end:
                yield _packet(file, time_base)

    def pictures(self) -> Iterator[PackedFrame]:
        """The pictures, in the order of their times. Raises ChunksDiffer when one is broken."""
        with open_bytes(self.place) as file:
            while file.tell() < self._end:
                yield _picture(file)


def _summary(file: BinaryIO) -> tuple[int, Summary]:
    try:
        end = file.seek(-_FOOTER.size, 2)
        begin, magic = _FOOTER.unpack(_exactly(file, _FOOTER.size))
        if magic != _MAGIC or not 0 <= begin <= end:
            raise ValueError("no summary")
        file.seek(begin)
        said: dict[str, Any] = json.loads(_exactly(file, end - begin))
        decoding = [StreamDecoding(**counts) for counts in said.pop("decoding", ())]
        return begin, Summary(**said, decoding=decoding)
    except (OSError, ValueError, TypeError) as error:
        raise ChunksDiffer(f"the file of a unit is not whole: {error}") from error


def _packet(file: BinaryIO, time_base: Fraction) -> AnyPacket:
    letter, pts, dts, duration, flags, pieces, size = _PACKET.unpack(_exactly(file, _PACKET.size))
    if letter != b"P":
        raise ChunksDiffer("the file of a unit is broken: no packet where one is to be")
    side = [_side_data(file) for _ in range(pieces)]
    packet = AnyPacket(_exactly(file, size))
    packet.pts, packet.dts, packet.duration, packet.time_base = pts, None if flags & _UNDATED else dts, duration, time_base
    packet.is_keyframe = bool(flags & _KEY)
    for data in side:
        packet.set_sidedata(data)
    return packet


def _side_data(file: BinaryIO) -> PacketSideData:
    kind, size = _SIDE.unpack(_exactly(file, _SIDE.size))
    data: Any = PacketSideData(kind, size)  # type: ignore[call-arg]
    if size:
        data.update(_exactly(file, size))
    return data  # type: ignore[no-any-return]


def _picture(file: BinaryIO) -> PackedFrame:
    letter, said_bytes, size = _PICTURE.unpack(_exactly(file, _PICTURE.size))
    if letter != b"F":
        raise ChunksDiffer("the file of a unit is broken: no picture where one is to be")
    said = json.loads(_exactly(file, said_bytes))
    content = _exactly(file, size)
    width, height = said["size"]
    frame = VideoFrame(width, height, said["format"])
    unpacked = zlib.decompressobj().decompress(content, _MOST_BYTES)
    place = 0
    for plane, row in zip(frame.planes, said["rows"], strict=True):
        rows = plane.buffer_size // plane.line_size
        kept = min(row, plane.line_size)
        lines = (unpacked[place + line * row : place + line * row + kept].ljust(plane.line_size, b"\0") for line in range(rows))
        plane.update(b"".join(lines))
        place += row * rows
    frame.color_range, frame.colorspace = said["range"], said["space"]
    return PackedFrame(Fraction(said["time"]), frame, said["blank"])


def _exactly(file: BinaryIO, size: int) -> bytes:
    if not 0 <= size <= _MOST_BYTES:
        raise ChunksDiffer(f"the file of a unit is broken: a record of {size} bytes")
    parts = []
    while size:
        part = file.read(size)
        if not part:
            raise ChunksDiffer("the file of a unit breaks off")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
