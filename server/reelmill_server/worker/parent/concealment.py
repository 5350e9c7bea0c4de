"""Conceal from a child what it has no use for: queries of web sources, which are often signatures, and roles.

A child that its media has subverted could publish them with its outputs.
"""

from dataclasses import replace
from hashlib import sha256

from reelmill_server.model.overlay_plan import PicturePlan
from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.model.request import Credentials, SourceSpec, TargetSpec
from reelmill_server.uris import scheme_of
from reelmill_server.worker.messages import Assignment, FromChild, Planned

_SIGNED_SCHEMES = ("http", "https")
_DIGITS = 32


class Concealment:
    """Conceal from one child the queries of web URIs and the roles in its assignment.

    URIs keep their paths, by which outputs are named, and two that differ still do.
    """

    def __init__(self, assignment: Assignment) -> None:
        marks = assignment.watermarks
        self._shown = {uri: _concealed(uri) for uri in marks}
        self._real = {shown: uri for uri, shown in self._shown.items()}
        self.assignment = replace(assignment, watermarks={_concealed(uri): mark for uri, mark in marks.items()})
        if request := assignment.request:
            request = replace(
                request,
                sources=tuple(map(_source, request.sources)),
                targets=tuple(map(_target, request.targets)),
                credentials=Credentials(),
            )
            self.assignment = replace(self.assignment, request=request)
        if assignment.plan:
            self.assignment = replace(self.assignment, plan=_renamed(assignment.plan, self._shown))

    def revealed(self, message: FromChild) -> FromChild:
        """Return a message of the child with the URIs that the request has: other attempts are given its plan."""
        return replace(message, plan=_renamed(message.plan, self._real)) if isinstance(message, Planned) else message


def _concealed(uri: str) -> str:
    head, _, query = uri.partition("?")
    if not query or scheme_of(uri) not in _SIGNED_SCHEMES:
        return uri
    return f"{head}?{sha256(query.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGITS]}"


def _source(source: SourceSpec) -> SourceSpec:
    files = tuple(replace(file, uri=_concealed(file.uri)) for file in source.subtitles)
    return replace(source, uri=_concealed(source.uri), subtitles=files)


def _target(target: TargetSpec) -> TargetSpec:
    if target.video is None or not target.video.watermarks:
        return target
    marks = tuple(replace(mark, uri=_concealed(mark.uri)) for mark in target.video.watermarks)
    return replace(target, video=replace(target.video, watermarks=marks))


def _renamed(plan: Plan, names: dict[str, str]) -> Plan:
    """Return the plan with its watermark files called by other names."""

    def stream(planned: StreamPlan) -> StreamPlan:
        marks = (
            replace(mark, uri=names.get(mark.uri, mark.uri)) if isinstance(mark, PicturePlan) else mark
            for mark in planned.overlays
        )
        return replace(planned, overlays=tuple(marks)) if planned.overlays else planned

    return replace(plan, targets=tuple(replace(one, streams=tuple(map(stream, one.streams))) for one in plan.targets))
