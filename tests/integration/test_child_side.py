"""The child's side, run in this process: what it does when an encoder fails in the middle, and within its limits."""

import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reelmill_server.errors import EncoderFailed
from reelmill_server.media.conversion.base import Conversion
from reelmill_server.media.libav.encoder import EncoderDown
from reelmill_server.model.capability import Capability, Limits
from reelmill_server.model.request import AudioSpec, ConvertRequest, Hardware, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.worker import messages
from reelmill_server.worker.child import convert, main
from reelmill_server.worker.child.context import Attempt
from reelmill_server.worker.parent import child_process
from tests.clips import moving_picture

ORDER = ("nvenc", "software")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds."""
    return moving_picture(tmp_path_factory.mktemp("clips") / "clip.mp4", 2)


def assignment(clip: Path, folder: Path, policy: Hardware = Hardware.PREFERRED, **limits: Any) -> messages.Assignment:
    """A conversion on a machine that seems to have NVENC."""
    video = VideoSpec("h264", preset="ultrafast", hardware=policy)
    target = TargetSpec(0, f"{folder.as_uri()}/out.mp4", "mp4", video, AudioSpec("aac"), video_asked=True)
    return messages.Assignment(
        "convert",
        Limits(**limits),
        ConvertRequest("task", "default", (SourceSpec(clip.as_uri()),), (target,)),
        (messages.SourceRef(str(clip)),),
        (0,),
        str(folder),
        (Capability("h264_nvenc", "h264", "nvenc", True), Capability("libx264", "h264", "software", True)),
        ORDER,
        subtitles=((),),
    )


def carry_out(task: messages.Assignment) -> tuple[list[messages.FromChild], Callable[[], messages.FromChild]]:
    """An attempt whose parent agrees to every plan: what it says, and the work itself."""
    ours, theirs = Pipe()
    attempt = Attempt(theirs, task)
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


class FailsMidway(Conversion):
    """The first encoder writes for a while and then fails, as a driver does; `planned` are the encoders of each run."""

    planned: list[str] = []

    def run(self) -> Any:
        """Fails once."""
        encoder = self._plan.targets[0].streams[0].encoder
        type(self).planned.append(encoder)
        if encoder == "h264_nvenc":
            (self._directory / "0.mp4").write_bytes(b"half a file")
            raise EncoderDown("h264_nvenc", "nvenc", "failed while encoding: device lost")
        return super().run()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> type[FailsMidway]:
    """The child uses that conversion."""
    FailsMidway.planned = []
    monkeypatch.setattr(convert, "Conversion", FailsMidway)
    return FailsMidway


def test_an_encoder_that_fails_midway_is_replaced_and_all_is_made_again(
    failing: type[FailsMidway], clip: Path, tmp_path: Path
) -> None:
    """The parent hears which one was lost; the output is whole and says what ran, and why."""
    said, work = carry_out(assignment(clip, tmp_path))
    finished = work()
    assert isinstance(finished, messages.Finished)
    assert failing.planned == ["h264_nvenc", "libx264"]
    lost = [message for message in said if isinstance(message, messages.EncoderLost)]
    assert [(message.encoder, message.device) for message in lost] == [("h264_nvenc", "nvenc")]
    video = finished.made[0].artifact.streams[0]
    assert video.encoder == "libx264" and video.packet_count == 50 and "device lost" in video.reason
    assert any("device lost" in warning for warning in finished.warnings)


def test_progress_does_not_fall_when_all_is_made_again(failing: type[FailsMidway], clip: Path, tmp_path: Path) -> None:
    """Percentages wait until they are passed."""
    said, work = carry_out(assignment(clip, tmp_path))
    work()
    percents = [message.progress.percent for message in said if isinstance(message, messages.Advanced)]
    assert percents == sorted(percents)


def test_required_hardware_that_fails_midway_fails_the_task(failing: type[FailsMidway], clip: Path, tmp_path: Path) -> None:
    """There is nothing to fall back to; the plan that cannot be made says what happened."""
    _, work = carry_out(assignment(clip, tmp_path, Hardware.REQUIRED))
    with pytest.raises(Exception, match="device lost") as failure:
        work()
    assert failing.planned == ["h264_nvenc"] and not isinstance(failure.value, EncoderFailed)


async def test_a_child_that_wants_too_much_memory_fails_clearly(clip: Path, tmp_path: Path) -> None:
    """Its address space is bounded: it fails with a code or crashes, and its parent goes on."""
    child_process.preload()
    task = assignment(clip, tmp_path, Hardware.NEVER, max_memory_bytes=256 << 20)
    from reelmill_server.errors import EncoderCrashed

    ended: Any = None
    async with child_process.start(task) as process:
        try:
            while not isinstance(ended, messages.Failed | messages.Finished):
                ended = await process.hear(5)
                if isinstance(ended, messages.Planned):
                    await process.tell(messages.Go())
        except EncoderCrashed as error:
            ended = error
    assert isinstance(ended, EncoderCrashed | messages.Failed), ended
    if isinstance(ended, messages.Failed):
        assert ended.code in ("MediaLimitExceeded", "EncoderFailed", "InternalError", "InvalidMedia"), ended


def test_a_child_has_no_arrays_before_it_needs_them() -> None:
    """numpy takes its number of threads from the environment when it is loaded, and a tenth of a second."""
    code = "import sys, reelmill_server.worker.child.main; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("code", "free_blocks", "told"),
    [
        ("InternalError", 0, "OutputError"),
        ("OutputInvalid", 0, "OutputError"),
        ("OutputInvalid", 1 << 20, "OutputInvalid"),
        ("InvalidMedia", 0, "InvalidMedia"),
    ],
)
def test_what_is_wrong_on_a_full_disk_is_the_disks_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, free_blocks: int, told: str
) -> None:
    """libav's packagers do not say that they could not write a list: it lacks its end. Another attempt may have room."""
    disk = SimpleNamespace(f_bavail=free_blocks, f_frsize=4096)
    monkeypatch.setattr(main.os, "statvfs", lambda _: disk)
    assert main._blamed(messages.Failed(code, "the playlist has no end"), str(tmp_path)).code == told
