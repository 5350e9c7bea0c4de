"""The decoders that files of strangers may use: libav has hundreds, most for formats of decades ago that nobody maintains."""

from collections.abc import Mapping, Sequence
from fnmatch import filter as matching
from functools import lru_cache
from typing import Any

import av
from av.codec.context import Flags

from reelmill_server.media.libav.codec_names import codec_name
from reelmill_server.model.capability import Limits

# libav's names; some codecs have several decoders, and builds differ in which they use.
_DECODERS: Mapping[str, str] = {
    "video": "h264 hevc libdav1d av1 vp8 vp9 libvpx libvpx-vp9 vp6 vp6f mpeg1video mpeg2video mpeg4 msmpeg4v2"
    " msmpeg4 wmv1 wmv2 wmv3 vc1 flv h263 theora vvc svq1 mjpeg dvvideo",
    "intermediate video": "prores dnxhd ffv1 huffyuv ffvhuff qtrle v210 rawvideo",
    "images": "png apng gif webp webp_anim bmp tiff jpeg2000",
    "audio": "aac aac_latm mp3float mp3 mp2float mp2 mp1float mp1 ac3 eac3 dca truehd mlp vorbis opus libopus flac alac ape tta"
    " wavpack wmav1 wmav2 wmapro wmalossless amrnb amrwb libopencore_amrnb libopencore_amrwb dvaudio s302m",
    "audio samples": "pcm_alaw pcm_mulaw pcm_[sufbd]* adpcm_ms adpcm_ima_wav adpcm_ima_qt adpcm_swf g722",
    "subtitles": "subrip srt ass ssa webvtt mov_text text dvbsub dvdsub pgssub cc_dec",
}
_PATTERNS = tuple(" ".join(_DECODERS.values()).split())
_OPTION = "codec_whitelist"


@lru_cache(maxsize=16)
def _allowed(extra: Sequence[str]) -> str:
    names = set(av.codecs_available)
    plain = {name for name in (*_PATTERNS, *extra) if name in names}  # a pattern costs a thousand times more
    patterns = [pattern for pattern in (*_PATTERNS, *extra) if pattern not in names]
    return ",".join(sorted(plain.union(*(matching(names, pattern) for pattern in patterns if set(pattern) & set("*?[")))))


def usual_decoders() -> dict[str, str]:
    """Return libav's option that allows the usual decoders: those of all that is encoded here, and of most that is copied."""
    return {_OPTION: _allowed(())}


def decoder_options(limits: Limits) -> dict[str, str]:
    """Return libav's options for whatever decodes, or opens decoders: which ones, and of how many pixels per frame."""
    return {_OPTION: _allowed(limits.more_decoders), "max_pixels": str(limits.max_pixels)}


def restrict(stream: Any, limits: Limits) -> None:
    """Let a stream be decoded within limits only, and cropped as it says: options of a container do not reach the decoders of
    PyAV.
    """
    if stream.codec_context:
        stream.codec_context.options = decoder_options(limits)
        # Else as much is left at the left of a frame as keeps its memory aligned.
        stream.codec_context.flags = int(stream.codec_context.flags) | int(Flags.unaligned)


def may_decode(stream: Any) -> bool:
    """Return whether the stream has a decoder, which its options allow."""
    context = stream.codec_context
    return bool(context) and codec_name(context) in context.options.get(_OPTION, "").split(",")
