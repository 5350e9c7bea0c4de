"""A task that is cut: children plan it, encode its units and join them, as on as many machines."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reelmill_server.model.capability import Capability, Limits
from reelmill_server.model.request import AudioSpec, ConvertRequest, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.model.units import SplitRule
from reelmill_server.worker import messages
from reelmill_server.worker.parent import child_process
from reelmill_server.worker.parent.range_server import RangeServer
from reelmill_server.worker.parent.workspace import Scratch
from tests.clips import moving_picture
from tests.remote import LocalFiles, RemoteStorage

FILES = LocalFiles()


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    """Children start quickly."""
    child_process.preload()
    yield
    FILES.forget()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds."""
    return moving_picture(tmp_path_factory.mktemp("clips") / "clip.mp4", 6, gop=20)


def assignment(clip: Path) -> messages.Assignment:
    """A conversion into one file."""
    video = VideoSpec("h264", preset="ultrafast")
    target = TargetSpec(0, "file:///out/out.mp4", "mp4", video, AudioSpec("aac"), video_asked=True)
    return messages.Assignment(
        "plan",
        Limits(),
        ConvertRequest("task", "default", (SourceSpec(clip.as_uri()),), (target,)),
        (FILES.ref(clip),),
        (0,),
        capabilities=(Capability("libx264", "h264", "software", True),),
        encoder_order=("software",),
        subtitles=((),),
        rule=SplitRule(parallelism=3),
    )


async def said(task: messages.Assignment, broker: RangeServer | None = None) -> AsyncIterator[messages.FromChild]:
    """What a child says whose parent agrees to every plan, to its end."""
    ends = messages.ChunkEncoded | messages.Finished | messages.Failed
    async with child_process.start(task, broker or FILES) as process:
        while True:
            message = await process.receive(5)
            if message is None:
                continue
            yield message
            if isinstance(message, ends) or (isinstance(message, messages.Planned) and task.action == "plan"):
                return
            if isinstance(message, messages.Planned):
                await process.send(messages.Go())


async def last(task: messages.Assignment, broker: RangeServer | None = None) -> messages.FromChild:
    """The last thing that a child says."""
    return [message async for message in said(task, broker)][-1]


async def cut(clip: Path) -> messages.Assignment:
    """What all who take part in the work are told."""
    planned = await last(assignment(clip))
    assert isinstance(planned, messages.Planned) and planned.split is not None
    assert len(planned.split.units) == 4, planned.split.reason
    return replace(assignment(clip), plan=planned.plan, split=planned.split)


async def made_by_units(task: messages.Assignment, folder: Path) -> tuple[messages.JoinedFile, ...]:
    """What the units make, each in a folder of its own."""
    assert task.split is not None
    files: list[messages.JoinedFile] = []
    for unit in task.split.units:
        directory = folder / f"unit-{unit.number}"
        directory.mkdir()
        heard = [
            message async for message in said(replace(task, action="encode_unit", unit=unit.number, directory=str(directory)))
        ]
        result = heard[-1]
        assert isinstance(result, messages.ChunkEncoded), result
        assert not any(isinstance(message, messages.Planned) for message in heard)
        for file in result.files:
            place = directory / file.path
            assert place.stat().st_size == file.size_bytes
            files.append(messages.JoinedFile(file, FILES.ref(place)))
    return tuple(files)


@pytest.mark.slow
async def test_units_are_encoded_and_joined_by_children(clip: Path, tmp_path: Path) -> None:
    """The joined file is what one child makes, but for the bytes of its pictures."""
    task = await cut(clip)
    chunks = await made_by_units(task, tmp_path)
    (tmp_path / "serial").mkdir()
    (tmp_path / "joined").mkdir()
    serial = await last(replace(assignment(clip), action="convert", rule=None, directory=str(tmp_path / "serial")))
    joined = await last(replace(task, action="convert", joined=chunks, directory=str(tmp_path / "joined")))
    assert isinstance(serial, messages.Finished) and isinstance(joined, messages.Finished), joined
    one, other = serial.made[0].artifact, joined.made[0].artifact
    assert other.duration_seconds == one.duration_seconds
    for before, after in zip(one.streams, other.streams, strict=True):
        assert replace(after, bitrate=before.bitrate) == before
    assert joined.warnings == serial.warnings


@pytest.mark.slow
async def test_files_of_units_are_read_where_they_lie(clip: Path, tmp_path: Path) -> None:
    """In ranges, through the parent, each about once."""
    task = await cut(clip)
    chunks = await made_by_units(task, tmp_path)
    (tmp_path / "joined").mkdir()
    storage = RemoteStorage(tmp_path)
    with Scratch(tmp_path / "scratch", cache_bytes=1 << 30).cache() as cache:
        broker = RangeServer(storage, cache, 0)
        elsewhere = [replace(entry, ref=(await broker.open(storage.uri(FILES.path(entry.ref))))[0]) for entry in chunks]
        source, _ = await broker.open(storage.uri(clip))
        task = replace(task, action="convert", sources=(source,), joined=tuple(elsewhere), directory=str(tmp_path / "joined"))
        joined = await last(task, broker)
        await broker.close()
    assert isinstance(joined, messages.Finished), joined
    assert joined.made[0].artifact.streams[0].packet_count == 150
    assert storage.bytes_read <= 2 * sum(entry.file.size_bytes for entry in chunks)


@pytest.mark.slow
async def test_files_that_do_not_fit_fail_so_that_all_is_made_anew(clip: Path, tmp_path: Path) -> None:
    """The code says that another attempt may succeed."""
    task = await cut(clip)
    chunks = await made_by_units(task, tmp_path)
    (tmp_path / "joined").mkdir()
    ended = await last(replace(task, action="convert", joined=chunks[1:], directory=str(tmp_path / "joined")))
    assert isinstance(ended, messages.Failed) and ended.code == "ChunksDiffer"


@pytest.mark.slow
async def test_units_work_on_the_source_and_with_the_encoders_that_were_planned_for(clip: Path, tmp_path: Path) -> None:
    """Else the chunks would not be of one film, or of one make."""
    task = await cut(clip)
    assert task.split is not None
    unit = replace(task, action="encode_unit", unit=0, directory=str(tmp_path))
    replaced = await last(replace(unit, modified_us=(1,)))
    assert isinstance(replaced, messages.Failed) and replaced.code == "SourceChanged"
    newer = await last(replace(unit, split=replace(task.split, libraries="{}")))
    assert isinstance(newer, messages.Failed) and newer.code == "ChunksDiffer"


async def test_a_serial_run_is_told_how_it_could_have_been_cut(clip: Path, tmp_path: Path) -> None:
    """And goes on when its parent says so."""
    messages_heard = [message async for message in said(replace(assignment(clip), action="convert", directory=str(tmp_path)))]
    (planned,) = [message for message in messages_heard if isinstance(message, messages.Planned)]
    assert planned.split is not None and planned.split.units
    assert isinstance(messages_heard[-1], messages.Finished)
    automatic = replace(assignment(clip), rule=SplitRule())
    told = await last(automatic)
    assert isinstance(told, messages.Planned) and told.split is not None
    assert not told.split.units and "two chunks" in told.split.reason
