"""What a child does first has been done before it is forked."""

import json
import subprocess
import sys
from pathlib import Path

from tests.clips import moving_picture

_OPENS = """
import importlib, io, json, sys
from reelmill_server.worker.parent.child_process import _PRELOADED
for name in _PRELOADED:
    importlib.import_module(name)
before = set(sys.modules)
from reelmill_server.media.input import decoders
from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from PIL import Image
misses = decoders._allowed.cache_info().misses
probe_file(sys.argv[1], Limits())
for form in ("JPEG", "PNG", "WEBP"):
    Image.new("RGB", (16, 16)).save(io.BytesIO(), form)
print(json.dumps([sorted(set(sys.modules) - before), decoders._allowed.cache_info().misses - misses]))
"""


def test_a_child_loads_nothing_that_each_task_needs(tmp_path: Path) -> None:
    clip = moving_picture(tmp_path / "clip.mp4", 0.2, "64x48")
    done = subprocess.run([sys.executable, "-c", _OPENS, str(clip)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], 0]
