"""The targets that each real file is converted to, and what the judge must find in what was made."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from reelmill_server.model.request import AudioSpec, ExtractSpec, SegmentFormat, SegmentSpec, TargetSpec, VideoSpec
from reelmill_server.model.sizes import ScaleType
from reelmill_server.plan.codec.containers import CONTAINERS
from reelmill_server.plan.codec.video_encoders import LIBAV_CODEC
from tests import judge
from tests.media.converter import Converted, encoded, target

START, LENGTH = 1.0, 2.0
SIZE = (160, 120)
# Samples in the longest packet of the codecs (MP3, AC-3 and AAC have 1152, 1536 and 1024).
PACKET = 1536
# Every container can have this one; MXF has no other sound than PCM.
SOUND = {"mkv": "flac", "webm": "opus", "avi": "mp3", "mxf": ""}
SOUND_ALONE = {"mp3": "mp3", "aac": "aac", "flac": "flac", "oga": "vorbis", "ac3": "ac3", "opus": "opus"}
SOUND_ALONE |= {"wav": "flac", "m4a": "aac", "amr": "amr"}
COPIED = ("mp4", "mov", "mkv", "ts", "asf", "avi", "mxf", "flv")


@dataclass(frozen=True)
class Cell:
    """A column of the matrix: targets of one task. Copies begin at a key frame, so that they are judged less closely."""

    name: str
    targets: tuple[TargetSpec, ...]
    group_uris: tuple[str, ...] = ()

    @property
    def encodes(self) -> bool:
        """Whether pictures and sound are made anew."""
        return not self.name.startswith("copy")


def _small(codec: str, **more: object) -> VideoSpec:
    size = {"width": SIZE[0], "height": SIZE[1], "scale_type": ScaleType.STRETCH}
    return encoded(codec, **{**size, **more})


def _sound(container: str) -> AudioSpec | None:
    codec = SOUND.get(container, "aac")
    return AudioSpec(codec) if codec else None


def _packaged(container: str, form: SegmentFormat, codec: str = "h264", **more: object) -> TargetSpec:
    spec = target(container, _small(codec, **more), AudioSpec("aac"))
    return replace(spec, segment=SegmentSpec(form, 1_000_000))


def _ladder(container: str) -> Cell:
    members = [
        replace(
            _packaged(container, SegmentFormat.HLS, width=width, height=height),
            uri=f"file:///out/{height}/v.m3u8",
            group=0,
            member=member,
            subtitle="none",
        )
        for member, (width, height) in enumerate((SIZE, (80, 60)))
    ]
    return Cell(f"group of {container}", tuple(members), ("file:///out/main.m3u8",))


def _cells() -> Sequence[Cell]:
    cells = [Cell(f"copy to {name}", (target(name),)) for name in COPIED]
    for name, container in CONTAINERS.items():
        if container.audio_only:
            cells.append(Cell(name, (target(name, None, AudioSpec(SOUND_ALONE[name])),)))
            continue
        # MXF takes some frame rates only.
        rate = {"frame_rate": Fraction(25)} if name == "mxf" else {}
        cells += [
            Cell(f"{codec} in {name}", (target(name, _small(codec, **rate), _sound(name)),))
            for codec, coded in LIBAV_CODEC.items()
            if container.holds("video", coded)
        ]
    cells += [
        Cell("HLS of ts", (_packaged("ts", SegmentFormat.HLS),)),
        Cell("HLS of mp4", (_packaged("mp4", SegmentFormat.HLS),)),
        Cell("DASH", (_packaged("mp4", SegmentFormat.DASH, "h265"),)),
        _ladder("ts"),
        _ladder("mp4"),
    ]
    cells += [
        Cell(f"extract {form}", (TargetSpec(0, "", "", subtitle="all", extract=ExtractSpec(form, "file:///out/x")),))
        for form in ("srt", "ass", "vtt")
    ]
    return cells


CELLS = {cell.name: cell for cell in _cells()}


def _raw(path: Path, *arguments: str) -> bytes:
    exact = ("-ss", str(START), "-t", str(LENGTH))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", *exact, "-i", str(path), *arguments, "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


@cache
def source_pictures(path: Path) -> NDArray[np.uint8]:
    """The pictures of the span, brought to the size of the matrix by the judge."""
    scale = f"scale={SIZE[0]}:{SIZE[1]}"
    raw = _raw(path, "-map", "0:v:0", "-vf", scale, "-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo")
    return np.frombuffer(raw, np.uint8).reshape(-1, SIZE[1], SIZE[0])


@cache
def source_loudness(path: Path) -> float:
    """The root mean square of the span of the first audio stream, mixed to one channel."""
    wave = np.frombuffer(_raw(path, "-map", "0:a:0", "-f", "f32le"), np.float32).reshape(-1, judge.channels(path))
    return _loudness(wave)


def _loudness(wave: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(wave.mean(axis=1) ** 2)))


def judge_pictures(source: Path, path: Path, tolerance: int) -> None:
    """As many pictures as the span has, and each the one that the source shows."""
    expected, result = source_pictures(source), judge.pictures(path)
    if not tolerance:
        assert len(result) == len(expected), "pictures"
    assert abs(len(result) / _rate(path) - LENGTH) <= (1 + tolerance) / _rate(path)
    for share in (0, 0.5, 0.99):
        pair = expected[int(share * len(expected))], result[int(share * len(result))]
        assert judge.psnr(*pair) > 30, f"{judge.psnr(*pair):.1f} dB"


def _rate(path: Path) -> float:
    times = judge.times(path)
    return (len(times) - 1) / float(times[-1] - times[0])


def judge_sound(source: Path, path: Path) -> None:
    """As much sound as the span has, but for a packet on each side; about as loud."""
    wave, rate = judge.sound(path), judge.sample_rate(path)
    assert abs(len(wave) / rate - LENGTH) < 0.02 + 2 * PACKET / rate, f"{len(wave) / rate:.3f} s of sound"
    share = (_loudness(wave) + 1e-4) / (source_loudness(source) + 1e-4)
    # AMR keeps what a telephone does: 0.71 was measured, other codecs are within 0.1 of 1.
    assert 0.65 < share < 1.25, f"{share:.2f} of the loudness"


def refusal(source: Path, cell: Cell) -> str:
    """Why the contract or a container does not allow a cell, as a pattern of the error; "" when it is to be made."""
    given, (name, asked) = judge.describe(source), (cell.name, cell.targets[0])
    if asked.extract:
        return "" if given.of("Subtitle") else "no such subtitle stream"
    if not (asked.video and given.of("Video")) and not (asked.audio and given.of("Audio")):
        return "no stream that this target takes"
    if name == "copy to mxf" and not given.of("Video"):
        return "mxf does not hold"
    if name.removeprefix("copy to ") in ("asf", "avi", "mxf") and given.of("Video") and _reordered(source):
        return "B-frames"
    return "set frame_rate" if name == "copy to mxf" and "12.50 fps" in given.of("Video")[0].rest else ""


def _reordered(source: Path) -> bool:
    times = [packet.pts for packet in judge.packets(source, "v:0")]
    return times != sorted(times)


def judge_cell(source: Path, cell: Cell, converted: Converted) -> None:
    """Raises AssertionError or Judgement for what is not as it should be."""
    asked, given, files = cell.targets[0], judge.describe(source), _files(cell, converted)
    results = {stream.kind for path in files for stream in judge.describe(path).streams}
    if asked.extract:
        assert results == {"Subtitle"} and any(judge.lines(path) for path in files)
        return
    kinds = [kind for kind, spec in (("Video", asked.video), ("Audio", asked.audio)) if spec and given.of(kind)]
    assert set(kinds) <= results
    for path in files:
        judge.check(path)
        if not cell.encodes:
            # The span begins at the key frame before it.
            assert LENGTH - 0.2 < judge.describe(path).duration < LENGTH + 15
            continue
        if "Video" in kinds and judge.describe(path).of("Video"):
            judge_pictures(source, path, int(asked.container in ("avi", "mxf")))
        if "Audio" in kinds and judge.describe(path).of("Audio"):
            judge_sound(source, path)


def _files(cell: Cell, converted: Converted) -> list[Path]:
    """What a player reads. The judge reads manifests of DASH wrongly: head and segments of each stream are joined for it."""
    folder, segment = converted.published, cell.targets[0].segment
    if cell.group_uris:
        return [folder / "main.m3u8"]
    if not segment:
        return list(converted.paths)
    if segment.format is SegmentFormat.HLS:
        return [folder / "x.m3u8"]
    joined = []
    for head in sorted(folder.glob("x-*-init.mp4")):
        stem = head.name.removesuffix("init.mp4")
        parts = sorted(folder.glob(f"{stem}*.m4s"), key=lambda part: int(part.stem.rpartition("-")[2]))
        whole = folder / f"joined-{stem}.mp4"
        whole.write_bytes(b"".join(path.read_bytes() for path in (head, *parts)))
        joined.append(whole)
    return joined
