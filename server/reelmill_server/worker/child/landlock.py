"""Close files, the network and other processes to this process with Landlock, as far as the kernel can."""

import glob
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import landlockpy
from landlockpy import AccessFS, Ruleset, Scope

import reelmill_server
from reelmill_server.worker.messages import LIBRARY_PATHS


def _abi() -> int:
    try:
        return landlockpy.abi_version()
    except OSError:  # a container whose filter of system calls does not know Landlock
        return 0


# Here, in the fork server: landlockpy looks for libc with a program of the system, and a child executes none.
ABI = _abi()
"""The version of Landlock's interface in this kernel; 0: it has none."""

LACKING = {
    1: "Landlock (Linux 5.13, and enabled): files are open as far as the user may",
    4: "Landlock 4 (Linux 6.7): TCP is closed by seccomp only",
    5: "Landlock 5 (Linux 6.10): devices are closed by seccomp only",
    6: "Landlock 6 (Linux 6.12): signals to other processes are closed by seccomp only",
}
"""Protection that a kernel lacks if its Landlock is older than a version."""

_READ = AccessFS.READ_FILE | AccessFS.READ_DIR
_WRITE = _READ | AccessFS.WRITE_FILE | AccessFS.TRUNCATE | AccessFS.REFER
_WRITE |= AccessFS.MAKE_DIR | AccessFS.MAKE_REG | AccessFS.REMOVE_DIR | AccessFS.REMOVE_FILE
_USE = _READ | AccessFS.WRITE_FILE | AccessFS.IOCTL_DEV
_OF_FILES = AccessFS.READ_FILE | AccessFS.WRITE_FILE | AccessFS.TRUNCATE | AccessFS.IOCTL_DEV

_SYSTEM = (
    "/dev/random",
    "/dev/urandom",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/lib",
    "/lib64",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/self/status",  # how near the process came to its bounds
    "/proc/stat",
    "/sys/bus/pci",
    "/sys/devices/pci*",
    "/sys/devices/system",
    "/sys/fs/cgroup/cpu.max",
    "/sys/fs/cgroup/memory.max",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/share/fonts",
    "/usr/share",
    "~/.fonts",
    "~/.local/share/fonts",
)
"""Files that libraries read, and fonts."""
_INSTALLED = (
    *map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")),
    str(sysconfig.get_config_var("LIBDIR")),
    str(Path(reelmill_server.__file__).parent),
)
_SINKS = ("/dev/null",)
_DEVICES = ("/dev/dri", "/dev/nvidia*")
_OF_DRIVERS = (
    "/etc/drirc",
    "/etc/libva.conf",
    "/etc/nvidia",
    "/proc/devices",
    "/proc/driver/nvidia",
    "/proc/modules",
    "/proc/self",  # CUDA reads its maps; with the connections of the machine, in "net"
    "/sys/class",
    "/sys/dev/char",
    "/sys/devices",
    "/sys/module",
)


def usual() -> Ruleset:
    """Return rules that leave the interpreter, libraries and fonts; nothing is restricted yet. Raises OSError if the kernel has
    no Landlock.
    """
    rules = Ruleset(scoped=Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL)
    for path in (*_existing(_SYSTEM), *_interpreter()):
        _allow(rules, path, _READ)
    for path in _existing(_SINKS):
        _allow(rules, path, AccessFS.READ_FILE | AccessFS.WRITE_FILE)
    return rules


def restrict(directory: str, devices: bool, prepared: Ruleset | None = None) -> None:
    """Leave this thread, and those that it starts, what `usual` does, and `directory` to write in.

    `devices`: those of accelerators, too. `prepared`: what `usual` returned. Raises OSError if the kernel has no Landlock.
    """
    with prepared or usual() as rules:
        _allow(rules, directory, _WRITE)
        if devices:
            for path in (*_existing(_OF_DRIVERS), *_named_by_the_operator()):
                _allow(rules, path, _READ)
            for path in _existing(_DEVICES):
                _allow(rules, path, _USE)
        rules.restrict()


def _allow(rules: Ruleset, path: str, access: AccessFS) -> None:
    """Allow `access` to a file or a folder and what is below it; what is not there is opened in vain later, and named then."""
    if os.path.exists(path):
        rules.allow_path(path, access if os.path.isdir(path) else access & _OF_FILES)


def _interpreter() -> Iterable[str]:
    """Return the folders of modules and their libraries. Not all of the module path: it may begin with the current folder."""
    return {*_INSTALLED, *(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))}


def _named_by_the_operator() -> Iterable[str]:
    """Return the folders of drivers that are nowhere else: on nodes of some clouds, under Nix and conda."""
    return {path for name in LIBRARY_PATHS for path in os.environ.get(name, "").split(":") if os.path.isabs(path)}


def _existing(patterns: Iterable[str]) -> Iterator[str]:
    for pattern in patterns:
        yield from glob.glob(os.path.expanduser(pattern))
