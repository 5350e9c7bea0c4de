"""Cut WebVTT files into segments for HLS (RFC 8216, 3.5)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

import av

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.libav.errors import meaning
from reelmill_server.media.libav.log import error_text
from reelmill_server.media.package.playlists import MediaPlaylist, Segment
from reelmill_server.model.package_plan import PackagePlan
from reelmill_server.model.time import MICROSECONDS

_TIME = r"(?:(\d+):)?(\d\d):(\d\d)\.(\d\d\d)"
_TIMING = re.compile(rf"^{_TIME}[ \t]+-->[ \t]+{_TIME}(.*)$", re.MULTILINE)
_BLANK = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_TICKS_PER_SECOND = 90_000  # of the clock of MPEG-TS
_MILLISECONDS = 1000
_SHORTEST_SECONDS = Fraction(1, 1000)  # playlists state lengths to a microsecond: the remainder is not a segment


@dataclass(frozen=True)
class Cue:
    """Text shown from `begin_ms` to `end_ms`; `name` is its identifier, `settings` its position."""

    begin_ms: int
    end_ms: int
    text: str
    settings: str = ""
    name: str = ""

    def within(self, begin: Fraction, end: Fraction | None) -> bool:
        """Return whether it is shown in the span, seconds; a cue of no duration belongs where it begins."""
        starts, stops = Fraction(self.begin_ms, _MILLISECONDS), Fraction(self.end_ms, _MILLISECONDS)
        return (end is None or starts < end) and (stops > begin or starts >= begin)

    def render(self) -> str:
        """Return the block of the file."""
        timing = f"{_stamp(self.begin_ms)} --> {_stamp(self.end_ms)}{self.settings}"
        return "\n".join([*([self.name] if self.name else []), timing, self.text])


def read_cues(text: str) -> Iterator[Cue]:
    """Return the cues of a file. A block without a time continues the cue before it: libav writes empty lines as they are."""
    last: Cue | None = None
    for block in _BLANK.split(text.replace("\r\n", "\n").strip("\n")):
        timing = _TIMING.search(block)
        name = block[: timing.start()].strip("\n") if timing else ""
        if timing is not None and "\n" not in name:
            if last is not None:
                yield last
            hours, minutes, seconds, milliseconds, *rest = (int(part or 0) for part in timing.groups()[:8])
            begin = _milliseconds(hours, minutes, seconds, milliseconds)
            last = Cue(begin, _milliseconds(*rest), block[timing.end() + 1 :], timing[9].rstrip(), name)
        elif last is not None:
            last = Cue(last.begin_ms, last.end_ms, f"{last.text}\n{block}", last.settings, last.name)
    if last is not None:
        yield last


def _milliseconds(hours: int, minutes: int, seconds: int, milliseconds: int) -> int:
    return ((hours * 60 + minutes) * 60 + seconds) * _MILLISECONDS + milliseconds


def _stamp(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, _MILLISECONDS)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"


def render_segment(cues: Sequence[Cue], clock_us: int) -> str:
    """Return a file of `cues`, whose 0 is at `clock_us` on the clock of the video."""
    ticks = clock_us * _TICKS_PER_SECOND // MICROSECONDS
    header = f"WEBVTT\nX-TIMESTAMP-MAP=LOCAL:{_stamp(0)},MPEGTS:{ticks}"
    # With an empty line at the end, as some readers join segments.
    return "".join(f"{block}\n\n" for block in (header, *(cue.render() for cue in cues)))


def cut_subtitles(path: Path, package: PackagePlan, seconds: Fraction) -> MediaPlaylist:
    """Cut a file into segments beside it that are `seconds` long together, and read each back; return the segments.

    A cue shown across a segment boundary is in both segments. Raises OutputInvalid when a segment read back is not what was
    written.
    """
    cues = list(read_cues(path.read_text("utf-8")))
    length = Fraction(package.segment_us, MICROSECONDS)
    count = max(1, ceil((seconds - _SHORTEST_SECONDS) / length))
    segments = []
    for number in range(count):
        last = number == count - 1
        begin = number * length
        inside = [cue for cue in cues if cue.within(begin, None if last else begin + length)]
        file = path.with_name(f"{number}{path.suffix}")
        file.write_text(render_segment(inside, package.clock_us), "utf-8")
        _check(file, inside)
        segments.append(Segment(file.name, seconds - begin if last else length))
    return MediaPlaylist(tuple(segments))


def _check(file: Path, cues: Sequence[Cue]) -> None:
    """Read a segment with libav, which cannot read one without cues."""
    if not cues:
        return
    try:
        with av.open(str(file), format="webvtt") as container:
            times = [(packet.pts, packet.duration) for packet in container.demux() if packet.pts is not None]
    except av.error.FFmpegError as error:
        raise meaning(error, OutputInvalid(f"subtitles cannot be read back: {error_text(error)}")) from error
    if sorted(times) != sorted((cue.begin_ms, cue.end_ms - cue.begin_ms) for cue in cues):
        raise OutputInvalid(f"{len(cues)} subtitles of a segment were written, {len(times)} with other times came back")
