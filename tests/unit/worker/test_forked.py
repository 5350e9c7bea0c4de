"""Exit codes of processes for which several threads ask."""

import threading
from multiprocessing import connection

import pytest

from reelmill_server.worker.forked import ForkedProcess

_A_WHILE = 0.2  # s, in which the other thread reads the exit code if nothing keeps it from it


def test_two_threads_read_the_same_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    process = ForkedProcess(target=_leave)
    process.start()
    connection.wait([process.sentinel])
    codes: list[int | None] = []
    other = threading.Thread(target=lambda: codes.append(process.exitcode))
    wait = connection.wait

    def overtaken(sentinels: list[int], timeout: float | None = None) -> list[int]:
        """See that the exit code came, and let the other thread ask for it."""
        came = wait(sentinels, timeout)
        monkeypatch.setattr(connection, "wait", wait)
        other.start()
        other.join(_A_WHILE)
        return came  # type: ignore[return-value]

    monkeypatch.setattr(connection, "wait", overtaken)
    codes.append(process.exitcode)
    other.join()
    assert codes == [3, 3]


def _leave() -> None:
    raise SystemExit(3)
