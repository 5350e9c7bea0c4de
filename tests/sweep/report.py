"""The tables of the sweep."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sweep.__main__ import Outcome

_LEGEND = """\
`make sweep` writes this page. It pairs each container that the service reads with each codec that the judge, an FFmpeg of
another version, can write into it. Each clip has half a second of numbered frames, or of one tone per channel, and is encoded
and copied to mkv. Codecs without an encoder here (WMV 3, RealVideo 3 and 4, Monkey's Audio, DTS-HD and others) are not covered.

- `ok`: the number and order of frames, their times (within 2 ms), aspect ratio and matrix, the samples, the layout and the
  signal of each channel match what the judge reads in the source. Frame times, and the samples that an edit list shows, may
  instead match what was written into the source, if the judge reads something else. Copied audio may be up to 2048 samples
  longer or shorter, as packets are copied whole; audio next to video may differ by another 60 ms.
- `told`: the output differs, and a warning says that something does.
- `refused`: the service refuses it, with the error message listed below.
- `unjudged`: the judge cannot read the audio of its own clip without errors, but the service converts it, so nothing was
  compared.
- `wrong`: anything else, with the reason if it is known.
"""
STATES = ("ok", "told", "refused", "unjudged", "wrong")
# What is known of faults and of what is unjudged: what "mode container: codecs: words" looks like, and why it is so.
KNOWN: tuple[tuple[str, str], ...] = (
    (r"copy mpeg: targa", "MPEG-PS has no number for the codec: the clip holds bytes that any reader takes for MP1"),
    (r"encode caf: flac, 7\.1", "CAF tells the sides before the rear, as the output has them; the judge refuses that order"),
)


def known(outcome: Outcome) -> str:
    """Why an outcome is known; empty if it is not."""
    text = f"{outcome.mode} {outcome.case.name}: {outcome.words}"
    return next((why for pattern, why in KNOWN if re.search(pattern, text)), "")


def unknown_faults(result: Sequence[Outcome]) -> list[Outcome]:
    """What is wrong and not known."""
    return [outcome for outcome in result if outcome.state == "wrong" and not known(outcome)]


def summary(result: Sequence[Outcome]) -> str:
    """One line of counts."""
    counts = Counter(outcome.state for outcome in result)
    return f"{len(result)} combinations: " + ", ".join(f"{counts[state]} {state}" for state in STATES)


def write(path: Path, result: Sequence[Outcome]) -> None:
    """Write the tables in Markdown."""
    rows: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for outcome in result:
        rows[outcome.case.muxer, outcome.mode][outcome.state] += 1
    lines = [
        "# Sweep over formats",
        "",
        *_LEGEND.splitlines(),
        "",
        f"{summary(result)}.",
        "",
        "| container | mode | " + " | ".join(STATES) + " |",
        "|---|---|" + "---|" * len(STATES),
    ]
    for (muxer, mode), counts in rows.items():
        lines.append(f"| {muxer} | {mode} | " + " | ".join(str(counts[state] or "") for state in STATES) + " |")
    for state, title in (("wrong", "Wrong"), ("unjudged", "Unjudged"), ("told", "Told"), ("refused", "Refused")):
        lines += ["", f"## {title}", ""]
        by_words: dict[str, list[str]] = defaultdict(list)
        for outcome in result:
            if outcome.state == state:
                why = known(outcome)
                by_words[f"{outcome.words}{f' ({why})' if why else ''}"].append(f"{outcome.mode} {outcome.case.name}")
        lines += ["| what is said | combinations |", "|---|---|"]
        for words, names in sorted(by_words.items(), key=lambda item: -len(item[1])):
            lines.append(f"| {words.replace('|', ' ')} | {len(names)}: {'; '.join(names)} |")
    path.write_text("\n".join(lines) + "\n")
