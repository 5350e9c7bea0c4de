"""The cgroups of this process, version 1 or 2: limits of memory, what it uses, groups of their own for children, quotas of CPU.

Everything here is best effort: a system without cgroups, or one that shows them read-only, has none.
"""

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_UNLIMITED = 1 << 60  # version 1 says "no limit" by a number that is larger than any memory
_PREFIX = "reelmill-"
_LEAVE_SECONDS = 1.0  # the kernel takes a killed process out of its group a little later


@dataclass(frozen=True)
class _Files:
    """Names of the files of a version, and of what the kernel could take back in its `memory.stat`."""

    limit: str
    used: str
    kills: str
    reclaimable: tuple[str, ...]


_VERSIONS = {
    "cgroup": _Files(
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "memory.oom_control",
        ("total_active_file", "total_inactive_file"),
    ),
    "cgroup2": _Files("memory.max", "memory.current", "memory.events", ("active_file", "inactive_file", "slab_reclaimable")),
}


@dataclass(frozen=True)
class MemoryCgroup:
    """A memory cgroup: its directory, and how its version names files."""

    directory: Path
    version: str = "cgroup2"

    @property
    def limit_bytes(self) -> int:
        """The limit; 0: none."""
        limit = _number(self.directory / self._files.limit)
        return limit if 0 < limit < _UNLIMITED else 0

    @property
    def used_bytes(self) -> int:
        """Memory that the kernel cannot take back: without the cache of files."""
        table = _table(self.directory / "memory.stat")
        cached = sum(table.get(name, 0) for name in self._files.reclaimable)
        return max(0, _number(self.directory / self._files.used) - cached)

    @property
    def kills(self) -> int:
        """How many of its processes the kernel has killed for lack of memory."""
        return _table(self.directory / self._files.kills).get("oom_kill", 0)

    @property
    def _files(self) -> _Files:
        return _VERSIONS[self.version]

    def own(self, name: str, pid: int) -> "MemoryCgroup | None":
        """Move process `pid` into a new group below this one; None where that is not allowed.

        This may take 20 ms: the kernel waits until no processor is in the middle of something.
        """
        own = MemoryCgroup(self.directory / f"{_PREFIX}{name}", self.version)
        try:
            own.directory.mkdir()
        except OSError:
            return None
        try:
            (own.directory / "cgroup.procs").write_text(str(pid))
        except OSError:
            own.remove()
            return None
        return own

    def limit(self, limit_bytes: int) -> None:
        """Set the group's limit, where that is allowed."""
        with suppress(OSError):
            (self.directory / self._files.limit).write_text(str(limit_bytes))

    def remove(self) -> bool:
        """Remove the group, whose processes have ended or are ending; return whether it is gone."""
        until = time.monotonic() + _LEAVE_SECONDS
        while self.directory.exists():
            with suppress(OSError):
                self.directory.rmdir()
                break
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    def sweep(self) -> None:
        """Remove groups that processes before this one left: those without processes."""
        for left in self.directory.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                left.rmdir()


def current(proc: Path = Path("/proc/self")) -> MemoryCgroup | None:
    """Return the memory cgroup of this process; None: there is none, or it is not shown."""
    for version, directory, mount_point in _places(proc, "memory"):
        if (directory / _VERSIONS[version].used).exists() or (directory / "memory.stat").exists():
            return MemoryCgroup(directory, version)
        if (mount_point / _VERSIONS[version].limit).exists():  # a container's own, mounted as the root
            return MemoryCgroup(mount_point, version)
    return None


def cpu_quota(proc: Path = Path("/proc/self")) -> float | None:
    """Return how many CPU cores this process may use by the lowest quota of its group and of those above it; None: no quota."""
    quotas = []
    for version, directory, mount_point in _places(proc, "cpu"):
        own = directory if directory.exists() else mount_point  # a container's own, mounted as the root
        quotas += [quota for group in _upward(own) if (quota := _cores(group, version)) is not None]
    return min(quotas, default=None)


def directories(controller: str, proc: Path = Path("/proc/self")) -> tuple[Path, ...]:
    """Return the directory of this process's group in the hierarchy of a controller, and those above it, as far as shown."""
    for _, directory, mount_point in _places(proc, controller):
        own = directory if directory.exists() else mount_point  # a container's own, mounted as the root
        if (own / "cgroup.procs").exists():
            return tuple(_upward(own))
    return ()


def limiting(cgroup: MemoryCgroup | None) -> MemoryCgroup | None:
    """Return the group with the lowest limit among a cgroup and those above it; None: no limit."""
    return lowest(upward(cgroup)) if cgroup else None


def upward(cgroup: MemoryCgroup) -> tuple[MemoryCgroup, ...]:
    """Return a cgroup and those above it, as far as they are shown."""
    return tuple(MemoryCgroup(directory, cgroup.version) for directory in _upward(cgroup.directory))


def lowest(groups: Iterable[MemoryCgroup]) -> MemoryCgroup | None:
    """Return the group with the lowest limit; None: none of them has one."""
    limits = {group: group.limit_bytes for group in groups}
    return min((group for group, limit in limits.items() if limit), key=limits.__getitem__, default=None)


def delegated(cgroup: MemoryCgroup | None) -> MemoryCgroup | None:
    """Return the group below which this process may make others, or None.

    In version 2 a group with groups below it has no processes itself: those move into a group beside the new ones. That is
    done only where the group is this process's to arrange: a container's own, or one that systemd delegates.
    """
    if cgroup is None or not os.access(cgroup.directory, os.W_OK):
        return None
    if cgroup.version == "cgroup2" and not _arrange(cgroup):
        return None
    cgroup.sweep()
    return cgroup


def _arrange(cgroup: MemoryCgroup) -> bool:
    directory = cgroup.directory
    switch = directory / "cgroup.subtree_control"
    try:
        if "memory" in switch.read_text().split():
            return True
        if not _is_ours(directory) or "memory" not in (directory / "cgroup.controllers").read_text().split():
            return False
        if (directory / "cgroup.type").exists():  # all but the root of the system
            aside = directory / f"{_PREFIX}main"
            aside.mkdir(exist_ok=True)
            for pid in (directory / "cgroup.procs").read_text().split():
                (aside / "cgroup.procs").write_text(pid)
        switch.write_text("+memory")
    except OSError:
        return False
    return True


def _is_ours(directory: Path) -> bool:
    """Return whether a group is the root that a container sees, or is delegated by systemd."""
    for name in ("user.delegate", "trusted.delegate"):
        with suppress(OSError, AttributeError):
            return os.getxattr(directory, name) == b"1"
    return _path(Path("/proc/self"), "cgroup2", "memory") == "/"


def _cores(directory: Path, version: str) -> float | None:
    """Return the quota of a group in CPU cores; None: it has none."""
    with suppress(OSError, ValueError):
        if version == "cgroup2":
            quota, period = map(int, (directory / "cpu.max").read_text().split())  # ValueError: "max"
        else:
            quota, period = (int((directory / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return quota / period if quota > 0 and period > 0 else None
    return None


def _upward(directory: Path) -> Iterator[Path]:
    """Yield the directory of a group and those above it, as far as they are shown."""
    for group in (directory, *directory.parents):
        if not (group / "cgroup.procs").exists():
            return
        yield group


def _places(proc: Path, controller: str) -> Iterator[tuple[str, Path, Path]]:
    """Yield the version, the directory of this process's group, and the mount point of each hierarchy, version 1 first."""
    for version, root, mount_point in _mounts(proc, controller):
        path = _path(proc, version, controller)
        if path is not None:
            inside = path[len(root) :] if root != "/" and path.startswith(root) else path
            yield version, mount_point / inside.strip("/"), mount_point


def _mounts(proc: Path, controller: str) -> Iterator[tuple[str, str, Path]]:
    """Yield the version, root and mount point of each hierarchy that may have a controller, version 1 first."""
    mounts = []
    with suppress(OSError):
        for line in (proc / "mountinfo").read_text().splitlines():
            left, _, right = line.partition(" - ")
            root, mount_point = left.split()[3:5]
            version, _, options = right.split(" ", 2)
            if version == "cgroup2" or (version == "cgroup" and controller in options.split()[-1].split(",")):
                mounts.append((version, root, Path(_unescaped(mount_point))))
    yield from sorted(mounts)


def _path(proc: Path, version: str, controller: str) -> str | None:
    """Return the path of this process in the hierarchy of a controller."""
    with suppress(OSError):
        for line in (proc / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if (controller in controllers.split(",")) if version == "cgroup" else not controllers:
                return path
    return None


def _unescaped(text: str) -> str:
    return re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), text)


def _number(file: Path) -> int:
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return 0


def _table(file: Path) -> dict[str, int]:
    """Return a file of names and numbers, one pair a line."""
    with suppress(OSError, ValueError):
        return {name: int(value) for name, value in map(str.split, file.read_text().splitlines())}
    return {}
