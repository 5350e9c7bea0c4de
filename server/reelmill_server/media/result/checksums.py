"""Take checksums of outputs on a thread: of segments while the next ones are written, of the rest while it is read back."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

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

    @contextmanager
    def following(self, plan: Plan, directory: Path) -> Iterator[None]:
        """During the block, take in the segments of `plan` that are closed below `directory`."""
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

    def begin(self, files: Sequence[MediaFile]) -> None:
        """Begin with all of `files`, which are written."""
        with suppress(RuntimeError):  # no thread can be started
            for paths in map(written_files, files):
                self._begun[paths] = self._executor.submit(self._taken, paths)

    def of(self, paths: Sequence[Path]) -> tuple[int, str]:
        """Return the size and SHA-256 of files one after the other. Raises OSError."""
        begun = self._begun.get(tuple(paths))
        # One that has not begun by now may never do: a thread that finds no memory when it starts ends without a word.
        return checksum(paths) if begun is None or begun.cancel() else begun.result()

    def _taken(self, paths: Sequence[Path]) -> tuple[int, str]:
        growing = next((growing for growing in self._growing if growing.fits(paths)), None)
        return checksum(paths) if growing is None else growing.finish(paths)


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
