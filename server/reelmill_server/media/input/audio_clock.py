"""Time audio by its lengths where its container's times mislead: each packet begins where the one before it ended.

libav gives all frames of raw AAC the length that they have at the first one's sample rate, also where a recording with
another rate follows. Its parser of FLAC looks ten frames ahead, so that in AVI and ASF frames get the times of later ones.
And its AVI muxer says of E-AC-3, DTS, AMR, Vorbis and others that their bytes are to be counted, in ticks that are as long as
whole frames.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import islice, pairwise
from typing import Any

from av.container import InputContainer

from reelmill_server.media.libav.codec_names import codec_name
from reelmill_server.media.libav.timestamps import exact

CLOCKLESS_FORMATS = ("avi", "asf", "asf_o", "aac")
"""Formats of which libav tells wrong times of some audio."""
# Ticks of streams whose bytes are counted with reason are shorter, those of others are frames.
_FRAME_SAMPLES = 100
_RAW_AAC, _HEADER_BYTES, _BLOCK_SAMPLES = "aac", 7, 1024  # ADTS, of one block a frame or several
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_LOOKED_AT, _FEW = 16, 3
# How much longer than its header says a stream would be.
_BEYOND = 1.1


def counts_bytes(source: InputContainer) -> bool:
    """Return whether a source has audio whose times count bytes instead of frames: no time can be looked up in it."""
    return source.format.name == "avi" and any(_counted(stream) for stream in source.streams.audio)


def _counted(stream: Any) -> bool:
    if codec_name(stream.codec_context) == "vorbis":
        return True  # its frames have two lengths, and any number of bytes
    rate = stream.codec_context.sample_rate if stream.codec_context else 0
    times = [entry.timestamp for entry in islice(stream.index_entries, _LOOKED_AT)]
    if not rate or len(times) < _FEW or not stream.duration or exact(stream.time_base) * rate < _FRAME_SAMPLES:
        return False
    longer = stream.index_entries[-1].timestamp > stream.duration * _BEYOND
    return longer and all(latter - former > 1 for former, latter in pairwise(times))


def _lengths(source: InputContainer) -> Mapping[int, Fraction | None]:
    """Return the length of each packet, in ticks, of the audio streams whose times mislead, by index; None: as it says."""
    lengths: dict[int, Fraction | None] = {}
    for stream in source.streams.audio if source.format.name in CLOCKLESS_FORMATS else ():
        context: Any = stream.codec_context
        base = exact(stream.time_base or 0)
        if (
            context is not None
            and base
            and codec_name(context) == "flac"
            and len(context.extradata or b"") >= 4
            and context.sample_rate
        ):
            # The smallest and the largest frame, of which the last one is left out (RFC 9639, 8.2): they are the same.
            smallest, largest = (int.from_bytes(context.extradata[at : at + 2]) for at in (0, 2))
            if smallest == largest:
                lengths[stream.index] = Fraction(largest, context.sample_rate) / base
        if source.format.name == _RAW_AAC or (stream.index not in lengths and source.format.name == "avi" and _counted(stream)):
            lengths[stream.index] = None
    return lengths


def timed_by_length(source: InputContainer, packets: Iterator[Any]) -> Iterator[Any]:
    """Return `packets` of `source`; those of audio whose times mislead follow each other from the first one on."""
    lengths = _lengths(source)
    packets = _measured(packets) if source.format.name == _RAW_AAC else packets
    return _following(packets, lengths) if lengths else packets


def _measured(packets: Iterator[Any]) -> Iterator[Any]:
    """Yield packets of ADTS, each as long as its header says."""
    for packet in packets:
        header = bytes(memoryview(packet)[:_HEADER_BYTES])
        rate = header[2] >> 2 & 15 if len(header) == _HEADER_BYTES else len(_AAC_RATES)
        if rate < len(_AAC_RATES) and packet.time_base:
            samples = (1 + (header[6] & 3)) * _BLOCK_SAMPLES
            packet.duration = round(Fraction(samples, _AAC_RATES[rate]) / exact(packet.time_base))
        yield packet


def _following(packets: Iterator[Any], lengths: Mapping[int, Fraction | None]) -> Iterator[Any]:
    ends: dict[int, Fraction] = {}
    for packet in packets:
        index = packet.stream_index
        if packet.size and index in lengths and (index in ends or packet.pts is not None):
            begin = ends[index] if index in ends else Fraction(packet.pts)
            packet.pts = packet.dts = round(begin)
            ends[index] = begin + (lengths[index] or packet.duration or 1)
        yield packet
