"""Take checksums of outputs on a thread: of segments while the next ones are written, of MP4 while its index is moved to its
front, of the rest while it is read back.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition, Event

from reelmill_server.checksums import Checksum, checksum
from reelmill_server.errors import OutputInvalid
from reelmill_server.media.output.base import MediaFile
from reelmill_server.media.package.closing import files_as_closed
from reelmill_server.media.package.segments import listed
from reelmill_server.model.plan import Plan, TargetPlan
from reelmill_server.plan.output.package_files import output_path

_POLL_SECONDS = 0.02


class Checksums:
    """Checksums of media files and segments, taken on a thread while something else writes or reads them."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "checksums")
        self._begun: dict[tuple[Path, ...], Future[tuple[int, str]]] = {}
        self._growing: list[_Growing] = []
        self._finishing: dict[Path, _Finishing] = {}

    @contextmanager
    def following(self, plan: Plan, directory: Path) -> Iterator[None]:
        """During the block, take in the segments of `plan` that are closed below `directory`, and what `final` tells of."""
        over = Event()
        packaged = [
            (slot, target) for slot, target in enumerate(plan.targets) if target.package and not target.package.rendition
        ]
        self._growing = [_Growing(target, (directory / output_path(slot, target)).parent) for slot, target in packaged]

        def follow() -> None:
            while not over.wait(_POLL_SECONDS):
                for growing in self._growing:
                    growing.go_on()

        if self._growing:
            with suppress(RuntimeError):  # no thread can be started
                self._executor.submit(follow)
        try:
            yield
        finally:
            over.set()
            for finishing in self._finishing.values():
                finishing.give_up()

    def final(self, path: str, size: int, whole: int) -> None:
        """Take in the front of a file, `size` bytes of `whole`: it stays as it is, while the rest is still written."""
        finishing = self._finishing.get(Path(path))
        if finishing is None:
            finishing = self._finishing[Path(path)] = _Finishing(Path(path))
            with suppress(RuntimeError):  # no thread can be started
                finishing.running = self._executor.submit(finishing.run)
        finishing.reach(size, whole)

    def begin(self, files: Sequence[MediaFile]) -> None:
        """Begin with all of `files`, which are written."""
        with suppress(RuntimeError):  # no thread can be started
            for paths in map(written_files, files):
                if self._finished(paths) is None:
                    self._begun[paths] = self._executor.submit(self._taken, paths)

    def of(self, paths: Sequence[Path]) -> tuple[int, str]:
        """Return the size and SHA-256 of files one after the other. Raises OSError."""
        if (finishing := self._finished(paths)) is not None:
            return finishing.result() or checksum(paths)
        begun = self._begun.get(tuple(paths))
        # One that has not begun by now may never do: a thread that finds no memory when it starts ends without a word.
        return checksum(paths) if begun is None or begun.cancel() else begun.result()

    def _finished(self, paths: Sequence[Path]) -> "_Finishing | None":
        return self._finishing.get(paths[0]) if len(paths) == 1 else None

    def _taken(self, paths: Sequence[Path]) -> tuple[int, str]:
        growing = next((growing for growing in self._growing if growing.fits(paths)), None)
        return checksum(paths) if growing is None else growing.finish(paths)


class _Finishing:
    """The checksum of a file of which the front is final while the rest is written."""

    def __init__(self, path: Path) -> None:
        self._path, self._sum = path, Checksum()
        self._final, self._taken, self._over = 0, 0, False
        self._stamp: _Stamp | None = None  # of the whole file
        self._changed = Condition()
        self.running: Future[None] | None = None

    def reach(self, size: int, whole: int) -> None:
        """Tell how much is final."""
        with self._changed:
            self._final, self._over = size, size == whole
            self._stamp = _stamp(self._path) if self._over else None
            self._changed.notify()

    def give_up(self) -> None:
        """Tell that no more will be."""
        with self._changed:
            self._over = True
            self._changed.notify()

    def run(self) -> None:
        """Take in what is final until all is."""
        with suppress(OSError), self._path.open("rb", buffering=0) as file:  # what is not final must not be read ahead
            while final := self._more():
                self._sum.add_next(file, final - self._taken)
                self._taken = final

    def _more(self) -> int:
        """Wait until more is final, and return how much is; 0: no more will be."""
        with self._changed:
            self._changed.wait_for(lambda: self._final > self._taken or self._over)
            return self._final if self._final > self._taken else 0

    def result(self) -> tuple[int, str] | None:
        """Wait for the size and SHA-256; None: not all was taken in, or the file was changed since."""
        if self.running is None or self.running.cancel():
            return None
        self.running.exception()
        size, digest = self._sum.result()
        return (size, digest) if self._stamp and self._stamp == _stamp(self._path) and size == self._stamp[1] else None


class _Growing:
    """The checksum of the files of a packaged output, as far as they are closed."""

    def __init__(self, plan: TargetPlan, folder: Path) -> None:
        self._closed = files_as_closed(plan, folder)
        self._taken: list[tuple[Path, _Stamp | None]] = []
        self._sum = Checksum()

    def go_on(self) -> None:
        """Take in what was closed since."""
        with suppress(OSError):  # what is removed is an output no more
            while (path := next(self._closed, None)) is not None:
                stamp = _stamp(path)
                self._taken.append((path, None))  # until all of it is read
                self._sum.add(path)
                self._taken[-1] = path, stamp

    def fits(self, paths: Sequence[Path]) -> bool:
        """Return whether `paths` begin with what was taken in, and nothing was written to that since."""
        taken = [path for path, _ in self._taken]
        return bool(taken) and taken == [*paths[: len(taken)]] and all(_stamp(path) == stamp for path, stamp in self._taken)

    def finish(self, paths: Sequence[Path]) -> tuple[int, str]:
        """Return the size and SHA-256 of all `paths`."""
        for path in paths[len(self._taken) :]:
            self._sum.add(path)
        return self._sum.result()


_Stamp = tuple[int, int, int]


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def written_files(file: MediaFile) -> tuple[Path, ...]:
    """Return the written file, or all segments that its list names; none where they are cut later, or there is no list."""
    if file.plan.package is None:
        return (Path(file.path),)
    if file.plan.package.rendition is not None:
        return ()
    with suppress(OutputInvalid):
        playlists = listed(file.plan, file.path)
        return tuple(Path(file.path).parent / name for playlist in playlists for name in playlist.names)
    return ()
