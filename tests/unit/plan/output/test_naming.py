"""URI templates."""

import pytest

from reelmill_server.plan.output.naming import OutputName, expand, source_variables, unknown_variables

# 2023-11-14 22:13:20 and 2001-02-03 04:05:06, UTC.
CREATED_US = 1_700_000_000_000_000
MODIFIED_US = 981_173_106_000_000
SOURCE = source_variables("s3://films/a/b/my.clip.mov", MODIFIED_US)
OUTPUT = OutputName("mp4", "1280x720")


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("file:///out/x", "file:///out/x.mp4"),
        ("file:///out/x.bin", "file:///out/x.bin"),
        ("file:///out/v1.2/x", "file:///out/v1.2/x.mp4"),
        ("s3://{bucket}/{key}.mp4", "s3://films/a/b/my.clip.mov.mp4"),
        ("s3://o/{dirname}/{barename}", "s3://o/a/b/my.clip"),
        ("s3://o/{barename}.{autoext}", "s3://o/my.clip.mp4"),
        ("s3://o/{basename}", "s3://o/my.clip.mov"),
        ("s3://o/{barename}-{ext}/x", "s3://o/my.clip-mov/x.mp4"),
        ("s3://o/{resolution}-{index}-{streamindex}", "s3://o/1280x720-1-0.mp4"),
        ("s3://o/{year}/{mon}/{day}-{hour}{min}{sec}/x", "s3://o/2001/02/03-040506/x.mp4"),
        ("s3://o/{t_year}{t_mon}{t_day}-{t_hour}{t_min}{t_sec}/x", "s3://o/20231114-221320/x.mp4"),
        ("s3://o/{tags.show}/{tags.part}-{tags.live}/x", "s3://o/news/7-true/x.mp4"),
        ("s3://o/{{{index}}}/x", "s3://o/{1}/x.mp4"),
        ("file:///out/ü {index}", "file:///out/ü 1.mp4"),
    ],
)
def test_a_template_stands_for_a_uri(template: str, uri: str) -> None:
    """Variables are put in; the container's extension is added when the last part has none."""
    tags = {"show": "news", "part": 7, "live": True}
    assert unknown_variables(template, tags) == []
    assert expand(template, OUTPUT, SOURCE, tags, CREATED_US) == uri


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("file:///out/x", "file:///out/x_3.mp4"),
        ("file:///out/x.mp4", "file:///out/x.mp4"),
        ("file:///out/{resolution}", "file:///out/1280x720_3.mp4"),
        ("file:///out/x-{streamindex}", "file:///out/x-3.mp4"),
        ("file:///out/x-{index}.{autoext}", "file:///out/x-2.mp4"),
    ],
)
def test_one_of_several_outputs_is_numbered(template: str, uri: str) -> None:
    """By the template, or else, without an extension, behind the name."""
    output = OutputName("mp4", "1280x720", index=2, stream_index=3)
    assert expand(template, output, SOURCE, {}, CREATED_US, several=True) == uri


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("file:///out/{nothing}", "unknown variable {nothing}"),
        ("file:///out/{tags.other}", "unknown variable {tags.other}"),
        ("file:///out/{}", "unknown variable {}"),
        ("file:///out/{0}", "unknown variable {0}"),
        ("file:///out/{index.__class__}", "unknown variable {index.__class__}"),
        ("file:///out/{index", "not a template"),
        ("file:///out/}", "not a template"),
    ],
)
def test_what_stands_for_nothing_is_named(template: str, problem: str) -> None:
    """Unknown names, attributes of values and broken braces are told, not put into a URI."""
    assert unknown_variables(template, {"show": "x"})[0].startswith(problem)


def test_a_source_without_folder_or_extension_gives_empty_variables() -> None:
    """Nothing is invented."""
    variables = source_variables("file:///clip", 0)
    assert (variables["dirname"], variables["barename"], variables["ext"], variables["bucket"]) == ("", "clip", "", "")


def test_characters_that_mean_something_in_uris_stay() -> None:
    """Keys may hold question marks and hashes."""
    assert source_variables("s3://b/what?#1.mp4", 0)["basename"] == "what?#1.mp4"
