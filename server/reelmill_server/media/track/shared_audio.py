"""Encode audio beside video on a thread of its own, once for all outputs that write the same."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from reelmill_server.media.input.audio_blocks import AudioBlock
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.libav.errors import too_little_memory
from reelmill_server.media.libav.packets import twin
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.audio import AudioTrack
from reelmill_server.media.track.base import Track
from reelmill_server.model.plan import ImagePlan, TargetPlan

# Silence for a long gap comes at once: packets travel in bundles, a few of which wait for the slowest output.
_BUNDLE_PACKETS, _BUNDLES = 64, 8
_POLL_SECONDS = 0.2

_Bundle = Sequence[AnyPacket] | Exception | None  # None: the end
_Work = Callable[[], Iterable[AnyPacket] | None]


class PendingPackets(Iterator[AnyPacket]):
    """The packets of one step of a shared encode, for one track: iterating waits for them."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._bundles = queue.Queue[_Bundle](_BUNDLES)
        self._packets: Iterator[AnyPacket] = iter(())
        self._over = False

    @property
    def ready(self) -> bool:
        """Whether there is something to take, or nothing more comes."""
        return self._over or not self._bundles.empty()

    def put(self, bundle: _Bundle) -> None:
        """Add packets, a failure, or the end. Waits while there are many."""
        while True:
            self._check()
            try:
                self._bundles.put(bundle, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return

    def __next__(self) -> AnyPacket:
        while True:
            for packet in self._packets:
                return packet
            if self._over:
                raise StopIteration
            self._packets = iter(self._take())

    def _take(self) -> Sequence[AnyPacket]:
        while True:
            self._check()
            try:
                bundle = self._bundles.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            self._over = bundle is None or isinstance(bundle, Exception)
            if isinstance(bundle, Exception):
                raise bundle
            return bundle or ()


class AudioEncoding:
    """One encode for the tracks of all outputs that would make the same packets.

    Each of them makes the same calls in the same order: the first to make one has it done, and each gets its packets.
    """

    def __init__(self, track: AudioTrack, check: Callable[[], None]) -> None:
        """`track` does the work; `check` raises when all is to end."""
        self.track, self.members = track, list[SharedAudioTrack]()
        self._check = check
        self._lock = threading.Lock()
        self._calls: dict[Any, tuple[Sequence[PendingPackets], object, int]] = {}  # and how many tracks have not made it yet
        self._steps = queue.SimpleQueue[tuple[_Work, Sequence[PendingPackets]] | None]()
        self._thread = threading.Thread(target=self._run, name="audio", daemon=True)
        self._thread.start()

    def call(self, member: int, key: Any, work: _Work, item: object = None) -> PendingPackets:
        """Return what `work` makes, for the track number `member`. `key` says which call it is; `item` is kept until all of
        them have made it.
        """
        with self._lock:
            coming, item, left = self._calls.get(key) or (
                [PendingPackets(self._check_thread) for _ in self.members],
                item,
                len(self.members),
            )
            if left == len(self.members):
                self._steps.put((work, coming))
            self._calls[key] = coming, item, left - 1
            if left == 1:
                del self._calls[key]
            return coming[member]

    def _check_thread(self) -> None:
        """Raise what ends all, or OutOfMemory: a thread that finds no memory when it starts ends without a word."""
        self._check()
        if not self._thread.is_alive():
            raise too_little_memory("no memory for a thread that encodes audio")

    def _run(self) -> None:
        with suppress(Exception):  # all is to end: nobody waits for what is made
            while (step := self._steps.get()) is not None:
                self._do(*step)

    def _do(self, work: _Work, coming: Sequence[PendingPackets]) -> None:
        try:
            self._check()
            bundle: list[AnyPacket] = []
            for packet in work() or ():
                bundle.append(packet)
                if len(bundle) == _BUNDLE_PACKETS:
                    self._give(bundle, coming)
                    bundle = []
            self._give(bundle, coming)
            end: _Bundle = None
        except Exception as error:
            end = error
        for each in coming:
            each.put(end)

    def _give(self, bundle: Sequence[AnyPacket], coming: Sequence[PendingPackets]) -> None:
        if bundle:
            for member, each in zip(self.members, coming, strict=True):
                each.put(member.own(bundle))

    def close(self) -> None:
        """End the thread; nobody waits for it any more."""
        self._steps.put(None)
        self._thread.join()


class SharedAudioTrack(Track):
    """The track of one output whose packets a shared encode makes."""

    wants_frames = True

    def __init__(self, own: AudioTrack, encoding: AudioEncoding) -> None:
        """`own`: the track that would encode for this output alone; it describes the stream."""
        super().__init__(own.plan)
        self._own, self._encoding, self._track = own, encoding, encoding.track
        self._number, self._calls = len(encoding.members), 0
        self.written = self._track.written
        encoding.members.append(self)

    def own(self, packets: Sequence[AnyPacket]) -> Sequence[AnyPacket]:
        """Return twins of packets that belong to this track's stream."""
        if self._own is self._track and len(self._encoding.members) == 1:
            return packets
        twins = [twin(packet) for packet in packets]
        for packet in twins:
            packet.stream = self._own.stream
        return twins

    def _call(self, work: _Work) -> PendingPackets:
        self._calls += 1
        return self._encoding.call(self._number, self._calls, work)

    def begin(self, part: Part, span: Span) -> None:
        list(self._call(partial(self._track.begin, part, span)))

    def shorten(self, part: Part, span: Span) -> None:
        list(self._call(partial(self._track.shorten, part, span)))

    def feed(self, part: Part, stream: int, item: AudioBlock) -> PendingPackets:
        """Return at once; what is made comes later."""
        # A track that wants no more misses some of these calls: they are known by what is fed.
        return self._encoding.call(self._number, (id(item), stream), partial(self._feed, part, stream, item), item)

    def _feed(self, part: Part, stream: int, item: AudioBlock) -> Iterator[AnyPacket]:
        yield from self._track.feed(part, stream, item)
        if not part.wanted(self._track, stream):
            for member in self._encoding.members:
                part.close(member, stream)

    def reach(self, part: Part, seconds: Any) -> Iterator[AnyPacket]:
        return self._call(partial(self._track.reach, part, seconds))

    def end(self, part: Part, length: Any, last: bool) -> Iterator[AnyPacket]:
        return self._call(partial(self._track.end, part, length, last))

    def finish(self) -> Iterator[AnyPacket]:
        yield from self._call(self._track.finish)
        self.frames, self.unordered = self._track.frames, self._track.unordered

    def warnings(self, target: TargetPlan | ImagePlan) -> Iterator[str]:
        return self._track.warnings(target)
