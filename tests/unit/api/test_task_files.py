"""Files of a task that its playlists and manifests name, whoever wrote those."""

import pytest

from reelmill_server.api.console.task_files import named_in
from reelmill_server.uris import Resource

AT = Resource.of("s3://b/out/film.mpd")
_MANIFEST = '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><SegmentTemplate initialization="{}" media="{}"/></MPD>'


def test_segments_of_a_manifest_are_matched() -> None:
    """By the name of their stream and their number; each is as long as such are."""
    text = _MANIFEST.format("film-$RepresentationID$-init.mp4", "film-$RepresentationID$-$Number%05d$.m4s")
    named, patterns = named_in([(AT, text)])
    matched = [any(pattern.fullmatch(f"out/film-{name}") for _, pattern in patterns) for name in ("0-init.mp4", "1-00001.m4s")]
    assert matched == [True, True] and not named
    assert not any(pattern.fullmatch(f"out/film-{'0' * 200}-00001.m4s") for _, pattern in patterns)


@pytest.mark.parametrize(
    "text",
    [
        _MANIFEST.format("$RepresentationID$" * 30 + "!", "$Number$" * 30 + "!"),
        f'<!DOCTYPE MPD [<!ENTITY a "x">]>{_MANIFEST.format("film-&a;.mp4", "film-$Number$.m4s")}',
    ],
    ids=["an expression without end", "entities"],
)
def test_a_manifest_that_would_cost_much_names_nothing(text: str) -> None:
    """A child that its media has taken over may write one."""
    assert named_in([(AT, text)]) == (set(), [])
