"""Reading through the parent: a real child converts what only its parent reaches, and reads no more of it than is needed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from reelmill_server.errors import AccessDenied, ReelmillError, ResourceNotFound, ServiceUnavailable, Stalled
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import (
    AudioSpec,
    ConvertRequest,
    SourceSpec,
    SubtitleFileSpec,
    TargetSpec,
    VideoSpec,
)
from reelmill_server.model.task import Progress, TaskPhase
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker import child
from reelmill_server.worker.abilities import Abilities
from reelmill_server.worker.attempt import Attempts, Bounds
from reelmill_server.worker.workspace import Scratch
from tests.remote import RemoteStorage

ORDER = ("software",)
_RATE = 25
_PADDING_RATE = 48_000


def long_film(path: Path, seconds: int, bytes_a_second: int) -> Path:
    """A small picture, and sound without compression that makes the file as large as is wished: quickly made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = 8
    rate = bytes_a_second // (2 * channels)
    with av.open(str(path), "w", format="mov") as film:
        video = film.add_stream("libx264", rate=_RATE, options={"preset": "ultrafast", "g": str(2 * _RATE), "crf": "40"})
        video.width, video.height, video.pix_fmt = 160, 90, "yuv420p"
        sound = film.add_stream("pcm_s16le", rate=rate, layout="7.1")
        block = bytes(rate * channels * 2 // _RATE)
        for number in range(seconds * _RATE):
            picture = av.VideoFrame(160, 90, "yuv420p")
            for plane, value in zip(picture.planes, (number % 200 + 20, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            picture.pts, picture.time_base = number, Fraction(1, _RATE)
            film.mux(video.encode(picture))
            packet = av.Packet(block)
            packet.stream = sound
            packet.pts = packet.dts = number * (rate // _RATE)
            packet.time_base = Fraction(1, rate)
            film.mux(packet)
        film.mux(video.encode(None))
    return path
