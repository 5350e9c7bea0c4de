"""Whether Kubernetes would accept a manifest, by its own schemas and by those of the custom resources beside this file."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate

VERSIONS = ("1.30", kubernetes_validate.latest_version())
"""The oldest version that the pages promise, and the latest that is known."""
_FOLDER = Path(__file__).parent
CUSTOM = {
    "ScaledObject": "keda.sh/v1alpha1",
    "TriggerAuthentication": "keda.sh/v1alpha1",
    "PodMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
}


@cache
def _validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((_FOLDER / f"{kind}.json").read_text()))


def check(manifest: dict[str, Any], version: str) -> None:
    """Raise jsonschema.ValidationError for what a version of Kubernetes refuses, fields that it does not know included."""
    if manifest["kind"] not in CUSTOM:
        kubernetes_validate.validate(manifest, version, strict=True)
        return
    if manifest["apiVersion"] != CUSTOM[manifest["kind"]]:
        raise jsonschema.ValidationError(f"{manifest['kind']} is not of {manifest['apiVersion']}")
    _validator(manifest["kind"]).validate(manifest)
