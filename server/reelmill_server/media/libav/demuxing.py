"""Read packets of a container."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from errno import EINVAL
from io import SEEK_SET
from itertools import chain
from typing import Any

from av.container import InputContainer

from reelmill_server.media.libav.codec_names import codec_name
from reelmill_server.media.libav.flac_frames import HEADER_BYTES, frame_number, split_packets
from reelmill_server.media.libav.fragment_times import in_own_time, is_fragmented
from reelmill_server.media.libav.guessed_times import timed_from_behind
from reelmill_server.media.libav.image_ends import is_whole_gif, is_whole_jpeg
from reelmill_server.media.libav.packet_damage import damaged_marked, heads, solid_streams

_FLAC, _AC3 = (b"\xff\xf8", b"\xff\xf9"), (b"\x0b\x77", b"\x77\x0b")
_THEORA = tuple(bytes((first,)) for first in range(0x80))  # headers have the highest bit
# How frames begin, by format and codec, where libav's demuxers give something else, too: in Ogg the headers of FLAC and Theora
# where one recording follows another, in MPEG-PS the end of the frame in which it begins.
_BEGINNINGS = {("ogg", "flac"): _FLAC, ("ogg", "theora"): _THEORA, ("mpeg", "ac3"): _AC3, ("mpeg", "eac3"): _AC3}
_BEGINNINGS |= {("mpeg", f"mp{layer}"): tuple(bytes((0xFF, second)) for second in range(0xE0, 0x100)) for layer in (1, 2, 3)}
_ANYWHERE = (_FLAC, _THEORA)
_MOST_BEFORE_KEYFRAMES = 64  # with more, it may be refreshed gradually
_MOST_OF_PAGE, _MOST_LATE_SECONDS = 255, 10  # packets, of Ogg; from when on the times of all streams may jump
_MOST_HELD = 4096  # packets that wait for one of video, which may have ended
_SHARING = ("mpeg",)  # of which one packet of the container may hold several frames, and a time for one
_MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
_REPEATING = ("theora",)  # an empty packet shows the frame before it once more, and containers other than Ogg lose it

# Whether a packet of these formats is whole.
_IS_WHOLE: Mapping[str, Callable[[bytes], bool]] = {"jpeg_pipe": is_whole_jpeg, "gif": is_whole_gif}


class ReadFile:
    """An open file as libav reads it: without a name, as libav guesses formats and finds neighbors by name, and both are
    unwanted. `put_back`: packets that the container over it gives once more.
    """

    def __init__(self, file: Any) -> None:
        self.read, self.tell, self._seek = file.read, file.tell, file.seek
        self.put_back: Sequence[Any] = ()

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Seek. To a position that no file has, where broken sizes lead, answer as libav's own files do, which demuxers take
        for the end of what they can read: an exception would end all reading.
        """
        try:
            return int(self._seek(offset, whence))
        except OSError as error:
            if error.errno != EINVAL:
                raise
        except ValueError:  # of memory
            pass
        return -EINVAL


def put_back(container: InputContainer, packets: Sequence[Any]) -> None:
    """Have the next reading of a container over a ReadFile begin with `packets`, all that were read from where it is to begin,
    unless it is closed, or read from elsewhere, after `forget`.
    """
    container.file.file.put_back = packets


def forget(container: InputContainer) -> None:
    """Forget what was put back."""
    _taken_back(container)


def _taken_back(container: InputContainer) -> Sequence[Any]:
    """Return what was put back, once."""
    file = getattr(getattr(container, "file", None), "file", None)  # none where libav opened it itself, by its name
    if not isinstance(file, ReadFile):
        return ()
    packets, file.put_back = file.put_back, ()
    return packets


def reads_ahead(container: InputContainer) -> bool:
    """Return whether `packets_of` reads more of a container than it has given."""
    return bool(_repeating(container.streams))


def packets_of(container: InputContainer, streams: Sequence[Any]) -> Iterator[Any]:
    """Yield the packets of `streams`, and an empty one for each at the end.

    Streams that appear only while packets are read (FLV, MPEG-TS) are not among them: PyAV leaves their packets out, and fails
    where it comes to their ends, after those of all others.
    """
    indexes = {stream.index for stream in streams}
    before = [packet for packet in _taken_back(container) if packet.stream_index in indexes]
    packets: Iterator[Any] = chain(before, container.demux(streams))
    beginnings = {
        stream.index: beginning
        for stream in streams
        if (beginning := _BEGINNINGS.get((container.format.name, codec_name(stream.codec_context))))
    }
    repeating = _repeating(streams)
    if container.format.name == "ogg":
        for stream in streams:
            if codec_name(stream.codec_context) == "flac":
                packets = _first_page_in_time(packets, stream.index)
    packets = _frames(packets, beginnings) if beginnings else packets
    packets = split_packets(packets) if container.format.name == "flac" else packets
    videos = {stream.index for stream in streams if stream.type == "video"}
    if container.format.name in _SHARING and videos:
        packets = _own_times(_from_keyframes(packets, videos), videos)
    if container.format.name == _MP4 and is_fragmented(streams):
        packets = in_own_time(packets)
    begins, solid = heads(container, streams), solid_streams(streams)
    if begins or solid:
        packets = damaged_marked(packets, begins, solid)
    if is_whole := _IS_WHOLE.get(container.format.name):
        packets = _marked(packets, is_whole)
    try:
        yield from _lasting(packets, repeating) if repeating else packets
    except IndexError:
        return


def _repeating(streams: Iterable[Any]) -> set[int]:
    return {stream.index for stream in streams if codec_name(stream.codec_context) in _REPEATING}


def _first_page_in_time(packets: Iterator[Any], index: int) -> Iterator[Any]:
    """Yield the packets; the first frames of FLAC in Ogg lie right before those of the second page, which tells a time: libav
    has those of the first begin anywhere, at the front of a stream that begins late as where it has sought. Recordings of
    broadcasts begin hours late, which is no time to wait for.
    """
    held: list[Any] = []
    frames: list[Any] = []
    latest = -1
    for packet in packets:
        held.append(packet)
        if packet.stream.index != index:
            if len(held) > _MOST_HELD:
                break
            continue
        is_frame = bool(packet.size) and bytes(memoryview(packet)[:2]).startswith(_FLAC)
        if packet.size and not is_frame and not frames:
            continue  # the headers
        number = frame_number(bytes(memoryview(packet)[:HEADER_BYTES])) if is_frame else 0
        if not is_frame or packet.pts is None or not packet.duration or number <= latest:
            break  # the end, or another recording
        latest = number
        late = packet.pts - (frames[-1].pts + frames[-1].duration) if frames else 0
        if late:
            for frame in frames if late * packet.time_base < _MOST_LATE_SECONDS else ():
                frame.pts = frame.dts = frame.pts + late
            break
        frames.append(packet)
        if len(frames) > _MOST_OF_PAGE:
            break
    yield from held
    yield from packets


def _frames(packets: Iterable[Any], beginnings: Mapping[int, tuple[bytes, ...]]) -> Iterator[Any]:
    """Yield the packets that are frames. Later ones that are none are damaged, which their decoder tells."""
    expected, early = dict(beginnings), dict[int, int]()
    for packet in packets:
        index = packet.stream.index
        if packet.size and (known := expected.get(index)):
            anywhere = known in _ANYWHERE
            if not bytes(memoryview(packet)[:2]).startswith(known):
                if known == _AC3:  # in which libav gives the rest of a frame the time of the next
                    early[index] = packet.duration or 0
                continue
            if not anywhere:
                del expected[index]
                _set_back(packet, early.get(index, 0))
        elif index in early:
            # What is left out took the time of the first frame, and those behind it follow, up to the next that has its own.
            if packet.pos is None:
                _set_back(packet, early[index])
            else:
                del early[index]
        yield packet


def _from_keyframes(packets: Iterable[Any], videos: Collection[int]) -> Iterator[Any]:
    """Yield the packets; frames of `videos` before the first keyframe, if it comes soon, are left out: a recording begins among
    them, so that they cannot be decoded, and their times are guessed.
    """
    held: list[Any] = []
    packets = iter(packets)
    missing, guessed, count = set(videos), set[int](), 0
    for packet in packets:
        index = packet.stream.index
        if index in missing:
            count += 1
            if packet.is_keyframe and packet.size:
                kept = [other for other in held if other.stream.index != index]
                guessed |= {index} if len(kept) < len(held) else set()
                held = kept
            if packet.is_keyframe or not packet.size:
                missing.discard(index)
        held.append(packet)
        if count > _MOST_BEFORE_KEYFRAMES or len(held) > _MOST_HELD:
            missing.clear()
        if not missing:
            break
    packets = chain(held, packets)
    for index in guessed:
        packets = timed_from_behind(packets, index)
    yield from packets


def _own_times(packets: Iterable[Any], videos: Collection[int]) -> Iterator[Any]:
    """Yield the packets; of two frames of `videos` that claim one time, that of the packet of the container in which both lie,
    it is the second's if the first would be decoded later than when the one before it ends.
    """
    held: list[Any] = []  # from a packet of video on
    end: int | None = None
    for packet in packets:
        if packet.stream.index not in videos:
            if held and len(held) < _MOST_HELD:
                held.append(packet)
                continue
            end = None if held else end
            yield from (*held, packet)
            held = []
            continue
        if held:
            first, times = held[0], (packet.pts, packet.dts, packet.pos)
            if first.dts is not None and end is not None and first.dts > end and (first.pts, first.dts, first.pos) == times:
                first.pts = first.dts = None
            begin = end if first.dts is None else first.dts
            end = None if begin is None else begin + (first.duration or 0)
        yield from held
        held = [packet]
    yield from held


def _marked(packets: Iterable[Any], is_whole: Callable[[bytes], bool]) -> Iterator[Any]:
    """Yield the packets; those that break off are marked as damaged."""
    for packet in packets:
        packet.is_corrupt = packet.is_corrupt or (packet.size > 0 and not is_whole(bytes(packet)))
        yield packet


def _lasting(packets: Iterable[Any], repeating: Collection[int]) -> Iterator[Any]:
    """Yield the packets that are not empty; those of `repeating` streams last as long as the empty ones behind them, too."""
    held: dict[int, Any] = {}
    for packet in packets:
        index = packet.stream.index
        if index not in repeating:
            yield packet
            continue
        if not packet.size and packet.pts is not None:
            if index in held:
                held[index].duration += packet.duration
            continue
        if index in held:
            yield held.pop(index)
        if packet.size:
            held[index] = packet
        else:
            yield packet  # the end
    yield from held.values()


def _set_back(packet: Any, ticks: int) -> None:
    if packet.pts is not None and packet.dts is not None:
        packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
