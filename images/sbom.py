"""Print what is in this image as CycloneDX 1.6: packages of this environment and of Debian, and libvmaf. Standard library only.

Run by the environment's own Python; `dpkg-query`'s list is read from standard input, as write-inventory.sh has it.
"""

import ctypes
import json
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote


def document(packages: Iterable[Distribution], debian: Iterable[str], folder: Path) -> dict[str, Any]:
    """Return the document; a line of `debian` is `NAME=VERSION`, a tab, the architecture, and more. `folder`: where packages
    with libraries are.
    """
    components = [*_python(packages), *_debian(debian), *_libvmaf(folder)]
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


def _libvmaf(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the library that is taken out of the wheel of PyAV."""
    for path in folder.glob("av.libs/libvmaf-*.so.*"):
        library = ctypes.CDLL(str(path))
        library.vmaf_version.restype = ctypes.c_char_p
        version = library.vmaf_version().decode()
        found = _component("libvmaf", version, f"pkg:github/netflix/vmaf@v{version}")
        yield {**found, "licenses": [{"license": {"id": "BSD-2-Clause-Patent"}}]}


def _component(name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}


if __name__ == "__main__":
    json.dump(document(distributions(), sys.stdin, Path(sysconfig.get_path("platlib"))), sys.stdout, indent=1)
