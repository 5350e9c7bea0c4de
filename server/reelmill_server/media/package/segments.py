"""Segmented outputs on the local disk: written by libav's own packagers, listed, and read back joined."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, chain
from math import ceil, floor, inf
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.libav.caption_search import CaptionSearch
from reelmill_server.media.libav.codec_names import codec_name
from reelmill_server.media.libav.dolby_vision import dolby_vision_of
from reelmill_server.media.libav.log import error_text
from reelmill_server.media.libav.random_access import starts_decoding
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.package.caption_channels import CaptionChannels
from reelmill_server.media.package.playlists import MediaPlaylist, read_manifest, read_playlist
from reelmill_server.model.media_info import DolbyVision
from reelmill_server.model.plan import COPY, StreamPlan, StreamType, TargetPlan
from reelmill_server.model.request import SegmentFormat
from reelmill_server.model.time import MICROSECONDS

# A playlist says where segments begin to a microsecond; a muxer counts audio before the first frame as part of a segment.
_LIST_SECONDS = Fraction(1, 10)
_MOST_LEADING = 16  # frames that are shown before the keyframe behind which they are decoded
_TAIL_SECONDS = Fraction(1, 10)  # the longest priming is that of HE-AAC, 0.09 s at 22 kHz
# libav takes fewer packets than this, of 204 bytes as with error correction, for another format (mpegts_probe).
_TOLD_BYTES = 204 * 10
_NULL_PACKET = b"\x47\x1f\xff\x10" + b"\xff" * 184  # ISO/IEC 13818-1, 2.4.3.3
# A segment begins when its keyframe is decoded, so long before it is shown at most: frames are reordered, and some lead it.
_AHEAD_SECONDS = 1
_INTERLEAVED = (StreamType.VIDEO, StreamType.AUDIO)
_INDEX_FIRST = "+faststart"
_EDITING = ("mp4", "mov", "ipod")
# With an index of its own (sidx), each fragment would begin where the one before it ended: in an open GOP, a keyframe that is
# shown behind frames that follow it would be shown too early, and where the rate varies, one that is decoded ahead too late.
_WITHOUT_INDEX = {
    SegmentFormat.HLS: {"hls_segment_options": "movflags=+skip_sidx"},
    SegmentFormat.DASH: {"format_options": "movflags=+skip_sidx"},
}


def has_index_first(plan: TargetPlan) -> bool:
    """Return whether the index of a file is moved to its front when it is finished: libav's muxer only writes it."""
    return plan.package is None and _INDEX_FIRST in plan.muxer_options.get("movflags", "")


def open_output(plan: TargetPlan, path: str) -> OutputContainer:
    """Open what a target is written to: the file at `path`, or its playlist, whose segments lie beside it."""
    options = dict(plan.muxer_options)
    if has_index_first(plan):
        flags = options.pop("movflags").replace(_INDEX_FIRST, "")
        options |= {"movflags": flags} if flags else {}
    if plan.package:
        folder = Path(path).parent
        folder.mkdir()
        if plan.container == "mp4" and any(_varies(stream) for stream in plan.streams):
            options.update(_WITHOUT_INDEX[plan.package.format])
        if plan.package.rendition:
            pass  # one file, cut when the length of the video is known
        elif plan.package.format is SegmentFormat.DASH:
            options["init_seg_name"] = "$RepresentationID$-init.mp4"
            options["media_seg_name"] = "$RepresentationID$-$Number$.m4s"
        else:
            extension = "ts" if plan.container == "ts" else "m4s"
            options["hls_segment_filename"] = f"{folder}/%d.{extension}"
            options["hls_fmp4_init_filename"] = "init.mp4"
    elif plan.muxer in _EDITING and all(stream.audio for stream in plan.streams):
        # Edit lists count in ticks of the whole file, by default milliseconds: audio alone is to end with its last sample.
        options["movie_timescale"] = str(max(stream.audio.sample_rate for stream in plan.streams if stream.audio))
    return av.open(path, "w", format=plan.muxer, options=options)


def _varies(planned: StreamPlan) -> bool:
    """Return whether frames of a stream may be shown at any distance."""
    return planned.copies_video or (planned.type == StreamType.VIDEO and not (planned.counted or planned.steady))


def begun_late(
    plan: TargetPlan, output: OutputContainer, bundles: Iterator[Sequence[AnyPacket]]
) -> Iterator[Sequence[AnyPacket]]:
    """Return `bundles`, of which the first ones are the first packet of each stream. Where one may begin after the first
    segment of MP4, have the muxer of HLS place it there: it takes the first packet of a stream for its beginning.
    """
    if plan.package is None or plan.package.rendition or plan.package.format is SegmentFormat.DASH or plan.container != "mp4":
        return bundles
    first, read = dict[int, AnyPacket](), list[Sequence[AnyPacket]]()
    expected = sum(stream.type in _INTERLEAVED for stream in plan.streams)
    for packets in bundles:
        read.append(packets)
        again = any(first.setdefault(packet.stream_index, packet) is not packet for packet in packets)
        if again or len(first) == expected:
            break
    begins = [packet.pts * exact(packet.time_base) for packet in first.values() if packet.pts is not None and packet.time_base]
    latest = max(begins, default=0) if len(first) >= expected else inf
    far = latest > 0 and (latest + _AHEAD_SECONDS) * MICROSECONDS >= plan.package.segment_us
    if far and min(begins, default=0) >= 0:  # it takes none before 0 then
        options: Any = output.options
        options["hls_segment_options"] = f"{options.get('hls_segment_options', 'movflags=')}+frag_discont"
    return chain(read, bundles)


class Reframing:
    """Bring copied packets into the form that fragmented MP4 holds. libav does so for every muxer but the one for HLS."""

    def __init__(self, plan: TargetPlan, streams: Sequence[Any]) -> None:
        """`streams` are those of the output, as planned."""
        self._filters: dict[int, BitStreamFilterContext] = {}
        if plan.package is None or plan.package.format is SegmentFormat.DASH or plan.container == "ts":
            return
        for stream, planned in zip(streams, plan.streams, strict=True):
            if planned.encoder == COPY and planned.codec == "aac":
                self._filters[stream.index] = BitStreamFilterContext("aac_adtstoasc", stream, stream)

    def all_of(self, bundles: Iterator[Sequence[AnyPacket]]) -> Iterator[Sequence[AnyPacket]]:
        """Yield the packets to write for those of `bundles`."""
        if self._filters:
            return ([reframed for packet in packets for reframed in self._of(packet)] for packets in bundles)
        return bundles

    def _of(self, packet: AnyPacket) -> Sequence[AnyPacket]:
        """Return the packets to write for `packet`."""
        reframing = self._filters.get(packet.stream_index)
        if reframing is None:
            return (packet,)
        stream, packets = packet.stream, reframing.filter(packet)
        for reframed in packets:
            reframed.stream = stream
        return packets


def join_tail(plan: TargetPlan, path: str) -> None:
    """Merge the little audio, or the few frames at the end of a cut, after the last segment boundary into the segment before.

    Priming pushes audio there, and a player that honors edit lists, which hide as much, would wait for that segment in vain.
    Frames that are shown only after the audio has ended, as they are decoded long before that, do hls.js no good either.
    """
    alone = all(stream.type == StreamType.AUDIO for stream in plan.streams)
    is_cut = plan.container == "mp4" and any(stream.smart_cut for stream in plan.streams)
    if plan.package is None or plan.muxer != SegmentFormat.HLS or not (alone or is_cut):
        return
    playlist, folder = read_playlist(Path(path).read_text()), Path(path).parent
    if len(playlist.segments) < 2 or playlist.segments[-1].seconds >= _TAIL_SECONDS:
        return
    *others, before, tail = playlist.segments
    with (folder / before.name).open("ab") as file:
        file.write((folder / tail.name).read_bytes())
    (folder / tail.name).unlink()
    joined = replace(playlist, segments=(*others, replace(before, seconds=before.seconds + tail.seconds)))
    Path(path).write_text(joined.render(joined.longest_seconds))


def pad_transport_stream(plan: TargetPlan, path: str) -> None:
    """Pad MPEG-TS that is too short to be told from other formats with null packets: a few small frames without audio."""
    if plan.container != "ts" or (plan.package and plan.package.rendition):
        return
    folder = Path(path).parent
    files = [folder / each.name for each in listed(plan, path)[0].segments] if plan.package else [Path(path)]
    missing = _TOLD_BYTES - sum(file.stat().st_size for file in files)
    if missing > 0:
        with files[-1].open("ab") as file:
            file.write(_NULL_PACKET * -(-missing // len(_NULL_PACKET)))


def listed(plan: TargetPlan, path: str) -> tuple[MediaPlaylist, ...]:
    """Return the playlists of a written package: one for HLS, one per stream for DASH. Raises OutputInvalid when there is
    none.
    """
    assert plan.package
    dash = plan.package.format is SegmentFormat.DASH
    try:
        text = Path(path).read_text()
        lists = read_manifest(text) if dash else (read_playlist(text),)
    except (OSError, ValueError) as error:
        raise OutputInvalid(f"{plan.field}: no list of segments was written: {error_text(error)}") from error
    if dash and len(lists) != len(plan.streams):
        raise OutputInvalid(f"{plan.field}: {len(lists)} streams are listed, planned were {len(plan.streams)}")
    return lists


class Joined:
    """Read several files as if they were one, opened one at a time."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._ends = list(accumulate(path.stat().st_size for path in paths))
        self._position, self._number = 0, -1
        self._file: BinaryIO | None = None

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; none at the end."""
        number = bisect_right(self._ends, self._position)
        if number == len(self._paths):
            return b""
        if self._file is None or number != self._number:
            self.close()
            self._number, self._file = number, self._paths[number].open("rb")
        self._file.seek(self._position - (self._ends[number - 1] if number else 0))
        data = self._file.read(size)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Seek as in a file."""
        self._position = offset + (0, self._position, self._ends[-1])[whence]
        return self._position

    def tell(self) -> int:
        """Return the position as in a file."""
        return self._position

    def close(self) -> None:
        """Close the file that is open."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Cuts:
    """Watch the packets of one `stream` for keyframes where a playlist says that segments begin, and for captions."""

    def __init__(self, playlist: MediaPlaylist, stream: int, planned: StreamPlan) -> None:
        self._starts = [Fraction(0), *accumulate(segment.seconds for segment in playlist.segments)][:-1]
        self.stream, self._codec = stream, planned.codec
        self._channels = CaptionChannels() if planned.type == StreamType.VIDEO else None
        self.dolby_vision: DolbyVision | None = None
        self._base: Fraction | None = None  # known with the first packet
        self._first = self._border = self._slack = 0  # ticks
        self._ticks: list[int] = []  # of the starts, after the first packet
        self.count = 0
        self.independent = True

    def see(self, packet: AnyPacket) -> None:
        """Look at a packet; they come in decoding order."""
        if packet.stream.index != self.stream or packet.pts is None:
            return
        if self._base is None and not self._begin(packet):
            return
        assert self._base is not None
        ticks = packet.pts
        if self._channels is not None:
            self._channels.see(self._search.of(packet))
        if packet.is_keyframe and self._begins_segment(ticks, packet.duration or 0, self._base):
            self.count, self._border = self.count + 1, ticks
            self.independent = self.independent and starts_decoding(packet, self._codec)
        elif ticks < self._border:
            self.independent = False  # a leading frame: it refers to the segment before

    def _begins_segment(self, ticks: int, duration: int, base: Fraction) -> bool:
        """Return whether the next segment may begin with a keyframe."""
        if self.count == len(self._starts):
            return False
        # All packets of audio are keyframes: only those near the place are compared exactly.
        if ticks - self._first + max(self._slack, duration) < self._ticks[self.count]:
            return False
        off, length = (ticks - self._first) * base - self._starts[self.count], duration * base
        # In a manifest, the segment of an open GOP begins with the first frame that is shown.
        return -max(_LIST_SECONDS, length) <= off <= max(_LIST_SECONDS, (1 + _MOST_LEADING) * length)

    def _begin(self, packet: AnyPacket) -> bool:
        """Learn from the first packet what its stream is; return whether times have a unit."""
        if not packet.time_base:
            return False
        self._base, self._first = exact(packet.time_base), packet.pts or 0
        self._ticks, self._slack = [floor(start / self._base) for start in self._starts], ceil(_LIST_SECONDS / self._base)
        if self._channels is not None:
            context = packet.stream.codec_context
            self._search = CaptionSearch(codec_name(context), bytes(context.extradata or b""))
            self.dolby_vision = dolby_vision_of(packet.stream)
        return True

    @property
    def captions(self) -> tuple[str, ...]:
        """Return the channels of closed captions that were seen."""
        return self._channels.names if self._channels is not None else ()

    @property
    def hidden(self) -> Fraction:
        """Return how much lies before 0, where an edit list hides it: audio priming."""
        return max(-self._first * (self._base or Fraction(0)), Fraction(0))

    @property
    def all_found(self) -> bool:
        """Return whether every segment begins with a keyframe, at its time."""
        return self.count == len(self._starts)
