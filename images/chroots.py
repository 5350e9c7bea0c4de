"""Builds the stages of a Dockerfile and runs commands in them, without a container engine.

Each stage is a layer of overlayfs over the one that it begins with; the first is made by debootstrap. It needs Linux and root,
and a mount namespace of its own: all that is mounted goes away with it.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from images import dockerfile
from images.dockerfile import Config, Stage, Step

_DEVICES = ("null", "zero", "full", "random", "urandom")
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.egg-info")
_BUILD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_AUTHORITIES = "/run/authorities.pem"
"""Where the host's certificate authorities lie while a stage is built."""


def _call(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True)


@dataclass
class Builder:
    """Stages of `text` under `root`, from the files in `context`; the base is from `mirror`, steps use `proxy`, if any."""

    text: str
    context: Path
    root: Path
    mirror: str
    proxy: str = ""
    stages: dict[str, Stage] = field(init=False)
    _arguments: dict[str, str] = field(init=False)
    _keys: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._arguments, self.stages = dockerfile.read(self.text)

    def build(self, name: str) -> Config:
        """Runs what of the stage and of those that it needs is not there yet, and gives what its image says of itself."""
        if name not in self._keys:
            if name not in self.stages:
                self._bootstrap(name)
            else:
                stage = self.stages[name]
                for needed in (stage.parent, *filter(None, (step.flag("from") for step in stage.steps))):
                    self.build(needed)
                self._make(stage)
        return dockerfile.configured(name, self.stages, self._arguments)

    def layer(self, name: str) -> Path:
        """The files that the stage adds."""
        return self.root / "layers" / (name if name in self.stages else "image") / "files"

    @contextmanager
    def mounted(self, name: str, *, read_only: bool = False) -> Iterator[Path]:
        """All files of the stage, in one place; written is to its own layer."""
        below, parent = [], self.stages[name].parent
        while parent in self.stages:
            below.append(self.layer(parent))
            parent = self.stages[parent].parent
        below.append(self.layer(parent))
        place, layer = self.root / "mounted" / name, self.layer(name)
        work = layer.with_name("work")
        for folder in (place, layer, work):
            folder.mkdir(parents=True, exist_ok=True)
        # Without an upper layer nothing can be written, whoever tries.
        own = f"lowerdir={layer}:" if read_only else f"upperdir={layer},workdir={work},lowerdir="
        _call("mount", "-t", "overlay", "overlay", "-o", own + ":".join(map(str, below)), place)
        try:
            yield place
        finally:
            _call("umount", "--recursive", place)

    def _bootstrap(self, name: str) -> None:
        files, done = self.layer(name), self.layer(name).with_name("done")
        suite = self._keys[name] = self._arguments["SUITE"]
        if done.exists():
            return
        shutil.rmtree(files.parent, ignore_errors=True)
        files.parent.mkdir(parents=True)
        print(f"== {name}: debootstrap of {suite}", flush=True)
        # The suite's own script may be newer than debootstrap is; all of them are that of sid.
        script = "/usr/share/debootstrap/scripts/sid"
        _call("debootstrap", "--variant=minbase", suite, files, self.mirror, script)
        done.touch()

    def _make(self, stage: Stage) -> None:
        key = self._keys[stage.name] = self._key(stage)
        layer = self.layer(stage.name)
        done = layer.with_name("done")
        if done.exists() and done.read_text() == key:
            print(f"== {stage.name}: as it was", flush=True)
            return
        shutil.rmtree(layer.parent, ignore_errors=True)
        config, arguments = dockerfile.configured(stage.parent, self.stages, self._arguments), dict[str, str]()
        with self.mounted(stage.name) as place:
            for step in stage.steps:
                print(f"== {stage.name}: {step.word} {step.rest}", flush=True)
                self._take(step, place, config, arguments)
        done.write_text(key)

    def _take(self, step: Step, place: Path, config: Config, arguments: dict[str, str]) -> None:
        if step.word == "RUN":
            self._run(step, place, config, arguments)
        elif step.word == "COPY":
            *sources, target = step.parts()
            if origin := step.flag("from"):
                with self.mounted(origin, read_only=True) as other:
                    _copy([other / source.lstrip("/") for source in sources], place, target)
            else:
                _copy([self.context / source for source in sources], place, target)
        else:
            dockerfile.apply(step, config, arguments, self._arguments)
            if step.word == "WORKDIR":
                (place / config.folder.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _run(self, step: Step, place: Path, config: Config, arguments: Mapping[str, str]) -> None:
        mount = dict(part.split("=", 1) for part in (step.flag("mount") or "").split(",") if part)
        helpers = _bound(self.context / mount["source"], place / mount["target"].lstrip("/"))
        with helpers, _network(place) as network:
            environment = {"PATH": _BUILD_PATH, **arguments, **config.environment, **network}
            if self.proxy:
                environment["http_proxy"] = self.proxy
            run = Run(place, ["/bin/sh", "-c", step.rest], environment, config.user, config.folder)
            subprocess.run(run.command(), check=True)

    def _key(self, stage: Stage) -> str:
        """Changes with all that the stage is made of."""
        used = {step.rest.partition("=")[0] for step in stage.steps if step.word == "ARG"}
        parts = [self._keys[stage.parent], repr(stage.steps), *(f"{name}={self._arguments.get(name)}" for name in sorted(used))]
        digest = hashlib.sha256("\n".join(parts).encode())
        for step in stage.steps:
            if origin := step.flag("from"):
                digest.update(self._keys[origin].encode())
            elif step.word == "COPY":
                for source in step.parts()[:-1]:
                    _digest_files(digest, self.context / source)
            elif step.word == "RUN":
                for path in _helpers(self.context / "images", step.rest):
                    digest.update(path.read_bytes())
        return digest.hexdigest()


def _helpers(folder: Path, text: str) -> Iterator[Path]:
    """The files of `folder` that a command names, and those that they name."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and f"/images/{path.name}" in text:
            yield path
            yield from _helpers(folder, path.read_text())


def _digest_files(digest: "hashlib._Hash", path: Path) -> None:
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(str(file).encode() + file.read_bytes())


def _copy(sources: Sequence[Path], place: Path, target: str) -> None:
    """As COPY does: of a folder, what is in it."""
    into = place / target.lstrip("/")
    for source in sources:
        if source.is_dir():
            shutil.copytree(
                source, into, symlinks=True, dirs_exist_ok=True, ignore=_NOT_COPIED if place not in source.parents else None
            )
        else:
            to = into / source.name if target.endswith("/") else into
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to)


@contextmanager
def _bound(source: Path, target: Path) -> Iterator[None]:
    """`source` at `target`, read-only; the target is made if need be, and taken away if it was."""
    made = not target.exists()
    if made and source.is_dir():
        target.mkdir(parents=True)
    elif made:
        target.touch()
    _call("mount", "--bind", "-o", "ro", source, target)
    try:
        yield
    finally:
        _call("umount", target)
        if made:
            target.rmdir() if target.is_dir() else target.unlink()


@contextmanager
def _network(place: Path) -> Iterator[dict[str, str]]:
    """The host's resolver, names and certificate authorities inside; gives the variables that tell of them."""
    authorities = Path(os.environ.get("PIP_CERT", "/etc/ssl/certs/ca-certificates.crt"))
    with (
        _bound(Path("/etc/resolv.conf"), place / "etc/resolv.conf"),
        _bound(Path("/etc/hosts"), place / "etc/hosts"),
        _bound(authorities, place / _AUTHORITIES.lstrip("/")),
    ):
        yield {"PIP_CERT": _AUTHORITIES, "PIP_ROOT_USER_ACTION": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@dataclass(frozen=True)
class Run:
    """A command as a container would run it: its own processes and devices, no privileges to gain; root has root's.

    `volumes`: folders by where they are inside; `extra` ones are read-only.
    """

    place: Path
    arguments: Sequence[str]
    environment: Mapping[str, str]
    user: str = "0:0"
    folder: str = "/"
    volumes: Mapping[str, Path] = field(default_factory=dict)
    extra: Mapping[str, Path] = field(default_factory=dict)

    def command(self) -> list[str]:
        """What to start on the host. Its process ends when the command does, with its status."""
        mounts = [
            ["mount", "-t", "proc", "proc", self._at("/proc")],
            ["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self._at("/dev")],
            *(["cp", "-a", f"/dev/{name}", self._at("/dev")] for name in _DEVICES),
            ["mkdir", "-m", "1777", self._at("/dev/shm")],
            *(["mount", "--bind", str(outside), self._at(inside)] for inside, outside in self.volumes.items()),
            *(["mount", "--bind", "-o", "ro", str(outside), self._at(inside)] for inside, outside in self.extra.items()),
        ]
        user, _, group = self.user.partition(":")
        less = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"] if user != "0" else []
        inside = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *less]
        environment = ["env", "-i", f"--chdir={self.folder}", *(f"{name}={value}" for name, value in self.environment.items())]
        enter = ["exec", "chroot", str(self.place), *inside, *environment, *self.arguments]
        script = "\n".join(shlex.join(line) for line in [*mounts, enter])
        # The command is process 1 of its own namespace, as in a container.
        return ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script]

    def _at(self, inside: str) -> str:
        return str(self.place / inside.lstrip("/"))


def own_mounts() -> None:
    """Goes on in a mount namespace of its own, where nothing that is mounted is seen outside or stays."""
    if os.environ.get("REELMILL_OWN_MOUNTS") != "yes":
        os.environ["REELMILL_OWN_MOUNTS"] = "yes"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.orig_argv[1:]])
