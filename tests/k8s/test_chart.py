"""The Helm chart makes what kustomize makes of the same choices, and takes no values that it does not know."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s import schemas
from tests.k8s.chart import CHART, Refused, rendered
from tests.k8s.manifests import FOLDER, Manifest, find, render_of, workloads

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
POOLS, COMPONENTS = list(VALUES["pools"]), list(VALUES["components"])
IMAGES = {
    "reelmill-cpu": "registry.example.com/reelmill:0.1.0-cpu",
    "reelmill-nvidia": "registry.example.com/reelmill:0.1.0-nvidia",
}
SETTINGS = {"REELMILL_BUCKET": "s3://media", "REELMILL_TEMPORAL_NAMESPACE": "media.a1b2c"}
CASES: dict[str, tuple[list[str], list[str]]] = {
    "least": (["software"], []),
    **{
        component: (["software"], ["keda", component] if component == "temporal-cloud" else [component])
        for component in COMPONENTS
    },
    "every pool": (POOLS, []),
    "everything": (POOLS, COMPONENTS),
}


def _kustomized(folder: Path, pools: list[str], components: list[str]) -> tuple[Manifest, ...]:
    """The same by kustomize; its components change manifests in the order of their names, as the chart does."""
    chosen = list[str]()
    for component in components:
        scaling = [f"keda/{pool}" for pool in sorted(pools)]
        scaling += ["keda/temporal-cloud"] if "temporal-cloud" in components else []
        chosen += scaling if component == "keda" else [component]
    example = yaml.safe_load((FOLDER / "example" / "kustomization.yaml").read_text())
    images = [
        {"name": name, "newName": image.rpartition(":")[0], "newTag": image.rpartition(":")[2]}
        for name, image in IMAGES.items()
    ]
    return render_of(
        folder,
        namespace="media",
        resources=["base", *(f"pools/{pool}" for pool in pools)],
        components=[f"components/{component}" for component in chosen],
        images=images,
        configMapGenerator=[
            {
                "name": "reelmill-settings",
                "behavior": "merge",
                "literals": [f"{name}={text}" for name, text in SETTINGS.items()],
            }
        ],
        replacements=example["replacements"],
    )


def _chart(pools: list[str], components: list[str]) -> tuple[Manifest, ...]:
    values = {
        "images": IMAGES,
        "settings": SETTINGS,
        "pools": {pool: {"enabled": pool in pools} for pool in POOLS},
        "components": {component: component in components for component in COMPONENTS},
    }
    return rendered(values, namespace="media")


def _by_name(manifests: tuple[Manifest, ...]) -> dict[str, Any]:
    """The manifests without what each tool does in its own way: the namespace itself, the hash in the name of settings, and
    empty lines in folded text.
    """
    text = re.sub(r"reelmill-settings-\w{10}\b", "reelmill-settings", json.dumps(manifests, sort_keys=True))
    text = text.replace(r"\n\n", r"\n")
    kept = (manifest for manifest in json.loads(text) if manifest["kind"] != "Namespace")
    return {f"{manifest['kind']}/{manifest['metadata']['name']}": manifest for manifest in kept}


@pytest.mark.parametrize("case", CASES)
def test_helm_and_kustomize_make_the_same(case: str, tmp_path: Path) -> None:
    """Of all components alone and together, and of all pools."""
    pools, components = CASES[case]
    result = _chart(pools, components)
    assert _by_name(result) == _by_name(_kustomized(tmp_path, pools, components))
    for manifest in result:
        for version in schemas.VERSIONS:
            schemas.check(manifest, version)


def test_every_component_has_its_value() -> None:
    """And every pool."""
    assert sorted(COMPONENTS) == sorted(path.name for path in (FOLDER / "components").iterdir())
    assert sorted(POOLS) == sorted(path.name for path in (FOLDER / "pools").iterdir())


def test_values_reach_pods() -> None:
    """What is merged into pods, annotations of accounts, and a new name of the settings when one changes."""
    resources = {"requests": {"cpu": "7", "memory": "24Gi"}, "limits": {"cpu": "8", "memory": "24Gi"}}
    pool = {"pod": {"nodeSelector": {"pool": "media"}}, "container": {"resources": resources}}
    changed = rendered(
        {
            "pools": {"software": pool},
            "accounts": {"reelmill-worker": {"eks.amazonaws.com/role-arn": "arn"}},
            "settings": {"REELMILL_LOG_LEVEL": "debug"},
        }
    )
    (worker,) = (workload for workload in workloads(changed) if workload.role == "worker")
    assert worker.pod["nodeSelector"] == {"pool": "media"} and worker.container["resources"]["limits"]["cpu"] == "8"
    assert worker.environment({})["REELMILL_LOG_LEVEL"] == "debug"
    (account,) = find(changed, "ServiceAccount", "reelmill-worker")
    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": "arn"}
    names = [{results["metadata"]["name"] for results in find(result, "ConfigMap")} for result in (changed, rendered({}))]
    assert not names[0] & names[1]


@pytest.mark.parametrize(
    "values",
    [
        {"component": {"keda": True}},
        {"components": {"kedda": True}},
        {"pools": {"gpu": {}}},
        {"settings": {"BUCKET": "s3://media"}},
    ],
    ids=["part", "component", "pool", "setting"],
)
def test_values_that_nobody_reads_are_refused(values: dict[str, Any]) -> None:
    """A word that is misspelled is no default."""
    with pytest.raises(Refused):
        rendered(values)


@pytest.mark.parametrize(
    "image, name",
    [
        ("reelmill", "reelmill-migrate"),
        ("host:5000/reelmill:1.2", "reelmill-migrate-1.2"),
        ("host:5000/reelmill", "reelmill-migrate"),
        ("reelmill:1.2@sha256:" + "0123456789ab" * 5, "reelmill-migrate-0123456789ab"),
    ],
    ids=["plain", "port and tag", "port", "digest"],
)
def test_the_migration_has_the_version_of_its_image(image: str, name: str) -> None:
    """Whatever the registry is called."""
    (job,) = find(rendered({"images": {"reelmill-cpu": image}}), "Job")
    assert job["metadata"]["name"] == name
