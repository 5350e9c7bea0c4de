"""List the files of a task that pages may show: its artifacts, and those that its playlists and manifests name."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from reelmill.v1 import task_pb2
from reelmill_server.uris import Resource, encoded

TYPES = {
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".m4v": "video/mp4",
    ".m4a": "audio/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".ts": "video/mp2t",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".vtt": "text/vtt",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".apng": "image/png",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".gif": "image/gif",
    ".mp3": "audio/mpeg",
    ".aac": "audio/aac",
    ".flac": "audio/flac",
    ".opus": "audio/ogg",
    ".oga": "audio/ogg",
    ".wav": "audio/wav",
}
"""Media types of files that browsers may show; others are downloaded."""
_LISTS = (
    task_pb2.ARTIFACT_KIND_PLAYLIST,
    task_pb2.ARTIFACT_KIND_MASTER_PLAYLIST,
    task_pb2.ARTIFACT_KIND_MANIFEST,
    task_pb2.ARTIFACT_KIND_IMAGE_PLAYLIST,
)
_QUOTED = re.compile(r'URI="([^"\r\n]*)"')
_VARIABLE = re.compile(r"\$(RepresentationID|Number|Time|Bandwidth)(?:%0\d+d)?\$")
_NAME, _NUMBER = "\0", "\1"  # in paths, for what manifests have variables for; files of tasks have no such names
# Bounded, and few in a path: a child that its media has subverted may write a manifest that takes forever to compare with.
_STANDS_FOR = {_NAME: r"[\w-]{1,64}", _NUMBER: r"\d{1,20}"}
_MOST_VARIABLES = 2
_TEMPLATE = "{urn:mpeg:dash:schema:mpd:2011}SegmentTemplate"


def uri_of(resource: Resource) -> str:
    """Return the URI of a resource."""
    slash = "" if resource.path.startswith("/") else "/"
    return f"{resource.scheme}://{resource.authority}{slash}{encoded(resource.path, resource.scheme)}"


def type_of(name: str) -> str:
    """Return what browsers may take a file for; "" if it is to be downloaded."""
    return TYPES.get(PurePosixPath(name).suffix.lower(), "")


_PLAYERS = {
    task_pb2.ARTIFACT_KIND_PLAYLIST: "hls",
    task_pb2.ARTIFACT_KIND_MASTER_PLAYLIST: "hls",
    task_pb2.ARTIFACT_KIND_MANIFEST: "dash",
}


def player_of(artifact: task_pb2.Artifact) -> str:
    """Return what shows an artifact: hls, dash, video, audio, image; "" if nothing does."""
    kind = type_of(Resource.of(artifact.uri).name)
    return _PLAYERS.get(artifact.kind) or (kind.partition("/")[0] if kind.startswith(("video/", "audio/", "image/")) else "")


@dataclass
class TaskFiles:
    """The files of one task, with the artifact that each is. `named`: those that its lists name, None before they are read;
    `patterns` of those that manifests number.
    """

    artifacts: dict[Resource, task_pb2.Artifact]
    lists: tuple[Resource, ...]
    named: set[Resource] | None = None
    patterns: list[tuple[Resource, re.Pattern[str]]] = field(default_factory=list)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def holds(self, resource: Resource) -> bool:
        """Return whether a resource is one of them."""
        if resource in self.artifacts or resource in (self.named or ()):
            return True
        return any(replace(resource, path="") == at and pattern.fullmatch(resource.path) for at, pattern in self.patterns)


def files_of(task: task_pb2.Task) -> TaskFiles:
    """Return the files of a task."""
    artifacts = {Resource.of(artifact.uri): artifact for artifact in task.artifacts}
    lists = tuple(Resource.of(artifact.uri) for artifact in task.artifacts if artifact.kind in _LISTS)
    return TaskFiles(artifacts, lists)


def named_in(lists: Iterable[tuple[Resource, str]]) -> tuple[set[Resource], list[tuple[Resource, re.Pattern[str]]]]:
    """Return what playlists and manifests name: files, and patterns of the paths of others."""
    named, patterns = set(), []
    for at, text in lists:
        place = replace(at, path="")
        for reference in _of_manifest(text) if text.lstrip().startswith("<") else _of_playlist(text):
            if "://" in reference or reference.startswith("/"):
                continue
            path = _path(at, unquote(reference))
            if sum(map(path.count, _STANDS_FOR)) > _MOST_VARIABLES:
                continue
            if not _STANDS_FOR.keys().isdisjoint(path):
                patterns.append((place, re.compile(_expression(path))))
            else:
                named.add(replace(at, path=path))
    return named, patterns


def _path(at: Resource, reference: str) -> str:
    """Return the path to which a relative reference leads."""
    steps = at.folder.split("/")[:-1]
    for step in reference.split("/"):
        if step == ".." and steps:
            steps.pop()
        elif step not in (".", ".."):
            steps.append(step)
    return "/".join(steps)


def _expression(path: str) -> str:
    """Return the expression of a path in which characters stand for numbers and names."""
    return "".join(_STANDS_FOR.get(character) or re.escape(character) for character in path)


def _of_playlist(text: str) -> Iterable[str]:
    yield from (line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    yield from _QUOTED.findall(text)


def _of_manifest(text: str) -> Iterable[str]:
    if "<!" in text:
        return  # none of ours: entities may stand for gigabytes
    try:
        manifest = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return
    for template in manifest.iter(_TEMPLATE):
        for reference in (template.get("initialization"), template.get("media")):
            # Before its names are decoded: %05d is no character.
            yield _VARIABLE.sub(lambda match: _NAME if match[1] == "RepresentationID" else _NUMBER, reference or "")


def path_of(link: str, uri: str) -> str:
    """Return the path of the link to a file, in which references between files lead as they do where the files are."""
    resource = Resource.of(uri)
    return f"/console/media/{link}/{resource.scheme}/{resource.authority or '-'}/{quote(resource.path.lstrip('/'))}"


def resource_of(raw_path: str) -> Resource:
    """Return the resource that the path of a link names, as the browser sent it."""
    _, _, _, _, scheme, authority, path = raw_path.partition("?")[0].split("/", 6)
    path = unquote(path)
    return Resource(scheme, "" if authority == "-" else unquote(authority), f"/{path}" if scheme == "file" else path)
