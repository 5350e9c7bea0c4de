"""Run every query of the dashboard against a Prometheus, report those without data, and draw all panels in one image.

This is not Grafana: layout and queries are the dashboard's, the drawing is matplotlib's (which is not among the project's
dependencies: pip install matplotlib).

    python -m bench.dashboard http://127.0.0.1:9090 --minutes 15 --picture docs/dashboard.png
"""

import argparse
import json
import re
import time
import urllib.parse
import urllib.request
from math import isnan, nan
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).resolve().parents[1] / "k8s" / "components" / "monitoring" / "dashboard.json"
RATE_INTERVAL = "1m"  # Grafana uses four scrape intervals, at least a minute
_POINTS = 180
_FACTORS = {"bytes": (2**30, "GiB"), "Bps": (2**20, "MiB/s"), "percentunit": (0.01, "%"), "short": (1, ""), "cpm": (1, "/min")}


def run_query(prometheus: str, query: str, begin: float, end: float) -> list[dict[str, Any]]:
    """Return the series of a query between two times in seconds since the epoch."""
    fields = {"query": query.replace("$__rate_interval", RATE_INTERVAL).replace("$namespace", ".*"), "start": begin, "end": end}
    fields["step"] = (end - begin) / _POINTS
    with urllib.request.urlopen(f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(fields)}") as response:
        series: list[dict[str, Any]] = json.load(response)["data"]["result"]
    return series


def legend(template: str, labels: dict[str, str]) -> str:
    """Return the legend of a series."""
    for name, value in labels.items():
        template = template.replace("{{" + name + "}}", value)
    return re.sub(r"\{\{\w+\}\}", "", template)


def on_grid(series: dict[str, Any], times: list[float], step: float, factor: float) -> list[float]:
    """Return the values of a series at the given times, NaN where it has none."""
    known = {round((float(when) - times[0]) / step): float(value) / factor for when, value in series["values"]}
    return [known.get(number, nan) for number in range(len(times))]


def draw(axes: Any, panel: dict[str, Any], series: list[tuple[str, dict[str, Any]]], end: float, minutes: float) -> None:
    """Draw one panel, of the minutes before `end`."""
    defaults = panel["fieldConfig"]["defaults"]
    factor, unit = _FACTORS.get(defaults["unit"], (1, defaults["unit"]))
    step = minutes * 60 / _POINTS
    times = [end - minutes * 60 + number * step for number in range(_POINTS + 1)]
    since = [(when - end) / 60 for when in times]
    lines = [(name, on_grid(one, times, step, factor)) for name, one in series]
    # Counters are born at 0, one for each code that there is: those that stay there would fill the picture with their names.
    lines = [line for line in lines if any(value and not isnan(value) for value in line[1])] or lines[:1]
    if "stacking" in defaults["custom"] and lines:
        heights = [[0.0 if isnan(value) else value for value in line] for _, line in lines]
        axes.stackplot(since, heights, labels=[name for name, _ in lines], alpha=0.7)
    else:
        for name, line in lines:
            axes.plot(since, line, label=name, linewidth=1)
    axes.set_xlim(-minutes, 0)
    axes.set_title(panel["title"] + (f" ({unit})" if unit else ""), fontsize=8, loc="left")
    axes.tick_params(labelsize=6)
    axes.grid(alpha=0.3)
    axes.set_ylim(bottom=0)
    if series:
        axes.legend(fontsize=5, loc="upper left", ncols=2, framealpha=0.5)
    else:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", fontsize=7, color="grey")


def main() -> None:
    """Query, report and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prometheus")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    end = time.time()
    panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]
    panel_data: list[tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]] = []
    for panel in panels:
        panel_series = []
        for target in panel["targets"]:
            series = run_query(options.prometheus, target["expr"], end - options.minutes * 60, end)
            print(f"{len(series):3} series  {panel['title']}: {target['expr']}")
            panel_series += [(legend(target["legendFormat"], one["metric"]), one) for one in series]
        panel_data.append((panel, panel_series))
    empty = [panel["title"] for panel, series in panel_data if not series]
    print(f"{len(panels)} panels, {len(empty)} without data: {', '.join(empty) or 'none'}")
    if options.picture:
        draw_all(panel_data, options.picture, end, options.minutes)


def draw_all(
    panel_data: list[tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]], file: Path, end: float, minutes: float
) -> None:
    """Draw all panels where the dashboard has them."""
    from matplotlib import pyplot

    rows = sorted({panel["gridPos"]["y"] for panel, _ in panel_data})
    figure = pyplot.figure(figsize=(16, 1.9 * len(rows)), layout="constrained")
    grid = figure.add_gridspec(len(rows), 24)
    for panel, series in panel_data:
        area = panel["gridPos"]
        draw(figure.add_subplot(grid[rows.index(area["y"]), area["x"] : area["x"] + area["w"]]), panel, series, end, minutes)
    figure.suptitle("The dashboard's queries, run on a Prometheus and drawn with matplotlib; minutes before now", fontsize=9)
    figure.savefig(file, dpi=90)


if __name__ == "__main__":
    main()
