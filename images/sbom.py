"""Print what is in this image as CycloneDX 1.6: packages of this environment and of Debian. Standard library only.

Run by the environment's own Python; `dpkg-query`'s list is read from standard input, as write-inventory.sh has it.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from typing import Any
from urllib.parse import quote


def document(packages: Iterable[Distribution], debian: Iterable[str]) -> dict[str, Any]:
    """Return the document; a line of `debian` is `NAME=VERSION`, a tab, the architecture, and more."""
    components = [*_python(packages), *_debian(debian)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": "reelmill"}},
        "components": sorted(components, key=lambda component: str(component["purl"])),
    }


def _python(packages: Iterable[Distribution]) -> Iterator[dict[str, Any]]:
    for package in packages:
        name = re.sub(r"[-_.]+", "-", package.name).lower()
        found = _component(package.name, package.version, f"pkg:pypi/{name}@{quote(package.version)}")
        expression = package.metadata.json.get("license_expression")
        yield {**found, "licenses": [{"expression": expression}]} if expression else found


def _debian(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        package, architecture, *_ = line.rstrip("\n").split("\t")
        name, _, version = package.partition("=")
        yield _component(name, version, f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}")


def _component(name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}


if __name__ == "__main__":
    json.dump(document(distributions(), sys.stdin), sys.stdout, indent=1)
