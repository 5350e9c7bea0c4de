"""Clips with closed captions (ATSC A/53) in their pictures, written byte by byte, and the judge's reading of them."""

import os
import subprocess
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np

from tests.sources import Shelf

FILLER = b"\xfc\x80\x80"


def _odd(byte: int) -> int:
    return byte | 0x80 * (byte.bit_count() % 2 == 0)


def tuples(kind: int, *pairs: tuple[int, int]) -> list[bytes]:
    """Valid tuples of a kind; pairs of CEA-608 get their parity."""
    return [bytes((0xFC | kind, *(map(_odd, pair) if kind < 2 else pair))) for pair in pairs]


def shown(text: str, channel: int = 1) -> list[bytes]:
    """What shows `text` in a channel (1 to 4) of CEA-608: loaded off screen, then flipped to it."""
    field, code = (channel - 1) // 2, 0x14 + 8 * ((channel - 1) % 2)
    padded = text + " " * (len(text) % 2)
    letters = [(ord(padded[place]), ord(padded[place + 1])) for place in range(0, len(padded), 2)]
    return tuples(field, (code, 0x20), (code, 0x20), (code, 0x70), (code, 0x70), *letters, (code, 0x2F), (code, 0x2F))


def captioned(
    shelf: Shelf,
    name: str,
    parts: list[bytes],
    *,
    rate: Fraction = Fraction(25),
    frames: int = 50,
    second: list[bytes] | None = None,
    codec: str = "libx264",
) -> Path:
    """A clip whose pictures have one tuple each, fillers behind the last one, and beside it those of `second`."""
    unfinished = shelf.folder / f"{name}-{os.getpid()}.tmp"
    header, prefix = {"libx264": (b"\x06", b"\xb5\x00\x31"), "libx265": (b"\x4e\x01", b"\xb5\x00\x31")}[codec]
    with av.open(str(unfinished), "w", format="mpegts") as file:
        stream = file.add_stream(codec, rate=rate, options={"preset": "ultrafast", "g": "25", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        if codec == "libx265":
            stream.options = {"x265-params": "log-level=none"}
        told: dict[int, bytes] = {}
        packets = []
        for number, (first, other) in zip(range(frames), zip_longest(parts, second or []), strict=False):
            told[number] = (first or FILLER) + (other or b"")
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 40 + number % 100, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, 1 / rate
            packets += stream.encode(frame.reformat(format="yuv420p"))
        for packet in [*packets, *stream.encode(None)]:
            said = told.get(round(packet.pts * packet.time_base * rate), FILLER)
            body = prefix + b"GA94\x03" + bytes((0x40 | len(said) // 3, 0xFF)) + said + b"\xff"
            message = b"\0\0\0\1" + header + bytes((4, len(body))) + body + b"\x80"
            data = bytes(packet)
            slices = (1, 5) if codec == "libx264" else range(32)
            places = [place for place in range(len(data) - 3) if data[place : place + 3] == b"\0\0\1"]
            kind = (lambda byte: byte & 31) if codec == "libx264" else (lambda byte: byte >> 1 & 63)
            place = next(place for place in places if kind(data[place + 3]) in slices)
            written = av.Packet(data[:place] + message[1:] + data[place:])
            written.pts, written.dts, written.time_base, written.stream = packet.pts, packet.dts, packet.time_base, stream
            written.is_keyframe = packet.is_keyframe
            file.mux(written)
    path = shelf.folder / f"{name}.ts"
    unfinished.replace(path)
    return path


def _captions(path: Path, *options: str) -> bytes:
    source = ("-f", "lavfi", "-i", f"movie={path}[out0+subcc]", "-map", "0:s")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", *source, *options, "-"]
    return subprocess.run(command, capture_output=True, check=False).stdout


def heard(path: Path, kinds: tuple[int, ...] = (0,)) -> list[bytes]:
    """All tuples of these kinds that say something, in the order in which the judge reads them."""
    data = _captions(path, "-c", "copy", "-f", "data")
    results = [data[place : place + 3] for place in range(0, len(data), 3)]
    return [part for part in results if part[0] & 4 and part[0] & 3 in kinds and (part[0] & 2 or part[1:] != b"\x80\x80")]


def text(path: Path) -> str:
    """What the captions show, in the judge's words."""
    return _captions(path, "-f", "srt").decode()


def captions_apart(shelf: Shelf, name: str, clip: Path) -> Path:
    """The clip as QuickTime with its captions in a track of their own (c608)."""
    unfinished = shelf.folder / f"{name}-{os.getpid()}.tmp.mov"
    inputs = ("-i", str(clip), "-f", "lavfi", "-i", f"movie={clip}[out0+subcc]", "-map", "0:v", "-map", "1:s")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *inputs, "-c", "copy", str(unfinished)]
    subprocess.run(command, check=True)
    return unfinished.replace(shelf.folder / f"{name}.mov")


def track_text(path: Path) -> str:
    """What a track of captions shows, in the judge's words."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(path), "-map", "0:s:0", "-f", "srt", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout.decode()
