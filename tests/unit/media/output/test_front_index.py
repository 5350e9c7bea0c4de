"""The index of MP4 at its front: as libav writes it, byte by byte, and known to be final while the rest is moved."""

from array import array
from pathlib import Path
from sys import byteorder

import av
import pytest

from reelmill_server.media.output import front_index
from reelmill_server.media.output.front_index import index_to_front

SECOND = 90000


def write(path: Path, form: str, flags: str = "") -> bytes:
    """A file of two streams, the first of them in several chunks."""
    options = {"movflags": flags} if flags else {}
    with av.open(str(path), "w", format=form, options=options) as output:
        video, audio = output.add_stream("mpeg4", rate=5), output.add_stream("pcm_s16be" if form == "mov" else "aac", rate=8000)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"  # type: ignore[union-attr]
        output.metadata["title"] = "a title"
        for number in range(9):
            frame = av.VideoFrame(48, 32, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([number * 20]) * plane.buffer_size)
            frame.pts = number
            output.mux(video.encode(frame))  # type: ignore[union-attr]
            sound = av.AudioFrame("s16" if form == "mov" else "fltp", "mono", 1024)
            sound.planes[0].update(bytes(sound.planes[0].buffer_size))
            sound.rate, sound.pts = 8000, number * 1024
            output.mux(audio.encode(sound))  # type: ignore[union-attr]
        for stream in (video, audio):
            output.mux(stream.encode(None))  # type: ignore[union-attr]
    return path.read_bytes()


@pytest.mark.parametrize("block", [16, 1 << 20])
@pytest.mark.parametrize(("form", "flags"), [("mp4", ""), ("mp4", "+use_metadata_tags"), ("mov", ""), ("ipod", "")])
def test_the_file_is_the_one_that_libav_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, flags: str, block: int
) -> None:
    """And what is said to be final is, each time."""
    monkeypatch.setattr(front_index, "_BLOCK_BYTES", block)
    expected = write(tmp_path / "libav", form, f"+faststart{flags}")
    path = tmp_path / "ours"
    write(path, form, flags)
    told: list[tuple[int, int]] = []

    def advanced(final: int, whole: int) -> None:
        told.append((final, whole))
        assert path.read_bytes()[:final] == expected[:final]

    index_to_front(str(path), advanced)
    assert path.read_bytes() == expected
    assert told[-1] == (len(expected), len(expected))
    assert told == sorted(told)


@pytest.mark.parametrize(
    "content", [b"", b"no boxes", b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x09mdatx", b"\0\0\0\x08moov\0\0\0\x09mdatx"]
)
def test_what_does_not_end_with_an_index_stays(tmp_path: Path, content: bytes) -> None:
    """Such as a file that has it in front."""
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    index_to_front(str(path), lambda final, whole: pytest.fail("nothing moves"))
    assert path.read_bytes() == content


def test_offsets_beyond_4_gib_take_64_bits() -> None:
    """The index becomes longer by that, which they count, too."""
    near = (1 << 32) - 60

    def box(kind: bytes, content: bytes) -> bytes:
        return (8 + len(content)).to_bytes(4) + kind + content

    def table(kind: bytes, code: str, *offsets: int) -> bytes:
        numbers = array(code, offsets)
        if byteorder == "little":
            numbers.byteswap()
        return box(kind, bytes(4) + len(offsets).to_bytes(4) + numbers.tobytes())

    def index(*tables: bytes) -> bytes:
        tracks = (box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", box(b"stsz", b"x") + each)))) for each in tables)
        return box(b"moov", box(b"mvhd", b"y") + b"".join(tracks))

    moved = front_index._shifted(
        index(table(b"stco", "I", 40, near), table(b"stco", "I", 50, 60), table(b"co64", "Q", 1 << 40))
    )
    by = len(moved)
    assert moved == index(
        table(b"co64", "Q", 40 + by, near + by), table(b"stco", "I", 50 + by, 60 + by), table(b"co64", "Q", (1 << 40) + by)
    )
