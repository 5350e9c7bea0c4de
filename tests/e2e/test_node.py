"""A client in another language, made from the protos alone."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import servers

pytestmark = pytest.mark.xdist_group("service")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "node"


@pytest.fixture(scope="module")
def node_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with its two packages, in a copy of the places that it uses."""
    if not shutil.which("npm"):
        pytest.skip("needs Node.js and npm")
    copy = tmp_path_factory.mktemp("checkout")
    shutil.copytree(EXAMPLE, copy / "examples" / "node", ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(
        EXAMPLE.parents[1] / "protos", copy / "protos", ignore=shutil.ignore_patterns("*.py", "*.pyi", "__pycache__")
    )
    folder = copy / "examples" / "node"
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True, timeout=240)
    return folder


def run(folder: Path, server: servers.Server, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs the example against the service."""
    return subprocess.run(
        ["node", "convert.js", *arguments],
        cwd=folder,
        env={**os.environ, "REELMILL_SERVER": server.grpc},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_submits_watches_and_reads_errors(node_client: Path, server: servers.Server, clip: Path, files: Path) -> None:
    """A conversion with its artifacts, and a refused request with its violations."""
    done = run(node_client, server, clip.as_uri(), f"{files.as_uri()}/node.mp4")
    assert done.returncode == 0, done.stderr
    assert f"{files.as_uri()}/node.mp4" in done.stdout and (files / "node.mp4").stat().st_size > 0
    refused = run(node_client, server, "ftp://nowhere/x.mp4", f"{files.as_uri()}/node2.mp4")
    assert refused.returncode != 0
    assert "sources[0].uri" in refused.stdout + refused.stderr
