"""The child's side, run in this process: what it does when an encoder fails in the middle, and within its limits."""

import hashlib
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reelmill_server.errors import EncoderFailed, InternalError, InvalidMedia, OutputInvalid, ReelmillError
from reelmill_server.media.libav import encoder
from reelmill_server.media.libav.encoder import EncoderDown
from reelmill_server.media.track import frame_encoder
from reelmill_server.model.capability import Capability, Limits
from reelmill_server.model.image_request import FramesSpec, ImageKind, ImageSpec, SheetSpec
from reelmill_server.model.plan import StreamPlan
from reelmill_server.model.request import (
    AudioSpec,
    ConvertRequest,
    Hardware,
    SegmentFormat,
    SegmentSpec,
    SourceSpec,
    TargetSpec,
    VideoSpec,
)
from reelmill_server.worker import messages
from reelmill_server.worker.child import convert, main
from reelmill_server.worker.child.context import Attempt
from tests.clips import moving_picture
from tests.remote import LocalFiles

ORDER = ("nvenc", "software")
FILES = LocalFiles()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds."""
    return moving_picture(tmp_path_factory.mktemp("clips") / "clip.mp4", 2)


HLS, DASH = SegmentFormat.HLS, SegmentFormat.DASH
VIDEO = VideoSpec("h264", preset="ultrafast", hardware=Hardware.PREFERRED)
FILE = TargetSpec(0, "file:///out/x.mp4", "mp4", VIDEO, AudioSpec("aac"), video_asked=True, audio_asked=True)


def assignment(clip: Path, folder: Path, *targets: TargetSpec, **limits: Any) -> messages.Assignment:
    """A conversion on a machine that seems to have NVENC."""
    groups = ("file:///out/main.m3u8",) if any(target.group >= 0 for target in targets) else ()
    return messages.Assignment(
        "convert",
        Limits(**limits),
        ConvertRequest("task", "default", (SourceSpec(clip.as_uri()),), targets or (FILE,), group_uris=groups),
        (FILES.ref(clip),),
        (0,),
        str(folder),
        (Capability("h264_nvenc", "h264", "nvenc", True), Capability("libx264", "h264", "software", True)),
        ORDER,
        subtitles=((),),
    )


def without_hardware(target: TargetSpec) -> TargetSpec:
    """The target as software makes it from the beginning."""
    return replace(target, video=replace(target.video, hardware=Hardware.NEVER) if target.video else None)


def carry_out(task: messages.Assignment) -> tuple[list[messages.FromChild], Callable[[], messages.FromChild]]:
    """An attempt whose parent agrees to every plan: what it says, and the work itself."""
    ours, theirs = Pipe()
    attempt = Attempt(theirs, task, files=FILES.descriptors)
    said: list[messages.FromChild] = []

    def agree() -> None:
        while True:
            try:
                message = messages.FROM_CHILD.validate_json(ours.recv_bytes())
            except (EOFError, OSError):
                return
            said.append(message)
            if isinstance(message, messages.Planned):
                attempt.answers.put(messages.Go())

    threading.Thread(target=agree, daemon=True).start()
    return said, lambda: convert.convert(attempt)


@pytest.fixture(params=[45, 0], ids=["midway", "at once"])
def failing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """An NVENC that loses its device after almost two seconds, of which segments were written, or with the first frame."""
    open_real, encode_real = encoder._open, frame_encoder.FrameEncoder._encode
    frames = Counter[frame_encoder.FrameEncoder]()

    def opened(plan: StreamPlan, *rest: Any) -> Any:
        if plan.encoder == "h264_nvenc":
            plan = replace(plan, encoder="libx264", options={"preset": "ultrafast", "bf": "0", "g": "5"})
        return open_real(plan, *rest)

    def encode(encoding: frame_encoder.FrameEncoder, frame: Any) -> Any:
        frames[encoding] += 1
        if encoding._plan.encoder == "h264_nvenc" and frames[encoding] > request.param:
            raise EncoderDown("h264_nvenc", "nvenc", "failed while encoding: device lost")
        return encode_real(encoding, frame)

    monkeypatch.setattr(encoder, "_open", opened)
    monkeypatch.setattr(frame_encoder.FrameEncoder, "_encode", encode)


def planned_encoders(said: list[messages.FromChild]) -> list[str]:
    """The encoder of the first stream in each plan."""
    return [message.plan.targets[0].streams[0].encoder for message in said if isinstance(message, messages.Planned)]


@pytest.mark.slow
def test_an_encoder_that_fails_midway_is_replaced_and_all_is_made_again(failing: None, clip: Path, tmp_path: Path) -> None:
    """The parent hears which one was lost; the output is whole and says what ran, and why."""
    said, work = carry_out(assignment(clip, tmp_path))
    finished = work()
    assert isinstance(finished, messages.Finished)
    assert planned_encoders(said) == ["h264_nvenc", "libx264"]
    lost = [message for message in said if isinstance(message, messages.EncoderLost)]
    assert [(message.encoder, message.device) for message in lost] == [("h264_nvenc", "nvenc")]
    stream = finished.made[0].artifact.streams[0]
    assert stream.encoder == "libx264" and stream.packet_count == 50 and "device lost" in stream.reason
    assert any("device lost" in warning for warning in finished.warnings)


@pytest.mark.slow
def test_progress_does_not_fall_when_all_is_made_again(failing: None, clip: Path, tmp_path: Path) -> None:
    """Percentages wait until they are passed."""
    said, work = carry_out(assignment(clip, tmp_path))
    work()
    percents = [message.progress.percent for message in said if isinstance(message, messages.Advanced)]
    assert percents == sorted(percents)


@pytest.mark.sample(every=2)
def test_required_hardware_that_fails_midway_fails_the_task(failing: None, clip: Path, tmp_path: Path) -> None:
    """There is nothing to fall back to; the plan that cannot be made says what happened."""
    required = replace(FILE, video=replace(VIDEO, hardware=Hardware.REQUIRED))
    said, work = carry_out(assignment(clip, tmp_path, required))
    with pytest.raises(Exception, match="device lost") as failure:
        work()
    assert planned_encoders(said) == ["h264_nvenc"] and not isinstance(failure.value, EncoderFailed)


def segmented(form: SegmentFormat, container: str = "mp4", name: str = "x", **changes: Any) -> TargetSpec:
    """A target in segments of a fifth of a second."""
    uri = f"file:///out/{name}.{'mpd' if form is DASH else 'm3u8'}"
    return replace(FILE, uri=uri, container=container, segment=SegmentSpec(form, 200_000), **changes)


def images(kind: ImageKind, form: str, **changes: Any) -> ImageSpec:
    """An entry of two frames a second."""
    return ImageSpec(kind, 0, f"file:///out/{kind}", form, FramesSpec(interval_us=500_000, **changes))


SHEETS = replace(images(ImageKind.SPRITE, "jpg"), sheet=SheetSpec(web_vtt_uri="file:///out/sheet.vtt"))
SMALL = replace(VIDEO, width=160, height=90)
PACKAGES: dict[str, tuple[TargetSpec, ...]] = {
    "HLS in MPEG-TS": (segmented(HLS, "ts"),),
    "HLS in fragmented MP4": (segmented(HLS),),
    "DASH": (segmented(DASH),),
    "HLS and DASH of the same files": (segmented(HLS), segmented(DASH, index=1)),
    "a group": (
        segmented(HLS, group=0, member=0),
        segmented(HLS, name="small", index=1, video=SMALL, group=0, member=1),
    ),
    "images beside segments": (segmented(HLS, images=(images(ImageKind.SNAPSHOT, "png"), SHEETS)),),
    "images beside a file": (replace(FILE, images=(images(ImageKind.SNAPSHOT, "jpg"), images(ImageKind.ANIMATION, "gif"))),),
}


def files_below(folder: Path) -> dict[str, str]:
    """The digest of every file in a folder, by its path."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.sample(every=15)
@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_of_a_failed_run_is_left_in_what_another_encoder_makes(
    failing: None, clip: Path, tmp_path: Path, package: str
) -> None:
    """The folder holds, byte for byte, what software makes by itself, and no segment is called finished that is not in it."""
    targets = PACKAGES[package]
    folders = [tmp_path / name for name in ("again", "alone")]
    for folder in folders:
        folder.mkdir()
    said, again = carry_out(assignment(clip, folders[0], *targets))
    _, alone = carry_out(assignment(clip, folders[1], *map(without_hardware, targets)))
    finished, expected = again(), alone()
    assert isinstance(finished, messages.Finished) and isinstance(expected, messages.Finished)
    assert set(planned_encoders(said)) == {"h264_nvenc", "libx264"}
    assert files_below(folders[0]) == files_below(folders[1])
    assert [(result.path, result.parts, result.artifact.sha256) for result in finished.made] == [
        (result.path, result.parts, result.artifact.sha256) for result in expected.made
    ]
    place = next(place for place, message in enumerate(said) if isinstance(message, messages.EncoderLost))
    closed = {message.path for message in said[place:] if isinstance(message, messages.Closed)}
    assert closed <= {name for result in finished.made for name in (result.path, *result.parts)}


_SCRIPT = """
import asyncio
from reelmill_server.model.capability import Limits
from reelmill_server.worker import messages
from reelmill_server.worker.parent import child_process

print("the script runs", flush=True)


class Files:
    serves, descriptors = False, (0,)


async def main():
    child_process.preload()
    async with child_process.start(messages.Assignment("capabilities", Limits()), Files()) as child:
        loaded = open(f"/proc/{child.pid}/maps").read()
        print("ssl" if "_ssl." in loaded else "no ssl", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="the memory map of a child is open to root only")
def test_a_child_loads_nothing_of_its_parent(tmp_path: Path) -> None:
    """Neither the script that started the server, nor what starts children: a fifth of a second each, and more to attack."""
    script = tmp_path / "server.py"
    script.write_text(_SCRIPT)
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert ran.stdout == "the script runs\nno ssl\n"


@pytest.mark.slow
def test_a_child_has_no_arrays_before_it_needs_them() -> None:
    """numpy takes its number of threads from the environment when it is loaded, and a tenth of a second."""
    code = "import sys, reelmill_server.worker.child.main; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("kind", "free_blocks", "told"),
    [
        (InternalError, 0, "OutputError"),
        (OutputInvalid, 0, "OutputError"),
        (OutputInvalid, 1 << 20, "OutputInvalid"),
        (InvalidMedia, 0, "InvalidMedia"),
    ],
)
def test_what_is_wrong_on_a_full_disk_is_the_disks_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[ReelmillError], free_blocks: int, told: str
) -> None:
    """libav's packagers do not say that they could not write a list: it lacks its end. Another attempt may have room."""
    disk = SimpleNamespace(f_bavail=free_blocks, f_frsize=4096)
    monkeypatch.setattr("os.statvfs", lambda _: disk)
    assert main._failed(kind("the playlist has no end"), str(tmp_path)).code == told
