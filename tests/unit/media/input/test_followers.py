"""Files behind each other, of which libav reads the first, or takes the second for media of the first."""

import io
from fractions import Fraction
from pathlib import Path
from struct import pack
from typing import Any

import av
import numpy as np
import pytest

from reelmill_server.media.input.followers import follower_bytes, readable
from tests import judge

# Muxers, the names of their demuxers, and encoders.
FORMS = {
    "flv": ("flv", "flv1"),
    "asf": ("asf", "wmv2"),
    "ivf": ("ivf", "libvpx"),
    "nut": ("nut", "mpeg4"),
    "mxf": ("mxf", "mpeg2video"),
    "apng": ("apng", "apng"),
    "avif": ("mov,mp4,m4a,3gp,3g2,mj2", "libsvtav1"),
    "mp4": ("mov,mp4,m4a,3gp,3g2,mj2", "mpeg4"),
    "tta": ("tta", "tta"),
    "caf": ("caf", "pcm_s16be"),
    "w64": ("w64", "pcm_s16le"),
    "wav": ("wav", "pcm_s16le"),
    "aiff": ("aiff", "pcm_s16be"),
    "au": ("au", "pcm_s16be"),
    "amr": ("amr", "libopencore_amrnb"),
}


def made(form: str, **options: str) -> bytes:
    """Some frames of black, or a fifth of a second of noise."""
    file, codec = io.BytesIO(), FORMS[form][1]
    with av.open(file, "w", format=form, options=options) as container:
        if av.Codec(codec, "w").type == "video":
            stream: Any = container.add_stream(codec, rate=25, options={"preset": "12"} if codec == "libsvtav1" else {})
            stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb24" if form == "apng" else "yuv420p"
            for number in range(1 if form == "avif" else 3):
                frame = av.VideoFrame(64, 64, stream.pix_fmt)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
        else:
            stream = container.add_stream(codec, rate=8000, layout="mono")
            noise = np.random.default_rng(0).integers(-9999, 9999, (1, 1600)).astype(np.int16)
            sound = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
            sound.sample_rate, sound.pts = 8000, 0
            resampler = av.AudioResampler(stream.codec_context.format, "mono", 8000, stream.codec_context.frame_size or None)
            for part in (*resampler.resample(sound), *resampler.resample(None)):
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("au", "amr")])
def test_what_follows_the_first_file_is_counted(form: str) -> None:
    """Also behind another third one, and not where there is none; what is read is the first."""
    name, whole = FORMS[form][0], made(form)
    assert follower_bytes(io.BytesIO(whole), name) == 0 and readable(io.BytesIO(whole), name) is None
    for more in (whole, whole * 2):
        assert follower_bytes(io.BytesIO(whole + more), name) == len(more)
        first = readable(io.BytesIO(whole + more), name)
        assert first is None or first.read(1 << 20) == whole


def test_fragments_whose_times_begin_again_follow() -> None:
    """They would be shown between those of the first file. Headers that are repeated begin nothing."""
    name = FORMS["avif"][0]
    whole = made("mp4", movflags="frag_keyframe+empty_moov+default_base_moof+delay_moov")
    assert follower_bytes(io.BytesIO(whole), name) == 0
    assert follower_bytes(io.BytesIO(whole * 3), name) == 2 * len(whole)
    first: Any = readable(io.BytesIO(whole * 2), name)
    assert first.read(1 << 20) == whole
    at = whole.index(b"tfdt") + 4
    later = whole[:at] + whole[at : at + 4] + (1 << 20).to_bytes(8 if whole[at] else 4) + whole[at + (12 if whole[at] else 8) :]
    assert follower_bytes(io.BytesIO(whole + later), name) == 0


@pytest.mark.parametrize("form", ["au", "amr"])
def test_what_follows_without_a_length_is_read(form: str, tmp_path: Path) -> None:
    """Its header would be heard, or nothing after it decoded."""
    name, whole = FORMS[form][0], made(form)
    assert readable(io.BytesIO(whole), name) is None
    read: Any = readable(io.BytesIO(whole * 3), name)
    assert follower_bytes(io.BytesIO(whole * 3), name) == 0
    path = tmp_path / f"spliced.{form}"
    path.write_bytes(b"".join(iter(lambda: read.read(100), b"")))
    single = tmp_path / f"single.{form}"
    single.write_bytes(whole)
    assert len(judge.sound(path)) == 3 * len(judge.sound(single))
    with pytest.raises(ValueError, match="negative"):
        read.seek(-1)
    read.seek(len(whole) - 2)
    assert read.tell() == len(whole) - 2 and read.read(5) == whole[-2:]
    other = {"au": whole[:16] + pack(">I", 11025) + whole[20:], "amr": b"#!AMR-WB\n" + whole[6:]}[form]
    assert follower_bytes(io.BytesIO(whole + other), name) == len(other)


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("au", pack(">4s5I", b".snd", 24, 8, 3, 8000, 1) + bytes(8) + pack(">4s5I", b".snd", 0, 0, 3, 8000, 1) + bytes(99)),
        ("au", pack(">4s5I", b".snd", 24, 0, 3, 8000, 1) * 20_000),
        ("amr", b"#!AMR\n" * 20_000),
        ("jpeg_pipe", b"\xff\xd8\xff\xda\0\2" + b"\xff\xe0\0\2" * 20_000),
        ("mov,mp4,m4a,3gp,3g2,mj2", pack(">I4s", 8, b"ftyp") * 4000 + pack(">I4s", 8, b"moof") * 4000),
    ],
    ids=["no header", "au", "amr", "jpeg", "mp4"],
)
def test_hostile_files_are_read_a_few_times_at_most(name: str, whole: bytes) -> None:
    """Each of them has thousands of headers of files, or of markers: what follows one is not read to its end."""
    file = Counting(whole)
    follower_bytes(file, name)
    read: Any = readable(file, name)
    assert read is None or len(b"".join(iter(lambda: read.read(1 << 20), b""))) <= len(whole)
    assert file.count < 100 << 20


def test_a_wav_that_was_written_as_a_stream_may_be_followed() -> None:
    """It does not say how long it is: the next one's header would be heard."""
    whole = made("wav")
    streamed = whole[:4] + b"\xff" * 4 + whole[8:]
    assert follower_bytes(io.BytesIO(streamed + whole), "wav") == len(whole)


def test_a_large_flv_is_not_read_to_its_end() -> None:
    """Samples of it tell where its times go back."""

    def recording(tags: int) -> bytes:
        """Audio of a kilobyte each 20 ms."""
        parts = [b"FLV\x01\x04\0\0\0\x09" + bytes(4)]
        for number in range(tags):
            stamp = (number * 20).to_bytes(4)
            parts.append(b"\x08" + (1000).to_bytes(3) + stamp[1:] + stamp[:1] + bytes(3) + b"\x5f" * 1000 + pack(">I", 1011))
        return b"".join(parts)

    first, second = recording(12_000), recording(7_000)
    for pair in ((first, second), (second, first)):
        file = Counting(b"".join(pair))
        assert follower_bytes(file, "flv") == len(pair[1])
        assert file.count < 0.8 * len(first + second)
    assert follower_bytes(io.BytesIO(first + second[13:]), "flv") == 0


class Counting(io.BytesIO):
    """A file that counts what is read of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """As it does."""
        data = super().read(size)
        self.count += len(data)
        return data
