"""Roles that print and exit: `plan` and `capabilities`. They need no server, engine or database."""

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from reelmill import vendor_json
from reelmill.v1.media_convert_service_pb2 import CreateMediaConvertTaskRequest
from reelmill_server.api import requests, validate
from reelmill_server.app.work import build_attempts
from reelmill_server.errors import InvalidArgument, Violation
from reelmill_server.model.capability import SOFTWARE, Capability, Sandbox
from reelmill_server.model.plain import plain
from reelmill_server.plan.ffmpeg.command import ffmpeg_command
from reelmill_server.settings import Settings
from reelmill_server.storage.build import build_storage
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker.messages import LIBRARY_PATHS
from reelmill_server.worker.parent import child_process
from reelmill_server.worker.parent.workspace import Scratch

_FEATURES = {
    "yuv444p": "4:4:4",
    "yuv420p10le": "10 bit",
    "bf": "B-frames",
    "refs": "choice of references",
    "bitrate": "mean bit rate",
    "max_bitrate": "capped bit rate",
}
"""Names of features in the table, where they are not those of the contract."""


async def print_capabilities(settings: Settings, as_json: bool) -> None:
    """Try all encoders of this machine and print the results."""
    child_process.preload()
    with tempfile.TemporaryDirectory() as folder:
        attempts = build_attempts(settings, Scratch(Path(folder)), Metrics())
        await attempts.capabilities.discover()
    report = attempts.describe()
    if as_json:
        _print_json(plain(report))
        return
    print("encoders, in order of preference:", *_rows(report.encoders), sep="\n")
    print(*feature_table(report.encoders, settings.encoder_sessions), sep="\n")
    print("decoders:", *_rows(report.decoders), sep="\n")
    print("filters:", *_rows(report.filters), sep="\n")
    print("detectors:", *_rows(report.detectors), sep="\n")
    named = [f"{name}={os.environ[name]}" for name in LIBRARY_PATHS if os.environ.get(name)]
    print("drivers are looked for in:", *(named or ["the system's folders"]))
    print("sandbox:", _sandbox_text(report.sandbox))
    print("versions:", ", ".join(f"{name} {version}" for name, version in report.versions.items()))


def _sandbox_text(sandbox: Sandbox) -> str:
    walls = f"{sandbox.mode}: {', '.join(sandbox.walls) or 'none'}"
    return f"{walls}; this kernel lacks {'; '.join(sandbox.lacks)}" if sandbox.lacks else walls


def _rows(capabilities: Iterable[Capability]) -> Iterable[str]:
    for capability in capabilities:
        state = "available" if capability.available else f"unavailable: {capability.reason}"
        yield f"  {capability.codec:<12} {capability.name:<14} {capability.device:<9} {state}"


def feature_table(encoders: Iterable[Capability], sessions: Mapping[Any, int]) -> Iterator[str]:
    """Yield the lines of a table of what each accelerator was asked for; `sessions`: how many encodes at once are set for each
    family.
    """
    cards: dict[tuple[str, str], list[Capability]] = {}
    for known in encoders:
        if known.available and known.device != SOFTWARE:
            cards.setdefault((known.device, known.card), []).append(known)
    if not cards:
        yield "accelerators: none works"
    for (family, card), works in cards.items():
        limit = f"at most {sessions[family]} sessions" if family in sessions else "as many sessions as it takes"
        yield f"accelerator {family} ({card or 'its driver does not name it'}), {limit}:"
        for known in works:
            for feature in known.features:
                state = "yes" if feature.available else f"no: {feature.reason}"
                yield f"  {known.codec:<6} {_FEATURES.get(feature.name, feature.name):<22} {state}"
            yield from (f"  {known.codec:<6} {name:<22} {limit}" for name, limit in _limits(known))


def _limits(known: Capability) -> Iterator[tuple[str, str]]:
    sizes = known.sizes
    for name, width, height in (("least", sizes.min_width, sizes.min_height), ("largest", sizes.max_width, sizes.max_height)):
        if width or height:
            yield f"{name} size", f"{width or 'any'}x{height or 'any'}"
    if known.max_b_frames:
        yield "B-frames in a row", str(known.max_b_frames)


async def print_plan(settings: Settings, file: Path | None) -> None:
    """Print as JSON the plan of the request in `file` (JSON or YAML; "-" is standard input), without converting anything.

    Raises InvalidArgument, and the errors with which a task would fail before it starts converting.
    """
    request = _read_request(file or Path("-"))
    validate.check_create(request, build_storage(settings))
    child_process.preload()
    with tempfile.TemporaryDirectory() as folder:
        attempts = build_attempts(settings, Scratch(Path(folder)), Metrics())
        await attempts.capabilities.discover()
        conversion = requests.conversion(request, "plan", datetime.now(UTC))
        inspected = await attempts.inspect("plan", conversion)
    assert inspected.plan
    sections = {"plan": inspected.plan, "split": inspected.split}
    data = {name: plain(value) if value else None for name, value in sections.items()}
    command = ffmpeg_command(conversion, inspected.plan, inspected.infos, inspected.split)
    data["ffmpeg"] = {"lines": command.lines, "notes": command.notes}
    _print_json({**data, "sources": [plain(info) for info in inspected.infos]})


def _read_request(file: Path) -> CreateMediaConvertTaskRequest:
    text = sys.stdin.read() if str(file) == "-" else file.read_text()
    try:
        return vendor_json.parse(yaml.safe_load(text), CreateMediaConvertTaskRequest)
    except yaml.YAMLError as error:
        raise InvalidArgument(f"{file} is neither JSON nor YAML: {error}") from error
    except vendor_json.VendorJsonError as error:
        raise InvalidArgument(violations=[Violation(path, problem) for path, problem in error.problems]) from error


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2)
    print()
