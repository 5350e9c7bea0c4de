"""The generated modules run with what the project asks for, and the protos keep what they promised."""

import re
import shutil
import subprocess
import sysconfig
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from packaging.requirements import Requirement
from packaging.version import Version

from reelmill.descriptors import descriptor_set
from reelmill_server.api.services import SERVICES

ROOT = Path(__file__).resolve().parents[2]
_BUF = Path(sysconfig.get_path("scripts"), "buf")
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
    versions = {Version(".".join(result.groups())) for text in texts if (result := made_for.search(text))}
    assert versions and max(versions) <= _least(name)


def test_the_descriptor_set_has_all_that_is_needed() -> None:
    """In an order in which each file finds what it imports: every service, the rules, and the details of errors."""
    pool = descriptor_pool.DescriptorPool()
    for file in FileDescriptorSet.FromString(descriptor_set()).file:
        pool.AddSerializedFile(file.SerializeToString())
    for service in SERVICES:
        assert pool.FindServiceByName(service).methods  # type: ignore[no-untyped-call]
    for message in ("buf.validate.FieldRules", "google.rpc.BadRequest", "google.rpc.Status"):
        pool.FindMessageTypeByName(message)  # type: ignore[no-untyped-call]


def test_the_protos_build_without_a_network(tmp_path: Path) -> None:
    """As a whole, as a folder, and the folder alone in a copy: buf needs nothing from elsewhere."""
    shutil.copytree(ROOT / "protos", tmp_path / "alone" / "protos")
    empty = {"HOME": str(tmp_path), "BUF_CACHE_DIR": str(tmp_path / "cache"), "https_proxy": "http://127.0.0.1:1"}
    for folder, arguments in ((ROOT, ()), (ROOT, ("protos",)), (tmp_path / "alone" / "protos", ())):
        built = subprocess.run([_BUF, "build", *arguments], cwd=folder, env=empty, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr


def _delete_field(file: FileDescriptorProto) -> None:
    del file.message_type[0].field[0]


def _renumber_field(file: FileDescriptorProto) -> None:
    file.message_type[0].field[0].number = 999


def _rename_field(file: FileDescriptorProto) -> None:
    file.message_type[0].field[0].json_name = "another"


def _delete_message(file: FileDescriptorProto) -> None:
    del file.message_type[0]


def _delete_call(file: FileDescriptorProto) -> None:
    del file.service[0].method[0]


def _add_field(file: FileDescriptorProto) -> None:
    file.message_type[0].field.add(name="another", json_name="another", number=999, type=5, label=1)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(
    ("change", "breaks"),
    [
        (_delete_field, True),
        (_renumber_field, True),
        (_rename_field, True),
        (_delete_message, True),
        (_delete_call, True),
        (_add_field, False),
    ],
)
def test_a_change_that_breaks_clients_is_refused(
    tmp_path: Path, change: Callable[[FileDescriptorProto], None], breaks: bool
) -> None:
    """By `make check`, against the committed image of the protos."""
    baseline = ROOT / "protos" / "baseline.binpb"
    image = FileDescriptorSet.FromString(baseline.read_bytes())
    change(next(file for file in image.file if file.name == "reelmill/v1/media_convert_service.proto"))
    changed = tmp_path / "changed.binpb"
    changed.write_bytes(image.SerializeToString())
    command = [str(_BUF), "breaking", str(changed), "--against", str(baseline)]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (checked.returncode != 0) is breaks, checked.stdout + checked.stderr
