"""How many processes and threads may start."""

from pathlib import Path

from reelmill_server import process_limit
from reelmill_server.worker.parent.admission import Admission, Budget


def _group(folder: Path, limit: str, current: int, refused: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "pids.max").write_text(f"{limit}\n")
    (folder / "pids.current").write_text(f"{current}\n")
    (folder / "pids.events").write_text(f"max {refused}\n")
    return folder


def test_the_lowest_limit_counts(tmp_path: Path) -> None:
    """Of this group and those above it; of the root, which has no such files, nothing."""
    groups = _group(tmp_path / "a/b", "100", 70, 2), _group(tmp_path / "c", "max", 5000, 0), _group(tmp_path / "d", "60", 40, 1)
    assert process_limit.free((*groups, tmp_path)) == 20 and process_limit.refused((*groups, tmp_path)) == 3
    assert process_limit.free((groups[1],)) == process_limit.free(()) == process_limit.NO_LIMIT
    assert 0 < process_limit.free() <= process_limit.NO_LIMIT and process_limit.refused() >= 0


def test_a_worker_that_may_start_little_takes_nothing() -> None:
    """Each attempt would fail, and the worker would take all that waits."""
    free = 31
    admission = Admission(Budget(1, 1, 0, 0), lambda *_: True, free_processes=lambda: free)
    assert not admission.has_disk()
    free = 32
    assert admission.has_disk()
