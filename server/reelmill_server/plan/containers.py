"""What each container is called, and what it can hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field

ANY = frozenset({"*"})
_FASTSTART = {"movflags": "+faststart"}  # the index in front, so that players start before the whole file is there


@dataclass(frozen=True)
class Container:
    """One container: libav's muxer, the extension without a dot, and the codecs (libav's names) that it holds, per kind."""

    name: str
    muxer: str
    extension: str
    video: frozenset[str]
    audio: frozenset[str]
    subtitle: frozenset[str] = frozenset()
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def audio_only(self) -> bool:
        """Whether the container has no place for video."""
        return not self.video

    def holds(self, kind: str, codec: str) -> bool:
        """Whether a stream of `kind` (video, audio, subtitle) in `codec` (libav's name) fits."""
        codecs: frozenset[str] = getattr(self, kind)
        return codecs == ANY or codec in codecs


def _container(
    name: str, muxer: str, *, video: str = "", audio: str = "", subtitle: str = "", options: Mapping[str, str] | None = None
) -> Container:
    held = (frozenset(words.split()) for words in (video, audio, subtitle))
    return Container(name, muxer, name, next(held), next(held), next(held), options or {})


# Checked by making each cell and reading it back (tests/media/test_containers.py). AV1, FLAC and VP9 in MPEG-TS are written
# by libav as private data that nothing reads, MPEG-4 part 2 without its headers; VP9, AV1, FLAC and Opus are refused by its
# QuickTime muxer.
CONTAINERS: Mapping[str, Container] = {
    container.name: container
    for container in (
        _container(
            "mp4",
            "mp4",
            video="h264 hevc vp9 av1 mpeg4 mpeg2video mpeg1video mjpeg",
            audio="aac mp3 mp2 ac3 eac3 opus flac alac",
            subtitle="mov_text",
            options=_FASTSTART,
        ),
        _container(
            "mov",
            "mov",
            video="h264 hevc mpeg4 mpeg2video mjpeg prores dnxhd",
            audio="aac mp3 ac3 eac3 alac pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_f32le",
            subtitle="mov_text",
            options=_FASTSTART,
        ),
        _container(
            "mkv", "matroska", video="*", audio="*", subtitle="subrip ass hdmv_pgs_subtitle dvd_subtitle dvb_subtitle webvtt"
        ),
        _container("webm", "webm", video="vp8 vp9 av1", audio="opus vorbis", subtitle="webvtt"),
        _container(
            "ts",
            "mpegts",
            video="h264 hevc mpeg2video mpeg1video",
            audio="aac mp3 mp2 ac3 eac3 opus",
            subtitle="dvb_subtitle",
        ),
        _container("mp3", "mp3", audio="mp3"),
        _container("m4a", "ipod", audio="aac alac ac3", options=_FASTSTART),
        _container("flac", "flac", audio="flac"),
        _container("opus", "opus", audio="opus"),
    )
}
"""The containers that this version writes, by the contract's name."""


def fitting(kind: str, codec: str) -> list[str]:
    """The names of the containers that hold such a stream, for an error message."""
    return [container.name for container in CONTAINERS.values() if container.holds(kind, codec)]
