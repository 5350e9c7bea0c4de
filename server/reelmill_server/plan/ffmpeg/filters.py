"""Write libav's filters as text: chains, and the graph that connects them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from reelmill_server.model.time import MICROSECONDS

_SEPARATORS = re.compile(r"([\\'\[\],;])")


def escaped(text: str) -> str:
    """Return a filter, `name=arguments`, as it stands in the description of a graph."""
    return _SEPARATORS.sub(r"\\\1", text)


def option(text: str) -> str:
    """Return `text` as the value of one option of a filter."""
    return re.sub(r"([\\':])", r"\\\1", text)


def decimal(value: Fraction | float) -> str:
    """Return a number with as few digits as it needs, at most six decimals."""
    return f"{float(value):.6f}".rstrip("0").rstrip(".")


def seconds(microseconds: int) -> str:
    """Return a time in seconds."""
    return decimal(Fraction(microseconds, MICROSECONDS))


def described(filters: Sequence[str]) -> str:
    """Return the description of a chain of filters."""
    return ",".join(map(escaped, filters))


@dataclass(frozen=True)
class Chain:
    """Filters, each `name=arguments`, that read from `pads`: streams of inputs (`0:1`) or labels of a graph."""

    pads: tuple[str, ...]
    filters: tuple[str, ...] = ()

    def then(self, *filters: str) -> "Chain":
        """Return the chain with `filters` behind it."""
        return replace(self, filters=(*self.filters, *filters))


class Graph:
    """The graph of all streams of a command that need more than one chain."""

    def __init__(self) -> None:
        self._chains: list[str] = []

    @property
    def text(self) -> str:
        """Return the whole description, empty if there is none."""
        return ";".join(self._chains)

    def close(self, chain: Chain, nothing: str) -> str:
        """Add a chain; return the label of its output. `nothing`: the filter of a chain without any, null or anull."""
        label = f"f{len(self._chains)}"
        pads = "".join(f"[{pad}]" for pad in chain.pads)
        self._chains.append(f"{pads}{described(chain.filters or (nothing,))}[{label}]")
        return label

    def split(self, chain: Chain) -> tuple[str, str]:
        """Add a chain whose frames are used twice; return both labels."""
        label = self.close(chain.then("split"), "null")
        self._chains[-1] += f"[{label}s]"
        return label, f"{label}s"
