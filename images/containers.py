"""Builds images with buildah and runs them with podman, in a store of their own beside the machine's."""

import hashlib
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TOOLS = ("buildah", "podman", "debootstrap")
_RUNTIMES = ("runc", "crun")
# No defaults for limits: to raise them takes a privilege that not every root has.
_CONTAINERS_CONF = """\
[containers]
default_ulimits = []
log_driver = "none"
[network]
network_config_dir = "{root}/networks"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "{runtime}"
tmp_dir = "{root}/run/libpod"
"""
_STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{root}/storage"
runroot = "{root}/run"
"""
_AUTHORITIES = "/run/authorities.pem"
_PIP_CONF = f"[global]\ncert = {_AUTHORITIES}\nroot-user-action = ignore\ndisable-pip-version-check = true\n"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_UNPRIVILEGED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges")


@dataclass(frozen=True)
class Store:
    """Images and containers below `root`. What is built there goes through the proxy for HTTP, if any."""

    root: Path
    http_proxy: str = ""
    _environment: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        runtime = next(filter(shutil.which, _RUNTIMES), _RUNTIMES[0])
        (self.root / "containers.conf").write_text(_CONTAINERS_CONF.format(root=self.root, runtime=runtime))
        (self.root / "storage.conf").write_text(_STORAGE_CONF.format(root=self.root))
        (self.root / "pip.conf").write_text(_PIP_CONF)
        self._environment.update(os.environ)
        self._environment["CONTAINERS_CONF"] = str(self.root / "containers.conf")
        self._environment["CONTAINERS_STORAGE_CONF"] = str(self.root / "storage.conf")
        if self.http_proxy:
            self._environment["http_proxy"] = self.http_proxy

    def call(self, *command: str | Path) -> str:
        """Return what a command says, without the line's end; its errors go where this process' own go."""
        done = subprocess.run(command, env=self._environment, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    def bootstrap(self, suite: str, mirror: str, scripts: Path) -> str:
        """Return the name of a base image of Debian, made by debootstrap unless it is there.

        It changes with what lies in `scripts`: buildah's cache of layers does not look at what `RUN --mount` brings in.
        """
        plain, labeled = f"localhost/debian:{suite}", f"localhost/debian:{suite}-{digest(scripts)}"
        if not self._has(plain):
            files = self.root / "bootstrap"
            shutil.rmtree(files, ignore_errors=True)
            # The suite's own script may be newer than debootstrap is; all of them are that of sid.
            script = "/usr/share/debootstrap/scripts/sid"
            subprocess.run(["debootstrap", "--variant=minbase", suite, files, mirror, script], check=True)
            container = self.call("buildah", "from", "scratch")
            self.call("buildah", "add", container, files, "/")
            shutil.rmtree(files)
            self.call("buildah", "config", "--env", _PATH, "--cmd", "bash", container)
            self.call("buildah", "commit", "--rm", container, plain)
        if not self._has(labeled):
            container = self.call("buildah", "from", "--pull-never", plain)
            self.call("buildah", "config", "--label", f"scripts={digest(scripts)}", container)
            self.call("buildah", "commit", "--rm", container, labeled)
        return labeled

    def name(self, target: str) -> str:
        """Return the name of the image of a target."""
        return f"localhost/reelmill:{target}"

    def build(self, context: Path, target: str, arguments: Mapping[str, str]) -> str:
        """Return the name of the image of a target of the Dockerfile in `context`."""
        name = self.name(target)
        # Where the host trusts an authority of its own, pip must do so, too.
        authorities = os.environ.get("PIP_CERT", "/etc/ssl/certs/ca-certificates.crt")
        volumes = {authorities: _AUTHORITIES, str(self.root / "pip.conf"): "/etc/pip.conf"}
        command = ["buildah", "build", "--layers", "--isolation=chroot", "--network=host", "--target", target, "--tag", name]
        for argument, value in arguments.items():
            command += ["--build-arg", f"{argument}={value}"]
        for outside, inside in volumes.items():
            command += ["--volume", f"{outside}:{inside}:ro"]
        print("==", shlex.join([*command, str(context)]), flush=True)
        subprocess.run([*command, context], env=self._environment, check=True)
        return name

    def inspect(self, image: str, value: str) -> str:
        """Return a value of an image, by a template of Go."""
        return self.call("podman", "image", "inspect", "--format", value, image)

    def start(
        self,
        image: str,
        command: Sequence[str],
        volumes: Mapping[str, Path],
        environment: Mapping[str, str] | None = None,
        entrypoint: str | None = None,
        options: Sequence[str] = (),
    ) -> subprocess.Popen[str]:
        """Start a command as a cluster would: no privileges, only `volumes` (by where they are inside) can be written.

        Signals to the process that is returned reach the command, whose status is its own.
        """
        run = ["podman", "run", "--rm", "--network=host", "--http-proxy=false", *_UNPRIVILEGED, *options]
        run += [f"--volume={outside}:{inside}" for inside, outside in volumes.items()]
        run += [f"--env={name}={value}" for name, value in (environment or {}).items()]
        if entrypoint is not None:
            run.append(f"--entrypoint={entrypoint}")
        return subprocess.Popen([*run, image, *command], env=self._environment, stdout=subprocess.PIPE, text=True)

    def remove(self) -> None:
        """Remove all of it; what a broken build left mounted, too."""
        self.call("buildah", "rm", "--all")
        shutil.rmtree(self.root)

    def _has(self, image: str) -> bool:
        return subprocess.run(["podman", "image", "exists", image], env=self._environment, check=False).returncode == 0


def free_port() -> int:
    """Return a port of this machine that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        return int(reserved.getsockname()[1])


def digest(folder: Path) -> str:
    """Return a word that changes with the scripts and lists in a folder."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.sh"), *folder.glob("*.packages")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
