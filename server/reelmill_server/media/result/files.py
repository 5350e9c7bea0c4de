"""Describe verified outputs: artifacts, the playlists that are published, checksums of all files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reelmill_server.media.package.codec_strings import dolby_codec_string, supplemental_codec
from reelmill_server.media.package.playlists import MasterPlaylist, MediaPlaylist, Rendition, Variant, rewrite_manifest
from reelmill_server.media.package.webvtt import cut_subtitles
from reelmill_server.media.result.checksums import Checksums
from reelmill_server.media.result.listing import begin_of, from_zero, held
from reelmill_server.media.result.texts import Listed, check_manifest, check_master, check_playlist
from reelmill_server.media.result.verify import Verified
from reelmill_server.model.colour import Transfer
from reelmill_server.model.package_plan import RenditionPlan
from reelmill_server.model.plan import Plan, StreamType
from reelmill_server.model.request import SegmentFormat
from reelmill_server.model.task import Artifact, ArtifactKind, ArtifactStream
from reelmill_server.plan.output.package_files import PlannedFile, part_uri, planned_files
from reelmill_server.plan.stream.dolby import stands_alone
from reelmill_server.uris import reference, reference_around

_VIDEO_RANGES: Mapping[int, str] = {Transfer.PQ: "PQ", Transfer.HLG: "HLG"}  # RFC 8216bis, 4.4.6.2


@dataclass(frozen=True)
class Result:
    """An artifact: where its file and the segments that it lists lie below the attempt's directory."""

    path: str
    artifact: Artifact
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Listed:
    """A media playlist that is or could be published at `uri`, the files that it names, and what is in them."""

    uri: str
    playlist: MediaPlaylist
    parts: tuple[str, ...]
    sizes: tuple[int, ...]
    streams: tuple[ArtifactStream, ...]
    codecs: tuple[str, ...]

    @property
    def peak(self) -> int:
        """Return the bit/s of the most expensive segment."""
        pairs = zip(self.sizes[-len(self.playlist.segments) :], self.playlist.segments, strict=True)
        return max((round(size * 8 / segment.seconds) for size, segment in pairs if segment.seconds), default=0)

    @property
    def average(self) -> int:
        """Return the bit/s of all segments."""
        return round(sum(self.sizes[-len(self.playlist.segments) :]) * 8 / (self.playlist.seconds or 1))

    @property
    def video(self) -> ArtifactStream | None:
        """Return the video in it."""
        return next((stream for stream in self.streams if stream.type == StreamType.VIDEO), None)


def make_results(
    plan: Plan, verified: Sequence[Verified], directory: Path, checksums: Checksums | None = None
) -> tuple[Result, ...]:
    """Write the playlists of a plan whose outputs were `verified` (in the plan's order) below `directory`.

    Return all artifacts, those that name others behind them. `checksums`: those that are being taken of the outputs.
    """
    return _Results(plan, verified, directory, checksums or Checksums()).make()


class _Results:
    def __init__(self, plan: Plan, verified: Sequence[Verified], directory: Path, checksums: Checksums) -> None:
        self._plan, self._directory, self._checksums = plan, directory, checksums
        verified = [self._from_zero(slot, read) for slot, read in enumerate(verified)]
        verified = [self._outlasted(slot, read, verified) for slot, read in enumerate(verified)]
        self._verified = [self._cut(read, verified) for read in verified]
        self._files = planned_files(plan)
        self._lists = {
            file.path: self._listed(file) for file in self._files if file.slot >= 0 and self._verified[file.slot].playlists
        }

    def make(self) -> tuple[Result, ...]:
        return tuple(self._result(file) for file in self._files)

    def _from_zero(self, slot: int, read: Verified) -> Verified:
        """Return audio beside the variants of a group as long as these take it to be: it may begin later."""
        if not any(slot in group.renditions for group in self._plan.groups):
            return read
        begin = begin_of(read.produced)
        return replace(read, playlists=tuple(from_zero(playlist, begin) for playlist in read.playlists))

    def _outlasted(self, slot: int, read: Verified, verified: Sequence[Verified]) -> Verified:
        """Return a variant as long as the audio beside it: players end with the variant's playlist."""
        beside = [verified[other] for group in self._plan.groups if slot in group.variants for other in group.renditions]
        audio = [playlist for other in beside for playlist in other.playlists]
        return replace(read, playlists=tuple(held(playlist, audio) for playlist in read.playlists)) if audio else read

    def _cut(self, read: Verified, verified: Sequence[Verified]) -> Verified:
        """Cut subtitles into segments, as long as the longest variant that they belong to; return everything else as it is."""
        package = read.produced.plan.package
        if package is None or package.rendition is None:
            return read
        (group,) = (group for group in self._plan.groups if any(verified[slot] is read for slot in group.subtitles))
        seconds = max(playlist.seconds for slot in group.variants for playlist in verified[slot].playlists)
        streams = tuple(replace(stream, language=package.rendition.language) for stream in read.streams)
        return replace(read, playlists=(cut_subtitles(Path(read.produced.path), package, seconds),), streams=streams)

    def _listed(self, file: PlannedFile) -> tuple[_Listed, ...]:
        """Return what a playlist or manifest lists: with DASH, one playlist per stream."""
        read = self._verified[file.slot]
        if file.kind is ArtifactKind.MASTER_PLAYLIST:
            return ()
        apart = len(read.playlists) == len(read.streams)
        lists = []
        for number, playlist in enumerate(read.playlists):
            parts = tuple(f"{file.slot}/{name}" for name in playlist.names)
            sizes = tuple((self._directory / part).stat().st_size for part in parts)
            streams = (read.streams[number],) if apart else read.streams
            codecs = _dolby_codecs(playlist, (read.codecs[number],) if apart else read.codecs)
            lists.append(_Listed(file.uri, playlist, parts, sizes, streams, codecs))
        return tuple(lists) if file.stream < 0 else (lists[file.stream],)

    def _result(self, file: PlannedFile) -> Result:
        path = self._directory / file.path
        lists = self._lists.get(file.path, ())
        if file.kind is not ArtifactKind.MEDIA:
            path.write_text(self._text(file, lists))
            self._check(file, path, lists)
        parts = tuple(part for entry in lists for part in entry.parts)
        return Result(file.path, self._artifact(file, path, lists, parts), parts)

    def _check(self, file: PlannedFile, path: Path, lists: Sequence[_Listed]) -> None:
        """Check what was written to list others. Raises OutputInvalid."""
        if file.kind is ArtifactKind.PLAYLIST:
            check_playlist(path, file.uri, self._said(lists[0]))
        elif file.kind is ArtifactKind.MANIFEST:
            check_manifest(path, [self._said(entry) for entry in lists])
        else:
            variants, audio = self._members(file)
            beside = [*audio, *(entry for entry, _ in self._subtitles(file))]
            said = [{entry.uri: self._said(entry) for entry in entries} for entries in (variants, beside)]
            check_master(path, file.uri, said[0], said[1])

    def _said(self, entry: _Listed) -> Listed:
        """Return what is to be said of a playlist's files."""
        uris = [uri for part in entry.parts if (uri := part_uri(self._plan, part))]
        return Listed(uris, entry.playlist.seconds, entry.streams, entry.playlist.independent, entry.playlist.captions)

    def _artifact(self, file: PlannedFile, path: Path, lists: Sequence[_Listed], parts: Sequence[str]) -> Artifact:
        size, digest = self._checksums.of([path])
        segments_size, segments_digest = self._checksums.of([self._directory / part for part in parts])
        if file.kind is ArtifactKind.MASTER_PLAYLIST:
            planned = self._plan.groups[file.group].ladder if file.group >= 0 else None
            ladder = planned.ladder if planned else None
            return Artifact(
                file.uri, file.target_index, size, self._seconds(file), "m3u8", kind=file.kind, sha256=digest, ladder=ladder
            )
        read = self._verified[file.slot]
        seconds = float(max((entry.playlist.seconds for entry in lists), default=0)) or read.duration_seconds
        return Artifact(
            uri=file.uri,
            target_index=file.target_index,
            size_bytes=size,
            duration_seconds=seconds,
            container=self._plan.targets[file.slot].container,
            streams=tuple(stream for entry in lists for stream in entry.streams) or read.streams,
            kind=file.kind,
            segment_count=sum(len(entry.playlist.segments) for entry in lists),
            segments_size_bytes=segments_size,
            sha256=digest,
            segments_sha256=segments_digest if parts else "",
            bitrate=round((segments_size or size) * 8 / seconds) if seconds else 0,
        )

    def _seconds(self, file: PlannedFile) -> float:
        variants, audio = self._members(file)
        return float(max((entry.playlist.seconds for entry in (*variants, *audio)), default=0))

    def _text(self, file: PlannedFile, lists: Sequence[_Listed]) -> str:
        if file.kind is ArtifactKind.MASTER_PLAYLIST:
            return self._master(file).render()
        if file.kind is ArtifactKind.PLAYLIST:
            return self._published(lists[0]).render(self._target_seconds(file.slot))
        package = self._plan.targets[file.slot].package
        assert package
        prefix, suffix = reference_around(file.uri, package.prefix, package.suffix)
        read = self._verified[file.slot]
        muxed = Path(read.produced.path).read_text()
        codecs = [codec for entry in lists for codec in entry.codecs]
        return rewrite_manifest(muxed, prefix, suffix, [entry.playlist for entry in lists], codecs)

    def _published(self, entry: _Listed) -> MediaPlaylist:
        """Return a playlist with the names under which its segments are published."""
        uris = [part_uri(self._plan, part) for part in entry.parts]
        slot = int(entry.parts[0].partition("/")[0])
        package = self._plan.targets[slot].package
        assert package and all(uris)
        names = [reference(entry.uri, uri) for uri in uris if uri]
        head = names.pop(0) if entry.playlist.head else ""
        segments = tuple(replace(segment, name=name) for segment, name in zip(entry.playlist.segments, names, strict=True))
        start = package.start_number if package.format is SegmentFormat.HLS else 0
        return replace(entry.playlist, segments=segments, head=head, start_number=start)

    def _target_seconds(self, slot: int) -> int:
        """Return the longest segment of all playlists that one player may switch between (RFC 8216, 6.2.4)."""
        groups = [{*group.variants, *group.renditions, *group.subtitles} for group in self._plan.groups]
        together = next((slots for slots in groups if slot in slots), {slot})
        return max(playlist.longest_seconds for number in together for playlist in self._verified[number].playlists)

    def _members(self, file: PlannedFile) -> tuple[list[_Listed], list[_Listed]]:
        """Return the variants of a master playlist, and the audio beside them."""
        playlists = [other for other in self._files if other.kind is ArtifactKind.PLAYLIST]
        if file.group >= 0:
            group = self._plan.groups[file.group]
            variants = [self._lists[other.path][0] for slot in group.variants for other in playlists if other.slot == slot]
            return variants, [self._lists[other.path][0] for other in playlists if other.slot in group.renditions]
        lists = [self._lists[other.path][0] for other in playlists if other.slot == file.slot and other.stream >= 0]
        filmed = [entry for entry in lists if entry.video]
        return (filmed, [entry for entry in lists if not entry.video]) if filmed else (lists, [])

    def _subtitles(self, file: PlannedFile) -> list[tuple[_Listed, RenditionPlan]]:
        """Return the subtitles beside the variants of a master playlist."""
        subtitles = []
        for slot in self._plan.groups[file.group].subtitles if file.group >= 0 else ():
            package = self._plan.targets[slot].package
            assert package and package.rendition
            subtitles += [(self._lists[other.path][0], package.rendition) for other in self._files if other.slot == slot]
        return subtitles

    def _master(self, file: PlannedFile) -> MasterPlaylist:
        variants, audio = self._members(file)
        subtitles = self._subtitles(file)
        return MasterPlaylist(
            variants=tuple(_variant(file.uri, entry, audio, [lines for lines, _ in subtitles]) for entry in variants),
            audio=tuple(_renditions(file.uri, audio)),
            subtitles=tuple(_subtitle_rendition(file.uri, entry, rendition) for entry, rendition in subtitles),
            independent=all(entry.playlist.independent for entry in (*variants, *audio)),
        )


def _dolby_codecs(playlist: MediaPlaylist, codecs: tuple[str, ...]) -> tuple[str, ...]:
    """Return `codecs` with that of Dolby Vision in place of the first, the video's, if only its players show right colors."""
    dolby = playlist.dolby_vision
    return (dolby_codec_string(codecs[0], dolby), *codecs[1:]) if dolby is not None and stands_alone(dolby) else codecs


def _video_range(entry: _Listed) -> str:
    dolby = entry.playlist.dolby_vision
    if entry.video is None:
        return ""
    return "PQ" if dolby is not None and stands_alone(dolby) else _VIDEO_RANGES.get(entry.video.color_transfer, "SDR")


def _variant(master: str, entry: _Listed, audio: Sequence[_Listed], subtitles: Sequence[_Listed]) -> Variant:
    """Return a variant with the audio and the subtitles that cost most: a player may choose any."""
    codecs = (*entry.codecs, *(codec for sound in audio for codec in sound.codecs))
    video = entry.video
    return Variant(
        uri=reference(master, entry.uri),
        peak=entry.peak + sum(max((other.peak for other in beside), default=0) for beside in (audio, subtitles)),
        average=entry.average + sum(max((other.average for other in beside), default=0) for beside in (audio, subtitles)),
        codecs=tuple(dict.fromkeys(codecs)) if all(codecs) else (),
        width=video.width if video else 0,
        height=video.height if video else 0,
        frame_rate=video.frame_rate if video else 0.0,
        video_range=_video_range(entry),
        captions=entry.playlist.captions,
        supplemental=supplemental_codec(entry.codecs[0], dolby) if (dolby := entry.playlist.dolby_vision) else "",
    )


def _renditions(master: str, audio: Sequence[_Listed]) -> Iterator[Rendition]:
    """Yield a rendition for each audio; players choose the first of each language by themselves."""
    languages: set[str] = set()
    for number, entry in enumerate(audio):
        stream = entry.streams[0]
        language = "" if stream.language == "und" else stream.language
        yield Rendition(
            uri=reference(master, entry.uri),
            name=f"{number + 1} {language}".strip(),
            language=language,
            default=number == 0,
            autoselect=language not in languages,
            channels=stream.channels,
        )
        languages.add(language)


def _subtitle_rendition(master: str, entry: _Listed, rendition: RenditionPlan) -> Rendition:
    return Rendition(
        uri=reference(master, entry.uri),
        name=rendition.name,
        language=rendition.language,
        default=rendition.default,
        autoselect=rendition.autoselect,
        forced=rendition.forced,
    )
