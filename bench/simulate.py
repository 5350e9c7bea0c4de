"""Simulate one long task in chunks on 1 to 100 workers, and name the bottleneck.

    python -m bench.simulate [--minutes M] [--NAME VALUE]... [--png FILE]

Every cost is an option; the defaults were measured with `bench.capacity` and `bench.records` (docs/capacity.md): an hour of
1080p25 to H.264, medium, on workers of one core. Steps: the task is probed and planned; free workers convert the chunks and the
audio, each an activity of the engine; each worker fetches its part of the source and sends its chunk to a storage whose
bandwidth all share; then one worker fetches everything, joins it by stream copy, verifies and publishes it.
"""

import argparse
import heapq
from dataclasses import dataclass, fields, replace
from pathlib import Path
from random import Random

_WORKERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 80, 100)


@dataclass(frozen=True)
class Costs:
    """Costs of the steps, in seconds of a worker unless stated otherwise.

    Media is `minutes` long and split into chunks of `chunk_seconds`, whose work differs by `variation`; `encode`, `decode`,
    `audio` and `join` are per second of media. `lead_seconds` of media are decoded before a chunk begins, on average. Rates
    are in Mbit/s: of the source and the output, of one worker's network, of the storage for all workers together.
    """

    minutes: float = 60.0
    chunk_seconds: float = 30.0
    variation: float = 0.25
    probe: float = 1.0
    latency: float = 0.15
    start: float = 0.4
    lead_seconds: float = 2.0
    encode: float = 0.92
    decode: float = 0.08
    audio: float = 0.04
    join: float = 0.006
    verify: float = 0.5
    publish: float = 1.0
    source_rate: float = 8.0
    output_rate: float = 5.0
    worker_network: float = 1000.0
    storage_network: float = 10_000.0

    @property
    def seconds(self) -> float:
        """Duration of the media in seconds."""
        return self.minutes * 60


def simulate(costs: Costs, workers: int) -> float:
    """Return the seconds that the task takes: free workers run the chunks, longest first, and share the storage's bandwidth."""
    chunks = sorted([*_chunks(costs), _audio(costs)], reverse=True)
    free = [0.0] * workers
    heapq.heapify(free)
    ends = []
    for work, _ in chunks:
        ends.append(heapq.heappop(free) + work)
        heapq.heappush(free, ends[-1])
    storage = sum(megabits for _, megabits in chunks) / costs.storage_network
    return costs.probe + 2 * costs.latency + max(*ends, storage) + _join(costs)


def _chunks(costs: Costs) -> list[tuple[float, float]]:
    """Return the work in seconds and the megabits of each chunk."""
    count = max(1, round(costs.seconds / costs.chunk_seconds))
    length = costs.seconds / count
    megabits = length * (costs.source_rate + costs.output_rate)
    work = costs.latency + costs.start + costs.verify + costs.lead_seconds * costs.decode
    work += length * (costs.encode + costs.decode) + megabits / costs.worker_network
    random = Random(1)
    return [(work * max(0.2, random.gauss(1.0, costs.variation)), megabits) for _ in range(count)]


def _audio(costs: Costs) -> tuple[float, float]:
    """Return the work and megabits of the audio: a single chunk, so that it has no seams; it reads all of the source."""
    megabits = costs.seconds * costs.source_rate
    return costs.latency + costs.start + costs.seconds * costs.audio + megabits / costs.worker_network, megabits


def _join(costs: Costs) -> float:
    """Return the seconds in which one worker fetches, joins, verifies and sends everything."""
    megabits = 2 * costs.seconds * costs.output_rate
    network = min(costs.worker_network, costs.storage_network)
    return costs.start + costs.seconds * costs.join + costs.verify + costs.publish + megabits / network


def bottleneck(costs: Costs, workers: int) -> str:
    """Return the step that saves the most time if it becomes twice as fast."""
    faster = {
        "encoding": replace(costs, encode=costs.encode / 2, decode=costs.decode / 2),
        "the audio, a single chunk": replace(costs, audio=costs.audio / 2),
        "the join": replace(costs, join=costs.join / 2, worker_network=costs.worker_network * 2),
        "the storage's bandwidth": replace(costs, storage_network=costs.storage_network * 2),
        "the length of a chunk": replace(costs, chunk_seconds=costs.chunk_seconds / 2),
        "starting, latency and lead-in": replace(
            costs, start=costs.start / 2, latency=costs.latency / 2, lead_seconds=costs.lead_seconds / 2
        ),
    }
    return min(faster, key=lambda name: simulate(faster[name], workers))


def main() -> None:
    """Print a line per number of workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(Costs):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    parser.add_argument("--png", type=Path, help="also draw the curve; needs matplotlib")
    options = parser.parse_args()
    costs = Costs(**{field.name: getattr(options, field.name) for field in fields(Costs)})
    totals = [simulate(costs, workers) for workers in _WORKERS]
    print(f"{'workers':>7} {'minutes':>8} {'speed-up':>8} {'efficiency':>10}  bottleneck")
    for workers, total in zip(_WORKERS, totals, strict=True):
        speedup = totals[0] / total
        print(f"{workers:7} {total / 60:8.2f} {speedup:8.1f} {speedup / workers:10.2f}  {bottleneck(costs, workers)}")
    if options.png:
        draw(totals, options.png)


def draw(totals: list[float], path: Path) -> None:
    """Draw the curve beside the ideal one."""
    import matplotlib.pyplot as plot

    plot.plot(_WORKERS, [totals[0] / total for total in totals], "o-", label="simulated")
    plot.plot(_WORKERS, _WORKERS, "--", label="ideal")
    plot.xlabel("workers")
    plot.ylabel("speed-up")
    plot.legend()
    plot.savefig(path)


if __name__ == "__main__":
    main()
