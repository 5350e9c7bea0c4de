"""Read the written playlists and manifests by themselves, and compare what they say with the files that they list.

What writes them is not used here: a second reading of RFC 8216 and ISO/IEC 23009-1.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from pathlib import Path
from urllib.parse import unquote

from reelmill_server.errors import OutputInvalid
from reelmill_server.model.colour import Transfer
from reelmill_server.model.plan import StreamType
from reelmill_server.model.task import ArtifactStream
from reelmill_server.uris import Resource

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')
_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "h264": ("avc1", "avc3", "dva1", "dvav"),
    "hevc": ("hvc1", "hev1", "dvh1", "dvhe"),
    "av1": ("av01", "dav1"),
    "vp9": ("vp09",),
    "aac": ("mp4a.40",),
    "mp3": ("mp4a.40.34", "mp4a.6B", "mp3"),
    "ac3": ("ac-3",),
    "eac3": ("ec-3",),
    "opus": ("Opus", "opus"),
    "flac": ("fLaC", "flac"),
}
"""Beginnings of the codec strings (RFC 6381) of a codec."""
_RANGES: Mapping[int, str] = {Transfer.PQ: "PQ", Transfer.HLG: "HLG"}
_CAPTIONS = "CLOSED-CAPTIONS"
_HALF = Fraction(1, 2)
_MICROSECOND = Fraction(1, 1_000_000)
_NAMESPACE = "{urn:mpeg:dash:schema:mpd:2011}"


@dataclass(frozen=True)
class Listed:
    """Planned contents of a playlist or manifest: `uris` of its files, their `seconds`, the streams in them, and whether each
    segment decodes `alone`. `captions`: the channels of closed captions in the video.
    """

    uris: Sequence[str]
    seconds: Fraction
    streams: Sequence[ArtifactStream]
    alone: bool
    captions: Sequence[str] = ()


def check_playlist(path: Path, uri: str, listed: Listed) -> None:
    """Check a media playlist that is published at `uri`. Raises OutputInvalid."""
    lines = path.read_text("utf-8").splitlines()
    lengths = [Fraction(line.partition(":")[2].rstrip(",")) for line in lines if line.startswith("#EXTINF:")]
    uris = [_value(line, "URI") for line in lines if line.startswith("#EXT-X-MAP:")]
    uris += [line for line in lines if line and not line.startswith("#")]
    target = next((int(line.partition(":")[2]) for line in lines if line.startswith("#EXT-X-TARGETDURATION:")), 0)
    wrong = {
        "has no end": lines[-1:] != ["#EXT-X-ENDLIST"],
        f"does not name the {len(listed.uris)} files written": [_path(uri, to) for to in uris] != [*map(_place, listed.uris)],
        f"lasts {float(sum(lengths)):.3f} s, not {float(listed.seconds):.3f} s": abs(sum(lengths) - listed.seconds)
        > (len(lengths) + 1) * _MICROSECOND,
        f"has a target duration of {target} s, less than its segments": any(
            floor(length + _HALF) > target for length in lengths
        ),
        "claims segments that decode alone": "#EXT-X-INDEPENDENT-SEGMENTS" in lines and not listed.alone,
    }
    _refuse(path, wrong)


def check_master(path: Path, uri: str, variants: Mapping[str, Listed], beside: Mapping[str, Listed]) -> None:
    """Check a master playlist that is published at `uri`: its `variants` by their URIs, and the audio and subtitles `beside`
    them. Raises OutputInvalid.
    """
    lines = path.read_text("utf-8").splitlines()
    media = [_attributes(line) for line in lines if line.startswith("#EXT-X-MEDIA:")]
    rows = [
        (_attributes(line), _path(uri, lines[number]))
        for number, line in enumerate(lines, 1)
        if line.startswith("#EXT-X-STREAM-INF:")
    ]
    known, others = ({_place(to): listed for to, listed in them.items()} for them in (variants, beside))
    renditions = [(entry.get("LANGUAGE", ""), _path(uri, entry["URI"])) for entry in media if "URI" in entry]
    defaults = Counter((entry["TYPE"], entry["GROUP-ID"]) for entry in media if entry.get("DEFAULT") == "YES")
    alone = all(listed.alone for listed in (*variants.values(), *(one for one in beside.values() if not _is_text(one))))
    _refuse(
        path,
        {
            "does not name each variant once": sorted(place for _, place in rows) != sorted(known),
            "does not name each rendition once": sorted(place for _, place in renditions) != sorted(others),
            "has several defaults of a group": any(count > 1 for count in defaults.values()),
            "claims segments that decode alone": "#EXT-X-INDEPENDENT-SEGMENTS" in lines and not alone,
        },
    )
    told = {entry.get("INSTREAM-ID", "") for entry in media if entry["TYPE"] == _CAPTIONS}
    _refuse(path, {f"leaves out {one}": one not in told for listed in known.values() for one in listed.captions})
    audio = [listed.streams for listed in others.values() if not _is_text(listed)]
    for attributes, place in rows:
        streams = [*known[place].streams, *(stream for streams in audio for stream in streams)]
        _refuse(path, dict(_wrong_variant(attributes, streams, media)))
        has_captions = attributes.get(_CAPTIONS, "NONE") != "NONE"
        _refuse(path, {"is wrong about closed captions": has_captions != bool(known[place].captions)})
    for said, place in renditions:
        language = _language(others[place].streams)
        _refuse(path, {f"says that a rendition is in '{said}', which is in '{language}'": said != language})


def _wrong_variant(
    attributes: Mapping[str, str], streams: Sequence[ArtifactStream], media: Sequence[Mapping[str, str]]
) -> Iterator[tuple[str, bool]]:
    """Yield what may be wrong with an `EXT-X-STREAM-INF`, and whether it is."""
    codecs = attributes.get("CODECS", "")
    for codec in dict.fromkeys(stream.codec for stream in streams if stream.type in (StreamType.VIDEO, StreamType.AUDIO)):
        yield f"says {codecs}, and there is {codec}", bool(codecs) and not _says(codecs.split(","), codec)
    video = next((stream for stream in streams if stream.type == StreamType.VIDEO), None)
    if video is not None:
        size, said = f"{video.width}x{video.height}", attributes.get("RESOLUTION", "")
        yield f"says {said} of video that is {size}", said != size
        wide, light = _RANGES.get(video.color_transfer, ""), attributes.get("VIDEO-RANGE", "")
        yield f"says the video range {light}, and it is {wide}", bool(wide) and light != wide
    groups = {(entry["TYPE"], entry["GROUP-ID"]) for entry in media}
    for kind, group in ((kind, attributes.get(kind, "")) for kind in ("AUDIO", "SUBTITLES")):
        yield f"names the group {group}, which is not there", bool(group) and (kind, group) not in groups
        yield f"leaves out its {kind.lower()}", not group and any(entry["TYPE"] == kind for entry in media)


def check_manifest(path: Path, streams: Sequence[Listed]) -> None:
    """Check a manifest: its streams, by their number. Raises OutputInvalid."""
    root = ElementTree.fromstring(path.read_text("utf-8"))
    length = Fraction(root.get("mediaPresentationDuration", "PT0S")[2:-1])
    longest = max(listed.seconds for listed in streams)
    found = 0
    for adaptation in root.iter(f"{_NAMESPACE}AdaptationSet"):
        for representation in adaptation.iter(f"{_NAMESPACE}Representation"):
            listed, found = streams[int(representation.get("id", "0"))], found + 1
            (stream,), codecs = listed.streams, representation.get("codecs", "")
            language, size = adaptation.get("lang", ""), (representation.get("width"), representation.get("height"))
            is_video = stream.type == StreamType.VIDEO
            wrong = {
                f"says {codecs}, and there is {stream.codec}": bool(codecs) and not _says([codecs], stream.codec),
                f"is in '{language}', and the {stream.type} in '{_language([stream])}'": language not in ("", stream.language),
                "says another size": is_video and size != (str(stream.width), str(stream.height)),
                "claims segments that decode alone": "startWithSAP" in adaptation.attrib and not listed.alone,
            }
            _refuse(path, wrong)
    off = abs(length - longest)
    _refuse(
        path,
        {f"has {found} of {len(streams)} streams": found != len(streams), f"is off by {float(off):.3f} s": off > _HALF / 100},
    )


def _says(codecs: Sequence[str], codec: str) -> bool:
    return codec not in _FAMILIES or any(text.startswith(_FAMILIES[codec]) for text in codecs)


def _is_text(listed: Listed) -> bool:
    return all(stream.type == StreamType.SUBTITLE for stream in listed.streams)


def _language(streams: Sequence[ArtifactStream]) -> str:
    language = next((stream.language for stream in streams if stream.type != StreamType.VIDEO), "")
    return "" if language == "und" else language


def _attributes(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}


def _value(line: str, name: str) -> str:
    return _attributes(line).get(name, "")


def _place(uri: str) -> str:
    """Return the path of a URI, which is decoded."""
    return Resource.of(uri).path


def _path(base: str, to: str) -> str:
    """Return the path to which a reference in a file at `base` leads."""
    if "://" in to:
        return unquote(to.partition("://")[2].partition("/")[2])
    steps = _place(base).split("/")[:-1]
    for step in unquote(to).split("/"):
        if step == "..":
            steps.pop()
        elif step != ".":
            steps.append(step)
    return "/".join(steps)


def _refuse(path: Path, wrong: Mapping[str, bool]) -> None:
    for text, is_wrong in wrong.items():
        if is_wrong:
            raise OutputInvalid(f"the {path.suffix.lstrip('.')} {text}")
