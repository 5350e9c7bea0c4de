"""Which URIs a request lets its task write. Every plan that a media test makes is checked by `tests.media.converter`, too."""

from dataclasses import replace

import pytest

from reelmill_server.model.image_request import FrameMode, ImageKind, ImageSpec
from reelmill_server.model.package_plan import PackagePlan
from reelmill_server.model.plan import FrameAccess, FramesPlan, ImagePlan, Plan, StreamPlan, StreamType, TargetPlan
from reelmill_server.model.request import ConvertRequest, ExtractSpec, SegmentFormat, SourceSpec, TargetSpec
from reelmill_server.plan.output.destinations import foreign_uris


def request(template: str, extract: str = "") -> ConvertRequest:
    """One target, of a source whose name says something to regular expressions."""
    target = TargetSpec(0, template, "mp4", extract=ExtractSpec("srt", extract) if extract else None)
    return ConvertRequest("task", "default", (SourceSpec("s3://in/a/film (1).mkv"),), (target,), tags={"id": "7.5"})


def plan(uri: str) -> Plan:
    """One file."""
    return Plan((TargetPlan(0, uri, "mp4", "mp4", 1, ()),))


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("s3://out/x.mp4", "s3://out/x.mp4"),
        ("s3://out/x", "s3://out/x.mp4"),
        ("s3://out/x", "s3://out/x_3.mp4"),
        ("s3://out/{barename}", "s3://out/film (1).mp4"),
        ("s3://out/{tags.id}/{resolution}/x.{autoext}", "s3://out/7.5/640x360/x.mp4"),
        ("s3://out/{tags.id}/{resolution}/x.{autoext}", "s3://out/7.5//x.mp4"),
        ("s3://out/{streamindex}/x-{index}.m4a", "s3://out/2/x-3.m4a"),
    ],
)
def test_what_a_template_names_is_allowed(template: str, uri: str) -> None:
    """With its numbers, size and extension."""
    assert foreign_uris(request(template), (0,), plan(uri)) == []


@pytest.mark.parametrize("variable", ["streamindex", "index", "resolution", "autoext", "rung"])
def test_many_variables_behind_each_other_are_compared_soon(variable: str) -> None:
    """As a regular expression, ten of them and 24 digits took minutes, in which the worker did nothing else."""
    uris = [f"s3://out/{text}Z!" for text in ("1" * 300, "1x1" * 100, "-1" * 150)]
    template = f"s3://out/{f'{{{variable}}}' * 30}"
    assert foreign_uris(request(template), (0,), Plan(tuple(plan(uri).targets[0] for uri in uris))) == uris


@pytest.mark.parametrize(
    "uri",
    [
        "s3://out/7.5/y.mp4",
        "s3://out/7x5/x.mp4",
        "s3://out/7.5/xx.mp4",
        "s3://out/7.5/x/y.mp4",
        "s3://out/7.5/x-other.mp4",
        "s3://out/7.5/x.mp4/..",
        "s3://out/7.5/../8/x.mp4",
        "s3://other/7.5/x.mp4",
        "s3://out/7.5/x.mp4\n",
        "",
    ],
)
def test_anything_else_is_foreign(uri: str) -> None:
    """It belongs to another task, or to nobody."""
    assert foreign_uris(request("s3://out/{tags.id}/x.mp4"), (0,), plan(uri)) == [uri]


@pytest.mark.parametrize(("prefix", "suffix", "allowed"), [("x-", ".ts", True), ("x", ".ts", False), ("x-", "/y.ts", False)])
def test_segments_are_named_after_their_playlist(prefix: str, suffix: str, allowed: bool) -> None:
    """A number in a template is not that of a segment."""
    package = PackagePlan(SegmentFormat.HLS, 1, f"s3://out/{prefix}", suffix)
    result = Plan((TargetPlan(0, "s3://out/x99999.m3u8", "ts", "hls", 1, (), package=package),))
    template = "s3://out/x99999" if not allowed and suffix == ".ts" else "s3://out/x"
    foreign = foreign_uris(request(template), (0,), result)
    assert [uri for uri in foreign if uri.endswith("ts")] == [] or not allowed
    assert bool([uri for uri in foreign if uri.endswith("ts")]) is not allowed


def test_separate_subtitles_have_a_template_of_their_own() -> None:
    """Numbered behind its name."""
    lines = Plan((TargetPlan(0, "s3://out/lines_0.srt", "srt", "srt", 1, ()),))
    assert foreign_uris(request("s3://out/x", "s3://out/lines.srt"), (0,), lines) == []
    assert foreign_uris(request("s3://out/x"), (0,), lines) == ["s3://out/lines_0.srt"]


@pytest.mark.parametrize(("template", "allowed"), [("s3://out/x-{index}.jpg", True), ("s3://out/x-1.jpg", False)])
def test_images_are_numbered_only_where_their_template_is(template: str, allowed: bool) -> None:
    """A number in a name is not that of an image: others of that name are not this task's."""
    stream, frames = StreamPlan(StreamType.VIDEO, (), "mjpeg", "mjpeg", ""), FramesPlan(FrameMode.AVERAGE)
    names = {"prefix": "s3://out/x-", "suffix": ".jpg", "numbered": True}
    image = ImagePlan(
        0,
        ImageKind.SNAPSHOT,
        "jpg",
        **names,
        stream=stream,
        frames=frames,
        width=1,
        height=1,
        reading=FrameAccess.SEEK,
        reason="",
    )
    asked = TargetSpec(0, "", "", images=(ImageSpec(ImageKind.SNAPSHOT, 0, template, "jpg"),))
    result = foreign_uris(replace(request(""), targets=(asked,)), (0,), Plan((), images=(image,)))
    assert (result == []) is allowed
