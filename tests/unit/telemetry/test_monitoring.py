"""The dashboard and the alert rules use metrics and labels that exist, and every alert is explained."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from reelmill_server.engine.history import WORKER_DRAINING, WORKER_LOST
from reelmill_server.engine.queues import QUEUES
from reelmill_server.errors import all_errors
from reelmill_server.model.task import TaskStatus
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker.parent.counters import FALLBACK_KINDS
from reelmill_server.worker.parent.supervisor import ENDS

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
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
    "reason": set(ENDS) | set(FALLBACK_KINDS),
}


@cache
def _metrics() -> dict[str, set[str]]:
    """The name of every series, and its labels."""
    metrics = Metrics().created.values()
    results = {}
    for metric in metrics:
        if hasattr(metric, "_labelnames"):
            suffixes = _SUFFIXES[metric._type]
            results |= {f"{metric._name}{suffix}": set(metric._labelnames) for suffix in suffixes}
    return results


@cache
def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["spec"]["groups"] for rule in group["rules"]]


def _alerts() -> list[dict[str, Any]]:
    return [rule for rule in _rules() if "alert" in rule]


def _panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def _queries() -> Iterator[tuple[str, str]]:
    """All PromQL of this repository, and what it belongs to."""
    for rule in _rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in _panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for file in (ROOT / "k8s").rglob("*.yaml"):
        text = file.read_text()
        for document in yaml.safe_load_all(text) if "ScaledObject" in text else ():
            if isinstance(document, dict) and document.get("kind") == "ScaledObject":
                for trigger in document["spec"]["triggers"]:
                    if trigger["type"] == "prometheus":
                        yield str(file.relative_to(ROOT)), trigger["metadata"]["query"]


QUERIES = [pytest.param(expression, id=f"{number} {title}") for number, (title, expression) in enumerate(_queries())]


@pytest.mark.sample(every=9)
@pytest.mark.parametrize("expression", QUERIES)
def test_queries_use_what_the_server_shows(expression: str) -> None:
    """Every metric exists, and every label that is selected or grouped by is one of its own."""
    known = _metrics()
    bare = re.sub(r'"[^"]*"', '""', expression)
    names = set(re.findall(r"\breelmill_\w+", bare)) - _OF_PROMETHEUS
    assert names <= set(known)
    recorded = {rule["record"] for rule in _rules() if "record" in rule}
    assert set(re.findall(r"\breelmill:\w+:\w+", bare)) <= recorded
    own = set().union(*(known[name] for name in names)) | _OF_PROMETHEUS
    for labels in re.findall(r"\bby \(([^)]*)\)", bare):
        assert {label.strip() for label in labels.split(",")} <= own
    for name, selectors in re.findall(r"(reelmill_\w+)\{([^}]*)\}", bare):
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selectors)) <= known[name] | _OF_PROMETHEUS


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("expression", QUERIES)
def test_queries_select_values_that_exist(expression: str) -> None:
    """A code, queue or status that is renamed cannot stay behind; those of gRPC are in capitals."""
    codes = {error.code for error in all_errors()} | {"Canceled", WORKER_DRAINING, WORKER_LOST}
    for label, quoted in re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', expression):
        values = {value for value in quoted.split("|") if not value.isupper()}
        assert values <= (codes if label == "code" else _CLOSED.get(label, values))


UNSHOWN = {
    "reelmill_build_info",  # in alerts' conditions; facts, no course of time
    "reelmill_drain_limit_seconds",
    "reelmill_worker_slots",
    "reelmill_worker_slots_used",
    "reelmill_worker_lane",
    "reelmill_task_start_seconds",  # the objective's; the panel shows the wait with that for the quota
    "reelmill_source_bytes",  # as those of storage, by scheme
    "reelmill_log_dropped",  # its own logs say it
}


def test_every_metric_is_on_the_dashboard() -> None:
    """Or it is known why not."""
    shown = " ".join(target["expr"] for panel in _panels() for target in panel["targets"])
    own = {metric._name for metric in Metrics().created.values() if metric._name.startswith("reelmill_")}
    assert {name for name in own if not re.search(rf"\b{name}(_total|_bucket|_sum|_count)?\b", shown)} == UNSHOWN


# Faults of requests, of their callers, of media, and of who owns a storage: nobody is woken for those.
OF_OTHERS = {
    *("NotAuthenticated", "Forbidden", "Throttling", "InvalidArgument", "FieldNotSupported", "ResourceNotFound"),
    *("ResourceAlreadyExists", "StatusConflict", "LimitExceededError", "QuotaExceeded", "InvalidMedia", "UnsupportedFormat"),
    *("ConditionNotMet", "MediaLimitExceeded", "AccessDenied", "BucketNotFound", "SourceChanged", "Canceled"),
}
NEVER_AN_END = {"WorkerBusy"}


def test_every_code_is_somebodys_fault() -> None:
    """A new code of an error is one of the service, for which tasks that fail count, or one of others: nothing is forgotten."""
    (alert,) = [rule for rule in _alerts() if rule["alert"] == "ReelmillTasksFail"]
    ours = set(re.findall(r'code=~"([^"]*)"', alert["expr"])[0].split("|"))
    assert ours | OF_OTHERS | NEVER_AN_END == {error.code for error in all_errors()} | {WORKER_LOST, WORKER_DRAINING}
    assert not ours & OF_OTHERS
    for rule in _rules():
        for codes in re.findall(r'reelmill_task_total\{[^}]*code=~"([^"]*)"', rule["expr"]):
            assert set(codes.split("|")) == ours


def test_every_alert_is_explained() -> None:
    """In the operating page, and nothing there that is no alert; each has a summary and a severity."""
    rules = _alerts()
    text = (ROOT / "docs" / "operating.md").read_text()
    assert [rule["alert"] for rule in rules] == re.findall(r"^\| `(Reelmill\w+)` \|", text, flags=re.MULTILINE)
    for rule in rules:
        assert rule["annotations"]["summary"] and rule["labels"]["severity"] in ("critical", "warning", "info")


def test_every_alert_leads_to_what_to_do() -> None:
    """A section of the runbook for each, with what it means, what to look at, and what to do; none for what is no alert."""
    sections = re.split(r"^### (Reelmill\w+)\n", (ROOT / "docs" / "runbook.md").read_text(), flags=re.MULTILINE)[1:]
    result = dict(zip(sections[::2], sections[1::2], strict=True))
    assert list(result) == [rule["alert"] for rule in _alerts()]
    for rule in _alerts():
        page, _, anchor = rule["annotations"]["runbook_url"].rpartition("#")
        assert page.endswith("/docs/runbook.md") and anchor == rule["alert"].lower()
        assert re.findall(r"^\*\*(\w+)\.\*\*", result[rule["alert"]], flags=re.MULTILINE) == ["Means", "Look", "Do"]


def test_panels_say_what_they_show() -> None:
    """A title, a description and a unit each, and no two at one place."""
    panels = _panels()
    assert all(panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"] for panel in panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)


@needs_promtool
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


OURS = 'reelmill_task_total{namespace="a", status="Failed", code="EncoderCrashed"}'
WELL = 'reelmill_task_total{namespace="a", status="Succeeded", code=""}'
API = {
    'reelmill_build_info{namespace="a", job="api", role="api"}': "1x60",
    'reelmill_queue_tasks{namespace="a", queue="fast"}': "0x60",
}
WORKER = {'reelmill_build_info{namespace="a", job="w", role="worker", instance="w1"}': "1x60"}
BURNS = {"BudgetBurnsFast", "BudgetBurnsSlowly"}
# Series by the minute, of a service whose api replica is well, and the alerts that fire after half an hour of them.
WORLDS: dict[str, tuple[dict[str, str], set[str]]] = {
    "all is well": ({WELL: "0+9x60", OURS: "0x60"}, set()),
    "no worker": ({'reelmill_queue_tasks{namespace="a", queue="nvenc"}': "3x60"}, {"NoWorker"}),
    "a worker": (
        {
            'reelmill_queue_tasks{namespace="a", queue="nvenc"}': "3x60",
            'reelmill_worker_slots{namespace="a", job="w"}': "2x60",
        },
        set(),
    ),
    "a worker elsewhere": (
        {
            'reelmill_queue_tasks{namespace="a", queue="nvenc"}': "3x60",
            'reelmill_worker_slots{namespace="b", job="w"}': "2x60",
        },
        {"NoWorker"},
    ),
    "notifications wait": ({'reelmill_queue_tasks{namespace="a", queue="notify"}': "3x60"}, set()),
    "queues are old": (
        {
            'reelmill_queue_age_seconds{namespace="a", queue="fast"}': "130x60",
            'reelmill_queue_age_seconds{namespace="a", queue="nvenc"}': "1700x60",
            'reelmill_queue_age_seconds{namespace="a", queue="software"}': "1900x60",
        },
        {"FastLaneWaits", "TasksWait"},
    ),
    "a tenth of the tasks fail": ({OURS: "0+1x60", WELL: "0+9x60"}, {"TasksFail", *BURNS}),
    "one task fails in a quiet hour": ({OURS: "0x25 1x30", WELL: "0x60"}, set()),
    "one call fails in a quiet hour": (
        {'reelmill_rpc_total{namespace="a", method="GetTask", code="INTERNAL"}': "0x25 1x30"},
        set(),
    ),
    "one child crashes in a quiet hour": ({'reelmill_child_exit_total{namespace="a", reason="crashed"}': "0x25 1x30"}, set()),
    "the first ten failures of a code": ({OURS: "0x22 10x40", WELL: "0x60"}, {"TasksFail", "BudgetBurnsFast"}),
    "requests are wrong": (
        {'reelmill_task_total{namespace="a", status="Failed", code="InvalidMedia"}': "0+9x60", OURS: "0x60"},
        set(),
    ),
    "a thirtieth of many tasks fails": ({OURS: "0+2x60", WELL: "0+58x60"}, {"BudgetBurnsSlowly"}),
    "a sixth of the tasks waits for a minute": (
        {
            'reelmill_task_start_seconds_count{namespace="a"}': "0+6x60",
            'reelmill_task_start_seconds_bucket{namespace="a", le="60.0"}': "0+5x60",
        },
        BURNS,
    ),
    "a fiftieth of the calls fails": (
        {
            'reelmill_rpc_total{namespace="a", method="GetTask", code="OK"}': "0+49x60",
            'reelmill_rpc_total{namespace="a", method="GetTask", code="UNAVAILABLE"}': "0+1x60",
        },
        BURNS,
    ),
    "streams end": (
        {
            'reelmill_rpc_total{namespace="a", method="GetTask", code="OK"}': "0+49x60",
            'reelmill_rpc_total{namespace="a", method="WatchTask", code="UNAVAILABLE"}': "0+1x60",
        },
        set(),
    ),
    "one encoder is lost": (
        {
            'reelmill_encoder_works{namespace="a", encoder="h264_nvenc"}': "1 1 1 1 1 0x60",
            'reelmill_encoder_works{namespace="a", encoder="h264_qsv"}': "0x60",
        },
        {"EncoderLost"},
    ),
    "a worker of a GPU pool has no GPU": (
        {'reelmill_worker_lane{namespace="a", job="w", instance="w1", lane="nvenc"}': "0x60"},
        {"NoAccelerator"},
    ),
    "a worker without a GPU serves all queues": (
        {
            'reelmill_worker_lane{namespace="a", job="w", instance="w1", lane="nvenc"}': "0x60",
            'reelmill_worker_lane{namespace="a", job="w", instance="w1", lane="software"}': "1x60",
        },
        set(),
    ),
    "a worker of a GPU pool encodes in software": (
        {'reelmill_encoder_fallback_total{namespace="a", from="h264_nvenc", to="libx264", reason="failed"}': "0x20 3x40"},
        {"SoftwareInstead"},
    ),
    "one GPU takes the place of another": (
        {'reelmill_encoder_fallback_total{namespace="a", from="h264_nvenc", to="h264_vaapi", reason="failed"}': "0+1x60"},
        set(),
    ),
    "the database is away, and nobody calls": (
        {'reelmill_ready{namespace="a", job="api", check="database"}': "1x20 0x40"},
        {"DatabaseAway"},
    ),
    "the engine is away": ({'reelmill_ready{namespace="a", job="w", check="engine"}': "1x20 0x40"}, {"EngineSilent"}),
    "queues are not known": ({'reelmill_queue_tasks{namespace="a", queue="fast"}': "0x20 stale"}, {"EngineSilent"}),
    "the api is gone": (
        {**WORKER, 'reelmill_build_info{namespace="a", job="api", role="api"}': "1x20 stale"},
        {"NoApi"},
    ),
    "a target is down": (
        {**WORKER, 'up{namespace="a", job="w", instance="w1"}': "1x60", 'up{namespace="a", job="w", instance="w2"}': "0x60"},
        {"TargetDown"},
    ),
    "a target of others is down": ({'up{namespace="a", job="others", instance="o"}': "0x60"}, set()),
    "a worker crashes again and again": (
        {**WORKER, 'process_start_time_seconds{namespace="a", job="w", instance="w1"}': "100x10 200x5 300x5 400x60"},
        {"ProcessRestarts"},
    ),
    "a worker was updated": (
        {**WORKER, 'process_start_time_seconds{namespace="a", job="w", instance="w1"}': "100x10 200x60"},
        set(),
    ),
    "a worker drains without end": (
        {
            'reelmill_draining_seconds{namespace="a", instance="w1"}': "0x10 0+60x50",
            'reelmill_drain_limit_seconds{namespace="a", instance="w1"}': "600x60",
        },
        {"DrainsForLong"},
    ),
    "a worker drains": (
        {
            'reelmill_draining_seconds{namespace="a", instance="w1"}': "0x10 0+60x50",
            'reelmill_drain_limit_seconds{namespace="a", instance="w1"}': "3600x60",
        },
        set(),
    ),
    "the disk of a worker is full": (
        {
            'reelmill_worker_slots{namespace="a", job="w", instance="w1"}': "2x60",
            'reelmill_scratch_free_bytes{namespace="a", job="w", instance="w1"}': "5000000000x26 8000000x34",
        },
        {"DiskFull"},
    ),
    "a task is stuck": ({'reelmill_tasks_stalled{namespace="a"}': "0x20 1x40"}, {"TasksStalled"}),
}


@pytest.mark.slow
@needs_promtool
def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    """Judged by Prometheus itself, half an hour after the beginning. Each world is a namespace of one Prometheus: none may
    disturb another."""
    series = [one for name, (world, _) in WORLDS.items() for one in _series({**API, **world}, name)]
    expected = [
        {"labels": f'{{alertname="Reelmill{alert}", namespace="{name}"}}', "value": 1}
        for name, (_, alerts) in WORLDS.items()
        for alert in sorted(alerts)
    ]
    query = 'count by (alertname, namespace) (ALERTS{alertstate="firing"})'
    there = {"interval": "1m", "input_series": series}
    there["promql_expr_test"] = [{"expr": query, "eval_time": "30m", "exp_samples": expected}]
    nothing = {"expr": query, "eval_time": "30m", "exp_samples": [{"labels": '{alertname="ReelmillNoApi"}', "value": 1}]}
    _run_promtool(tmp_path, "1m", [there, {"interval": "1m", "promql_expr_test": [nothing]}])


COUNTED = {
    "ChildrenCrash": ('reelmill_child_exit_total{namespace="a", reason="crashed"}', 3),
    "TasksFail": ('reelmill_task_total{namespace="a", status="Failed", code="InternalError"}', 4),
    "StopsCostWork": ('reelmill_failed_attempt_total{namespace="a", code="WorkerDraining"}', 10),
    "WorkersFull": ('reelmill_admission_busy_total{namespace="a"}', 20),
    "StorageFails": ('reelmill_storage_error_total{namespace="a", scheme="s3", code="OutputError"}', 5),
    "EngineRestarts": ('reelmill_engine_restart_total{namespace="a"}', 1),
    "CallsFail": ('reelmill_rpc_total{namespace="a", method="GetTask", code="INTERNAL"}', 5),
}
"""Alerts, and the most events that do not fire them."""


@needs_promtool
@pytest.mark.parametrize("alert", COUNTED)
def test_as_many_events_as_are_allowed_fire_nothing(alert: str, tmp_path: Path) -> None:
    """And one more does: scrapes come at other instants than windows begin, and Prometheus extrapolates to these."""
    name, most = COUNTED[alert]
    series = [{"series": name.replace('"a"', f'"{count}"'), "values": f"0+0x40 {count}+0x40"} for count in (most, most + 1)]
    query = {
        "expr": f'max_over_time(count by (namespace) (ALERTS{{alertname="Reelmill{alert}"}})[20m:1m])',
        "eval_time": "20m",
        "exp_samples": [{"labels": f'{{namespace="{most + 1}"}}', "value": 1}],
    }
    _run_promtool(tmp_path, "1m", [{"interval": "17s", "input_series": series, "promql_expr_test": [query]}])


@pytest.mark.slow
@needs_promtool
def test_slow_burning_is_a_warning(tmp_path: Path) -> None:
    """A twentieth of the tasks fails for a day: not enough to wake anybody, too much for the month."""
    series = _series({**API, OURS: "0+20x160", WELL: "0+480x160"})
    expected = [{"labels": '{alertname="ReelmillBudgetBurnsSlowly", slo="success"}', "value": 1}]
    query = {"expr": 'count by (alertname, slo) (ALERTS{alertname=~".*Burns.*"})', "eval_time": "26h", "exp_samples": expected}
    _run_promtool(tmp_path, "10m", [{"interval": "10m", "input_series": series, "promql_expr_test": [query]}])


def _series(world: dict[str, str], namespace: str = "a") -> list[dict[str, str]]:
    """Series of promtool, in a namespace; `3x60` is that value for so many intervals."""
    return [
        {
            "series": series.replace('namespace="a"', f'namespace="{namespace}"'),
            "values": re.sub(r"(?<![+\d])(\d+)x(\d+)", r"\1+0x\2", values),
        }
        for series, values in world.items()
    ]


def _run_promtool(folder: Path, interval: str, tests: list[dict[str, Any]]) -> None:
    (folder / "rules.yaml").write_text(yaml.safe_dump(yaml.safe_load(RULES.read_text())["spec"]))
    file = folder / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": interval, "tests": tests}))
    ran = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
