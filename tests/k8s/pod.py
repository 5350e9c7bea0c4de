"""Runs a program as a container would: its own root, read-only but for its volume; a user without powers; nothing to gain back.

Started as root with one argument, JSON: `program` (a command line), `environment`, `volume` (a folder here, and where it is
there), `hosts` (the text of /etc/hosts), `needed` (folders of this machine that the program is made of), `user`. It becomes the
program: the process id stays. What a container has besides, and this has not: a network, processes and cgroups of its own, and
seccomp.
"""

import ctypes
import json
import os
import sys
from pathlib import Path

_CLONE_NEWNS = 0x20000
_MS_RDONLY, _MS_NOSUID, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 32, 4096, 1 << 14, 1 << 18
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_LAST_CAPABILITY = Path("/proc/sys/kernel/cap_last_cap")
_OWN = ("proc", "dev", "sys")
_ROOT = Path("/mnt")
"""Where the new root is made; nothing below it is seen there."""
_libc = ctypes.CDLL(None, use_errno=True)


def _called(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source: str, target: Path, kind: str | None, flags: int, options: str = "") -> None:
    words = [word.encode() if word else None for word in (source, str(target), kind)]
    _called(_libc.mount(*words, flags, options.encode() or None), f"mount {target}")


def leave_the_others_mounts() -> None:
    """From here on, what is mounted is seen by this process and its children only."""
    _called(_libc.unshare(_CLONE_NEWNS), "unshare")
    _mount("none", Path("/"), None, _MS_REC | _MS_PRIVATE)


def _blocked(path: Path) -> Path | None:
    """The first folder on the way to `path` that others may not pass."""
    return next((folder for folder in reversed(path.parents) if not folder.stat().st_mode & 0o001), None)


def _make_root(root: Path, needed: list[Path]) -> None:
    """All of this machine's root below `root`; what the program is made of is reachable, whoever owns the folders above it."""
    for entry in sorted(set(Path("/").iterdir()) - {root}):
        place = root / entry.name
        if entry.is_symlink():
            place.symlink_to(os.readlink(entry))
        elif entry.is_dir():
            place.mkdir()
            _mount(str(entry), place, None, _MS_BIND | _MS_REC)
    for path in needed:
        closed = _blocked(path)
        if closed is None:
            continue
        cover = root / closed.relative_to("/")
        if cover.stat().st_mode & 0o001 == 0:
            _mount("none", cover, "tmpfs", 0, "mode=755")
        place = root / path.relative_to("/")
        place.mkdir(parents=True, exist_ok=True)
        _mount(str(path), place, None, _MS_BIND | _MS_REC)


def _mounts() -> dict[str, Path]:
    """Where is mounted what, by the number of the mount."""
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return {fields[0]: Path(fields[4].encode().decode("unicode_escape")) for fields in lines}


def enter(volume: tuple[str, str], hosts: str, needed: list[Path]) -> None:
    """Makes the new root and goes there."""
    root, hidden = _ROOT, _mounts()
    _mount("none", root, "tmpfs", 0, "mode=755")
    _make_root(root, needed)
    file = root / ".hosts"
    file.write_text(hosts)
    _mount(str(file), root / "etc/hosts", None, _MS_BIND)
    data = root / volume[1].lstrip("/")
    data.mkdir(parents=True, exist_ok=True)
    _mount(volume[0], data, None, _MS_BIND)
    for number, place in _mounts().items():
        if number not in hidden and place != data and not any(place.is_relative_to(root / own) for own in _OWN):
            _mount("none", place, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY | _MS_NOSUID)
    os.chroot(root)
    os.chdir(volume[1])


def give_up_powers(user: int) -> None:
    """As runAsUser, capabilities.drop ALL and allowPrivilegeEscalation false."""
    for capability in range(int(_LAST_CAPABILITY.read_text()) + 1):
        _called(_libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0), "drop")
    os.setgroups([user])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    _called(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def main() -> None:
    """Becomes the program."""
    order = json.loads(sys.argv[1])
    leave_the_others_mounts()
    enter(order["volume"], order["hosts"], [Path(path) for path in order["needed"]])
    give_up_powers(order["user"])
    os.execve(order["program"][0], order["program"], order["environment"])


if __name__ == "__main__":
    main()
