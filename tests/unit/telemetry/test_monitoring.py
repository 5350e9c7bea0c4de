"""The dashboard and the alert rules use metrics and labels that exist, and every alert is explained."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reelmill_server.engine.queues import QUEUES
from reelmill_server.errors import all_errors
from reelmill_server.model.task import TaskStatus
from reelmill_server.telemetry.metrics import Metrics

ROOT = Path(__file__).resolve().parents[3]
MONITORING = ROOT / "k8s" / "components" / "monitoring"
RULES = MONITORING / "prometheus-rule.yaml"
DASHBOARD = MONITORING / "dashboard.json"
_OF_PROMETHEUS = {"le", "instance", "job", "namespace", "pod", "reelmill_pool", "app_kubernetes_io_component"}
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",), "gauge": ("",)}
_CLOSED = {
    "queue": set(QUEUES),
    "status": set(TaskStatus),
    "part": {"whole", "unit", "join"},
    "reason": {"done", "deferred", "canceled", "failed", "crashed", "stalled", "timeout"},
}


def _metrics() -> dict[str, set[str]]:
    """The name of every series, and its labels."""
    metrics = Metrics().created.values()
    found = {}
    for metric in metrics:
        if hasattr(metric, "_labelnames"):
            suffixes = _SUFFIXES[metric._type]
            found |= {f"{metric._name}{suffix}": set(metric._labelnames) for suffix in suffixes}
    return found


def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["spec"]["groups"] for rule in group["rules"]]


def _panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def _queries() -> Iterator[tuple[str, str]]:
    """All PromQL of this repository, and what it belongs to."""
    for rule in _rules():
        yield rule["alert"], rule["expr"]
    for panel in _panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for file in (ROOT / "k8s").rglob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text()):
            if isinstance(document, dict) and document.get("kind") == "ScaledObject":
                for trigger in document["spec"]["triggers"]:
                    if trigger["type"] == "prometheus":
                        yield str(file.relative_to(ROOT)), trigger["metadata"]["query"]


QUERIES = [pytest.param(expression, id=f"{number} {title}") for number, (title, expression) in enumerate(_queries())]


@pytest.mark.parametrize("expression", QUERIES)
def test_queries_use_what_the_server_shows(expression: str) -> None:
    """Every metric exists, and every label that is selected or grouped by is one of its own."""
    known = _metrics()
    bare = re.sub(r'"[^"]*"', '""', expression)
    names = set(re.findall(r"\breelmill_\w+", bare)) - _OF_PROMETHEUS
    assert names and names <= set(known)
    own = set().union(*(known[name] for name in names)) | _OF_PROMETHEUS
    for labels in re.findall(r"\bby \(([^)]*)\)", bare):
        assert {label.strip() for label in labels.split(",")} <= own
    for name, selectors in re.findall(r"(reelmill_\w+)\{([^}]*)\}", bare):
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selectors)) <= known[name] | _OF_PROMETHEUS


@pytest.mark.parametrize("expression", QUERIES)
def test_queries_select_values_that_exist(expression: str) -> None:
    """A code, queue or status that is renamed cannot stay behind; those of gRPC are in capitals."""
    codes = {error.code for error in all_errors()} | {"Canceled"}
    for label, quoted in re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', expression):
        values = {value for value in quoted.split("|") if not value.isupper()}
        assert values <= (codes if label == "code" else _CLOSED.get(label, values))


def test_every_alert_is_explained() -> None:
    """In the operating page, and nothing there that is no alert; each has a summary and a severity."""
    rules = _rules()
    text = (ROOT / "docs" / "operating.md").read_text()
    assert [rule["alert"] for rule in rules] == re.findall(r"^\| `(Reelmill\w+)` \|", text, flags=re.MULTILINE)
    for rule in rules:
        assert rule["annotations"]["summary"] and rule["labels"]["severity"] in ("critical", "warning", "info")


def test_panels_say_what_they_show() -> None:
    """A title, a description and a unit each, and no two at one place."""
    panels = _panels()
    assert all(panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"] for panel in panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_takes_the_rules_and_the_queries(tmp_path: Path) -> None:
    """As Prometheus itself reads them: the dashboard's queries as rules that record."""
    dashboard = [
        {"record": f"panel:{number}", "expr": target["expr"].replace("$__rate_interval", "1m")}
        for number, target in enumerate(target for panel in _panels() for target in panel["targets"])
    ]
    groups = [*yaml.safe_load(RULES.read_text())["spec"]["groups"], {"name": "dashboard", "rules": dashboard}]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": groups}))
    checked = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


# Series by the minute, and the alerts that fire after half an hour of them.
WORLDS: list[tuple[dict[str, str], set[str]]] = [
    ({'reelmill_queue_tasks{queue="fast"}': "3x60", 'reelmill_worker_slots{job="api"}': "0x60"}, {"ReelmillNoWorker"}),
    ({'reelmill_queue_tasks{queue="fast"}': "3x60", 'reelmill_worker_slots{job="worker"}': "2x60"}, set()),
    ({'reelmill_queue_tasks{queue="notify"}': "3x60"}, set()),
    ({}, {"ReelmillEngineSilent"}),
    (
        {
            'reelmill_queue_tasks{queue="fast"}': "0x60",
            'reelmill_queue_age_seconds{queue="fast"}': "130x60",
            'reelmill_queue_age_seconds{queue="nvenc"}': "1700x60",
            'reelmill_queue_age_seconds{queue="software"}': "1900x60",
        },
        {"ReelmillFastLaneWaits", "ReelmillTasksWait"},
    ),
    (
        {
            'reelmill_queue_tasks{queue="fast"}': "0x60",
            'reelmill_task_total{status="Failed", code="EncoderCrashed"}': "0+1x60",
            'reelmill_task_total{status="Succeeded", code=""}': "0+9x60",
        },
        {"ReelmillTasksFail"},
    ),
    (
        {
            'reelmill_queue_tasks{queue="fast"}': "0x60",
            'reelmill_task_total{status="Failed", code="InvalidMedia"}': "0+9x60",
            'reelmill_encoder_works{encoder="h264_nvenc"}': "1 1 1 1 1 0x60",
            'reelmill_encoder_works{encoder="h264_qsv"}': "0x60",
        },
        {"ReelmillEncoderLost"},
    ),
]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    """Judged by Prometheus itself."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(yaml.safe_load(RULES.read_text())["spec"]))
    names = [rule["alert"] for rule in _rules()]
    tests = [
        {
            "interval": "1m",
            "input_series": [
                {"series": series, "values": values if " " in values or "+" in values else values.replace("x", "+0x")}
                for series, values in world.items()
            ],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})',
                    "eval_time": "30m",
                    "exp_samples": [{"labels": "{}", "value": 1}] if name in expected else [],
                }
                for name in names
            ],
        }
        for world, expected in WORLDS
    ]
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}))
    ran = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
