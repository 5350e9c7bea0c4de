"""Leave out what an encoder put behind the last sample to fill its last frame."""

import struct
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from av import AudioFifo, AudioFrame
from av.container import InputContainer

from reelmill_server.media.input.bundle import Run
from reelmill_server.media.input.claimed_end import claimed_end
from reelmill_server.media.libav.codec_names import codec_name
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket

# Only in MP4 the length of a track says where its last frame is cut; the packets that are read reach beyond it.
_DECLARING_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2",)
# Decoders drop the padding of these, but their packets have the length of a whole frame.
_WHOLE_FRAME_CODECS = ("mp3", "mp3float")
# AV_PKT_DATA_SKIP_SAMPLES: samples to drop at the front and at the end of a packet, two reasons.
_SKIP_SAMPLES = struct.Struct("<IIBB")
_SHORT_FRAMES = ("alac", "flac")  # audio whose last frame has no padding
_NEGATIVE = 1 << 31


def declared_ends(source: InputContainer) -> dict[int, int]:
    """Return where the audio streams end, ticks, by stream: those that end within their last packet."""
    if source.format.name not in _DECLARING_FORMATS:
        return {}
    ends = {}
    for stream in source.streams.audio:
        entries, length = stream.index_entries, stream.duration
        if len(entries) and length:
            end = claimed_end(stream)
            if end > entries[-1].timestamp:
                ends[stream.index] = end
    return ends


def without_padding(packets: Iterable[AnyPacket], source: InputContainer, ends: Mapping[int, int]) -> Iterator[AnyPacket]:
    """Yield `packets`; those of audio last no longer than what is heard of them. `ends` as `declared_ends` returns them."""
    packets = _signed(packets) if source.format.name == "ogg" else packets
    whole = _whole_frames(source)
    if not ends and not whole:
        yield from packets
        return
    usual: dict[int, int] = {}
    for packet in packets:
        index, pts = packet.stream_index, packet.pts
        if index in ends and pts is not None and pts < ends[index] < pts + (packet.duration or 0):
            _end(packet, ends[index] - pts)
        if index in whole and packet.duration:
            # Looking for any comes first: asking for a kind takes longer than reading the packet does.
            if index in usual and any(packet.iter_sidedata()) and packet.has_sidedata("skip_samples"):
                _shorten(packet, usual[index], whole[index])
            usual[index] = packet.duration
        yield packet


def _whole_frames(source: InputContainer) -> dict[int, int]:
    """Return the sample rates of the audio streams whose packets have the length of a whole frame, by index."""
    return {
        stream.index: stream.sample_rate
        for stream in source.streams.audio
        if codec_name(stream.codec_context) in _WHOLE_FRAME_CODECS
    }


def ends_at_most(source: InputContainer) -> bool:
    """Return whether `without_padding` does nothing to the packets of a source but let streams end where they are declared to
    end: then `end_run` does the same.
    """
    return source.format.name in _DECLARING_FORMATS and not _whole_frames(source)


def end_run(run: Run, end: int) -> None:
    """Let no packet of a run last beyond `end`, in its ticks."""
    for number, (pts, duration) in enumerate(zip(run.pts, run.durations, strict=True)):
        if pts is not None and pts < end < pts + duration:
            run.durations[number] = end - pts
            _end(run.packets[number], end - pts)


def _end(packet: AnyPacket, duration: int) -> None:
    """Let a packet last no longer. FFmpeg 9 has decoders drop the rest of a whole frame, which a last one that is shorter
    (FLAC, ALAC) never had: that is cut off where there is any.
    """
    packet.duration = duration
    if any(packet.iter_sidedata()) and packet.has_sidedata("skip_samples"):
        skipped = packet.get_sidedata("skip_samples")
        if len(bytes(skipped)) == _SKIP_SAMPLES.size and codec_name(packet.stream.codec_context) in _SHORT_FRAMES:
            front, _, *reasons = _SKIP_SAMPLES.unpack(bytes(skipped))
            skipped.update(_SKIP_SAMPLES.pack(front, 0, *reasons))
            packet.set_sidedata(skipped)


def _signed(packets: Iterable[AnyPacket]) -> Iterator[AnyPacket]:
    """Yield the packets of Ogg: where several streams lie in it, libav's demuxer takes more padding off the last one than it
    has, and tells 2^32 ticks less the difference.
    """
    for packet in packets:
        packet.duration = packet_duration(packet.duration)
        yield packet


def packet_duration(duration: int | None) -> int:
    """Return how long a packet lasts, ticks: not less than 0, which libav tells as an unsigned number of 32 bits."""
    return 0 if duration is None or _NEGATIVE <= duration < 2 * _NEGATIVE else duration


def _shorten(packet: AnyPacket, usual: int, rate: int) -> None:
    """Make a packet last no longer than a whole one, of `usual` ticks, without the samples that are dropped at its end."""
    data = bytes(packet.get_sidedata("skip_samples"))
    if len(data) < _SKIP_SAMPLES.size or not rate or not packet.time_base:
        return
    dropped = round(Fraction(_SKIP_SAMPLES.unpack_from(data)[1], rate) / exact(packet.time_base))
    packet.duration = min(packet.duration or 0, max(usual - dropped, 1))


def cut_frames(frames: Iterable[AudioFrame], end: Fraction) -> Iterator[AudioFrame]:
    """Yield what of `frames` lies before `end`, seconds of the source."""
    for frame in frames:
        if frame.pts is None or not frame.time_base:
            yield frame
            continue
        room = round((end - frame.pts * frame.time_base) * frame.sample_rate)
        if room >= frame.samples:
            yield frame
        elif room > 0:
            yield _front(frame, room)


def _front(frame: AudioFrame, samples: int) -> AudioFrame:
    pts, base, fifo = frame.pts, frame.time_base, AudioFifo()
    frame.pts = None  # a queue insists on times without gaps
    fifo.write(frame)
    front: Any = fifo.read(samples)
    front.pts, front.time_base = pts, base
    return front  # type: ignore[no-any-return]
