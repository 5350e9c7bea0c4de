"""Reads the few words of Dockerfiles that ours uses, and refuses all others."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_KNOWN = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "LABEL", "RUN", "USER", "VOLUME", "WORKDIR"}


@dataclass(frozen=True)
class Step:
    """One instruction: its word, its flags (`--from=builder`) and the rest of the line."""

    word: str
    rest: str
    flags: Sequence[str] = ()

    def parts(self) -> list[str]:
        """What the rest lists, in JSON's form or a shell's."""
        return list(json.loads(self.rest)) if self.rest.startswith("[") else shlex.split(self.rest)

    def flag(self, name: str) -> str | None:
        """The value of a flag, without its name."""
        return next((flag.partition("=")[2] for flag in self.flags if flag.startswith(f"--{name}=")), None)


@dataclass(frozen=True)
class Stage:
    """One `FROM`: its name, what it begins with (a stage, or an image), and its steps."""

    name: str
    parent: str
    steps: list[Step] = field(default_factory=list)


@dataclass
class Config:
    """What an image says of itself once its steps have run."""

    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    folder: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)


def read(text: str) -> tuple[dict[str, str], dict[str, Stage]]:
    """The arguments before the first stage, and the stages by name.

    Raises ValueError for an instruction that is not known here.
    """
    stages: dict[str, Stage] = {}
    arguments: dict[str, str] = {}
    for step in _steps(text):
        if step.word == "FROM":
            parent, _, name = substitute(step.rest, arguments).partition(" AS ")
            stages[name] = Stage(name, parent)
        elif not stages and step.word == "ARG":
            name, _, default = step.rest.partition("=")
            arguments[name] = default
        elif step.word in _KNOWN:
            list(stages.values())[-1].steps.append(step)
        else:
            raise ValueError(f"{step.word}: not an instruction that is known here")
    return arguments, stages


def _steps(text: str) -> list[Step]:
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    found = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        word, _, rest = line.partition(" ")
        flags = re.match(r"(--\S+\s+)*", rest.strip())
        assert flags is not None
        found.append(Step(word, rest.strip()[flags.end() :], flags[0].split()))
    return found


def substitute(text: str, values: Mapping[str, str]) -> str:
    """`text` with `$NAME` and `${NAME}` replaced; what has no value becomes nothing."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: values.get(found[1] or found[2], ""), text)


def apply(step: Step, config: Config, arguments: dict[str, str], given: Mapping[str, str]) -> None:
    """Does to `config` and `arguments` what a step other than RUN and COPY does; `given` are values of arguments."""
    rest = Step(step.word, substitute(step.rest, {**arguments, **config.environment}))
    match step.word:
        case "ARG":
            name, _, default = rest.rest.partition("=")
            arguments[name] = given.get(name, default)
        case "ENV":
            config.environment |= dict(part.split("=", 1) for part in rest.parts())
        case "LABEL":
            config.labels |= dict(part.split("=", 1) for part in rest.parts())
        case "USER":
            config.user = rest.rest
        case "WORKDIR":
            config.folder = rest.rest
        case "ENTRYPOINT":
            config.entrypoint = rest.parts()
        case "CMD":
            config.command = rest.parts()
        case "VOLUME":
            config.volumes = [*config.volumes, *rest.parts()]
        case "EXPOSE":
            config.ports = [*config.ports, *rest.parts()]


def configured(name: str, stages: Mapping[str, Stage], given: Mapping[str, str]) -> Config:
    """What the image of a stage says of itself."""
    chain: list[Stage] = []
    while name in stages:
        chain.insert(0, stages[name])
        name = stages[name].parent
    config = Config()
    for stage in chain:
        arguments: dict[str, str] = {}
        for step in stage.steps:
            apply(step, config, arguments, given)
    return config
