"""Open files that strangers wrote.

A media file can name other files and hosts (playlists, SDP, image sequences, concat scripts). Only self-contained formats
are opened, only the file itself is read, and every further open is refused.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Protocol, cast

import av
import av.logging
from av.container import InputContainer

from reelmill_server.errors import InvalidMedia, MediaLimitExceeded, ReelmillError, UnsupportedFormat
from reelmill_server.media.input.box_limits import check_boxes
from reelmill_server.media.input.charset import HEAD_BYTES, in_utf8, looks_like_subtitles
from reelmill_server.media.input.decoders import decoder_options, restrict
from reelmill_server.media.input.followers import first_picture, readable
from reelmill_server.media.input.pieces import replacement
from reelmill_server.media.input.restarts import begins_again
from reelmill_server.media.input.subtitle_text import mended
from reelmill_server.media.input.wave_header import with_whole_samples
from reelmill_server.media.libav.demuxing import ReadFile
from reelmill_server.media.libav.errors import LIBAV_ERRORS, meaning, memory_was_short
from reelmill_server.media.libav.freeing import park
from reelmill_server.media.libav.log import captured_log, error_text
from reelmill_server.media.libav.probing import PROBING
from reelmill_server.model.capability import Limits
from reelmill_server.plan.clock import UNTIMED_FORMATS
from reelmill_server.plan.stream.video import HIGHEST_RATE

# Demuxers that read one self-contained file. Left out on purpose: hls, dash, concat, sdp, rtsp, image2 patterns, vobsub, lavfi
# and every device.
FORMATS = (
    "mov mp4 m4a 3gp 3g2 mj2 matroska webm mpegts mpeg mpegvideo avi flv asf mxf ogg wav w64 aiff au caf mp3 aac ac3 eac3 "
    "flac opus amr wv tta ape dts mka rm nut yuv4mpegpipe h264 hevc m4v ivf gif apng webp_anim webp_pipe png_pipe jpeg_pipe "
    "bmp_pipe tiff_pipe dv srt webvtt ass sup"
).split()
# These are read whole when they are opened.
TEXT_FORMATS = ("srt", "webvtt", "ass")
MOST_TEXT_BYTES = 32 << 20  # those of the longest movies have some hundred kilobytes
_READ_SIZE = 256 * 1024
_TOO_MANY = "exceeds max_streams"
_RECOGNIZED = re.compile(r"Format (\S+) (?:probed|detected)")
_BIG_TIFF = (b"II+\0", b"MM\0+")  # libav knows nothing of it, and may take it for another format
_OPENED_ERRORS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


class RemoteFile(Protocol):
    """A file that does not lie on this machine."""

    def open(self) -> AbstractContextManager[BinaryIO]:
        """Open it as a file, for one thread. What its storage fails with is raised by reading, or at the latest when the block
        is left.
        """


Location = str | RemoteFile
"""Where a source lies: at a local path, or elsewhere."""


def open_bytes(location: Location) -> AbstractContextManager[BinaryIO]:
    """Open the file at `location`."""
    return Path(location).open("rb") if isinstance(location, str) else location.open()


def _refuse(url: str, flags: int, options: object) -> NoReturn:
    raise PermissionError(f"a media file may not open {url!r}")


def _options(limits: Limits, formats: Sequence[str]) -> dict[str, str]:
    return {
        "format_whitelist": ",".join(formats),
        "protocol_whitelist": "none",
        "max_streams": str(limits.max_streams + 1),  # one more, to see that there are too many
        **decoder_options(limits),
        **PROBING,
    }


@contextmanager
def open_source(location: Location, limits: Limits) -> Iterator[InputContainer]:
    """Open the media file at `location` for reading, within `limits`; close it afterwards.

    Raises UnsupportedFormat for a format that is not allowed, InvalidMedia for a file that is not readable media,
    MediaLimitExceeded when it exceeds a limit, and what its storage fails with.
    """
    with open_bytes(location) as file:
        size = file.seek(0, SEEK_END)
        check_boxes(file, size)
        formats = FORMATS if size <= MOST_TEXT_BYTES else [name for name in FORMATS if name not in TEXT_FORMATS]
        with open_stream(_in_utf8(file) if size <= MOST_TEXT_BYTES else file, limits, formats) as container:
            yield container


def _in_utf8(file: BinaryIO) -> BinaryIO:
    """Return the file, or what it says in UTF-8 if it is text of subtitles: in other charsets libav copies bytes unread."""
    file.seek(0)
    text = looks_like_subtitles(file.read(HEAD_BYTES))
    file.seek(0)
    return BytesIO(mended(in_utf8(file.read()).decode()).encode()) if text else file


@contextmanager
def open_stream(file: BinaryIO, limits: Limits, formats: Sequence[str] = FORMATS) -> Iterator[InputContainer]:
    """Open media in an open file; only `formats` (libav's names of demuxers) are allowed. Raises as `open_source` does."""
    file = cast(BinaryIO, first_picture(file) or file)
    container = _open(ReadFile(file), limits, formats)
    try:
        position = file.tell()
        form = container.format.name
        other = replacement(file, container, limits) or readable(file, form) or with_whole_samples(file, form)
        file.seek(position)  # libav goes on there
        if other is not None:
            container.close()
            container = _open(ReadFile(other), limits, formats)
        _check(container, limits)
        yield container
    finally:
        for stream in container.streams:
            park(stream.codec_context)
        container.close()


def average_rate(stream: Any) -> Fraction | None:
    """Return the frames per second of a video stream; without timestamps, what the stream's headers say."""
    timed = stream.container.format.name not in UNTIMED_FORMATS
    rate: Fraction | None = stream.average_rate if timed else stream.guessed_rate
    if rate and rate > HIGHEST_RATE >= (stream.base_rate or 0) > 0:  # raw DV says its ticks
        rate = stream.base_rate
    return rate or None


def _open(file: ReadFile, limits: Limits, formats: Sequence[str]) -> InputContainer:
    if not file.read(1):
        raise InvalidMedia("the file is empty")
    file.seek(0)
    try:
        container: InputContainer = av.open(
            file, "r", options=_options(limits, formats), io_open=_refuse, buffer_size=_READ_SIZE, **_OPENED_ERRORS
        )
        return container
    except PermissionError as error:
        raise UnsupportedFormat(f"the file refers to other files, which are not followed: {error}") from error
    except (*LIBAV_ERRORS, MemoryError, OSError) as error:
        reason = _reason(error, file, limits, formats)
        raise reason if isinstance(reason, MediaLimitExceeded) else meaning(error, reason) from error


def _reason(error: Exception, file: ReadFile, limits: Limits, formats: Sequence[str]) -> ReelmillError:
    """Return why a file was not opened: libav has one error for formats that are not allowed and for many faults."""
    file.seek(0)
    if file.read(4) in _BIG_TIFF:
        return UnsupportedFormat("the file is a BigTIFF (of 64 bits), which is not accepted: save it as TIFF")
    name, too_many = ("", False) if memory_was_short() else _recognized(file, limits, formats)
    if too_many:
        return MediaLimitExceeded(f"the file has more than {limits.max_streams} streams")
    if name in TEXT_FORMATS and (size := file.seek(0, SEEK_END)) > MOST_TEXT_BYTES:
        return MediaLimitExceeded(f"subtitles of {size} bytes are more than {MOST_TEXT_BYTES}")
    if name and not {*name.split(",")} & {*formats}:
        accepted = " ".join(dict.fromkeys(known.removesuffix("_pipe") for known in formats))
        known = name.removesuffix("_pipe")
        return UnsupportedFormat(f"the file's format is {known} (libav's name), which is not accepted; these are: {accepted}")
    if isinstance(error, av.error.InvalidDataError):
        return InvalidMedia("the file is not readable media")
    return InvalidMedia(f"the file cannot be opened: {error_text(error)}")


def _recognized(file: ReadFile, limits: Limits, formats: Sequence[str]) -> tuple[str, bool]:
    """Return libav's name of the format that a file seems to have, as its log tells, or nothing; and whether it has too many
    streams.
    """
    with captured_log(av.logging.DEBUG) as log:
        file.seek(0)
        try:
            av.open(file, "r", options=_options(limits, formats), io_open=_refuse, **_OPENED_ERRORS).close()
        except (*LIBAV_ERRORS, MemoryError, OSError):
            pass
    matches = (_RECOGNIZED.match(text) for _, _, text in log)
    return next((match[1] for match in matches if match), ""), any(_TOO_MANY in text for _, _, text in log)


def _check(container: InputContainer, limits: Limits) -> None:
    if len(container.streams) > limits.max_streams:
        raise MediaLimitExceeded(f"the file has {len(container.streams)} streams, more than {limits.max_streams}")
    for stream in container.streams:
        restrict(stream, limits)
    for stream in container.streams.video:
        if not stream.codec_context:
            continue  # no decoder for it
        pixels = stream.codec_context.width * stream.codec_context.height
        if pixels > limits.max_pixels:
            raise MediaLimitExceeded(f"frames of {pixels} pixels are larger than the limit of {limits.max_pixels}")
    seconds = (container.duration or 0) / av.time_base
    if seconds > limits.max_duration_seconds and not claimed_by_subtitles(container, limits) and not begins_again(container):
        check_length(seconds, limits)


def claimed_by_subtitles(container: InputContainer, limits: Limits) -> bool:
    """Return whether a file that claims to be too long may be so by a subtitle that is to stay until the next one."""
    media: list[Any] = [*container.streams.video, *container.streams.audio]
    longest = max((float(stream.duration * stream.time_base) for stream in media if stream.duration), default=0.0)
    return bool(media and container.streams.subtitles) and longest <= limits.max_duration_seconds


def check_length(seconds: float, limits: Limits) -> None:
    """Raise MediaLimitExceeded if a source is too long."""
    if seconds > limits.max_duration_seconds:
        raise MediaLimitExceeded(f"{seconds:.0f} s are longer than the limit of {limits.max_duration_seconds:.0f} s")
