"""The Dockerfile agrees with the code and with what its steps run."""

import os
import shlex
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from images import dockerfile
from images.dockerfile import Config
from reelmill_server import __version__
from reelmill_server.__main__ import _ROLES
from reelmill_server.settings.fields import split_address
from reelmill_server.settings.reference import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS, STAGES = dockerfile.read((ROOT / "Dockerfile").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMAGES = ("cpu", "intel", "nvidia")


def _config(name: str) -> Config:
    return dockerfile.configured(name, STAGES, ARGUMENTS)


def test_steps_run_only_scripts_that_are_there() -> None:
    """And hand them only lists that are there."""
    for stage in STAGES.values():
        for step in stage.steps:
            if step.word == "RUN":
                assert step.flags == ["--mount=type=bind,source=images,target=/images"]
                script, *arguments = shlex.split(step.rest)
                for path in (script, *(argument for argument in arguments if argument.startswith("/images/"))):
                    assert (ROOT / path.lstrip("/")).is_file(), path
                assert os.access(ROOT / script.lstrip("/"), os.X_OK), script


def test_what_is_copied_is_in_the_build_context() -> None:
    """Neither missing here nor left out by .dockerignore."""
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for stage in STAGES.values()
        for step in stage.steps
        if step.word == "COPY" and not step.flag("from")
        for source in step.parts()[:-1]
    }
    assert copied | {"images"} == admitted
    assert all((ROOT / name).exists() for name in admitted)


@pytest.mark.parametrize("name", IMAGES)
def test_the_images_play_a_role_as_nobody_in_particular(name: str) -> None:
    """The entry point is ours, the default is a role, the user is a number (Kubernetes must know that it is not root)."""
    config = _config(name)
    assert config.entrypoint == ["reelmill-server"] and "reelmill-server" in PROJECT["scripts"]
    assert len(config.command) == 1 and config.command[0] in _ROLES
    user, group = config.user.split(":")
    assert int(user) >= 10000 and int(group) >= 10000


@pytest.mark.parametrize("name", IMAGES)
def test_the_images_set_what_the_server_reads(name: str) -> None:
    """Settings exist, ports are those that are exposed, and what is written goes to the volume."""
    config = _config(name)
    settings = {name: value for name, value in config.environment.items() if name.startswith("REELMILL_")}
    assert settings.keys() <= {setting.variable for setting in SETTINGS.values()}
    listening = (split_address(settings["REELMILL_LISTEN"]), split_address(settings["REELMILL_HTTP"]))
    assert {host for host, _ in listening} == {"0.0.0.0"}
    assert config.ports == [str(port) for _, port in listening]
    written = {settings["REELMILL_DATA_DIR"], config.environment["TMPDIR"], config.environment["HOME"], config.folder}
    assert written == set(config.volumes) == {"/data"}


def test_versions_agree() -> None:
    """Of the project and its label, and of PyAV and what the project asks for."""
    assert _config("cpu").labels["org.opencontainers.image.version"] == __version__
    asked = [Requirement(text) for text in PROJECT["dependencies"] if text.startswith("av>")]
    newer = [asks for asks in asked if asks.marker and Marker(str(asks.marker)).evaluate({"python_version": "3.14"})]
    assert len(newer) == 1 and ARGUMENTS["AV_VERSION"] in newer[0].specifier


def test_nvidia_asks_for_the_video_driver() -> None:
    """Without `video` NVIDIA's toolkit leaves the encoder's library out."""
    capabilities = _config("nvidia").environment["NVIDIA_DRIVER_CAPABILITIES"].split(",")
    assert set(capabilities) == {"video", "compute", "utility"}
    assert "NVIDIA_DRIVER_CAPABILITIES" not in _config("cpu").environment


def test_an_unknown_instruction_is_refused() -> None:
    """Rather than left out without a word."""
    with pytest.raises(ValueError, match="ADD"):
        dockerfile.read("FROM debian AS cpu\nADD a b\n")
