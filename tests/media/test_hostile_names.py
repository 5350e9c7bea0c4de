"""Names with characters that mean something in URIs, playlists, manifests and WebVTT: all that is listed is found, and plays.

The files are published by the storages themselves and served by a plain web server under their names, as a bucket is.
"""

import asyncio
import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote, urljoin
from urllib.request import urlopen

import m3u8
import pytest

from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.result.files import make_results
from reelmill_server.media.result.images import image_results
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import Limits
from reelmill_server.model.image_request import SheetSpec
from reelmill_server.model.request import ExtractSpec, SegmentFormat, SourceSpec, TargetSpec
from reelmill_server.model.task import Artifact, ArtifactKind
from reelmill_server.storage.file import FileStorage, FolderStorage
from reelmill_server.storage.registry import Registry
from reelmill_server.worker import messages
from reelmill_server.worker.parent.early_upload import uploads_of
from tests import judge, lists
from tests.media.converter import encoded, plan_of, target
from tests.media.test_packaging import AAC, cut, ladder
from tests.media.test_sheets import sprites
from tests.media.test_snapshots import SECOND, alone
from tests.sources import Audio, Clip, Shelf, Subtitle, Video
from tests.stores import Front, web_files

pytestmark = pytest.mark.media

NAME = "Ep #1: 50%25 é?+&\"'<$Number$>{x};中"
FRAMES = 60
FILM = Clip(
    "matroska",
    (Video(seconds=FRAMES / 25, gop=25),),
    (Audio(seconds=FRAMES / 25),),
    subtitles=(Subtitle("srt", ((0.5, 1.5, "one"),), "fra"),),
)
HLS, DASH = SegmentFormat.HLS, SegmentFormat.DASH


def everything(root: str) -> list[TargetSpec]:
    """One target of each kind that is listed; all names come from the source's."""
    film = target("mp4", encoded(), AAC)
    sheet = SheetSpec(2, 2, 0, 0, f"{root}/cues/{{barename}}", f"{root}/sheets/{{barename}}")
    first, second = ladder("mp4", (96, 64), (48, 32))
    lines = ExtractSpec("vtt", f"{root}/group/{{barename}}/lines of {{barename}}")
    return [
        cut(replace(film, uri=f"{root}/ts/{{barename}}", container="ts", subtitle="none")),
        cut(replace(film, uri=f"{root}/numbers/{{index}} {{barename}}", subtitle="none")),
        cut(replace(film, uri=f"{root}/both/{{barename}}", subtitle="none"), HLS),
        cut(replace(film, uri=f"{root}/both/{{barename}}", subtitle="none"), DASH),
        alone(sprites("jpg", f"{root}/sheets/{{barename}}-{{index}}.jpg", sheet, interval_us=SECOND // 2)),
        replace(first, uri=f"{root}/group/{{barename}} (64)", subtitle="none", extract=lines),
        replace(second, uri=f"{root}/group/{{barename}}/{{barename}}", subtitle="none"),
    ]


@dataclass(frozen=True)
class Published:
    """What was published: files by the name under which a web server has them, and the artifacts that the reply names."""

    files: dict[str, bytes]
    artifacts: tuple[Artifact, ...]
    storage: Registry
    prefix: str

    def name(self, artifact: Artifact) -> str:
        """The name of an artifact's file."""
        path = artifact.uri.removeprefix(self.prefix)
        return unquote(path) if self.prefix.startswith("file:") else path

    def of(self, kind: ArtifactKind, folder: str = "") -> list[str]:
        """The names of the artifacts of a kind."""
        names = (self.name(artifact) for artifact in self.artifacts if artifact.kind is kind)
        return [name for name in names if name.startswith(folder)]


@pytest.fixture(scope="module", params=["file", "s3"])
def published(request: pytest.FixtureRequest, shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Everything, made of a source of the other family and published by the storage of this one."""
    root, work = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("work")
    (root / "bucket").mkdir()
    if request.param == "file":
        source, prefix = f"s3://in/{NAME}.mkv", f"{root.as_uri()}/bucket/"
    else:
        source, prefix = f"file:///in/{quote(NAME)}.mkv", "s3://bucket/"
    storage = Registry({"file": FileStorage([root]), "s3": FolderStorage(root / "bucket")})
    path, limits = shelf.get(FILM), Limits()
    group = (f"{prefix}out/group/{{barename}}.m3u8",)
    plan = plan_of(path, everything(f"{prefix}out"), SourceSpec(source), limits, group)
    conversion = Conversion(plan, (str(path),), work, limits=limits, stop=threading.Event())
    produced, _ = conversion.run()
    results = [*make_results(plan, [verify(file) for file in produced], work)]
    for slot, pictures in enumerate(conversion.images):
        results += image_results(slot, plan.images[slot], pictures, work)
    outcome = tuple(messages.Result(result.path, result.artifact, result.parts) for result in results)
    asyncio.run(storage.publish(uploads_of(messages.Finished(outcome), plan, work), "task.1"))
    bucket = root / "bucket"
    files = {str(file.relative_to(bucket)): file.read_bytes() for file in bucket.rglob("*") if file.is_file()}
    return Published(files, tuple(result.artifact for result in results), storage, prefix)


@pytest.fixture(scope="module")
def server(published: Published) -> Iterator[str]:
    """The address of a web server with the files."""
    yield Front(web_files(published.files, {})).start().url


def listed(server: str, name: str) -> list[str]:
    """The names of the files that a list leads to, by the rules of URIs."""
    url = f"{server}/{quote(name)}"
    text = urlopen(url).read().decode()
    if name.endswith(".vtt"):
        references = [line.partition("#xywh=")[0] for line in text.splitlines() if "#xywh=" in line]
    else:
        references = list(lists.named(Path(name).suffix, text))
    assert references
    return [unquote(urljoin(url, one)).removeprefix(f"{server}/") for one in references]


@pytest.mark.sample(every=2)
def test_all_that_is_listed_is_there_and_nothing_else(published: Published, server: str) -> None:
    """Playlists, manifests, groups with sound and subtitles, and previews; nothing is published that no list names."""
    kinds = (ArtifactKind.PLAYLIST, ArtifactKind.MASTER_PLAYLIST, ArtifactKind.MANIFEST, ArtifactKind.IMAGE_PLAYLIST)
    names = [name for kind in (*kinds, ArtifactKind.SPRITE_WEB_VTT) for name in published.of(kind)]
    assert len(names) == 13 and all(NAME in name for name in names)
    results = {one for name in names for one in listed(server, name)}
    assert results <= set(published.files)
    assert set(published.files) - results <= set(names)


@pytest.mark.sample(every=11)
@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        (ArtifactKind.PLAYLIST, "out/ts/"),
        (ArtifactKind.PLAYLIST, "out/numbers/"),
        (ArtifactKind.MASTER_PLAYLIST, "out/both/"),
        (ArtifactKind.MASTER_PLAYLIST, "out/group/"),
        (ArtifactKind.MANIFEST, "out/both/"),
    ],
)
def test_a_player_plays_it(published: Published, server: str, kind: ArtifactKind, folder: str) -> None:
    """Every picture."""
    (name,) = published.of(kind, folder)
    assert judge.numbers(f"{server}/{quote(name)}") == list(range(FRAMES))  # type: ignore[arg-type]


def test_a_player_shows_the_subtitles(published: Published, server: str) -> None:
    (name,) = [name for name in published.of(ArtifactKind.PLAYLIST) if "lines of" in name]
    assert {text for _, _, text in judge.lines(f"{server}/{quote(name)}")} == {"one"}  # type: ignore[arg-type]


def test_lists_are_ascii_and_quoted_strings_whole(published: Published) -> None:
    """Read strictly by another reader; a WebVTT cue has no character that would begin an entity."""
    for name, data in published.files.items():
        if name.endswith(".m3u8"):
            m3u8.M3U8(data.decode("ascii"), strict=True)
    (name,) = published.of(ArtifactKind.SPRITE_WEB_VTT)
    assert not re.search(r"[&<]", published.files[name].decode("ascii"))


async def test_uris_of_artifacts_can_be_read_again(published: Published) -> None:
    """What the reply names is what was made, by the storage that would open it as a source."""
    for artifact in published.artifacts:
        reader = await published.storage.open(artifact.uri)
        data = await reader.read(0, reader.size_bytes)
        await reader.close()
        assert hashlib.sha256(data).hexdigest() == artifact.sha256
        assert published.files[published.name(artifact)] == data
