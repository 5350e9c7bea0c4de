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
Written by `make sweep`: containers that the service reads with each codec that the judge, an FFmpeg of another version,
can write into them: half a second of numbered pictures or of one tone per channel, encoded and copied to mkv. Codecs that
nobody here encodes (WMV 3, RealVideo 3 and 4, Monkey's Audio, DTS-HD and others) are not covered.

- `ok`: the number and order of pictures, their times (within 2 ms), shape and matrix, the samples, the layout and the
  signal of each channel are those that the judge reads in the source, or those that were put into it: the times of the
  pictures, and the samples that an edit list shows, where the judge reads others. Copied audio may be up to 2048 samples
  longer or shorter, since packets are whole; audio beside pictures may differ by 60 ms more.
- `told`: they differ, and a warning says that something does.
- `refused`: by an error, whose words are below.
- `unjudged`: the judge cannot read audio of its own clip without errors, and the service converts it: nothing was compared.
- `wrong`: all else, with the reason where it is known.
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
