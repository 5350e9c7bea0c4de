"""Confine this process with what the kernel has: files and other processes with Landlock, system calls with seccomp."""

from landlockpy import Ruleset

from reelmill_server.errors import ServiceUnavailable
from reelmill_server.model.capability import Sandbox, SandboxMode
from reelmill_server.worker.child import landlock, seccomp

_WALLS = ("landlock", "seccomp")


def enter(mode: SandboxMode, directory: str = "", devices: bool = False, prepared: Ruleset | None = None) -> Sandbox:
    """Leave this process what it has opened, `directory` to write in, and with `devices` the accelerators; for good.

    `prepared`: as `landlock.restrict` takes it. Call it before any thread starts. Raises ServiceUnavailable if the mode is
    `require` and the kernel lacks one of both walls.
    """
    if mode == "off":
        return Sandbox(mode)
    walls, lacks = list[str](), [text for version, text in landlock.LACKING.items() if version > landlock.ABI]
    if landlock.ABI:
        landlock.restrict(directory, devices, prepared)
        walls.append("landlock")
    try:
        seccomp.install(devices)
        walls.append("seccomp")
    except seccomp.SeccompError as error:
        lacks.append(f"seccomp: {error}")
    if mode == "require" and tuple(walls) != _WALLS:
        raise ServiceUnavailable(f"children cannot be confined, as REELMILL_SANDBOX=require asks; lacking: {'; '.join(lacks)}")
    return Sandbox(mode, tuple(walls), tuple(lacks))
