"""Where the files of outputs in segments go, and that nothing else is believed."""

from dataclasses import replace

import pytest

from reelmill_server.model.package_plan import PackagePlan, RenditionPlan
from reelmill_server.model.plan import Plan, TargetPlan
from reelmill_server.model.request import SegmentFormat
from reelmill_server.model.task import ArtifactKind
from reelmill_server.plan.output.naming import OutputName, expand_package, package_problems
from reelmill_server.plan.output.package_files import part_uri, planned_files

HLS = TargetPlan(0, "s3://b/x.m3u8", "mp4", "hls", 0, (), package=PackagePlan(SegmentFormat.HLS, 1, "s3://b/x-", ".m4s", 7))
DASH = TargetPlan(
    1, "s3://b/y.mpd", "mp4", "dash", 0, ({}, {}), package=PackagePlan(SegmentFormat.DASH, 1, "s3://b/y-", ".m4s", 1)
)  # type: ignore[arg-type]
FILE = TargetPlan(2, "s3://b/z.mp4", "mp4", "mp4", 0, ())
SUBTITLES = TargetPlan(
    0,
    "s3://b/s_0.m3u8",
    "vtt",
    "webvtt",
    0,
    (),
    package=PackagePlan(SegmentFormat.HLS, 1, "s3://b/s_0-", ".vtt", 7, rendition=RenditionPlan("eng")),
)
PLAN = Plan((HLS, DASH, FILE, SUBTITLES))


@pytest.mark.parametrize(
    ("template", "listed", "prefix", "suffix"),
    [
        ("s3://b/d/x", "s3://b/d/x.m3u8", "s3://b/d/x-", ".ts"),
        ("s3://b/d/x.m3u8", "s3://b/d/x.m3u8", "s3://b/d/x-", ".ts"),
        ("s3://b/d/x.{autoext}", "s3://b/d/x.m3u8", "s3://b/d/x-", ".ts"),
        ("s3://b/d/film.2024", "s3://b/d/film.2024.m3u8", "s3://b/d/film.2024-", ".ts"),
        ("s3://b/d/x-{index}", "s3://b/d/x.m3u8", "s3://b/d/x-", ".ts"),
        ("s3://b/d/{index}_x.{autoext}", "s3://b/d/_x.m3u8", "s3://b/d/", "_x.ts"),
        ("s3://b/{tags.t}/x_{index}.m3u8", "s3://b/v/x.m3u8", "s3://b/v/x_", ".ts"),
    ],
)
def test_the_template_names_list_and_segments(template: str, listed: str, prefix: str, suffix: str) -> None:
    """With and without extension and number."""
    name = expand_package(template, OutputName("m3u8"), "ts", {}, {"t": "v"}, 0)
    assert (name.playlist, name.prefix, name.suffix) == (listed, prefix, suffix)


@pytest.mark.parametrize("template", ["s3://b/{index}/x", "s3://b/{index}-{index}", "s3://b/x.ts", "s3://b/x.MP4"])
def test_names_that_cannot_be_are_told(template: str) -> None:
    """Segments in several folders, and a playlist that is called as media."""
    assert package_problems(template, "m3u8")
    assert not package_problems("s3://b/x-{index}.{autoext}", "m3u8")


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("0/0.m4s", "s3://b/x-7.m4s"),
        ("0/init.mp4", "s3://b/x-init.mp4"),
        ("1/1-12.m4s", "s3://b/y-1-12.m4s"),
        ("1/0-init.mp4", "s3://b/y-0-init.mp4"),
        ("3/4.vtt", "s3://b/s_0-11.vtt"),
        ("3/4.m4s", None),
        ("0/0.vtt", None),
        ("1/2-1.m4s", None),  # no such stream
        ("0/0-1.m4s", None),  # HLS has its streams together
        ("1/1.m4s", None),
        ("0/1.ts", None),
        ("2/1.m4s", None),  # a file has no parts
        ("4/1.m4s", None),
        ("00/1.m4s", None),
        ("0/../1/0-1.m4s", None),
        ("/0/1.m4s", None),
        ("0/1.m4s\n", None),
    ],
)
def test_only_planned_parts_have_a_uri(path: str, uri: str | None) -> None:
    """A child may name nothing else."""
    assert part_uri(PLAN, path) == uri


def test_lists_of_lists_come_last() -> None:
    """A manifest is not there before what it names."""
    shared = replace(DASH, package=replace(DASH.package, hls_uri="s3://b/y.m3u8", hls_index=3))  # type: ignore[type-var]
    files = planned_files(Plan((shared, HLS, FILE)))
    assert [(file.path, file.uri, file.target_index) for file in files] == [
        ("0/list-0.m3u8", "s3://b/y-0.m3u8", 3),
        ("0/list-1.m3u8", "s3://b/y-1.m3u8", 3),
        ("1/list.m3u8", "s3://b/x.m3u8", 0),
        ("2.mp4", "s3://b/z.mp4", 2),
        ("0/list.mpd", "s3://b/y.mpd", 1),
        ("0/main.m3u8", "s3://b/y.m3u8", 3),
    ]
    assert files[-1].kind is ArtifactKind.MASTER_PLAYLIST
