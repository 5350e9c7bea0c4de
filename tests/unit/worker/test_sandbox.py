"""The modes of the sandbox on kernels that can do less. Nothing here confines the test itself."""

import pytest

from reelmill_server.errors import ServiceUnavailable
from reelmill_server.model.capability import Sandbox
from reelmill_server.worker.child import landlock, sandbox, seccomp


@pytest.fixture(autouse=True)
def walls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been closed, on a kernel that can do everything."""
    closed: list[str] = []
    monkeypatch.setattr(landlock, "ABI", 7)
    monkeypatch.setattr(landlock, "restrict", lambda *_: closed.append("landlock"))
    monkeypatch.setattr(seccomp, "install", lambda *_: closed.append("seccomp"))
    return closed


def _without_seccomp(*_: object) -> None:
    raise seccomp.SeccompError("there is no filter of system calls for riscv64")


def test_off_closes_nothing(walls: list[str]) -> None:
    """Not even what could be closed."""
    assert sandbox.enter("off") == Sandbox("off") and walls == []


@pytest.mark.parametrize("mode", ["prefer", "require"])
def test_a_kernel_that_can_do_everything(walls: list[str], mode: str) -> None:
    """Files first: to open them for Landlock takes calls that the filter refuses later."""
    assert sandbox.enter(mode) == Sandbox(mode, ("landlock", "seccomp")) and walls == ["landlock", "seccomp"]


def test_an_older_landlock_is_told_and_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """seccomp closes what it leaves open."""
    monkeypatch.setattr(landlock, "ABI", 4)
    result = sandbox.enter("require")
    assert result.walls == ("landlock", "seccomp") and [text[:10] for text in result.lacks] == ["Landlock 5", "Landlock 6"]


def test_no_landlock(monkeypatch: pytest.MonkeyPatch, walls: list[str]) -> None:
    """`prefer` goes on with what there is, `require` does not."""
    monkeypatch.setattr(landlock, "ABI", 0)
    result = sandbox.enter("prefer")
    assert result.walls == ("seccomp",) and "5.13" in result.lacks[0] and walls == ["seccomp"]
    with pytest.raises(ServiceUnavailable, match=r"REELMILL_SANDBOX=require .*Landlock \(Linux 5.13"):
        sandbox.enter("require")


def test_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same."""
    monkeypatch.setattr(seccomp, "install", _without_seccomp)
    assert sandbox.enter("prefer") == Sandbox(
        "prefer", ("landlock",), ("seccomp: there is no filter of system calls for riscv64",)
    )
    with pytest.raises(ServiceUnavailable, match="riscv64"):
        sandbox.enter("require")
