"""Build wheels and source packages of the protos, the client and the server: python tools/dist.py FOLDER.

A checkout is one project. What is handed out are three packages, so that a client needs no media libraries. Their metadata is
derived from pyproject.toml: `[tool.reelmill.dist]` says what each of them has.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_PIP = (sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--target")
_LEFT_OUT = ("__pycache__", "*.pyc", "*.part")


def projects() -> dict[str, dict[str, Any]]:
    """Return the content of the pyproject.toml of each package, by its name."""
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shared, split = whole["project"], whole["tool"]["reelmill"]["dist"]
    version = _version()
    named = {name: set(part["dependencies"]) for name, part in split.items()}
    elsewhere = set().union(*named.values())
    found = {}
    for name, part in split.items():
        own = named[name] or {_name(line) for line in shared["dependencies"]} - elsewhere
        own |= set(part.get("also", ()))
        project = {
            key: shared[key] for key in ("license", "license-files", "requires-python", "readme", "urls") if key in shared
        }
        project |= {"name": name, "version": version, "description": part["description"]}
        project["dependencies"] = [line for line in shared["dependencies"] if _name(line) in own]
        project["dependencies"] += [f"{other}=={version}" for other in part.get("needs", ())]
        scripts = {script: shared["scripts"][script] for script in part.get("scripts", ())}
        extras = {extra: shared["optional-dependencies"][extra] for extra in part.get("extras", ())}
        project |= {"scripts": scripts} if scripts else {}
        project |= {"optional-dependencies": extras} if extras else {}
        packages = [Path(package).name for package in part["packages"]]
        found[name] = {
            "build-system": whole["build-system"],
            "project": project,
            "tool": {"hatch": {"build": {"targets": {"wheel": {"packages": packages}}}}},
        }
    return found


def sources(name: str) -> list[Path]:
    """Return the folders of the Python packages that a package has."""
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [ROOT / package for package in whole["tool"]["reelmill"]["dist"][name]["packages"]]


def build(folder: Path) -> list[Path]:
    """Build all packages and the descriptor set into a folder, in place of earlier ones, and return their files."""
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob("reelmill-*.binpb"):
        earlier.unlink()
    for name in projects():
        for earlier in folder.glob(f"{name.replace('-', '_')}-*"):
            earlier.unlink()
    with tempfile.TemporaryDirectory() as temporary:
        tools = Path(temporary, "tools")
        subprocess.run([*_PIP, str(tools), *_builders()], check=True)
        for name, project in projects().items():
            place = Path(temporary, name)
            place.mkdir()
            (place / "pyproject.toml").write_text("\n".join(_toml(project)) + "\n")
            for file in ("README.md", "LICENSE"):
                shutil.copy(ROOT / file, place)
            for package in sources(name):
                shutil.copytree(package, place / package.name, ignore=shutil.ignore_patterns(*_LEFT_OUT))
            environment = {**os.environ, "PYTHONPATH": str(tools)}
            command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder.resolve())]
            subprocess.run(command, cwd=place, env=environment, check=True)
    from reelmill.descriptors import descriptor_set  # not needed to derive the packages' metadata

    (folder / f"reelmill-{_version()}.binpb").write_bytes(descriptor_set())
    return sorted(folder.iterdir())


def _builders() -> list[str]:
    needed: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    return needed


def _version() -> str:
    module = ast.parse((ROOT / "server/reelmill_server/__init__.py").read_text())
    return next(str(ast.literal_eval(node.value)) for node in module.body if isinstance(node, ast.Assign))


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found, requirement
    return found[0]


def _toml(table: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the lines of a table. Strings and lists of them are written alike in TOML and JSON."""
    if path:
        yield f"[{path}]"
    for key, value in table.items():
        if not isinstance(value, dict):
            yield f"{json.dumps(key)} = {json.dumps(value)}"
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _toml(value, f"{path}.{json.dumps(key)}".lstrip("."))


if __name__ == "__main__":
    print(*build(Path(sys.argv[1])), sep="\n")
