"""compose.yaml is as the specification of Compose has it, and agrees with the program, the image and itself."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from reelmill_server.settings import command_line
from reelmill_server.settings.reference import SETTINGS
from tests.k8s.manifests import IMAGE, REPOSITORY

FILE = REPOSITORY / "compose.yaml"
SCHEMA = Path(__file__).parent / "schemas" / "compose" / "compose-spec.json"
ROLES = ("migrate", "api", "worker")
GIVEN = {"POSTGRES_PASSWORD": "password", "REELMILL_ADMIN_TOKEN": "a token of an administrator"}


def _filled(text: str) -> str:
    """What Compose makes of ${NAME}, ${NAME:-default} and ${NAME:?why}."""
    return re.sub(r"\$\{(\w+)(?::([-?])([^}]*))?\}", lambda found: GIVEN.get(found[1], found[3] or ""), text)


def _compose() -> dict[str, Any]:
    return dict(yaml.safe_load(_filled(FILE.read_text())))


def test_it_is_what_compose_reads() -> None:
    """By the schema of the specification; what it depends on is there, and so are its volumes."""
    compose = _compose()
    # The schema is of a time when a project had no name in its file.
    plain = {key: value for key, value in compose.items() if key != "name"}
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).validate(plain)
    services = compose["services"]
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in services[name]
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source.startswith((".", "/")) or source in compose["volumes"]


@pytest.mark.parametrize("role", ROLES)
def test_roles_understand_their_settings(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are settings, the role starts with them, and is stopped later than it drains."""
    service = _compose()["services"][role]
    for setting in SETTINGS.values():
        monkeypatch.delenv(setting.variable, raising=False)
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    image = dict(re.findall(r"(REELMILL_\w+)=(\S*)", dockerfile.partition("ENV PATH")[2].partition("\nLABEL")[0]))
    for name, value in (image | service["environment"]).items():
        assert name in {setting.variable for setting in SETTINGS.values()}
        monkeypatch.setenv(name, value)
    settings = command_line.parse_command_line(service["command"]).settings
    if role == "migrate":
        return
    grace = service["stop_grace_period"]
    seconds = int(grace[:-1]) * (60 if grace.endswith("m") else 1)
    assert seconds > settings.drain_seconds
    assert settings.authentication == ("keys",) or role == "worker"


def test_containers_are_closed() -> None:
    """Only data folders can be written, nothing is published beyond this machine, only the control plane knows the database."""
    services = _compose()["services"]
    for name in (*ROLES, "temporal"):
        service = services[name]
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert ("REELMILL_DATABASE_URL" in service["environment"]) is (name in ("migrate", "api"))
        folders = [volume.rpartition(":")[2] for volume in service.get("volumes", [])] + service.get("tmpfs", [])
        assert IMAGE["HOME"] in folders
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published and all(port.startswith("127.0.0.1:") for port in published)
