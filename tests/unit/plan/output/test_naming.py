"""URI templates."""

import pytest

from reelmill_server.errors import InvalidArgument
from reelmill_server.plan.output.naming import OutputName, expand, fill, has_extension, source_variables, unknown_variables

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
        ("s3://o/{dirname}/{barename}", "s3://o/a/b/my.clip.mp4"),
        ("s3://o/{barename}-v1.2", "s3://o/my.clip-v1.2"),
        ("s3://o/{barename}.{ext}", "s3://o/my.clip.mov"),
        ("s3://o/x.{index}", "s3://o/x.1.mp4"),
        ("s3://o/{tags.version}", "s3://o/Movie 2.0.mp4"),
        ("s3://o/{tags.version} (cut)", "s3://o/Movie 2.0 (cut).mp4"),
        ("s3://o/{tags.file}", "s3://o/film.MKV"),
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
    tags = {"show": "news", "part": 7, "live": True, "version": "Movie 2.0", "file": "film.MKV"}
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
        ("file:///out/{index:03d}", "{index} takes no format"),
        ("file:///out/{barename!r}", "{barename} takes no format"),
        ("file:///out/{tags.other}", "unknown variable {tags.other}"),
        ("file:///out/{}", "unknown variable {}"),
        ("file:///out/{0}", "unknown variable {0}"),
        ("file:///out/{index.__class__}", "unknown variable {index.__class__}"),
        ("file:///out/{index", "not a template"),
        ("file:///out/}", "not a template"),
        (f"file:///out/{'{index}' * 33}", "has 33 variables, more than 32"),
    ],
)
def test_what_stands_for_nothing_is_named(template: str, problem: str) -> None:
    """Unknown names, attributes of values and broken braces are told, not put into a URI."""
    assert unknown_variables(template, {"show": "x"})[0].startswith(problem)


def test_a_source_without_folder_or_extension_gives_empty_variables() -> None:
    """Nothing is invented."""
    variables = source_variables("file:///clip", 0)
    assert (variables["dirname"], variables["barename"], variables["ext"], variables["bucket"]) == ("", "clip", "", "")


HOSTILE = "Ep #1 50%25 é?+&{x}"  # a name, not encoded
ENCODED = "Ep%20%231%2050%2525%20%C3%A9%3F%2B%26%7Bx%7D"


@pytest.mark.parametrize("source", [f"s3://b/d/{HOSTILE}.mp4", f"file:///d/{ENCODED}.mp4", f"file://localhost/d/{ENCODED}.mp4"])
def test_variables_of_a_source_are_names_whatever_its_uri_encodes(source: str) -> None:
    """Keys may hold question marks, hashes and percent signs; a file's name is encoded."""
    variables = source_variables(source, 0)
    assert {name: variables[name] for name in ("key", "dirname", "basename", "barename", "ext")} == {
        "key": f"d/{HOSTILE}.mp4",
        "dirname": "d",
        "basename": f"{HOSTILE}.mp4",
        "barename": HOSTILE,
        "ext": "mp4",
    }


@pytest.mark.parametrize(
    ("template", "source"),
    [
        ("file:///out/{barename}/a", "file:///in/...mp4"),
        ("s3://out/{barename}/a", "s3://in/..mp4"),
        ("file:///out/.{ext}./a", "file:///in/film"),
        ("file:///out/.%2{tags.e}/a", "file:///in/film"),
        ("file:///out/{tags.up}/a", "file:///in/film"),
        ("file:///out/.{resolution}/a", "file:///in/film"),
    ],
)
def test_names_lead_to_no_other_folder(template: str, source: str) -> None:
    """Callers may be held to a folder, which is checked before the source's name is filled in."""
    with pytest.raises(InvalidArgument, match="step"):
        fill(template, OutputName("mp4"), source_variables(source, 0), {"e": "e", "up": "a/../.."}, 0)


def test_the_query_of_a_web_source_is_no_part_of_its_name() -> None:
    """It may be a signature, which no output is to be called after."""
    variables = source_variables("https://user.example.com/a/b%20c.mp4?X-Signature=secret#t", 0)
    assert (variables["bucket"], variables["key"]) == ("user.example.com", "a/b c.mp4")


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("s3://o/{barename}", f"s3://o/{HOSTILE}.mp4"),
        ("gs://o/100%/{tags.show}/{basename}", f"gs://o/100%/a/b %41/{HOSTILE}.mp4"),
        ("file:///o/{barename}", f"file:///o/{ENCODED}.mp4"),
        ("file:///o%20o/{tags.show}/{barename}.{autoext}", f"file:///o%20o/a/b%20%2541/{ENCODED}.mp4"),
    ],
)
def test_a_template_encodes_names_where_its_scheme_does(template: str, uri: str) -> None:
    """Once, whatever the source's scheme does; what the template says itself stays."""
    source = source_variables(f"file:///d/{ENCODED}.mp4", 0)
    assert expand(template, OUTPUT, source, {"show": "a/b %41"}, 0) == uri


def test_an_extension_is_looked_for_in_the_name() -> None:
    """An encoded dot is one; what only the encoding has is none."""
    assert has_extension("file:///o/a%2Emp4") and not has_extension("file:///o/a.b%20c") and not has_extension("s3://o/a.%20")
