"""Counters that are there before anything is counted."""

import re
from pathlib import Path

import yaml

from reelmill_server.app.born import count_from_zero
from reelmill_server.errors import all_errors
from reelmill_server.storage.metering import count_errors_from_zero
from reelmill_server.telemetry.metrics import Metrics

RULES = Path(__file__).resolve().parents[3] / "k8s" / "components" / "monitoring" / "prometheus-rule.yaml"


def test_what_alerts_select_is_there_from_the_start() -> None:
    """A rate sees the first failure of a kind only if the counter was there before: each that a rule names is, at 0."""
    metrics = Metrics()
    count_from_zero(metrics, control=True, work=True)
    count_errors_from_zero("s3", metrics)
    text = metrics.render().decode()
    checked = 0
    for name, label, quoted in re.findall(r'(reelmill_\w+_total)\{[^}]*?(code|reason)=~"([^"]*)"', RULES.read_text()):
        for value in quoted.split("|"):
            shown = re.findall(rf'^{name}\{{[^}}]*{label}="{value}"[^}}]*\}} (\S+)$', text, flags=re.MULTILINE)
            assert shown and set(shown) == {"0.0"}, (name, value)
            checked += 1
    assert checked > 20 and yaml.safe_load(RULES.read_text())


def test_every_code_and_method_is_there() -> None:
    """Failures of tasks by each code, and calls of each method."""
    metrics = Metrics()
    count_from_zero(metrics, control=True, work=False)
    for error in all_errors():
        assert metrics.registry.get_sample_value("reelmill_task_total", {"status": "Failed", "code": error.code}) == 0
    assert metrics.registry.get_sample_value("reelmill_rpc_total", {"method": "GetTask", "code": "UNAVAILABLE"}) == 0
    assert metrics.registry.get_sample_value("reelmill_child_exit_total", {"reason": "crashed"}) is None
