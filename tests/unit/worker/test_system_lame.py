"""MP3 is encoded by the system's LAME where PyAV's own is slow: the same bytes."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import av
import pytest

_ENCODE = """
import hashlib, io
import av, numpy
written = io.BytesIO()
with av.open(written, "w", format="mp3") as output:
    stream = output.add_stream("libmp3lame", rate=44100, layout="mono")
    tone = (9000 * numpy.sin(numpy.arange(22050) / 16)).astype("int16")
    frame = av.AudioFrame.from_ndarray(tone[None], format="s16p", layout="mono")
    frame.sample_rate = 44100
    output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
print(hashlib.md5(written.getvalue()).hexdigest())
"""
_PREPARE = "import reelmill_server.worker.child.fork_server\n"


def _run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_system_has_the_one_that_encodes(tmp_path: Path) -> None:
    """As the loader says, of which libraries functions are called; the bytes do not differ."""
    try:
        ctypes.CDLL("libmp3lame.so.0")
    except OSError:
        pytest.skip("no LAME on this system")
    if not any(Path(av.__file__).parents[1].glob("av.libs/libmp3lame-*.so*")):
        pytest.skip("PyAV has no LAME that is a library apart")
    prepared = _run(_PREPARE + _ENCODE, LD_DEBUG="bindings", LD_DEBUG_OUTPUT=str(tmp_path / "bindings"))
    assert prepared == _run(_ENCODE)
    lines = [
        line
        for file in tmp_path.iterdir()
        for line in file.read_text(errors="replace").splitlines()
        if "lame_encode_buffer" in line
    ]
    calls = [line for line in lines if "binding file" in line and "libavcodec" in line.split(" to ")[0]]
    assert calls and all("/libmp3lame.so.0" in line.split(" to ")[1] for line in calls)
