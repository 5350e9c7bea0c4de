"""Asks a Prometheus every query of the dashboard, says which have no data, and draws all panels in one picture.

Not Grafana: its layout and the queries are the dashboard's, the drawing is matplotlib's (which is not among the project's
dependencies: pip install matplotlib).

    python bench/dashboard.py http://127.0.0.1:9090 --minutes 15 --picture docs/dashboard.png
"""

import argparse
import json
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).resolve().parents[1] / "k8s" / "components" / "monitoring" / "dashboard.json"
RATE_INTERVAL = "1m"  # Grafana takes four scrape intervals, a minute at least
_POINTS = 180
_FACTORS = {"bytes": (2**30, "GiB"), "Bps": (2**20, "MiB/s"), "percentunit": (0.01, "%"), "short": (1, ""), "cpm": (1, "/min")}


def ask(prometheus: str, query: str, begin: float, end: float) -> list[dict[str, Any]]:
    """The series of a query, between two times in seconds since the epoch."""
    fields = {"query": query.replace("$__rate_interval", RATE_INTERVAL), "start": begin, "end": end}
    fields["step"] = max(1.0, (end - begin) / _POINTS)
    with urllib.request.urlopen(f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(fields)}") as answer:
        series: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return series


def legend(template: str, labels: dict[str, str]) -> str:
    """What a series is called."""
    for name, value in labels.items():
        template = template.replace("{{" + name + "}}", value)
    return template


def draw(axes: Any, panel: dict[str, Any], found: list[tuple[str, dict[str, Any]]]) -> None:
    """One panel."""
    defaults = panel["fieldConfig"]["defaults"]
    factor, unit = _FACTORS.get(defaults["unit"], (1, defaults["unit"]))
    stacked = "stacking" in defaults["custom"]
    if stacked and found:
        times = sorted({float(when) for _, series in found for when, _ in series["values"]})
        values = [{float(when): float(value) for when, value in series["values"]} for _, series in found]
        heights = [[one.get(when, 0.0) / factor for when in times] for one in values]
        minutes = [(when - times[-1]) / 60 for when in times]
        axes.stackplot(minutes, heights, labels=[name for name, _ in found], alpha=0.7)
    for name, series in [] if stacked else found:
        last = float(series["values"][-1][0])
        axes.plot(
            [(float(when) - last) / 60 for when, _ in series["values"]],
            [float(value) / factor for _, value in series["values"]],
            label=name,
            linewidth=1,
        )
    axes.set_title(panel["title"] + (f" ({unit})" if unit else ""), fontsize=8, loc="left")
    axes.tick_params(labelsize=6)
    axes.grid(alpha=0.3)
    axes.set_ylim(bottom=0)
    if found:
        axes.legend(fontsize=5, loc="upper left", ncols=2, framealpha=0.5)
    else:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", fontsize=7, color="grey")


def main() -> None:
    """Asks, tells and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prometheus")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    end = time.time()
    panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]
    answers: list[tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]] = []
    for panel in panels:
        found = []
        for target in panel["targets"]:
            series = ask(options.prometheus, target["expr"], end - options.minutes * 60, end)
            print(f"{len(series):3} series  {panel['title']}: {target['expr']}")
            found += [(legend(target["legendFormat"], one["metric"]), one) for one in series]
        answers.append((panel, found))
    empty = [panel["title"] for panel, found in answers if not found]
    print(f"{len(panels)} panels, {len(empty)} without data: {', '.join(empty) or 'none'}")
    if options.picture:
        picture(answers, options.picture)


def picture(answers: list[tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]], file: Path) -> None:
    """Draws all panels where the dashboard has them."""
    from matplotlib import pyplot

    rows = sorted({panel["gridPos"]["y"] for panel, _ in answers})
    figure = pyplot.figure(figsize=(16, 1.9 * len(rows)), layout="constrained")
    grid = figure.add_gridspec(len(rows), 24)
    for panel, found in answers:
        place = panel["gridPos"]
        draw(figure.add_subplot(grid[rows.index(place["y"]), place["x"] : place["x"] + place["w"]]), panel, found)
    figure.suptitle("The dashboard's queries, asked of a Prometheus and drawn with matplotlib; minutes before now", fontsize=9)
    figure.savefig(file, dpi=75)


if __name__ == "__main__":
    main()
