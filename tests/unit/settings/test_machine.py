"""The defaults of a worker's size."""

from pathlib import Path

import pytest

from reelmill_server.cgroups import MemoryCgroup
from reelmill_server.settings import machine
from reelmill_server.settings.attempts import AttemptSettings
from reelmill_server.settings.machine import memory_for_attempts, usable_cpus, usable_memory


def test_usable_cpus_minds_a_container_quota(tmp_path: Path) -> None:
    """A quota caps the cores, at least 1 is left, and without one all cores count."""
    quota = tmp_path / "cpu.max"
    assert usable_cpus(quota) >= 1
    all_cores = usable_cpus(quota)
    for text, expected in (
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("max 100000", all_cores),
        ("99900000 100000", all_cores),
    ):
        quota.write_text(text + "\n")
        assert usable_cpus(quota) == expected


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
