"""What the tables are made of: tasks, rows, and readers of what a task made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reelmill.v1.task_pb2 import Task as Ended
from reelmill_client import ReelmillError
from tests import judge

Json = Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Task:
    """A request in the vendor's form. URIs are names: of clips and files below `Sources`, of outputs of this task elsewhere,
    where `given/` leads to the sources."""

    name: str
    sources: Sequence[Json]
    targets: Sequence[Json] = ()
    more: Json | None = None

    def request(self, given: Path, path: Path) -> dict[str, object]:
        """The request, with sources from the folder `given` and outputs to the folder `made`."""
        return {
            "ProjectName": "default",
            "Sources": _placed(self.sources, given),
            "Targets": _placed(self.targets, path),
            **_placed(dict(self.more or {}), path),  # type: ignore[dict-item]
        }


def _placed(value: object, folder: Path) -> object:
    if isinstance(value, Mapping):
        return {
            key: _uri(str(item), folder) if key.endswith("URI") and item else _placed(item, folder)
            for key, item in value.items()
        }
    return [_placed(item, folder) for item in value] if isinstance(value, list | tuple) else value


def _uri(name: str, folder: Path) -> str:
    return f"{(folder.parent.parent if name.startswith('given/') else folder).as_uri()}/{name}"


@dataclass(frozen=True)
class Outcome:
    """How a task ended: refused at once with `error`, or as `ended` says, with its files in `folder`."""

    folder: Path
    ended: Ended | None = None
    error: ReelmillError | None = None

    def __call__(self, name: str) -> Path:
        """An output. A task that was to succeed and did not is told here."""
        assert not self.error, self.error
        assert self.ended and not self.ended.code, self.ended
        return self.folder / name

    @property
    def code(self) -> str:
        """The code of the error, "" when all went well."""
        return self.error.code if self.error else self.ended.code if self.ended else ""

    @property
    def names(self) -> list[str]:
        """All files that the task made, relative to its folder."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Row:
    """A field (`Message.field`), a task that uses it, what is read of the outcome, and what that must be."""

    field: str
    task: Task
    read: Callable[[Outcome], object]
    expected: object


def fails_when_poorer(name: str, **target: object) -> Task:
    """A task that an option FALL must fail, as the source has less than is asked for."""
    return Task(f"fall-{name}", [{"URI": "film.mp4"}], [{"URI": "x.mkv", "Container": "mkv", **target}])


def video(**transcode: object) -> dict[str, object]:
    """A quick encode in H.264."""
    return {"TranscodeVideo": {"Codec": "h264", "Preset": "ultrafast", **transcode}}


def audio(codec: str = "flac", **transcode: object) -> dict[str, object]:
    """An encode; lossless by default."""
    return {"TranscodeAudio": {"Codec": codec, **transcode}}


SILENT = {"DisableAudio": True}
BLIND = {"DisableVideo": True}


def pictures(uri: str, container: str = "mkv", **transcode: object) -> dict[str, object]:
    """A target of pictures alone."""
    return {"URI": uri, "Container": container, "Video": video(**transcode), "Audio": SILENT}


def heard(uri: str, codec: str = "flac", container: str = "mkv", **transcode: object) -> dict[str, object]:
    """A target of sound alone."""
    return {"URI": uri, "Container": container, "Video": BLIND, "Audio": audio(codec, **transcode)}


def kinds(path: Path) -> list[str]:
    """The kinds of streams, in order."""
    return [stream.kind for stream in judge.describe(path).streams]


def codecs(path: Path, kind: str) -> list[str]:
    """The codecs of the streams of a kind."""
    return [stream.codec for stream in judge.describe(path).of(kind)]


def size(path: Path, stream: int = 0) -> tuple[int, int]:
    """Width and height."""
    return judge.describe(path).of("Video")[stream].size


def span(path: Path) -> float:
    """Seconds from the first picture to the last."""
    times = judge.times(path)
    return float(times[-1] - times[0])


def tones(path: Path, stream: int = 0) -> list[int]:
    """The loud frequencies of the first channel, in tens of Hz."""
    wave, rate = judge.sound(path, stream)[:, 0], judge.sample_rate(path, stream)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    loud = np.flatnonzero(spectrum > spectrum.max() / 4) * rate / len(wave)
    return sorted({round(float(hz) / 10) * 10 for hz in loud})


def seconds_of_sound(path: Path, stream: int = 0) -> float:
    """How long the decoded sound is."""
    return len(judge.sound(path, stream)) / judge.sample_rate(path, stream)


def loudness(path: Path, begin: float, end: float, stream: int = 0) -> float:
    """The root mean square of a span (seconds) of sound."""
    rate = judge.sample_rate(path, stream)
    return float(np.sqrt(np.mean(judge.sound(path, stream)[round(begin * rate) : round(end * rate)] ** 2)))


def bits(path: Path, stream: str) -> int:
    """The bits of all packets of a stream (`v:0`, `a:0`)."""
    return 8 * sum(packet.size for packet in judge.packets(path, stream))
