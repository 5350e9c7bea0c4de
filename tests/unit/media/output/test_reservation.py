"""Room that is reserved for a file while it is written."""

import ctypes
import multiprocessing
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reelmill_server.media.output import reservation
from reelmill_server.media.output.reservation import Reservation
from reelmill_server.worker.child import seccomp

PIECE = 1 << 16


def taken(path: Path) -> int:
    return path.stat().st_blocks * 512


def written(path: Path, encoder: str = "copy") -> tuple[int, int]:
    """How much more than a file of ten pieces the disk holds while it is written, and how much more in the end."""
    plan: Any = SimpleNamespace(package=None, streams=[SimpleNamespace(encoder=encoder)])
    room = Reservation(plan, str(path))
    packets: Any = ()
    most = 0
    for number, _ in enumerate(room.all_of(iter([packets] * 10))):
        with path.open("ab") as file:
            file.write(bytes([number]) * PIECE)
        most = max(most, taken(path) - path.stat().st_size)
    room.release()
    assert path.read_bytes() == b"".join(bytes([number]) * PIECE for number in range(10))
    return most, taken(path) - path.stat().st_size


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reserves room")
def test_room_is_reserved_for_a_copy_and_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservation, "_LEAST_BYTES", PIECE)
    more, in_the_end = written(tmp_path / "copy.mkv")
    assert more >= PIECE > in_the_end


def filtered(path: Path) -> None:
    seccomp.install()
    more, in_the_end = written(path)
    assert more >= PIECE > in_the_end


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reserves room")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forks
def test_children_may_reserve_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By calls that their filter lets through: others made every large copy fail."""
    monkeypatch.setattr(reservation, "_LEAST_BYTES", PIECE)
    child = multiprocessing.get_context("fork").Process(target=filtered, args=(tmp_path / "copy.mkv",))
    child.start()
    child.join()
    assert child.exitcode == 0


def test_no_room_is_reserved_for_encodes_and_small_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(tmp_path / "small.mkv")[0] < PIECE
    monkeypatch.setattr(reservation, "_LEAST_BYTES", PIECE)
    assert written(tmp_path / "encode.mkv", "libx264")[0] < PIECE


def test_a_copy_is_written_where_no_room_can_be_reserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unable:
        argtypes: Any = ()

        def __call__(self, *_: int) -> int:
            return -1

    monkeypatch.setattr(reservation, "_LEAST_BYTES", PIECE)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(fallocate64=Unable()))
    assert written(tmp_path / "copy.mkv")[0] < PIECE
