"""Cgroups of both versions, in trees of files like the kernel's."""

from pathlib import Path

import pytest

from reelmill_server import cgroups
from reelmill_server.cgroups import MemoryCgroup

GIB = 1 << 30
V1 = {
    "memory.limit_in_bytes": GIB,
    "memory.usage_in_bytes": GIB // 2,
    "memory.stat": f"cache 5\ntotal_active_file {GIB // 8}\ntotal_inactive_file {GIB // 8}",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3",
}
V2 = {
    "memory.max": GIB,
    "memory.current": GIB // 2,
    "memory.stat": f"anon 7\nactive_file {GIB // 8}\ninactive_file {GIB // 16}\nslab_reclaimable {GIB // 16}",
    "memory.events": "low 0\noom 4\noom_kill 3",
}
NO_LIMIT = {"cgroup": ("memory.limit_in_bytes", (1 << 63) - 4096), "cgroup2": ("memory.max", "max")}
TREES = {"cgroup": V1, "cgroup2": V2}


def grow(directory: Path, files: dict[str, object]) -> Path:
    """A group with these files."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in {"cgroup.procs": "", **files}.items():
        (directory / name).write_text(f"{content}\n")
    return directory


def proc(folder: Path, mounts: str, membership: str) -> Path:
    """What the kernel says of a process."""
    folder.mkdir()
    (folder / "mountinfo").write_text(mounts)
    (folder / "cgroup").write_text(membership)
    return folder


@pytest.mark.parametrize("version", TREES)
def test_what_a_group_says(tmp_path: Path, version: str) -> None:
    """Its limit, what is in use without the cache of files, and how often the kernel killed."""
    group = MemoryCgroup(grow(tmp_path / "a", TREES[version]), version)
    assert (group.limit_bytes, group.used_bytes, group.kills) == (GIB, GIB // 4, 3)
    name, unlimited = NO_LIMIT[version]
    (group.directory / name).write_text(f"{unlimited}\n")
    assert group.limit_bytes == 0 and cgroups.limiting(group) is None


@pytest.mark.parametrize("version", TREES)
def test_the_lowest_limit_above_counts(tmp_path: Path, version: str) -> None:
    """A pod may have less than its container asks for."""
    pod = grow(tmp_path / "pod", TREES[version])
    own = grow(pod / "container", {**TREES[version], NO_LIMIT[version][0]: 4 * GIB})
    result = cgroups.limiting(MemoryCgroup(own, version))
    assert result == MemoryCgroup(pod, version)


OPTIONS = {"cgroup": "cgroup cgroup rw,memory", "cgroup2": "cgroup2 cgroup rw"}
LINES = {"cgroup": "9:cpu:/x\n4:memory:{}\n0::/x\n", "cgroup2": "0::{}\n"}


@pytest.mark.parametrize("version", TREES)
@pytest.mark.parametrize(
    ("root", "path", "place"),
    [
        ("/", "/user/a b", "user/a b"),  # a machine
        ("/", "/", ""),  # a container with a namespace of its own
        ("/docker/1", "/docker/1", ""),  # one without
        ("/", "/docker/1", ""),  # one that is shown only its own group
    ],
)
def test_the_group_of_a_process_is_found(tmp_path: Path, version: str, root: str, path: str, place: str) -> None:
    """On machines and in containers."""
    mount = tmp_path / "cg roup"
    grow(mount / place, TREES[version])
    line = f"30 25 0:26 {root} {str(mount).replace(' ', chr(92) + '040')} rw,nosuid shared:9 - {OPTIONS[version]}\n"
    other = "31 25 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    assert cgroups.current(proc(tmp_path / "proc", other + line, LINES[version].format(path))) == MemoryCgroup(
        mount / place, version
    )


def test_there_may_be_none(tmp_path: Path) -> None:
    """Nor is a system without any a reason to fail."""
    assert cgroups.current(tmp_path / "nowhere") is None
    assert cgroups.current(proc(tmp_path / "proc", "", "0::/a\n")) is None
    assert cgroups.limiting(None) is None and cgroups.delegated(None) is None


def test_version_2_is_arranged_where_it_is_delegated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes move aside, as a group with groups below it has none; what a dead server left is gone."""
    own = grow(
        tmp_path / "own",
        {**V2, "cgroup.procs": "", "cgroup.controllers": "cpu memory", "cgroup.subtree_control": "", "cgroup.type": "domain"},
    )
    (own / "cgroup.procs").write_text("7\n")
    grow(own / "reelmill-main", {})
    (own / "reelmill-12-0").mkdir()
    group = MemoryCgroup(own)
    monkeypatch.setattr(cgroups, "_is_ours", lambda _: False)
    assert cgroups.delegated(group) is None and (own / "reelmill-main" / "cgroup.procs").read_text() == "\n"
    monkeypatch.setattr(cgroups, "_is_ours", lambda _: True)
    assert cgroups.delegated(group) == group
    assert (own / "reelmill-main" / "cgroup.procs").read_text() == "7"
    assert (own / "cgroup.subtree_control").read_text() == "+memory"
    assert not (own / "reelmill-12-0").exists()


@pytest.mark.parametrize("missing", ["cgroup.subtree_control", "cgroup.controllers"])
def test_version_2_without_delegation_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """No file, or no memory among what may be handed down."""
    files = {**V2, "cgroup.controllers": "cpu", "cgroup.subtree_control": ""}
    own = grow(tmp_path / "own", {name: text for name, text in files.items() if name != missing})
    monkeypatch.setattr(cgroups, "_is_ours", lambda _: True)
    assert cgroups.delegated(MemoryCgroup(own)) is None
    assert [path.name for path in own.iterdir() if path.is_dir()] == []


def test_a_group_of_ones_own_may_be_refused(tmp_path: Path) -> None:
    """Nothing is left of it then."""
    gone = MemoryCgroup(tmp_path / "nowhere")
    assert gone.own("1", 1) is None


def cpu_files(version: str, quota: int | None, period: int = 100_000) -> dict[str, object]:
    """What a group says of its quota of CPU time; None: it has none."""
    if version == "cgroup2":
        return {"cpu.max": f"{'max' if quota is None else quota} {period}"}
    return {"cpu.cfs_quota_us": -1 if quota is None else quota, "cpu.cfs_period_us": period}


CPU_OPTIONS = {"cgroup": "cgroup cgroup rw,cpu,cpuacct", "cgroup2": "cgroup2 cgroup rw"}
CPU_LINES = {"cgroup": "9:memory:/x\n4:cpu,cpuacct:{}\n0::/x\n", "cgroup2": "0::{}\n"}


@pytest.mark.parametrize("version", TREES)
@pytest.mark.parametrize(
    ("root", "path", "place"), [("/", "/pod/own", "pod/own"), ("/", "/", ""), ("/pod/own", "/pod/own", "")]
)
def test_the_lowest_quota_counts(tmp_path: Path, version: str, root: str, path: str, place: str) -> None:
    """Its own or that of a group above, on machines and in containers; no quota, or no cgroups at all: None."""
    mount = tmp_path / "cgroup"
    own = grow(mount / place, cpu_files(version, 250_000))
    line = f"30 25 0:26 {root} {mount} rw,nosuid shared:9 - {CPU_OPTIONS[version]}\n"
    here = proc(tmp_path / "proc", f"1 1 0:1 / / rw - ext4 /dev/x rw\n{line}", CPU_LINES[version].format(path))
    assert cgroups.cpu_quota(here) == 2.5
    if place:
        grow(own.parent, cpu_files(version, 75_000, 50_000))
        assert cgroups.cpu_quota(here) == 1.5
        grow(own.parent, cpu_files(version, None))
    grow(own, cpu_files(version, None))
    assert cgroups.cpu_quota(here) is None
    assert cgroups.cpu_quota(tmp_path / "nobody") is None
