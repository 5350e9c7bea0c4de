"""Files that chunks hand to the join: packets as the encoder gave them, or frames without loss.

No container keeps all of a packet (NUT drops decode timestamps and side data, MP4 the alpha of VP9), hence a format of its
own: records, then a summary in JSON, then a footer that says where the summary begins. A truncated file has no summary.
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
from reelmill_server.media.libav.log import error_text
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.loudness import LoudnessResult

IMAGES = -1
"""Stream number of a chunk file that holds the frames of an image entry."""
_MAGIC = b"reelmill unit 1\n"
_FOOTER = struct.Struct(f">Q{len(_MAGIC)}s")
_PACKET = struct.Struct(">cqqqBBI")  # P, pts, dts, duration, flags, pieces of side data, bytes
_SIDE = struct.Struct(">HI")  # kind, bytes
_FRAME = struct.Struct(">cII")  # F, bytes of its description, bytes
_KEY, _UNDATED = 1, 2
_MAX_BYTES = 1 << 30
_DROPPED_SIDE_DATA = ("quality_stats",)  # for statistics only


@dataclass
class Summary:
    """Summary of a chunk file. Field names are part of the file format.

    `digest`, `unit`, `slot` and `stream` as in Split and UnitFile. For packets: `time_base`; in its ticks, where the frames
    begin and end and how long they are shown together; their `size_bytes`; the encoder's `extradata` and `head`, a NUT file
    that describes the stream, both in hexadecimal; the `shape` of the source's first frame; `vmaf` and `xpsnr` if they were
    measured, and `frames` that were to be encoded. For images: whether they are `final`, or only candidates.

    `given`: what reading gave in the chunk (`media.input.account`), `taken`, `held`, `captioned`,
    `captions_lost`, `loudness`, `samples`, `silent`, `cut` and `dropped` what became of it (`media.track.base`).

    `decoding`: how decoding went in the whole chunk, of which this is one file.
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
    xpsnr: float | None = None
    final: bool = False
    given: list[str] = field(default_factory=list)
    taken: int = 0
    held: int = 0
    samples: int = 0
    silent: int = 0
    cut: dict[str, int] = field(default_factory=dict)
    loudness: LoudnessResult | None = None
    captioned: int = 0
    captions_lost: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    decoding: list[StreamDecoding] = field(default_factory=list)

    def add(self, packet: AnyPacket) -> None:
        """Count a packet."""
        self.count += 1
        self.size_bytes += packet.size
        if packet.pts is not None:
            duration = packet.duration or 0
            self.first = packet.pts if self.first is None else min(self.first, packet.pts)
            self.end = packet.pts + duration if self.end is None else max(self.end, packet.pts + duration)
            self.shown += duration


@dataclass(frozen=True)
class PackedFrame:
    """A frame as it will be written, and its time in seconds.

    `blank`: whether the source's frame is blank; `until`: when the next frame of the sources follows it; None: unknown.
    """

    time: Fraction
    frame: VideoFrame
    blank: bool | None = None
    until: Fraction | None = None


class ChunkFileWriter:
    """Write a chunk file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def packet(self, packet: AnyPacket) -> None:
        """Add a packet."""
        side = [data for data in packet.iter_sidedata() if data.data_type not in _DROPPED_SIDE_DATA]
        flags = _KEY * packet.is_keyframe | _UNDATED * (packet.dts is None)
        stamps = (packet.pts or 0, packet.dts or 0, packet.duration or 0)
        self._file.write(_PACKET.pack(b"P", *stamps, flags, len(side), packet.size))
        for data in side:
            self._file.write(_SIDE.pack(packet_sidedata_type_from_literal(data.data_type), data.data_size))  # type: ignore[arg-type]
            self._file.write(bytes(data))
        self._file.write(bytes(packet))

    def frame(self, packed: PackedFrame) -> None:
        """Add a frame."""
        frame = packed.frame
        description = {
            "time": str(packed.time),
            "blank": packed.blank,
            "until": None if packed.until is None else str(packed.until),
            "format": frame.format.name,
            "size": [frame.width, frame.height],
            "range": int(frame.color_range),
            "space": int(frame.colorspace),
            "rows": [plane.line_size for plane in frame.planes],
        }
        head = json.dumps(description).encode()
        content = zlib.compress(b"".join(bytes(plane) for plane in frame.planes), 1)
        self._file.write(_FRAME.pack(b"F", len(head), len(content)) + head + content)

    def finish(self, summary: Summary) -> None:
        """Add the summary and close the file: it is complete."""
        begin = self._file.tell()
        self._file.write(json.dumps(asdict(summary)).encode())
        self._file.write(_FOOTER.pack(begin, _MAGIC))
        self._file.close()

    def close(self) -> None:
        """Close the file, complete or not."""
        self._file.close()


@dataclass
class ChunkFile:
    """Read a chunk file."""

    location: Location
    summary: Summary = field(init=False)

    def __post_init__(self) -> None:
        """Read the summary. Raises ChunksDiffer when there is none."""
        with open_bytes(self.location) as file:
            self._end, self.summary = _summary(file)

    def packets(self) -> Iterator[AnyPacket]:
        """Yield the packets in the order in which they were written. Raises ChunksDiffer when one is broken."""
        time_base = Fraction(self.summary.time_base or 1)
        with open_bytes(self.location) as file:
            while file.tell() < self._end:
                yield _packet(file, time_base)

    def frames(self) -> Iterator[PackedFrame]:
        """Yield the frames in the order of their times. Raises ChunksDiffer when one is broken."""
        with open_bytes(self.location) as file:
            while file.tell() < self._end:
                yield _frame(file)


def _summary(file: BinaryIO) -> tuple[int, Summary]:
    try:
        end = file.seek(-_FOOTER.size, 2)
        begin, magic = _FOOTER.unpack(_exactly(file, _FOOTER.size))
        if magic != _MAGIC or not 0 <= begin <= end:
            raise ValueError("no summary")
        file.seek(begin)
        description: dict[str, Any] = json.loads(_exactly(file, end - begin))
        decoding = [StreamDecoding(**counts) for counts in description.pop("decoding", ())]
        loudness = description.pop("loudness", None)
        return begin, Summary(**description, decoding=decoding, loudness=LoudnessResult.of(loudness) if loudness else None)
    except (OSError, ValueError, TypeError) as error:
        raise ChunksDiffer(f"a chunk file is not whole: {error_text(error)}") from error


def _packet(file: BinaryIO, time_base: Fraction) -> AnyPacket:
    letter, pts, dts, duration, flags, pieces, size = _PACKET.unpack(_exactly(file, _PACKET.size))
    if letter != b"P":
        raise ChunksDiffer("a chunk file is broken: expected a packet")
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


def _frame(file: BinaryIO) -> PackedFrame:
    letter, description_bytes, size = _FRAME.unpack(_exactly(file, _FRAME.size))
    if letter != b"F":
        raise ChunksDiffer("a chunk file is broken: expected a frame")
    description = json.loads(_exactly(file, description_bytes))
    content = _exactly(file, size)
    width, height = description["size"]
    frame = VideoFrame(width, height, description["format"])
    unpacked = zlib.decompressobj().decompress(content, _MAX_BYTES)
    place = 0
    for plane, row in zip(frame.planes, description["rows"], strict=True):
        rows = plane.buffer_size // plane.line_size
        kept = min(row, plane.line_size)
        lines = (unpacked[place + line * row : place + line * row + kept].ljust(plane.line_size, b"\0") for line in range(rows))
        plane.update(b"".join(lines))
        place += row * rows
    frame.color_range, frame.colorspace = description["range"], description["space"]
    until = description.get("until")
    return PackedFrame(Fraction(description["time"]), frame, description["blank"], Fraction(until) if until else None)


def _exactly(file: BinaryIO, size: int) -> bytes:
    if not 0 <= size <= _MAX_BYTES:
        raise ChunksDiffer(f"a chunk file is broken: a record of {size} bytes")
    parts = []
    while size:
        part = file.read(size)
        if not part:
            raise ChunksDiffer("a chunk file breaks off")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
