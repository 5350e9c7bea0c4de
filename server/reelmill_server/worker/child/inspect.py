"""What a child finds out: what is in the sources, what would be made of them, what this machine can do."""

import json
from dataclasses import dataclass
from pathlib import Path

from reelmill_server.media import capabilities
from reelmill_server.media.input.keyframe_index import keyframe_times
from reelmill_server.media.input.probe import probe_beside, probe_file, probe_subtitles
from reelmill_server.model.media_info import MediaInfo, SubtitleFileInfo
from reelmill_server.model.plan import Plan
from reelmill_server.model.units import Split
from reelmill_server.plan.chunks import encoded_video, split
from reelmill_server.plan.context import Situation
from reelmill_server.plan.planner import make_plan
from reelmill_server.plan.stream.adaptive import needs_bitrates
from reelmill_server.worker import messages
from reelmill_server.worker.child.context import Attempt


def probe(attempt: Attempt) -> messages.FromChild:
    """What is in the sources."""
    return messages.Probed(_probe_all(attempt))


def plan(attempt: Attempt) -> messages.FromChild:
    """What a conversion would do, and how it is cut if that was asked. Raises what a conversion does before it begins."""
    found = Found.by(attempt)
    made = plan_for(attempt, found, {})
    return messages.Planned(made, found.media, split_for(attempt, made, found))


def try_all(attempt: Attempt) -> messages.FromChild:
    """What this machine can do: each encoder, filter and detector is tried."""
    assignment = attempt.assignment
    return messages.Tried(
        encoders=capabilities.try_encoders(assignment.encoder_order, frozenset(assignment.retry_encoders)),
        decoders=capabilities.list_decoders(),
        versions=capabilities.library_versions(),
        filters=capabilities.try_filters(),
        detectors=(capabilities.try_privacy(),),
    )


@dataclass(frozen=True)
class Found:
    """What probing found in the sources, in the subtitle files of each, and in the files of watermarks, by URI."""

    media: tuple[MediaInfo, ...]
    subtitles: tuple[tuple[SubtitleFileInfo, ...], ...]
    watermarks: dict[str, MediaInfo]

    @classmethod
    def by(cls, attempt: Attempt) -> "Found":
        """Probes everything that the assignment names."""
        locations, limits = attempt.watermark_locations, attempt.assignment.limits
        with attempt.stage("probe"):
            watermarks = {uri: probe_beside(place, uri, limits) for uri, place in locations.items()}
        return cls(_probe_all(attempt), _probe_subtitles(attempt), watermarks)


def _probe_all(attempt: Attempt) -> tuple[MediaInfo, ...]:
    assignment = attempt.assignment
    measure = assignment.request is not None and needs_bitrates(assignment.request)
    with attempt.stage("probe"):
        return tuple(probe_file(place, assignment.limits, measure) for place in attempt.locations)


def _probe_subtitles(attempt: Attempt) -> tuple[tuple[SubtitleFileInfo, ...], ...]:
    """What is in the subtitle files of each source; errors name the file as the request does."""
    assignment = attempt.assignment
    with attempt.stage("probe"):
        return tuple(
            tuple(
                probe_subtitles(place, spec.uri, assignment.limits)
                for place, spec in zip(locations, source.subtitles, strict=True)
            )
            for locations, source in zip(attempt.subtitle_locations, attempt.request.sources, strict=True)
        )


def plan_for(attempt: Attempt, found: Found, excluded: dict[str, str]) -> Plan:
    """What would be made of the sources, without the `excluded` encoders (name: reason). Raises ReelmillError."""
    assignment = attempt.assignment
    situation = Situation(
        infos=found.media,
        subtitle_infos=found.subtitles,
        watermark_infos=found.watermarks,
        capabilities={capability.name: capability for capability in assignment.capabilities},
        modified_us=assignment.modified_us,
        order=assignment.encoder_order,
        excluded=excluded,
    )
    with attempt.stage("plan"):
        return make_plan(attempt.request, situation)


def split_for(attempt: Attempt, plan: Plan, found: Found) -> Split | None:
    """How the plan is cut, if that was asked."""
    assignment = attempt.assignment
    if assignment.rule is None:
        return None
    parts = [part for _, _, stream in encoded_video(plan) for part in stream.parts]
    keys: tuple[int, ...] = ()
    if len(plan.inputs) == 1 and parts and parts[0].stream >= 0:
        with attempt.stage("plan"):
            keys = keyframe_times(attempt.locations[plan.inputs[0].source], parts[0].stream, assignment.limits)
    libraries = json.dumps(capabilities.library_versions(), sort_keys=True)
    return split(plan, found.media, keys, assignment.rule, libraries, identities(assignment))


def identities(assignment: messages.Assignment) -> tuple[tuple[int, int], ...]:
    """Size and time of change of each source."""
    sizes = (Path(ref.path).stat().st_size if ref.key < 0 else ref.size_bytes for ref in assignment.sources)
    return tuple(zip(sizes, assignment.modified_us, strict=True))
