"""Write HLS playlists (RFC 8216), and read the segments from libav's playlists and manifests."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from reelmill_server.media.package.allowed import DASH_NAMESPACE, check_manifest
from reelmill_server.model.media_info import DolbyVision

AUDIO_GROUP, SUBTITLE_GROUP, CAPTION_GROUP = "audio", "subtitles", "captions"
_MAX_SEGMENTS = 1_000_000  # a day has 86,400 of a second
_EXTINF = re.compile(r"#EXTINF:([0-9.]+)")
_MAP = re.compile(r'#EXT-X-MAP:URI="([^"]*)"')
_FRAGMENTED_VERSION, _PLAIN_VERSION = (
    7,
    6,
)  # RFC 8216, 7: EXT-X-MAP outside of I-frame playlists needs 6; 7 is what players expect


@dataclass(frozen=True)
class Segment:
    """A segment: its name and duration in seconds."""

    name: str
    seconds: Fraction


@dataclass(frozen=True)
class MediaPlaylist:
    """A rendition. `head` names the init segment of fragmented MP4; empty: none. `independent`: each segment decodes alone.
    `language` as a manifest tells it, in ISO 639-2; empty: unknown. `captions`: the channels of closed captions in the video.
    `dolby_vision`: its configuration, as the init segment tells it.
    """

    segments: tuple[Segment, ...]
    head: str = ""
    start_number: int = 0
    independent: bool = False
    language: str = ""
    captions: tuple[str, ...] = ()
    dolby_vision: DolbyVision | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all files: of the init segment, if there is one, and of the segments."""
        return (*([self.head] if self.head else []), *(segment.name for segment in self.segments))

    @property
    def longest_seconds(self) -> int:
        """Return the target duration that is true for every segment."""
        return max((ceil(segment.seconds) for segment in self.segments), default=1)

    @property
    def seconds(self) -> Fraction:
        """Return the duration of all segments."""
        return sum((segment.seconds for segment in self.segments), Fraction(0))

    def render(self, target_seconds: int) -> str:
        """Return the complete playlist; renditions of one presentation share one `target_seconds`."""
        lines = [
            "#EXTM3U",
            f"#EXT-X-VERSION:{_FRAGMENTED_VERSION if self.head else _PLAIN_VERSION}",
            f"#EXT-X-TARGETDURATION:{target_seconds}",
            f"#EXT-X-MEDIA-SEQUENCE:{self.start_number}",
            "#EXT-X-PLAYLIST-TYPE:VOD",
        ]
        if self.independent:
            lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
        if self.head:
            lines.append(f'#EXT-X-MAP:URI="{self.head}"')
        for segment in self.segments:
            lines += [f"#EXTINF:{float(segment.seconds):.6f},", segment.name]
        return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def read_playlist(text: str) -> MediaPlaylist:
    """Read libav's media playlist. Raises ValueError when it has no end, or no segments."""
    if "#EXT-X-ENDLIST" not in text:
        raise ValueError("the playlist has no end")
    seconds = [Fraction(length) for length in _EXTINF.findall(text)]
    names = [line for line in text.splitlines() if line and not line.startswith("#")]
    head = _MAP.search(text)
    if not names or len(names) != len(seconds):
        raise ValueError(f"the playlist has {len(names)} segments and {len(seconds)} durations")
    return MediaPlaylist(tuple(map(Segment, names, seconds)), head[1] if head else "")


def read_manifest(text: str) -> tuple[MediaPlaylist, ...]:
    """Read libav's manifest: one playlist per stream, in the output's order. Raises ValueError when it cannot be read, or says
    more than it should.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"the manifest is not XML: {error}") from error
    check_manifest(root)
    playlists = {}
    sets = root.iter(_dash("AdaptationSet"))
    for adaptation, representation in (
        (adaptation_set, held) for adaptation_set in sets for held in adaptation_set.iter(_dash("Representation"))
    ):
        template = representation.find(_dash("SegmentTemplate"))
        if template is None:
            raise ValueError("the manifest has no segments")
        lengths = _segment_lengths(template)
        stream, first = int(representation.get("id", "-1")), int(template.get("startNumber", "1"))
        segments = tuple(Segment(f"{stream}-{number}.m4s", length) for number, length in enumerate(lengths, first))
        playlists[stream] = MediaPlaylist(segments, f"{stream}-init.mp4", language=adaptation.get("lang", ""))
    return tuple(playlists[stream] for stream in sorted(playlists))


def _segment_lengths(template: ElementTree.Element) -> list[Fraction]:
    """Return the seconds of each segment that a SegmentTemplate lists. Raises ValueError."""
    timescale = int(template.get("timescale", "1"))
    runs = [(int(entry.get("d", "0")), max(0, int(entry.get("r", "0")) + 1)) for entry in template.iter(_dash("S"))]
    if timescale <= 0 or sum(count for _, count in runs) > _MAX_SEGMENTS:
        raise ValueError("the manifest has impossible numbers")
    return [Fraction(length, timescale) for length, count in runs for _ in range(count)]


def rewrite_manifest(
    text: str, prefix: str, suffix: str, playlists: Sequence[MediaPlaylist], codecs: Sequence[str] = ()
) -> str:
    """Return libav's manifest with references to segments as published, and made true.

    It gets the `codecs` of each stream (RFC 6381) where libav does not know them, the longest segment, the length of the
    longest stream instead of the first one, and `startWithSAP` (ISO 14496-12: a segment begins with a frame from which on all
    decode) only for streams of which that is true.
    """
    ElementTree.register_namespace("", DASH_NAMESPACE)
    root = ElementTree.fromstring(text)
    longest = max((segment.seconds for playlist in playlists for segment in playlist.segments), default=Fraction(0))
    root.set("maxSegmentDuration", f"PT{float(longest):.3f}S")
    root.set("mediaPresentationDuration", f"PT{float(max(playlist.seconds for playlist in playlists)):.3f}S")
    for adaptation in root.iter(_dash("AdaptationSet")):
        for representation in [*adaptation.iter(_dash("Representation"))]:
            playlist = playlists[int(representation.get("id", "0"))]
            if codecs and (not representation.get("codecs") or playlist.dolby_vision):
                representation.set("codecs", codecs[int(representation.get("id", "0"))])
            if not playlist.independent:
                adaptation.attrib.pop("startWithSAP", None)
            for place, (scheme, channels) in enumerate(_caption_schemes(playlist.captions)):
                described = ElementTree.Element(_dash("Accessibility"), schemeIdUri=scheme, value=channels)
                described.tail = adaptation.text
                adaptation.insert(place, described)
            for template in representation.iter(_dash("SegmentTemplate")):
                template.set("initialization", f"{prefix}$RepresentationID$-init.mp4")
                template.set("media", f"{prefix}$RepresentationID$-$Number${suffix}")
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True).replace(
        "encoding='us-ascii'", "encoding='utf-8'"
    )


def _caption_schemes(captions: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the schemes of SCTE 214-1 for closed captions, and their channels, whose languages nothing tells."""
    pairs = [f"{channel}=und" for channel in captions if channel.startswith("CC")]
    services = [f"{channel.removeprefix('SERVICE')}=lang:und" for channel in captions if channel.startswith("SERVICE")]
    for scheme, channels in (("cea-608", pairs), ("cea-708", services)):
        if channels:
            yield f"urn:scte:dash:cc:{scheme}:2015", ";".join(channels)


def _dash(name: str) -> str:
    return f"{{{DASH_NAMESPACE}}}{name}"


@dataclass(frozen=True)
class Rendition:
    """A member of a group of a master playlist: audio or subtitles beside the video."""

    uri: str
    name: str
    language: str = ""
    default: bool = False
    autoselect: bool = True
    forced: bool = False
    channels: int = 0


@dataclass(frozen=True)
class Variant:
    """One `EXT-X-STREAM-INF`; bit/s include its audio rendition. `codecs` as in RFC 6381, empty when one is unknown;
    `video_range`: SDR, HLG or PQ. `captions`: the channels of closed captions in the video.
    `supplemental`: what players of Dolby Vision read instead of `codecs`; empty: nothing.
    """

    uri: str
    peak: int
    average: int
    codecs: tuple[str, ...] = ()
    width: int = 0
    height: int = 0
    frame_rate: float = 0.0
    video_range: str = ""
    captions: tuple[str, ...] = ()
    supplemental: str = ""


@dataclass(frozen=True)
class MasterPlaylist:
    """The renditions and variants to choose from."""

    variants: tuple[Variant, ...]
    audio: tuple[Rendition, ...] = ()
    subtitles: tuple[Rendition, ...] = ()
    independent: bool = False

    def render(self) -> str:
        """Return the playlist."""
        lines = ["#EXTM3U", f"#EXT-X-VERSION:{_PLAIN_VERSION}"]
        if self.independent:
            lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
        lines += [_media("AUDIO", AUDIO_GROUP, rendition) for rendition in self.audio]
        lines += [_media("SUBTITLES", SUBTITLE_GROUP, rendition) for rendition in self.subtitles]
        lines += [_caption_media(channel) for channel in self._captions]
        for variant in self.variants:
            lines += [f"#EXT-X-STREAM-INF:{','.join(self._attributes(variant))}", variant.uri]
        return "\n".join([*lines, ""])

    @property
    def _captions(self) -> tuple[str, ...]:
        """Return the channels of closed captions of any variant."""
        return tuple(dict.fromkeys(channel for variant in self.variants for channel in variant.captions))

    def _attributes(self, variant: Variant) -> list[str]:
        attributes = [f"BANDWIDTH={variant.peak}", f"AVERAGE-BANDWIDTH={variant.average}"]
        if variant.codecs:
            attributes.append(f'CODECS="{",".join(variant.codecs)}"')
        if variant.supplemental:
            attributes.append(f'SUPPLEMENTAL-CODECS="{variant.supplemental}"')
        if variant.width:
            attributes.append(f"RESOLUTION={variant.width}x{variant.height}")
        if variant.frame_rate:
            attributes.append(f"FRAME-RATE={variant.frame_rate:.3f}")
        if variant.video_range:
            attributes.append(f"VIDEO-RANGE={variant.video_range}")
        if self.audio:
            attributes.append(f'AUDIO="{AUDIO_GROUP}"')
        if self.subtitles:
            attributes.append(f'SUBTITLES="{SUBTITLE_GROUP}"')
        if variant.captions:
            attributes.append(f'CLOSED-CAPTIONS="{CAPTION_GROUP}"')
        elif variant.width and not self._captions:  # RFC 8216, 4.3.4.2: none of all variants
            attributes.append("CLOSED-CAPTIONS=NONE")
        return attributes


def _caption_media(channel: str) -> str:
    """Return the entry of a channel in the video itself, which has no URI; nothing tells its language."""
    return (
        f'#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="{CAPTION_GROUP}",NAME="{channel}",DEFAULT=NO,AUTOSELECT=YES,'
        f'INSTREAM-ID="{channel}"'
    )


def _media(kind: str, group: str, rendition: Rendition) -> str:
    default, autoselect = ("YES" if flag else "NO" for flag in (rendition.default, rendition.autoselect))
    attributes = [f"TYPE={kind}", f'GROUP-ID="{group}"', f'NAME="{quoted(rendition.name)}"']
    if rendition.language:
        attributes.append(f'LANGUAGE="{quoted(rendition.language)}"')
    attributes += [f"DEFAULT={default}", f"AUTOSELECT={autoselect}"]
    if rendition.forced:
        attributes.append("FORCED=YES")
    if rendition.channels:
        attributes.append(f'CHANNELS="{rendition.channels}"')
    return f'#EXT-X-MEDIA:{",".join(attributes)},URI="{rendition.uri}"'


def quoted(text: str) -> str:
    """Return `text` as it may stand in a quoted string (RFC 8216, 4.2), which has no escapes."""
    return re.sub(r'["\x00-\x1f\x7f\x85\u2028\u2029]', "'", text)
