"""Times that packets of the container share, and packets that are put back."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from reelmill_server.media.libav.demuxing import ReadFile, _from_keyframes, _own_times, forget, packets_of, put_back


def packet(index: int, time: int | None, pos: int | None = None) -> Any:
    """One that lasts ten ticks."""
    stream = SimpleNamespace(index=index, codec_context=None)
    return SimpleNamespace(stream=stream, stream_index=index, pts=time, dts=time, pos=pos, duration=10)


def test_of_two_frames_with_one_time_it_is_the_seconds() -> None:
    """Where the first would be late: its end lies in the packet in which the second begins. Fields keep theirs."""
    audio = packet(1, 5, 7)
    given = [packet(0, 0, 1), packet(0, None), audio, packet(0, 30, 9), packet(0, 30, 9), packet(0, 40, 12), packet(0, 40, 12)]
    assert [*_own_times(given, {0})] == given
    assert [item.dts for item in given] == [0, None, 5, None, 30, 40, 40]


def test_frames_before_the_first_keyframe_are_left_out() -> None:
    """Unless there is none for long."""
    frames = [packet(0, time) for time in range(5)]
    for item in frames:
        item.size, item.is_keyframe = 9, item.pts in (2, 4)
    audio = packet(1, 1)
    assert [*_from_keyframes([*frames[:1], audio, *frames[1:]], {0})] == [audio, *frames[2:]]
    long = [frames[0]] * 100
    assert [*_from_keyframes([*long, *frames], {0})] == [*long, *frames]


@pytest.mark.parametrize("held", [_own_times, _from_keyframes])
def test_sound_does_not_wait_for_video_that_has_ended(held: Callable[..., Iterator[Any]]) -> None:
    """All of it would be in memory."""
    read: list[int] = []

    def source() -> Iterator[Any]:
        video = packet(0, 0, 1)
        video.size, video.is_keyframe = 9, False
        yield video
        for time in range(5000):
            read.append(time)
            yield packet(1, time)

    packets = held(source(), {0})
    assert next(packets).stream_index == 0
    assert len(read) < 5000
    assert sum(1 for _ in packets) == 5000


class Source:
    """A container over a file."""

    def __init__(self) -> None:
        self.file, self.streams = SimpleNamespace(file=ReadFile(SimpleNamespace(read=None, seek=None, tell=None))), ()
        self.format = SimpleNamespace(name="mpegts")

    def demux(self, streams: Any) -> Iterator[Any]:
        """Nothing more."""
        return iter(())


def test_what_is_put_back_belongs_to_its_source() -> None:
    """It is given once, of the streams that are asked for, and ends with the source."""
    one, other = Source(), Source()
    stream: Any = SimpleNamespace(index=0, type="video", codec_context=None)
    first, second = packet(0, 1), packet(1, 2)
    put_back(one, [first, second])  # type: ignore[arg-type]
    assert [*packets_of(other, [stream])] == []  # type: ignore[arg-type]
    assert [*packets_of(one, [stream])] == [first]  # type: ignore[arg-type]
    assert [*packets_of(one, [stream])] == []  # type: ignore[arg-type]
    put_back(one, [first])  # type: ignore[arg-type]
    forget(one)  # type: ignore[arg-type]
    assert [*packets_of(one, [stream])] == []  # type: ignore[arg-type]
