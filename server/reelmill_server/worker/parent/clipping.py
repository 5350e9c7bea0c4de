"""Bounds of what a child says: a child that its media has subverted may say anything, and as much of it as it likes."""

from collections.abc import Sequence
from dataclasses import replace

from reelmill_server.model.task import Artifact, Progress
from reelmill_server.worker.messages import Advanced, ChunkEncoded, EncoderLost, Failed, Finished, FromChild, Planned

MAX_TEXT_LENGTH = 4096
"""Most characters of a text that a child reports, such as a reason or a warning."""
_MAX_TEXTS = 1000


def clipped(message: FromChild) -> FromChild:
    """Return a message with its texts for people cut to MAX_TEXT_LENGTH, at most 1000 of them, and its percentage in range."""
    match message:
        case Advanced():
            message = replace(message, progress=_clip_progress(message.progress))
        case Failed():
            fields = tuple((_clip(field), _clip(text)) for field, text in message.fields[:_MAX_TEXTS])
            message = replace(message, code=_clip(message.code), message=_clip(message.message), fields=fields)
        case EncoderLost():
            message = replace(
                message, encoder=_clip(message.encoder), device=_clip(message.device), reason=_clip(message.reason)
            )
        case Planned():
            message = replace(message, plan=replace(message.plan, warnings=_clip_all(message.plan.warnings)))
        case Finished():
            results = tuple(replace(result, artifact=_clip_artifact(result.artifact)) for result in message.made)
            message = replace(message, made=results, warnings=_clip_all(message.warnings))
        case ChunkEncoded():
            message = replace(message, warnings=_clip_all(message.warnings))
    return message


def _clip_progress(progress: Progress) -> Progress:
    """Return progress without what only the engine knows."""
    targets = tuple(
        replace(target, percent=min(max(target.percent, 0.0), 100.0), encoders=_clip(target.encoders))
        for target in progress.targets[:_MAX_TEXTS]
    )
    return Progress(phase=progress.phase, percent=min(max(progress.percent, 0), 100), targets=targets)


def _clip_artifact(artifact: Artifact) -> Artifact:
    """Return an artifact with short texts, and at most 1000 streams; its URI is compared with the plan's."""
    streams = tuple(
        replace(
            stream,
            codec=_clip(stream.codec),
            encoder=_clip(stream.encoder),
            reason=_clip(stream.reason),
            language=_clip(stream.language),
            adjustments=tuple(
                replace(adjustment, reason=_clip(adjustment.reason)) for adjustment in stream.adjustments[:_MAX_TEXTS]
            ),
        )
        for stream in artifact.streams[:_MAX_TEXTS]
    )
    return replace(
        artifact,
        streams=streams,
        container=_clip(artifact.container),
        sha256=_clip(artifact.sha256),
        segments_sha256=_clip(artifact.segments_sha256),
    )


def _clip_all(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(_clip, texts[:_MAX_TEXTS]))


def _clip(text: str) -> str:
    return text if len(text) <= MAX_TEXT_LENGTH else f"{text[: MAX_TEXT_LENGTH - 1]}…"
