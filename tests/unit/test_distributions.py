"""What `make dist` builds: three packages that together have what the project has. `make dist-check` builds and uses them."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from reelmill_server import __version__, extras
from tools import dist

WHOLE = tomllib.loads((dist.ROOT / "pyproject.toml").read_text())["project"]
PROJECTS = dist.projects()
# What declared ones always bring: botocore, Google's client, pydantic-settings.
_BROUGHT = {"urllib3", "google-auth", "google-api-core", "pydantic", "pydantic-core"}


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _imports(folder: Path) -> Iterator[str]:
    """The top-level names that the modules of a folder import, and for namespaces the second level."""
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            yield from names


_DISTRIBUTIONS = packages_distributions()  # reads the metadata of all that is installed


def _distributions(module: str) -> set[str]:
    top = module.partition(".")[0]
    if top == "google":  # a namespace that many share
        known = {
            "google.protobuf": "protobuf",
            "google.rpc": "googleapis-common-protos",
            "google.cloud.storage": "google-cloud-storage",
        }
        return {name for prefix, name in known.items() if module.startswith(prefix)}
    return {_normal(name) for name in _DISTRIBUTIONS.get(top, [])}


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("name", PROJECTS)
def test_each_package_declares_what_it_imports(name: str) -> None:
    """Or it would work only where another one happens to be installed."""
    own = {folder.name for folder in dist.sources(name)}
    project = PROJECTS[name]["project"]
    declared = {_normal(dist._name(line)) for line in project["dependencies"]}
    optional = {_normal(dist._name(line)) for lines in WHOLE["optional-dependencies"].values() for line in lines}
    ours = {"reelmill": "reelmill-protos", "buf": "reelmill-protos", "reelmill_client": "reelmill-client"}
    for module in {result for folder in dist.sources(name) for result in _imports(folder)}:
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names or top in own:
            continue
        candidates = {ours[top]} if top in ours else _distributions(module)
        assert not candidates or candidates & (declared | optional | _BROUGHT), module


def test_together_they_have_what_the_project_has() -> None:
    """Every dependency, script and extra is somewhere, and versions are one."""
    projects = [entry["project"] for entry in PROJECTS.values()]
    lines = {line for project in projects for line in project["dependencies"]}
    assert lines - {f"reelmill-protos=={__version__}"} == set(WHOLE["dependencies"])
    assert {script for project in projects for script in project.get("scripts", {})} == set(WHOLE["scripts"])
    handed_out = set(WHOLE["optional-dependencies"]) - {"dev", "media-tests"}
    assert set(PROJECTS["reelmill-server"]["project"]["optional-dependencies"]) == handed_out
    assert {project["version"] for project in projects} == {__version__}


def test_the_metadata_is_toml() -> None:
    """As it was meant."""
    for project in PROJECTS.values():
        assert tomllib.loads("\n".join(dist._toml(project))) == project


@pytest.mark.parametrize("extra", ["privacy", "rocketmq", "tracing"])
def test_what_an_error_says_to_install_is_the_extra(extra: str) -> None:
    """The command works in every environment."""
    lines: list[Any] = WHOLE["optional-dependencies"][extra]
    assert extras.install_command(extra) == f"pip install {' '.join(map(repr, lines))}"


def test_no_text_installs_what_no_index_has() -> None:
    """`reelmill` is not published."""
    result = subprocess.run(
        ["git", "grep", "-n", "pip install 'reelmill"], cwd=dist.ROOT, capture_output=True, text=True, check=False
    )
    assert [line for line in result.stdout.splitlines() if "test_distributions" not in line] == []
