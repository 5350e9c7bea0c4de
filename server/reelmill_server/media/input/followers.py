"""Find out whether another file follows in a file (`cat a b`), of which libav reads the first alone, or takes for its media."""

import re
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, islice, pairwise
from typing import Any, BinaryIO

from reelmill_server.media.input.boxes import boxes
from reelmill_server.media.input.excerpt import Excerpt
from reelmill_server.media.input.missing_bytes import id3_end

_HEAD_BYTES = 8
# Behind the end that a header says, tags may lie. What has no such end is searched through, as far as this.
_TAG_BYTES, _MOST_SEARCHED, _PIECE = 1 << 20, 256 << 20, 1 << 20
_FIRST_PIECE = 1 << 12  # what is searched for may be near, time and again
_MOST_PARTS, _MOST_CHUNKS = (
    10_000,
    100_000,
)  # files behind each other, or markers of a JPEG: a hostile file may consist of nothing else
_WAVE = re.compile(rb"(?:RIFF|RF64)....WAVE(?:fmt |ds64|JUNK|bext|LIST)", re.DOTALL)
_AIFF = re.compile(rb"FORM....AIF[FC]", re.DOTALL)
_UNKNOWN_SIZES = (0, 0xFFFF_FFFF)
_W64_RIFF = b"riff.\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_CAF = b"caff\x00\x01\x00\x00"
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_TTA, _TTA_HEADER = struct.Struct("<4s3H3I"), re.compile(rb"TTA[12][\x01-\x03]\x00", re.DOTALL)
_APE, _APE_PLAIN = re.compile(rb"MAC .[\x0c-\x10]", re.DOTALL), 3980  # from this version on, the header says all lengths
_PNG = b"\x89PNG\r\n\x1a\n"
_IVF, _IVF_HEADER, _IVF_FRAME = b"DKIF\x00\x00", 32, 12
_NUT = re.compile(rb"nut/multimedia container\x00")
_MXF, _MXF_FOOTER_AT = re.compile(rb"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02", re.DOTALL), 24
_FLV = re.compile(rb"FLV\x01[\x00\x01\x04\x05]\x00\x00\x00\x09\x00\x00\x00\x00", re.DOTALL)
_FLV_TAG, _FLV_TAG_BYTES = re.compile(rb"[\x08\x09](...)(...)(.)\0\0\0", re.DOTALL), 11
_FLV_SAMPLES, _FLV_APART = 16, 1000  # milliseconds
# A scan ends where a marker follows that is none of those within it. Several pictures of one photo are listed in its head.
_JPEG_FORMAT, _JPEG_MARKER, _JPEG_SCAN, _JPEG_END = "jpeg_pipe", re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL), 0xDA, 0xD9
_JPEG_BEGIN = b"\xff\xd8\xff"
_MULTI_PICTURE, _JPEG_HEAD = b"MPF\0", 1 << 18
_IMAGE_NEXT = re.compile(rb"\xff\xd8\xff|.{4}ftyp|\x89PNG\r\n\x1a\n|RIFF.{4}WEBP|GIF8[79]a", re.DOTALL)
_BMP_NEXT = re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL)
_GIF_FORMAT, _GIF_END = "gif", re.compile(rb"\0;(?=" + _IMAGE_NEXT.pattern + rb")", re.DOTALL)
_AU, _AU_KIND = b".snd", slice(12, 24)  # the encoding, the sample rate and the channels
_AMR = re.compile(rb"#!AMR(?:-WB)?\n")


def follower_bytes(file: BinaryIO, format_name: str) -> int:
    """Return how many bytes lie in an open file behind the first of the files in it; 0: it is the only one, or all are read
    (GIF: if the first has several frames), or the others belong to it.
    """
    size = file.seek(0, 2)
    if format_name == _JPEG_FORMAT and _MULTI_PICTURE in _read(file, 0, _JPEG_HEAD):
        return 0
    spans = _spans(file, format_name, size)
    place = spans[-1][1] if spans else 0 if format_name in _SPLICED else _PLACES[format_name](file, size)
    return size - place if place else 0


def readable(file: BinaryIO, format_name: str) -> Excerpt | None:
    """Return what of an open file libav is to read where what follows the first file in it would be taken for its media; None:
    all of it.
    """
    if format_name not in (*_SPLICED, *_MISLEADING):
        return None
    size = file.seek(0, 2)
    spans = _spans(file, format_name, size)
    place = 0 if spans or format_name in _SPLICED else _PLACES[format_name](file, size)
    return Excerpt(file, spans or [(0, place)]) if spans or place else None


def first_picture(file: BinaryIO) -> Excerpt | None:
    """Return the image in an open file without what follows it, which libav would take for a frame, or all for a video, or for
    no image; None: nothing does, or it is none.
    """
    size = file.seek(0, 2)
    is_jpeg = _read(file, 0, len(_JPEG_BEGIN)) == _JPEG_BEGIN
    place = _jpeg_end(file, size) if is_jpeg else _next_image(file, size)
    file.seek(0)
    return Excerpt(file, [(0, place)]) if 0 < place < size else None


def _spans(file: BinaryIO, format_name: str, size: int) -> Sequence[tuple[int, int]]:
    """Return the spans of several files behind each other that are one without the headers of all but the first; else none."""
    return _SPLICED[format_name](file, size) if format_name in _SPLICED else ()


def next_avi(file: BinaryIO, size: int) -> int:
    """Return where another AVI begins in a file of `size` bytes; 0: nowhere. One may have further parts, called AVIX."""
    for at in _chunks(file, size, 0, 8, "little", slice(4, 8), even=True):
        if at and (head := _read(file, at, 12))[8:] != b"AVIX":
            return at if head[:4] == b"RIFF" and head[8:] == b"AVI " else 0
    return 0


def _next_wave(file: BinaryIO, size: int) -> int:
    """Return where another WAV begins, also behind one that was written as a stream, without its length."""
    head = _read(file, 0, 28)
    length = int.from_bytes(head[20:28] if head[:4] == b"RF64" else head[4:_HEAD_BYTES], "little")
    if length in _UNKNOWN_SIZES:
        return _place_of(file, len(head), size, _WAVE, _MOST_SEARCHED)
    return _place_of(file, _HEAD_BYTES + length + length % 2, size, _WAVE)


def _next_aiff(file: BinaryIO, size: int) -> int:
    length = int.from_bytes(_read(file, 4, 4))
    return _place_of(file, _HEAD_BYTES + length + length % 2, size, _AIFF)


def _next_w64(file: BinaryIO, size: int) -> int:
    end = -(-int.from_bytes(_read(file, 16, 8), "little") // 8) * 8
    return _place_of(file, end, size, re.compile(re.escape(_W64_RIFF)), 64)


def _next_caf(file: BinaryIO, size: int) -> int:
    return next((at for at in _chunks(file, size, 8, 12, "big", slice(4, 12)) if _read(file, at, 8) == _CAF), 0)


def _next_asf(file: BinaryIO, size: int) -> int:
    objects = _chunks(file, size, 0, 24, "little", slice(16, 24), counted=True)
    return next((at for at in objects if at and _read(file, at, 16) == _ASF_HEADER), 0)


def _next_image(file: BinaryIO, size: int) -> int:
    """Return where another image, or a video, begins behind a JPEG, PNG, WebP or BMP."""
    head = _read(file, 0, 16)
    return next((find(file, size) for find, begin in _IMAGES if begin.match(head)), 0)


def _next_image_or_movie(file: BinaryIO, size: int) -> int:
    return _next_movie(file, size) if _read(file, 4, 4) == b"ftyp" else _next_image(file, size)


def _next_png(file: BinaryIO, size: int) -> int:
    for at in islice(_chunks(file, size, len(_PNG), 8, "big", slice(0, 4), extra=4), _MOST_CHUNKS):
        if _read(file, at, 8)[4:] == b"IEND":
            return _place_of(file, at + 12, size, _IMAGE_NEXT)
    return 0


def _next_webp(file: BinaryIO, size: int) -> int:
    length = int.from_bytes(_read(file, 4, 4), "little")
    return _place_of(file, _HEAD_BYTES + length + length % 2, size, _IMAGE_NEXT)


def _next_bmp(file: BinaryIO, size: int) -> int:
    end = int.from_bytes(_read(file, 2, 4), "little")
    return _place_of(file, end, size, _BMP_NEXT, 10) or _place_of(file, end, size, _IMAGE_NEXT)


def _next_gif(file: BinaryIO, size: int) -> int:
    place = _place_of(file, _HEAD_BYTES, size, _GIF_END, _MOST_SEARCHED)
    return place + 2 if place else 0


def _next_jpeg(file: BinaryIO, size: int) -> int:
    """Return where another image, or a video, begins behind a JPEG: phones put a map of brightness or a moment there."""
    return _place_of(file, _jpeg_end(file, size), size, _IMAGE_NEXT)


def _jpeg_end(file: BinaryIO, size: int) -> int:
    """Return where a JPEG ends; 0: it breaks off."""
    at, scan = 2, False
    for _ in range(_MOST_PARTS):
        place, marker = _search(file, at, size, _JPEG_MARKER, size) if scan else (at, _read(file, at, 2))
        if marker[:1] != b"\xff" or len(marker) < 2:
            return 0
        if marker[1] == _JPEG_END:
            return place + 2
        scan = scan or marker[1] == _JPEG_SCAN
        at = place + 2 + int.from_bytes(_read(file, place + 2, 2))
    return 0


def _chunks(
    file: BinaryIO,
    size: int,
    begin: int,
    head: int,
    order: Any,
    length: slice,
    *,
    extra: int = 0,
    counted: bool = False,
    even: bool = False,
) -> Iterator[int]:
    """Yield where the chunks of a file begin, from `begin` on: each with a `head` of so many bytes, in which at `length` stands
    how many follow (`counted`: with it; `even`: and one more if they are odd), and as many `extra` ones behind.
    """
    while begin < size and len(read := _read(file, begin, head)) == head:
        yield begin
        step = int.from_bytes(read[length], order) + extra + (0 if counted else head)
        if step < head:
            return
        begin += step + (step % 2 if even else 0)


def _next_movie(file: BinaryIO, size: int) -> int:
    """Return where another movie or image begins. Fragments belong to whatever is before them, also where their headers are
    repeated, unless their times begin again.
    """
    begins = [begin - _HEAD_BYTES for begin, _ in boxes(file, 0, size, b"ftyp")]
    if len(begins) < 2:
        return 0
    fragments = [*boxes(file, 0, size, b"moof")]
    if fragments:
        times = [(begin, _fragment_time(file, begin, end)) for begin, end in fragments]
        following = ((bisect_right(begins, former), latter) for former, latter in _falling(times))
        return next((begins[at] for at, latter in following if at < len(begins) and begins[at] < latter), 0)
    movies, images = (len([*boxes(file, 0, size, kind)]) for kind in (b"moov", b"meta"))
    return begins[1] if max(movies, images) > 1 else 0


def _falling(times: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the places of neighbors of which the latter has an earlier time, or the same."""
    return ((former, latter) for (former, before), (latter, after) in pairwise(times) if after <= before)


def _fragment_time(file: BinaryIO, begin: int, end: int) -> int:
    """Return the decode time of a fragment, in ticks of its first track."""
    for track in boxes(file, begin, end, b"traf"):
        for at, _ in boxes(file, *track, b"tfdt"):
            head = _read(file, at, 12)
            return int.from_bytes(head[4:12] if head[:1] == b"\1" else head[4:8])
    return 0


def _next_tta(file: BinaryIO, size: int) -> int:
    begin = id3_end(file)
    head = _read(file, begin, _TTA.size)
    if len(head) < _TTA.size or not _TTA_HEADER.match(head):
        return 0
    rate, samples = _TTA.unpack(head)[4:6]
    frame = rate * 256 // 245
    count = -(-samples // frame) if frame else 0
    table = _read(file, begin + _TTA.size, min(4 * count, _PIECE * 16))
    end = begin + _TTA.size + 4 * count + 4 + sum(struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4]))
    return _place_of(file, end, size, _TTA_HEADER)


def _next_ape(file: BinaryIO, size: int) -> int:
    head = _read(file, 0, 76)
    if len(head) == 76 and head[:4] == b"MAC " and int.from_bytes(head[4:6], "little") >= _APE_PLAIN:
        # Of the descriptor, the header, the seek table, what is before the audio, the audio (64 bits), and what is behind.
        descriptor, header, table, before, low, high, behind = struct.unpack_from("<7I", head, 8)
        return _place_of(file, descriptor + header + table + before + (high << 32 | low) + behind, size, _APE)
    return _place_of(file, len(head), size, _APE, _MOST_SEARCHED)


def _next_ivf(file: BinaryIO, size: int) -> int:
    frames = _chunks(file, size, _IVF_HEADER, _IVF_FRAME, "little", slice(0, 4))
    return next((at for at in frames if _read(file, at, 6) == _IVF), 0)


def _next_mxf(file: BinaryIO, size: int) -> int:
    """Return where another header partition begins; the first one tells where the footer of its file is."""
    head = _read(file, 0, 64)
    long = head[16] & 0x7F if len(head) == 64 and head[16] & 0x80 else 0
    footer = int.from_bytes(head[17 + long + _MXF_FOOTER_AT : 17 + long + _MXF_FOOTER_AT + 8])
    return _place_of(file, footer or len(head), size, _MXF, _MOST_SEARCHED)


def _next_flv(file: BinaryIO, size: int) -> int:
    """Return where another header lies in FLV: where its times go back, looked at in samples all over a large file."""
    step = size // _FLV_SAMPLES
    if step <= _PIECE:
        return _place_of(file, _FLV_TAG_BYTES, size, _FLV, size)
    samples = ((at, [*_flv_times(_read(file, at, _PIECE // 4))]) for at in range(0, size, step))
    for (begin, former), (end, latter) in pairwise((at, times) for at, times in samples if times):
        if _falls([*former, *latter]) and (place := _place_of(file, max(begin, 1), size, _FLV, end - begin + _PIECE)):
            return place
    return 0


def _falls(times: Sequence[int]) -> bool:
    """Return whether times go back by more than streams are apart that are read together."""
    return any(time < latest - _FLV_APART for time, latest in zip(times, accumulate(times, max), strict=True))


def _flv_times(sample: bytes) -> Iterator[int]:
    """Yield the times, milliseconds, of the tags in a part of FLV: each is followed by its length."""
    for match in _FLV_TAG.finditer(sample):
        length = int.from_bytes(match[1]) + _FLV_TAG_BYTES
        if int.from_bytes(sample[match.start() + length : match.start() + length + 4]) == length:
            yield int.from_bytes(match[3] + match[2])


def _spliced_au(file: BinaryIO, size: int) -> Sequence[tuple[int, int]]:
    """Return the spans of Sun AU of one kind behind each other."""
    first, at, spans = _read(file, 0, 24), 0, list[tuple[int, int]]()
    alike = re.compile(re.escape(_AU) + b".{8}" + re.escape(first[_AU_KIND]), re.DOTALL)
    while len(spans) < _MOST_PARTS and alike.match(head := _read(file, at, len(first))):
        begin, length = min(at + max(int.from_bytes(head[4:8]), len(head)), size), int.from_bytes(head[8:12])
        untold = length in _UNKNOWN_SIZES
        end = (_place_of(file, begin, size, alike, _MOST_SEARCHED) or size) if untold else min(begin + length, size)
        spans.append((begin if spans else 0, end))
        at = end
    return spans if len(spans) > 1 or (spans and _read(file, at, 4) == _AU) else ()


def _spliced_amr(file: BinaryIO, size: int) -> Sequence[tuple[int, int]]:
    """Return the spans of AMR of one kind behind each other."""
    heads = [*islice(_everywhere(file, size, _AMR), _MOST_PARTS)]
    ends = [at for at, _ in heads[1:]] + [size]
    same = [(at + len(text) * bool(at), end) for (at, text), end in zip(heads, ends, strict=False) if text == heads[0][1]]
    alike = next((number for number, (_, text) in enumerate(heads) if text != heads[0][1]), len(heads))
    return same[:alike] if len(heads) > 1 else ()


def _everywhere(file: BinaryIO, size: int, pattern: re.Pattern[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield where `pattern` is found, and what."""
    at = 0
    while at < min(size, _MOST_SEARCHED):
        place, text = _search(file, at, size, pattern, _MOST_SEARCHED)
        if not text:
            return
        yield place, text
        at = place + len(text)


def _place_of(file: BinaryIO, begin: int, size: int, pattern: re.Pattern[bytes], most: int = _TAG_BYTES) -> int:
    """Return where a pattern is found at `begin` or within `most` bytes behind it; 0: nowhere."""
    return _search(file, begin, size, pattern, most)[0] if 0 < begin < size else 0


def _search(file: BinaryIO, begin: int, size: int, pattern: re.Pattern[bytes], most: int) -> tuple[int, bytes]:
    overlap, end, piece = 64, min(size, begin + most), _FIRST_PIECE
    while begin < end:
        if match := pattern.search(_read(file, begin, min(piece + overlap, end - begin))):
            return begin + match.start(), match[0]
        begin, piece = begin + piece, min(2 * piece, _PIECE)
    return 0, b""


def _read(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    data = bytearray()
    while len(data) < count and (piece := file.read(count - len(data))):
        data += piece
    return bytes(data)


_IMAGES = (
    (_next_jpeg, re.compile(re.escape(_JPEG_BEGIN))),
    (_next_png, re.compile(re.escape(_PNG))),
    (_next_webp, re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    (_next_bmp, _BMP_NEXT),
)
_PLACES: Mapping[str, Callable[[BinaryIO, int], int]] = {
    "wav": _next_wave,
    "w64": _next_w64,
    "aiff": _next_aiff,
    "caf": _next_caf,
    "mov,mp4,m4a,3gp,3g2,mj2": _next_movie,
    "asf": _next_asf,
    "flv": _next_flv,
    "tta": _next_tta,
    "ape": _next_ape,
    _GIF_FORMAT: _next_gif,
    "ivf": _next_ivf,
    "nut": lambda file, size: _place_of(file, 1, size, _NUT, _MOST_SEARCHED),
    "mxf": _next_mxf,
    # Images that libav misreads are given to it as PNG, whatever the file is.
    **dict.fromkeys(("apng", "png_pipe", _JPEG_FORMAT, "webp_pipe", "webp_anim", "bmp_pipe"), _next_image_or_movie),
}
"""By format (libav's names): where the next file begins; 0: nowhere."""
_MISLEADING = ("wav", "w64", "caf", "ape", "ivf", "nut", "mxf", "mov,mp4,m4a,3gp,3g2,mj2")
"""Those of which libav takes what follows for media of the first file, or for its length."""
_SPLICED: Mapping[str, Callable[[BinaryIO, int], Sequence[tuple[int, int]]]] = {"au": _spliced_au, "amr": _spliced_amr}
"""Formats of which nothing but the headers parts files behind each other, which libav plays as noise."""
FOLLOWED_FORMATS = frozenset((*_PLACES, *_SPLICED))
"""Formats that are looked at."""
