"""compose.yaml is as the specification of Compose has it, and agrees with the program, the image and itself."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from reelmill_server.engine import embedded
from reelmill_server.settings import command_line
from reelmill_server.settings.reference import SETTINGS
from tests.k8s.manifests import IMAGE, REPOSITORY

FILE = REPOSITORY / "compose.yaml"
SCHEMA = Path(__file__).parent / "schemas" / "compose" / "compose-spec.json"
ROLES = ("migrate", "api", "worker")
SECRETS = {
    "reelmill_database_url": "postgresql+psycopg://reelmill:password@postgres/reelmill",
    "reelmill_admin_token": "a token of an administrator",
}


def _filled(text: str) -> str:
    """What Compose makes of ${NAME:-default}."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


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
        assert set(service.get("secrets", ())) <= set(compose["secrets"]) and set(service["networks"]) <= set(
            compose["networks"]
        )
    assert {name: how["file"] for name, how in compose["secrets"].items()} == {n: f"./secrets/{n}" for n in compose["secrets"]}


@pytest.mark.parametrize("role", ROLES)
def test_roles_understand_their_settings(role: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All are settings, the role starts with them, and is stopped later than it drains."""
    monkeypatch.setattr(command_line, "_SECRETS", tmp_path)
    service = _compose()["services"][role]
    for setting in SETTINGS.values():
        monkeypatch.delenv(setting.variable, raising=False)
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    image = dict(re.findall(r"(REELMILL_\w+)=(\S*)", dockerfile.partition("ENV PATH")[2].partition("\nLABEL")[0]))
    for name, value in (image | service["environment"]).items():
        assert name in {setting.variable for setting in SETTINGS.values()}
        monkeypatch.setenv(name, value)
    for name in service.get("secrets", ()):
        (tmp_path / name).write_text(SECRETS[name])
    settings = command_line.parse_command_line(service["command"]).settings
    assert (settings.resolved_database_url() == SECRETS["reelmill_database_url"]) is (role != "worker")
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
        assert (
            ("records" in service["networks"])
            is (name in ("migrate", "api"))
            is ("reelmill_database_url" in service.get("secrets", ()))
        )
        folders = [volume.rpartition(":")[2] for volume in service.get("volumes", [])] + service.get("tmpfs", [])
        assert IMAGE["HOME"] in folders
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published and all(port.startswith("127.0.0.1:") for port in published)


def test_services_look_after_themselves() -> None:
    """All are started again, and bounded in memory and logs; those that last are asked how they are."""
    for name, service in _compose()["services"].items():
        assert service["restart"] and service["logging"]["options"]["max-size"] and "mem_limit" in service
        if name != "migrate":
            assert service["healthcheck"]["test"][0] == "CMD" and service["stop_grace_period"]
    image = (REPOSITORY / "Dockerfile").read_text()
    for role in ("api", "worker"):
        asked = _compose()["services"][role]["healthcheck"]["test"][-1]
        assert re.search(r"REELMILL_HTTP=0\.0\.0\.0(:\d+)", image)[1] in asked and "/readyz" in asked  # type: ignore[index]


def test_the_engine_is_that_of_serve() -> None:
    """With the same configuration, without which turns, shares and the search for stalled tasks are others."""
    words = _compose()["services"]["temporal"]["command"]
    given = {flag: {words[at + 1] for at, word in enumerate(words) if word == flag} for flag in words if flag.startswith("--")}
    assert given["--dynamic-config-value"] == set(embedded._DYNAMIC_CONFIG)
    assert given["--sqlite-pragma"] == set(embedded._PRAGMAS)
