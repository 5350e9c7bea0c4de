"""Who may read what the service writes: its own data nobody but its user, outputs whoever may read this user's files."""

import os
import stat
from pathlib import Path

import pytest

from reelmill_client import Client
from tests import servers
from tests.clips import moving_picture


def _modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode) for path in [folder, *folder.rglob("*")]}


@pytest.mark.slow
def test_data_is_private_and_outputs_are_ordinary(tmp_path: Path) -> None:
    """0600 and 0700 for all that is in the data folder, even one that was open before; files and folders as umask says."""
    clip = moving_picture(tmp_path / "files" / "clip.mp4", 1)
    (tmp_path / "data").mkdir(mode=0o755)
    before = os.umask(0o027)
    try:
        with servers.serve(tmp_path, "--worker-slots", "1") as server, Client(server.grpc) as client:
            out = tmp_path / "files" / "made" / "deeper"
            client.wait(client.submit(source=clip, destination=out / "out.mkv").task_id)
            data = _modes(tmp_path / "data")
            open_to_others = {name: oct(mode) for name, mode in data.items() if mode & 0o077 and not name.endswith(".log")}
            log = data["temporal.log"]
    finally:
        os.umask(before)
    assert not open_to_others and {"reelmill.db", "temporal.db"} <= data.keys()
    assert log == 0o600
    assert _modes(out.parent) == {".": 0o750, "deeper": 0o750, "deeper/out.mkv": 0o640}
