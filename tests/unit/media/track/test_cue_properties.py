"""Random subtitle cues, against a slow and obvious reference: what is shown at each moment."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from reelmill_server.media.package.webvtt import Cue as Block
from reelmill_server.media.package.webvtt import cut_subtitles, read_cues, render_segment
from reelmill_server.media.track.ass_text import Styles, placed, readable
from reelmill_server.media.track.subtitle_cues import Cue, OverlapMerger, with_end_times
from reelmill_server.model.package_plan import PackagePlan
from reelmill_server.model.request import SegmentFormat

_EVENT = b"0,0,Default,,0,0,0,,"
MOMENTS = st.integers(0, 40).map(lambda number: Fraction(number, 10))


@st.composite
def cues(draw: st.DrawFn) -> list[Cue]:
    """Cues in the order of their beginnings; equal times, long ones and gaps are among them."""
    result = draw(st.lists(st.tuples(MOMENTS, st.integers(1, 20)), max_size=8))
    return [
        Cue(begin, begin + Fraction(length, 10), _EVENT + f"t{number}".encode())
        for number, (begin, length) in enumerate(sorted(result))
    ]


def shown(given_cues: list[Cue], moment: Fraction) -> list[bytes]:
    """The texts at a moment, in any order."""
    active = [cue for cue in given_cues if cue.start <= moment and (cue.end is None or moment < cue.end)]
    return sorted(text for cue in active for text in cue.content.removeprefix(_EVENT).split(rb"\N"))


@given(cues())
def test_merged_cues_show_at_each_moment_what_the_single_ones_do(given_cues: list[Cue]) -> None:
    """None lost, none doubled, and no two at a time."""
    merger = OverlapMerger()
    merged = [event for cue in given_cues for event in merger.push(cue)] + list(merger.flush())
    for number in range(130):
        moment = Fraction(number, 20) + Fraction(1, 80)
        assert shown(merged, moment) == shown(given_cues, moment)
    for first, second in pairwise(merged):
        assert first.end is not None and first.end <= second.start


@given(cues(), st.randoms(use_true_random=False), st.sets(st.integers(0, 7)))
def test_cues_without_an_end_last_until_the_next_begins(given_cues: list[Cue], chance: object, open_ones: set[int]) -> None:
    """Whatever order they come in; an end that is known stays."""
    mixed = [replace(cue, end=None) if number in open_ones else cue for number, cue in enumerate(given_cues)]
    shuffled = list(mixed)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    ended = with_end_times(shuffled)
    assert [cue.start for cue in ended] == [cue.start for cue in given_cues]
    by_text = {cue.content: cue for cue in ended}
    assert len(by_text) == len(given_cues)
    for cue in mixed:
        later = [other.start for other in mixed if other.start > cue.start]
        assert by_text[cue.content].end == (cue.end if cue.end is not None else min(later, default=None))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 5000)), min_size=1, max_size=6),
    st.integers(500, 4000),
    st.integers(1, 9500),
)
def test_segments_hold_each_cue_that_is_shown_in_them(times: list[tuple[int, int]], segment_ms: int, length_ms: int) -> None:
    """And no other; together they are as long as the whole."""
    blocks = [Block(begin, begin + length, f"t{number}") for number, (begin, length) in enumerate(sorted(times))]
    blocks = [block for block in blocks if block.begin_ms < length_ms]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "all.vtt"
        path.write_text(render_segment(blocks, 0))
        result = cut_subtitles(path, PackagePlan(SegmentFormat.HLS, segment_ms * 1000, "", ".vtt"), Fraction(length_ms, 1000))
        assert sum(segment.seconds for segment in result.segments) == Fraction(length_ms, 1000)
        begin = Fraction(0)
        for number, segment in enumerate(result.segments):
            end = begin + segment.seconds
            results = list(read_cues((Path(folder) / segment.name).read_text()))
            last = number == len(result.segments) - 1
            assert results == [b for b in blocks if b.end_ms > begin * 1000 and (last or b.begin_ms < end * 1000)]
            begin = end


@given(
    st.lists(st.tuples(st.sampled_from(["word", " ", r"\N", r"{\i1}", r"{\p1}", r"{\p0}", "{note}", r"{\fs20}"])), max_size=9)
)
def test_what_is_read_of_an_event_is_what_is_outside_of_drawings(pieces: list[tuple[str]]) -> None:
    """Nothing within braces, nothing that is drawn."""
    drawing, expected = False, ""
    for (piece,) in pieces:
        drawing = {r"{\p1}": True, r"{\p0}": False}.get(piece, drawing)
        if piece == r"{\i1}" or not (drawing or piece.startswith("{")):
            expected += piece
    result = readable("".join(piece for (piece,) in pieces).encode())
    assert result.text.decode() == expected
    assert result.empty == (not expected.replace(r"\N", "").replace(r"{\i1}", "").strip())


@given(st.sampled_from(["", "line:0", "line:50%,center"]), st.sampled_from(["", "align:left", "align:right"]))
def test_places_of_webvtt_survive_an_alignment(line: str, align: str) -> None:
    """There and back."""
    words = " ".join(word for word in (line, align) if word).encode()
    assert Styles().settings(placed(_EVENT + b"x", words)) == words
