"""Run a conversion: open the sources, let every output write, end all threads whatever happens."""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

from av.container import InputContainer

from reelmill_server.media.conversion.copying import CopyFeed, copies, reads_apart
from reelmill_server.media.conversion.feed import Feed, Scope
from reelmill_server.media.input.account import Accountant
from reelmill_server.media.input.decoding import Decoding
from reelmill_server.media.input.kept import open_kept
from reelmill_server.media.input.source import Location
from reelmill_server.media.output.base import Output, Stopped, StopSignal
from reelmill_server.media.output.sharing import share_audio
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import Plan

OpenOutputs = Callable[[Sequence[InputContainer]], Iterable[Output]]


class Run:
    """Run a plan over its sources, whatever its outputs are.

    `outputs` can be read at any time for progress, `decoding` counts broken packets, `accountant` what reading gives, `stop`
    ends all threads.
    """

    def __init__(self, plan: Plan, locations: Sequence[Location], limits: Limits, stop: threading.Event, scope: Scope) -> None:
        """`locations` follow the inputs of the plan."""
        self.outputs: list[Output] = []
        self.stop, self.decoding = StopSignal(stop), Decoding()
        self.accountant = Accountant(plan.inputs, scope.counted)
        self._plan, self._locations, self._limits, self._scope = plan, locations, limits, scope
        self._feed: Feed | None = None

    @property
    def expected_seconds(self) -> float:
        """Return how long the concatenated inputs will be together, as far as is known so far; 0: unknown.

        This is what their containers claim, corrected by how far reading has come in their bytes.
        """
        return self._feed.expected_seconds if self._feed else 0.0

    @property
    def decoded(self) -> int:
        """Return how many packets were given to decoders."""
        return self._feed.decoded if self._feed else 0

    def write(self, open_outputs: OpenOutputs) -> list[str]:
        """Open all outputs, read the sources, and wait until everything is written; return warnings for the user.

        Raises EncoderDown when an encoder fails, Stopped when asked to stop, and InvalidMedia, MediaLimitExceeded or
        OutputError as they happen.
        """
        with ExitStack() as stack:
            sources = [stack.enter_context(open_kept(location, self._limits)) for location in self._locations]
            stack.callback(self._close)
            for output in open_outputs(sources):  # one by one, so that those already open are closed when the next one fails
                self.outputs.append(output)
            for encoding in share_audio(self.outputs, self._check):
                stack.callback(encoding.close)
            stack.callback(self._close)  # before them: outputs wait for what they make
            fed = [output for output in self.outputs if output.fed]
            copied = copies(self._plan, self.outputs, sources)
            alone = fed[0] if copied and len(fed) == 1 and not reads_apart(self._plan, sources) else None
            for output in self.outputs:
                if output is not alone:
                    output.start()
            kind = CopyFeed if copied else Feed
            self._feed = kind(
                self._plan,
                self.outputs,
                sources,
                decoding=self.decoding,
                accountant=self.accountant,
                scope=self._scope,
                stop=self.stop,
            )
            if alone is not None:
                alone.write_alone(self._feed.steps())
            else:
                self._feed.run()
            for output in self.outputs:
                output.join()
        return [*self._feed.warnings, *dict.fromkeys(note for output in self.outputs for note in output.notes)]

    def judge(self) -> list[str]:
        """Return warnings about what was left out or could not be decoded. Raises InvalidMedia when it is too much."""
        tracks = (text for output in self.outputs for track in output.tracks for text in track.warnings(output.plan))
        return [*tracks, *self.decoding.check()]

    def _check(self) -> None:
        """Raise Stopped when all threads are to end."""
        if self.stop.is_set():
            raise Stopped

    def _close(self) -> None:
        """End all threads. After success they have ended already; after a failure they must not go on."""
        self.stop.set()
        for output in self.outputs:
            output.close()
