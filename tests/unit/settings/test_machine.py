"""The defaults of a worker's size."""

from pathlib import Path

import pytest

from reelmill_server.cgroups import MemoryCgroup
from reelmill_server.settings import machine
from reelmill_server.settings.attempts import AttemptSettings
from reelmill_server.settings.machine import memory_for_attempts, usable_cpus, usable_memory


@pytest.mark.parametrize(("quota", "cores"), [(None, 4), (0.5, 1), (1.0, 1), (2.5, 2), (999.0, 4)])
def test_usable_cpus_minds_a_container_quota(monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int) -> None:
    """A quota caps the cores, at least 1 is left, and without one all cores count."""
    monkeypatch.setattr(machine, "visible_cpus", lambda: 4)
    monkeypatch.setattr(machine, "cpu_quota", lambda: quota)
    assert usable_cpus() == cores


MIB = 1 << 20


@pytest.mark.parametrize(("version", "name"), [("cgroup", "memory.limit_in_bytes"), ("cgroup2", "memory.max")])
def test_usable_memory_minds_a_container_of_either_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, name: str
) -> None:
    """The server and neighbors keep a part of it from each attempt."""
    (tmp_path / "cgroup.procs").touch()
    (tmp_path / name).write_text(str(900 * MIB))
    monkeypatch.setattr(machine, "current", lambda: MemoryCgroup(tmp_path, version))
    assert usable_memory() == 900 * MIB
    assert AttemptSettings().child_memory_bytes == 516 * MIB


@pytest.mark.parametrize(
    ("usable", "left"), [(512 * MIB, 256 * MIB), (900 * MIB, 516 * MIB), (8192 * MIB, 8192 * MIB - 8192 * MIB // 10)]
)
def test_the_server_keeps_what_it_needs(usable: int, left: int) -> None:
    """A tenth, or its own size; half of it where there is hardly any."""
    assert memory_for_attempts(usable) == left
