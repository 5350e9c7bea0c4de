"""libav's log is on only where it is wanted, and never keeps a decoder from being freed."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import av.logging
import pytest

from reelmill_server.media.libav.log import captured_log

# A decoder of several threads that has much to say is let go of while libav's log is on.
_LETTING_GO = """
import random, sys
import av
from reelmill_server.media.input.source import open_source
from reelmill_server.media.libav.log import captured_log
from reelmill_server.model.capability import Limits

path, noise = sys.argv[1], random.Random(1)
with av.open(path, "w", format="matroska") as out:
    stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "25", "crf": "10"})
    stream.width, stream.height = 320, 180
    for _ in range(40):
        frame = av.VideoFrame(320, 180, "yuv420p")
        for plane in frame.planes:
            plane.update(noise.randbytes(plane.buffer_size))
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
with open(path, "rb") as file:
    data = bytearray(file.read())
for _ in range(300):
    data[noise.randrange(20_000, len(data))] ^= 255
with open(path, "wb") as file:
    file.write(data)
for _ in range(20):
    with captured_log(), open_source(path, Limits()) as container:
        video = container.streams.video[0]
        video.thread_type = "AUTO"
        try:
            for count, _frame in enumerate(container.decode(video)):
                if count == 2:
                    break
        except av.error.FFmpegError:
            pass
        del video
    del container, _frame
print("freed")
"""


def test_overlapping_blocks_leave_the_log_off() -> None:
    """Whichever ends first; inside, it is as verbose as any of them wants."""
    assert av.logging.get_level() is None
    first, second = ExitStack(), ExitStack()
    first.enter_context(captured_log())
    second.enter_context(captured_log(av.logging.VERBOSE))
    assert av.logging.get_level() == av.logging.VERBOSE
    second.close()
    assert av.logging.get_level() == av.logging.ERROR
    second.enter_context(captured_log(av.logging.VERBOSE))
    first.close()
    assert av.logging.get_level() == av.logging.VERBOSE
    second.close()
    assert av.logging.get_level() is None


@pytest.mark.timeout(120)
def test_a_decoder_that_logs_can_be_freed(tmp_path: Path) -> None:
    """Its threads waited for the GIL, and what freed it held the GIL and waited for them."""
    command = [sys.executable, "-c", _LETTING_GO, str(tmp_path / "noise.mkv")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout == "freed\n", done.stderr
