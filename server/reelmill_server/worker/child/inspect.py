"""Inspect in a child: probe sources, plan, and try the capabilities of this machine."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from reelmill_server.media import capabilities
from reelmill_server.media.input.cut_edges import edges_of
from reelmill_server.media.input.keyframe_index import keyframe_times
from reelmill_server.media.input.probe import probe_beside, probe_file, probe_subtitles
from reelmill_server.media.input.side_by_side import side_by_side
from reelmill_server.media.input.source import Location
from reelmill_server.model.ladder import Ladder
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.plan import Plan
from reelmill_server.model.smart_cut import CutEdges
from reelmill_server.plan.chunks import encoded_video, identified, split
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.output.images import needs_length
from reelmill_server.plan.planner import make_plan
from reelmill_server.plan.quality import searches_of
from reelmill_server.plan.stream.adaptive import needs_bitrates
from reelmill_server.worker import messages
from reelmill_server.worker.child.context import Attempt
from reelmill_server.worker.child.look import bounded_look


def probe(attempt: Attempt) -> messages.FromChild:
    """Return the contents of the sources."""
    with bounded_look(attempt):
        return messages.Probed(_probe_all(attempt))


def plan(attempt: Attempt) -> messages.FromChild:
    """Return the plan, and how it is split if requested. Raises what a conversion raises before it starts."""
    probed = ProbedSources.by(attempt)
    return planned(attempt, plan_for(attempt, probed, attempt.assignment.excluded), probed)


def run_trials(attempt: Attempt) -> messages.FromChild:
    """Try each encoder, filter and detector on this machine."""
    assignment = attempt.assignment
    return messages.TrialResults(
        encoders=capabilities.try_encoders(assignment.encoder_order, frozenset(assignment.retry_encoders)),
        decoders=capabilities.list_decoders(),
        versions=capabilities.library_versions(),
        filters=capabilities.try_filters(),
        detectors=(capabilities.try_privacy(),),
        sandbox=attempt.sandbox,
    )


@dataclass(frozen=True)
class ProbedSources:
    """Contents of the sources, of the subtitle files of each, and of watermark files by URI; `cut_edges` and `ladders` as in
    PlanFacts.
    """

    media: tuple[MediaInfo, ...]
    subtitles: tuple[tuple[MediaInfo, ...], ...]
    watermarks: dict[str, MediaInfo]
    cut_edges: dict[tuple[int, int], CutEdges]
    ladders: Mapping[int, Ladder] = field(default_factory=dict)

    @classmethod
    def by(cls, attempt: Attempt) -> "ProbedSources":
        """Probe all files that the assignment names."""
        locations, limits = attempt.watermark_locations, attempt.assignment.limits
        with bounded_look(attempt):
            with attempt.stage("probe"):
                watermarks = {uri: probe_beside(place, uri, limits) for uri, place in locations.items()}
            media = _probe_all(attempt)
            return cls(media, _probe_subtitles(attempt), watermarks, _cut_edges(attempt, media))


def _probe_all(attempt: Attempt) -> tuple[MediaInfo, ...]:
    assignment = attempt.assignment
    request = assignment.request
    measured = (False, False) if request is None else (needs_bitrates(request), needs_length(request))
    # Of what is asked without a conversion, callers are told all.
    copied = assignment.action == "convert" and request is not None and request.copies_video

    def probed(location: Location) -> MediaInfo:
        return probe_file(location, assignment.limits, *measured, copied)

    with attempt.stage("probe"):
        if copied and len(attempt.locations) > 1:  # of others more frames are decoded, and held
            return tuple(side_by_side(probed, attempt.locations))
        return tuple(map(probed, attempt.locations))


def _probe_subtitles(attempt: Attempt) -> tuple[tuple[MediaInfo, ...], ...]:
    """Return the contents of the subtitle files of each source; errors name a file as the request does."""
    assignment = attempt.assignment
    with attempt.stage("probe"):
        return tuple(
            tuple(
                probe_subtitles(place, spec.uri, assignment.limits, spec.language)
                for place, spec in zip(locations, source.subtitles, strict=True)
            )
            for locations, source in zip(attempt.subtitle_locations, attempt.request.sources, strict=True)
        )


def _cut_edges(attempt: Attempt, media: Sequence[MediaInfo]) -> dict[tuple[int, int], CutEdges]:
    """Return where copied video can be cut at the frame, if a target asks for that."""
    with attempt.stage("probe"):
        return edges_of(attempt.request, media, attempt.locations, attempt.assignment.limits)


def plan_for(
    attempt: Attempt,
    probed: ProbedSources,
    excluded: Mapping[str, str],
    refused: Mapping[int, Mapping[str, str]] = MappingProxyType({}),
) -> Plan:
    """Return the plan without the `excluded` encoders (name to reason), and those `refused` for single targets, by index.

    Raises ReelmillError.
    """
    assignment = attempt.assignment
    facts = PlanFacts(
        infos=probed.media,
        subtitle_infos=probed.subtitles,
        watermark_infos=probed.watermarks,
        capabilities={capability.name: capability for capability in assignment.capabilities},
        modified_us=assignment.modified_us,
        order=assignment.encoder_order,
        excluded=excluded,
        cut_edges=probed.cut_edges,
        refused=refused,
        ladders=probed.ladders,
    )
    with attempt.stage("plan"):
        return make_plan(attempt.request, facts)


def planned(attempt: Attempt, plan: Plan, probed: ProbedSources) -> messages.Planned:
    """Return the report of a plan, with how it is cut into chunks if the assignment asks for that."""
    assignment = attempt.assignment
    if assignment.rule is None:
        return messages.Planned(plan, probed.media)
    parts = [part for _, _, stream in encoded_video(plan) for part in stream.parts]
    keys: tuple[int, ...] = ()
    if len(plan.inputs) == 1 and parts and parts[0].stream >= 0:
        with attempt.stage("plan"):
            keys = keyframe_times(attempt.locations[plan.inputs[0].source], parts[0].stream, assignment.limits)
    libraries = json.dumps(capabilities.library_versions(), sort_keys=True)
    cut = split(plan, probed.media, keys, assignment.rule, libraries, identities(assignment))
    searches = searches_of(plan, keys) if cut.units else ()
    if searches:
        count = sum(len(search.samples) for search in searches)
        text = f"{cut.reason}; the CRF is searched first, on {count} sample{'s' if count > 1 else ''}"
        cut = identified(plan, replace(cut, reason=text))
    return messages.Planned(plan, probed.media, cut, searches)


def identities(assignment: messages.Assignment) -> tuple[tuple[int, int], ...]:
    """Return size in bytes and modification time of each source."""
    return tuple(zip((ref.size_bytes for ref in assignment.sources), assignment.modified_us, strict=True))
