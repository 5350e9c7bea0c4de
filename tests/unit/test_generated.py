"""The generated modules run with what the project asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
_GRPC = re.compile(r"GRPC_GENERATED_VERSION = '([\d.]+)'")
_PROTOBUF = re.compile(r"ValidateProtobufRuntimeVersion\(\s*_runtime_version\.Domain\.PUBLIC,\s*(\d+),\s*(\d+),\s*(\d+),")


def _least(name: str) -> Version:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (asked,) = (asks for asks in map(Requirement, project["dependencies"]) if asks.name == name)
    return min(Version(part.version) for part in asked.specifier if part.operator == ">=")


@pytest.mark.parametrize(("name", "made_for"), [("grpcio", _GRPC), ("protobuf", _PROTOBUF)])
def test_the_oldest_runtime_that_is_asked_for_is_new_enough(name: str, made_for: re.Pattern[str]) -> None:
    """Generated modules refuse a runtime older than what made them, on import."""
    texts = [path.read_text() for path in (ROOT / "protos").rglob("*_pb2*.py")]
    versions = {Version(".".join(found.groups())) for text in texts if (found := made_for.search(text))}
    assert versions and max(versions) <= _least(name)
