"""The chart as Helm renders it: by its program, or by its library in the package helm-python-sdk (`make cluster-check`)."""

import importlib
import json
import os
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.k8s.manifests import REPOSITORY, Manifest

CHART = REPOSITORY / "charts" / "reelmill"


class Refused(Exception):
    """Helm does not take the values."""


def rendered(values: dict[str, Any], namespace: str = "reelmill") -> tuple[Manifest, ...]:
    """What Helm makes of values. Skips where there is no Helm, but fails in CI. Raises Refused."""
    text = _by_program(values, namespace) if shutil.which("helm") else _by_library(values, namespace)
    return tuple(manifest for manifest in yaml.safe_load_all(text) if manifest)


def _by_program(values: dict[str, Any], namespace: str) -> str:
    command = [
        "helm",
        "template",
        "reelmill",
        str(CHART),
        "--namespace",
        namespace,
        "--kube-version",
        "1.37.0",
        "--values",
        "-",
    ]
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


def _by_library(values: dict[str, Any], namespace: str) -> str:
    try:
        helm = importlib.import_module("helm_python")
    except ImportError:
        (pytest.fail if "REELMILL_NEEDS_HELM" in os.environ else pytest.skip)("no Helm: make cluster-check")
    with helm.Chart.load(CHART) as chart:
        try:
            chart.validate_schema(values)
            files = chart.render(values=values, name="reelmill", namespace=namespace)
        except helm.HelmError as error:
            raise Refused(str(error)) from error
    return "\n---\n".join(files.values())
