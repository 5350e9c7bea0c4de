"""The manifests as Kubernetes gets them, and what a container made from them is told."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "k8s"
OVERLAYS = ("overlays/dev", "overlays/cpu", "overlays/nvidia", "overlays/intel", "example")
Manifest = dict[str, Any]
IMAGE = {
    "HOME": "/data",
    "TMPDIR": "/data",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "REELMILL_FILE_ROOT": "",
}
"""What the image says of the environment besides (Dockerfile)."""


@cache
def render(folder: str) -> tuple[Manifest, ...]:
    """What `kubectl kustomize` makes of a folder below k8s; skips where there is no such program, but fails in CI."""
    program = next((result for name in ("kubectl", "kustomize") if (result := shutil.which(name))), None)
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("neither kubectl nor kustomize is installed")
    verb = ["kustomize"] if Path(program).name == "kubectl" else ["build"]
    done = subprocess.run([program, *verb, str(FOLDER / folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def find(manifests: tuple[Manifest, ...], kind: str, name: str = "") -> list[Manifest]:
    """Those of a kind, perhaps of a name only."""
    return [result for result in manifests if result["kind"] == kind and name in ("", result["metadata"]["name"])]


def render_of(folder: Path, **content: object) -> tuple[Manifest, ...]:
    """What a kustomization outside of the repository makes; `content` names folders below k8s in resources and components."""
    base = Path("../" * len(folder.resolve().parts[1:])) / FOLDER.relative_to("/")
    for key in {"resources", "components"} & content.keys():
        content[key] = [str(base / path) for path in content[key]]  # type: ignore[attr-defined]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return render(str(folder))


@dataclass(frozen=True)
class Workload:
    """A manifest that makes pods of one container."""

    manifest: Manifest
    configuration: Mapping[str, Mapping[str, str]]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def pod(self) -> Manifest:
        """What its pods are to be."""
        return dict(self.manifest["spec"]["template"]["spec"])

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its pods."""
        return dict(self.manifest["spec"]["template"]["metadata"]["labels"])

    @property
    def container(self) -> Manifest:
        """The container."""
        (container,) = self.pod["containers"]
        return dict(container)

    @property
    def role(self) -> str:
        """What the program is told to be."""
        (role,) = self.container["args"]
        return str(role)

    def environment(self, secrets: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """What the container finds in its environment, given what is in the secrets."""
        results: dict[str, str] = {}
        for source in self.container.get("envFrom", []):
            if "configMapRef" in source:
                results |= self.configuration[source["configMapRef"]["name"]]
            else:
                reference = source["secretRef"]
                results |= secrets.get(reference["name"], {}) if reference.get("optional") else secrets[reference["name"]]
        for variable in self.container.get("env", []):
            if "value" in variable:
                results[variable["name"]] = variable["value"]
            elif "fieldRef" in variable["valueFrom"]:
                results[variable["name"]] = f"({variable['valueFrom']['fieldRef']['fieldPath']})"
            else:
                reference = variable["valueFrom"]["secretKeyRef"]
                results[variable["name"]] = secrets[reference["name"]][reference["key"]]
        return results

    def port(self, wanted: str | int) -> int:
        """The number of a port, as probes and services name it."""
        if isinstance(wanted, int):
            return wanted
        return next(int(port["containerPort"]) for port in self.container["ports"] if port["name"] == wanted)

    def probes(self) -> dict[str, Manifest]:
        """The probes by kind: startup, readiness, liveness."""
        kinds = ("startup", "readiness", "liveness")
        return {kind: self.container[f"{kind}Probe"] for kind in kinds if f"{kind}Probe" in self.container}


def workloads(manifests: tuple[Manifest, ...]) -> Iterator[Workload]:
    """All that make pods."""
    configuration = {result["metadata"]["name"]: result.get("data", {}) for result in find(manifests, "ConfigMap")}
    for manifest in manifests:
        if "template" in manifest.get("spec", {}):
            yield Workload(manifest, configuration)


def workload(manifests: tuple[Manifest, ...], name: str) -> Workload:
    """The one of this name."""
    return next(result for result in workloads(manifests) if result.name == name)
