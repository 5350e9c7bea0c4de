"""What VAAPI is told by FFmpeg's own h264_vaapi: the machine's ffmpeg runs commands of plans on the driver of tests/drivers."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Capability, Limits
from reelmill_server.model.request import AudioSpec, ConvertRequest, Hardware, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.ffmpeg.command import ffmpeg_command
from reelmill_server.plan.planner import make_plan
from tests import judge
from tests.clips import moving_picture
from tests.drivers import VA_DEVICE, VA_PACKAGES, Driver, build_va, va_environment

pytestmark = pytest.mark.toolchain
CARD = Capability("h264_vaapi", "h264", "vaapi", True)
FRAMES = 50
_SECONDS = 60


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds."""
    return moving_picture(tmp_path_factory.mktemp("clips") / "clip.mp4", 2)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """The driver's libraries, where an ffmpeg can use them."""
    program = shutil.which("ffmpeg")
    known = (
        program and subprocess.run([program, "-hide_banner", "-encoders"], capture_output=True, text=True, check=False).stdout
    )
    if "h264_vaapi" not in (known or ""):
        pytest.skip(VA_PACKAGES)
    return build_va(tmp_path_factory.mktemp("driver"))


@dataclass(frozen=True)
class Ran:
    """What ffmpeg said, whether it ended well, and what the driver was told."""

    ended: int
    said: str
    told: str


def run(driver: Driver, clip: Path, path: Path, **video: Any) -> Ran:
    """Run the command of a plan whose video is encoded by VAAPI."""
    spec = VideoSpec("h264", hardware=Hardware.REQUIRED, **video)
    target = TargetSpec(0, path.as_uri(), "mp4", spec, AudioSpec(), video_asked=True)
    request = ConvertRequest("task", "project", (SourceSpec(clip.as_uri()),), (target,))
    infos = (probe_file(str(clip), Limits()),)
    plan = make_plan(request, PlanFacts(infos, {CARD.name: CARD}, order=("vaapi",)))
    command: Sequence[str] = shlex.split(" ".join(ffmpeg_command(request, plan, infos).lines))
    places = {"vaapi=gpu": f"vaapi=gpu:{VA_DEVICE}"}
    told = driver.folder / "told"
    told.write_text("")
    done = subprocess.run(
        [command[0], "-nostdin", "-y", *(places.get(word, word) for word in command[1:])],
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
        env={**os.environ, **va_environment(driver)},
    )
    return Ran(done.returncode, done.stderr, told.read_text())


CQP, VBR, QVBR = "rate=0x10", "rate=0x4", "rate=0x400"
ROWS: Mapping[str, tuple[dict[str, Any], Sequence[str]]] = {
    "by default": ({}, (CQP, "sequence intra_period=150 ip_period=4 refs=2", "picture type=2 qp=23")),
    "CRF": ({"crf": 35.0}, (CQP, "picture type=2 qp=35")),
    "Bitrate": ({"bitrate": 150_000}, (VBR, "buffer size=150000")),
    "MaxBitrate": (
        {"crf": 23.0, "max_bitrate": 200_000, "buffer_size": 300_000},
        (QVBR, "rate bits_per_second=200000", "quality_factor=23", "buffer size=300000"),
    ),
    "no B-frames": ({"b_frames": 0}, (CQP, "ip_period=1")),
    "two B-frames": ({"b_frames": 2}, ("ip_period=3", "picture type=1")),
    "keyframes only": ({"gop_size": 1}, ("intra_period=1 ",)),
    "groups of ten": ({"gop_size": 10}, ("intra_period=10 ",)),
    "smaller": ({"width": 160, "height": 90}, ("context 160x96",)),
}


@pytest.mark.parametrize("row", ROWS)
def test_the_command_of_a_plan_is_what_the_driver_is_told(driver: Driver, clip: Path, tmp_path: Path, row: str) -> None:
    """FFmpeg takes every option and filter, and the frames are those that went in: this driver loses nothing."""
    video, expected = ROWS[row]
    path = tmp_path / "made.mp4"
    driver.fault()
    ran = run(driver, clip, path, **video)
    assert not ran.ended, ran.said[-2000:]
    assert [text for text in expected if text not in ran.told] == [], ran.told[:1500]
    frames = judge.pictures(path)
    assert len(frames) == FRAMES
    if "width" not in video:
        assert all(judge.psnr(frame, was) > 50 for frame, was in zip(frames, judge.pictures(clip), strict=True))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"max_width": 256}, r"constraints: width 32-256 height 32-256"),
        ({"no_device": 1}, r"Failed to initialise VAAPI connection"),
        ({"fail_init": 1}, r"Failed to create encode pipeline context"),
        ({"fail_at": 20}, r"Failed to end picture encode issue"),
    ],
)
def test_a_driver_that_refuses_or_fails_says_so(
    driver: Driver, clip: Path, tmp_path: Path, fault: Mapping[str, int], words: str
) -> None:
    """In words that the service looks for, and quotes."""
    driver.fault(**fault)
    ran = run(driver, clip, tmp_path / "made.mp4")
    assert ran.ended and re.search(words, ran.said), ran.said[-1500:]
