"""Independent readers of playlists and manifests: what they make of a list, and whether all that it names is there."""

from collections.abc import Iterator
from math import floor
from pathlib import Path
from urllib.parse import unquote, urljoin

import m3u8
from mpegdash.parser import MPEGDASHParser

HALF = 0.5  # a target duration is compared with lengths rounded to the nearest second (RFC 8216, 4.3.3.1)


def check(path: Path) -> None:
    """Reads the list at `path`, strictly; what it names must lie where it says."""
    references = list(named(path.suffix, path.read_text()))
    assert references, path
    missing = [name for name in references if not resolved(path, name).is_file()]
    assert not missing, f"{path.name} names {missing}"
    assert len(set(references)) == len(references), path


def named(suffix: str, text: str) -> Iterator[str]:
    """The references in a list with this extension."""
    return _manifest(text) if suffix == ".mpd" else _playlist(text)


def resolved(path: Path, reference: str) -> Path:
    """The file that a list at `path` refers to, as a client of a plain web server would find it."""
    assert reference.isascii() and reference.isprintable() and not set(reference) & set(' "<>\\^`{|}'), reference
    return Path(unquote(urljoin(path.as_uri(), reference).removeprefix("file://")))


def _playlist(text: str) -> Iterator[str]:
    read = m3u8.M3U8(text, strict=True)
    if read.is_variant:
        yield from _master(read)
        return
    assert read.is_endlist and read.playlist_type == "vod" and read.target_duration and read.media_sequence is not None
    for segment in read.segments:
        assert segment.duration and floor(segment.duration + HALF) <= read.target_duration
        yield segment.uri
    yield from (part.uri for part in read.segment_map)


def _master(read: m3u8.M3U8) -> Iterator[str]:
    groups = {(entry.type, entry.group_id) for entry in read.media}
    names = [(entry.type, entry.group_id, entry.name) for entry in read.media]
    assert len(set(names)) == len(names)
    for kind, group in groups:
        assert sum(entry.default == "YES" for entry in read.media if (entry.type, entry.group_id) == (kind, group)) <= 1
    assert all(entry.autoselect == "YES" for entry in read.media if entry.default == "YES")
    for variant in read.playlists:
        said = variant.stream_info
        assert said.bandwidth >= said.average_bandwidth > 0
        named = (
            ("AUDIO", said.audio),
            ("SUBTITLES", said.subtitles),
            ("CLOSED-CAPTIONS", (said.closed_captions or "").strip('"')),
        )
        used = {(kind, group) for kind, group in named if group and group != "NONE"}
        assert used == groups
        yield variant.uri
    assert all(bool(entry.uri) != bool(entry.instream_id) for entry in read.media)
    yield from (entry.uri for entry in read.media if entry.uri)


def _manifest(text: str) -> Iterator[str]:
    read = MPEGDASHParser.parse(text)
    assert read.type == "static" and read.media_presentation_duration and read.max_segment_duration
    for adaptation in (one for period in read.periods for one in period.adaptation_sets):
        for representation in adaptation.representations:
            assert representation.bandwidth and representation.codecs
            (template,) = representation.segment_templates
            yield template.initialization.replace("$RepresentationID$", str(representation.id))
            count = sum(1 + (entry.r or 0) for timeline in template.segment_timelines for entry in timeline.Ss)
            for number in range(template.start_number, template.start_number + count):
                name = template.media.replace("$RepresentationID$", str(representation.id))
                yield name.replace("$Number$", str(number))
