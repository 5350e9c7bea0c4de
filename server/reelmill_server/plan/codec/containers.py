"""Table of containers: muxer, extension, and the codecs that each can contain."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from reelmill_server.plan.codec.channel_layouts import CHANNELS

ANY = frozenset({"*"})
_KEPT_TAGS = {"movflags": "+faststart+use_metadata_tags"}
_FASTSTART = {"movflags": "+faststart"}  # index first, so that playback can start before the download is complete
# The edit rates of SMPTE ST 377-1 that libav's muxer accepts.
_MXF_RATES = tuple(map(Fraction, "24000/1001 24 25 30000/1001 30 48 50 60000/1001 60".split()))

# ADTS has three bits for the number of a layout; those of the others are higher (ISO/IEC 14496-3, table 1.19).
_ADTS_LAYOUTS = tuple(name for name in CHANNELS if name not in ("7.1", "5.1.2", "5.1.2(back)", "22.2"))
# RFC 9639, 9.1.3: others are told beside the frames, where libav's muxers of MP4 and Ogg do not write them.
_FLAC_USUAL_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0(side)", "5.1(side)", "6.1", "7.1")
# Matroska tells how many channels PCM has, and not which: what readers take each number for.
_COUNTED_LAYOUTS = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")
_PCM = tuple("pcm_u8 pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be pcm_f32le pcm_f64le".split())


@dataclass(frozen=True)
class Container:
    """A container: libav's muxer, the extension without a dot, and the codecs (libav's names) that it can contain, by kind.

    `picture`: codecs of cover art, `data`: of data streams. `tagged_options` are set instead of `options` for sources with
    tags of a device, whose names are free. `single`: it contains one stream only. `unordered`: video codecs that it contains
    only without B-frames, as it stores one timestamp per frame. `steady`: it has one constant frame rate, one of
    `frame_rates` (empty: any). `sample_rates`: by codec, the only rates that it supports. `layouts`: by codec, the only
    channel layouts that it tells. `attachments`: it contains attached files. `alpha`: it keeps the alpha channel of VP9,
    which is stored beside the packets.
    """

    name: str
    muxer: str
    extension: str
    video: frozenset[str]
    audio: frozenset[str]
    subtitle: frozenset[str] = frozenset()
    picture: frozenset[str] = frozenset()
    data: frozenset[str] = frozenset()
    options: Mapping[str, str] = field(default_factory=dict)
    tagged_options: Mapping[str, str] = field(default_factory=dict)
    single: bool = False
    unordered: frozenset[str] = frozenset()
    steady: bool = False
    frame_rates: tuple[Fraction, ...] = ()
    sample_rates: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    layouts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attachments: bool = False
    alpha: bool = False

    @property
    def audio_only(self) -> bool:
        """Whether the container cannot contain video."""
        return not self.video

    def holds(self, kind: str, codec: str) -> bool:
        """Return whether it can contain a stream of `kind` (video, audio, subtitle, picture, data) in `codec` (libav's
        name).
        """
        codecs: frozenset[str] = getattr(self, kind)
        return codec in codecs or codecs == ANY


def _container(
    name: str, muxer: str, *, video: str = "", audio: str = "", subtitle: str = "", unordered: str = "", **rest: Any
) -> Container:
    codecs = (frozenset(words.split()) for words in (video, audio, subtitle))
    return Container(
        name, muxer, name, next(codecs), next(codecs), next(codecs), unordered=frozenset(unordered.split()), **rest
    )


# Verified by writing each combination and reading it back (tests/media/test_containers.py). In MPEG-TS libav writes AV1, FLAC
# and VP9 as private data that nothing reads, MPEG-4 part 2 without its headers. Its QuickTime muxer refuses VP9, AV1, FLAC
# and Opus. FLAC in ASF, AVI and FLV, AC-3 in FLV, Vorbis and E-AC-3 in AVI, and AAC and Vorbis in WAV are written but not
# read back correctly. Matroska does not say how many samples the last frame of TTA has, without which it cannot be decoded.
CONTAINERS: Mapping[str, Container] = {
    container.name: container
    for container in (
        _container(
            "mp4",
            "mp4",
            video="h264 hevc vp9 av1 mpeg4 mpeg2video mpeg1video mjpeg",
            audio="aac mp3 mp2 ac3 eac3 dts opus flac alac",
            subtitle="mov_text",
            picture=frozenset({"mjpeg", "png"}),
            data=ANY,
            options=_FASTSTART,
            tagged_options=_KEPT_TAGS,
            sample_rates={"mp3": (16000, 22050, 24000, 32000, 44100, 48000)},
            layouts={"flac": _FLAC_USUAL_LAYOUTS},
        ),
        _container(
            "mov",
            "mov",
            video="h264 hevc mpeg4 mpeg2video mpeg1video mjpeg jpeg2000 prores dnxhd dvvideo svq1 v210",
            audio="aac mp3 ac3 eac3 alac amr_nb pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_f32le",
            subtitle="mov_text eia_608",
            options=_FASTSTART,
            tagged_options=_KEPT_TAGS,
        ),
        _container(
            "mkv",
            "matroska",
            video="h264 hevc vvc vp8 vp9 av1 mpeg4 mpeg2video mpeg1video mjpeg jpeg2000 prores ffv1 snow theora dirac rawvideo "
            "msmpeg4v3",
            audio=f"aac mp3 mp2 mp1 ac3 eac3 dts truehd mlp opus vorbis flac alac wavpack {' '.join(_PCM)}",
            subtitle="subrip ass hdmv_pgs_subtitle dvd_subtitle dvb_subtitle webvtt",
            attachments=True,
            picture=frozenset({"mjpeg", "png", "gif", "tiff"}),
            alpha=True,
            layouts=dict.fromkeys(_PCM, _COUNTED_LAYOUTS),
        ),
        _container("webm", "webm", video="vp8 vp9 av1", audio="opus vorbis", subtitle="webvtt", alpha=True),
        _container(
            "ts",
            "mpegts",
            video="h264 hevc mpeg2video mpeg1video",
            audio="aac mp3 mp2 ac3 eac3 dts opus",
            subtitle="dvb_subtitle",
            layouts={"aac": _ADTS_LAYOUTS},
        ),
        _container(
            "asf",
            "asf",
            video="h264 vp8 vp9 av1 mpeg4 mjpeg ffv1 wmv1 wmv2 msmpeg4v3",
            audio="aac mp3 mp2 ac3 eac3 vorbis pcm_s16le wmav1 wmav2",
            unordered="h264 mpeg4",
        ),
        _container(
            "avi",
            "avi",
            video="h264 vp8 vp9 av1 mpeg4 mpeg2video mpeg1video mjpeg ffv1 msmpeg4v2 msmpeg4v3 wmv1 wmv2 flv1 dvvideo huffyuv "
            "ffvhuff",
            audio="aac mp3 mp2 ac3 pcm_s16le",
            unordered="h264",
            steady=True,
            # AVI numbers frames from 0: shifted for an audio encoder's priming, all but the first would be late.
            options={"avoid_negative_ts": "disabled"},
        ),
        _container(
            "mxf",
            "mxf",
            video="h264 mpeg2video prores ffv1",
            audio="pcm_s16le pcm_s24le",
            unordered="h264",
            steady=True,
            frame_rates=_MXF_RATES,
            sample_rates={"pcm_s16le": (48000,), "pcm_s24le": (48000,)},
        ),
        _container(
            "flv",
            "flv",
            video="h264 hevc vp9 av1 flv1",
            audio="aac mp3 opus",
            sample_rates={"mp3": (11025, 22050, 44100, 48000)},
        ),
        _container("mp3", "mp3", audio="mp3", single=True),
        _container("m4a", "ipod", audio="aac alac ac3", options=_FASTSTART, tagged_options=_KEPT_TAGS),
        _container("flac", "flac", audio="flac", single=True),
        _container("opus", "opus", audio="opus"),
        _container("aac", "adts", audio="aac", single=True, layouts={"aac": _ADTS_LAYOUTS}),
        _container("oga", "oga", audio="vorbis opus flac", layouts={"flac": _FLAC_USUAL_LAYOUTS}),
        _container("ac3", "ac3", audio="ac3", single=True),
        _container("wav", "wav", audio="pcm_u8 pcm_s16le pcm_s24le pcm_s32le pcm_f32le mp3 mp2 ac3 eac3 flac", single=True),
        _container("amr", "amr", audio="amr_nb", single=True),
    )
}
"""The containers that this version writes, by the contract's names."""


def fitting(kind: str, codec: str) -> list[str]:
    """Return the names of the containers that can contain such a stream, for an error message."""
    return [container.name for container in CONTAINERS.values() if container.holds(kind, codec)]
