"""Names in URIs, and references from lists to what they list, resolved by the standard library and by yarl."""

import re
from urllib.parse import unquote, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from reelmill_server.uris import Resource, encoded, reference, reference_around

HOSTILE = "Ep #1 50%25 é?+&<\"'>{$Number$};=,@:|\\^`~*()[]!中.ts"
# Names of objects and their folders, but for those that are steps on a way.
STEPS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1).filter(
    lambda step: step not in (".", "..")
)
KEYS = st.lists(STEPS, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("base", "uri", "expected"),
    [
        ("s3://b/d/m.m3u8", "s3://b/d/v/x.m3u8", "v/x.m3u8"),
        ("s3://b/m.m3u8", "s3://b/Ep #1 50%25.ts", "Ep%20%231%2050%2525.ts"),
        ("gs://b/d/m.m3u8", "gs://b/d/a:b.ts", "./a:b.ts"),
        ("oss://b/d/m.m3u8", "oss://b/d/v/a:b.ts", "v/a:b.ts"),
        ("s3://b/d/m.m3u8", "s3://b/e/x.ts", "../e/x.ts"),
        ("s3://b/d/e/m.m3u8", "s3://b/x.ts", "../../x.ts"),
        ("s3://b/m.m3u8", "s3://b//x.ts", ".//x.ts"),
        ("s3://b/m.m3u8", "s3://c/ü.ts", "s3://c/%C3%BC.ts"),
        ("file:///o/m.m3u8", "file:///o/a%20b%25.ts", "a%20b%25.ts"),
        ("file:///o%20o/m.m3u8", "file:///o o/x.ts", "x.ts"),
        ("file://localhost/o/m.m3u8", "file:///o//./x.ts", "x.ts"),
        ("file:///o/m.m3u8", "s3://c/ü.ts", "s3://c/%C3%BC.ts"),
        ("s3://c/m.m3u8", "file:///ü.ts", "file:///%C3%BC.ts"),
    ],
)
def test_references(base: str, uri: str, expected: str) -> None:
    """Relative, if they can be; a colon ends no scheme, and an empty step does not mean the root."""
    assert reference(base, uri) == expected


@given(KEYS, KEYS)
def test_a_reference_leads_to_the_object(base: str, key: str) -> None:
    """From any object to any other, by two readers that know nothing of each other."""
    text = reference(f"s3://bucket/{base}", f"s3://bucket/{key}")
    assert re.fullmatch(r"[A-Za-z0-9\-._~/:@!'()*,=%]+", text)
    folder = f"https://cdn.example.com/{encoded(base, 'https')}"
    assert unquote(urljoin(folder, text)) == f"https://cdn.example.com/{key}"
    assert unquote(URL(folder, encoded=True).join(URL(text, encoded=True)).raw_path) == f"/{key}"


@given(KEYS)
def test_a_name_is_encoded_once(key: str) -> None:
    """And read back as it was; objects' names are written as they are."""
    assert Resource.of(f"file:///{encoded(key, 'file')}") == Resource("file", "", f"/{key}")
    assert Resource.of(f"s3://b/{encoded(key, 's3')}") == Resource("s3", "b", key)


@pytest.mark.parametrize("scheme", ["s3", "file"])
def test_what_stands_around_a_number(scheme: str) -> None:
    """Together they are the reference to the segment with that number."""
    root = f"{scheme}://b/" if scheme == "s3" else "file:///b/"
    for prefix, suffix in ((f"{HOSTILE}-", ".m4s"), ("", f"_{HOSTILE}"), ("a:", "%25.m4s"), ("", ":x.m4s")):
        before, after = reference_around(f"{root}x.mpd", *(root + encoded(prefix, scheme), encoded(suffix, scheme)))
        whole = urljoin("http://h/b/x.mpd", f"{before}0-7{after}")
        assert unquote(whole) == f"http://h/b/{prefix}0-7{suffix}" and "$" not in before + after


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("file:///o/a b.ts", "file:///o/a%20b.ts"),
        ("file:///o/ü.ts", "file:///o/%C3%BC.ts"),
        ("file:///o/a.ts", "file://localhost/o/%61.ts"),
        ("file:///o/a.ts", "file:///o//./a.ts"),
    ],
)
def test_a_file_has_one_location(one: str, other: str) -> None:
    assert Resource.of(one) == Resource.of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s3://b/a b", "s3://b/a%20b"),
        ("s3://b/a", "s3://b//a"),
        ("s3://b/a", "gs://b/a"),
        ("s3://b/a", "s3://c/a"),
        ("s3://b/a?x", "s3://b/a"),
        ("file:///o/a", "file:///o/A"),
    ],
)
def test_other_objects_have_others(one: str, other: str) -> None:
    """Keys are taken literally."""
    assert Resource.of(one) != Resource.of(other)


@pytest.mark.parametrize(
    ("uri", "held"),
    [
        ("file:///o%2Fx/y.ts", True),
        ("file:///o/y.ts", True),
        ("file:///o/v/y.ts", True),
        ("file:///o/v/../y.ts", False),
        ("file:///o/%2e%2e/y.ts", False),
        ("file:///ox/y.ts", False),
        ("file:///y.ts", False),
        ("s3://o/y.ts", False),
        ("file:///o/", False),
    ],
)
def test_what_lies_in_the_folder_of_a_list(uri: str, held: bool) -> None:
    """However it is spelled; what leads up and down again may be anywhere."""
    assert Resource.of("file:///o/m.m3u8").holds(Resource.of(uri)) is held
