"""Mix audio, and lower some of it while the rest is loud."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av import AudioFrame
from av.filter import Graph

from reelmill_server.model.ducking import DuckingPlan
from reelmill_server.model.plan import AudioOutput
from reelmill_server.plan.stream.audio import ducking, mixing, mixing_gain


class Mixer:
    """Mix several audio inputs; one that ends early is silent from then on."""

    def __init__(self, output: AudioOutput, inputs: int, ducked: DuckingPlan | None = None) -> None:
        """`ducked`: some of the inputs lower the others."""
        self._graph = Graph()
        self._sources: list[Any] = []
        mix, *rest = (self._add(text) for text in mixing(output, inputs))
        voices = ducked.voices if ducked else ()
        keys = self._keys(output, inputs - len(voices), len(voices)) if ducked else []
        for number in range(inputs):
            node: Any = self._graph.add_abuffer(
                sample_rate=output.sample_rate,
                format=output.sample_format,
                layout=output.layout,
                time_base=Fraction(1, output.sample_rate),
            )
            self._sources.append(node)
            if number in voices:
                node = self._linked(node, self._add("asplit=2"))
                node.link_to(self._heard, 1, voices.index(number))
            node = self._linked(node, self._add(f"volume={mixing_gain(inputs)}"))
            if ducked and number not in voices:
                node = self._linked(node, self._add(ducking(ducked.asked)))
                key, pad = keys.pop()
                key.link_to(node, pad, 1)
            node.link_to(mix, 0, number)
        node = mix
        for following in rest:
            node = self._linked(node, following)
        node.link_to(self._graph.add("abuffersink"))
        self._graph.configure()
        self._open, self._voices, self._waiting = set(range(inputs)), set(voices), set[int]()

    def _keys(self, output: AudioOutput, lowered: int, voices: int) -> list[tuple[Any, int]]:
        """Return nodes and pads that give what `voices` inputs say together, for each of the `lowered` ones. It never ends, as
        what is lowered would end with it.
        """
        self._heard = self._add(mixing(output, voices)[0])
        split = self._linked(self._linked(self._heard, self._add("apad")), self._add(f"asplit={lowered}"))
        return [(split, pad) for pad in range(lowered)]

    def _add(self, text: str) -> Any:
        """Add a filter, `name=arguments`."""
        name, _, arguments = text.partition("=")
        return self._graph.add(name, arguments) if arguments else self._graph.add(name)

    @staticmethod
    def _linked(node: Any, following: Any) -> Any:
        node.link_to(following)
        return following

    def push(self, number: int, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Yield what is mixed once `frame` of input number `number` went in."""
        self._sources[number].push(frame)
        yield from self._pull()

    def close(self, number: int) -> Iterator[AudioFrame]:
        """End input number `number`. What is lowered ends after all voices: what they say of its end may still be missing."""
        if number not in self._open:
            return
        self._open.remove(number)
        self._waiting.add(number)
        for ended in sorted(self._waiting, key=lambda waiting: waiting not in self._voices):
            if ended in self._voices or not self._open & self._voices:
                self._waiting.discard(ended)
                self._sources[ended].push(None)
                yield from self._pull()

    def _pull(self) -> Iterator[AudioFrame]:
        while True:
            try:
                frame: Any = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield frame
