"""What is found is followed from picture to picture, whatever the detector misses."""

import pytest

from reelmill_server.media.overlay.privacy.boxes import Box, distinct
from reelmill_server.media.overlay.privacy.tracking import Tracker

REACH = 6


def moving(number: int, score: float = 0.9) -> Box:
    """A thing that goes ten pixels to the right with every picture."""
    return Box(100 + 10 * number, 50, 40, 40, score)


def tracker(*seen: int, confidence: float = 0.0, score: float = 0.9) -> Tracker:
    """A tracker that was told of the moving thing in these pictures, and of nothing in those between."""
    tracked = Tracker(REACH, confidence)
    for number in range(max(seen) + 1):
        tracked.add(number, [moving(number, score)] if number in seen else [])
    return tracked


@pytest.mark.parametrize(
    ("seen", "covered"),
    [((0, 3, 6, 9), range(16)), ((0, 6, 12), range(19)), ((10,), range(4, 17)), ((2, 3, 9), range(16))],
    ids=["every third", "as far apart as may be", "once", "late and with a gap"],
)
def test_it_is_there_between_before_and_after_detections(seen: tuple[int, ...], covered: range) -> None:
    """In every picture its box holds what was not looked at, and no longer than the reach."""
    tracked = tracker(*seen)
    results = {number: tracked.at(number) for number in range(30)}
    assert [number for number, boxes in results.items() if boxes] == list(covered)
    assert all(len(boxes) <= 1 for boxes in results.values())
    for number in covered if len(seen) > 1 else seen:
        (box,) = results[number]
        assert abs(box.x - moving(number).x) < 1 and box.width >= 40


def test_two_things_that_pass_each_other_stay_two() -> None:
    """Each detection goes to the track that it continues, not to the one that it is nearest to by chance."""
    tracked = Tracker(REACH, 0.0)
    for number in range(0, 21, 2):
        tracked.add(number, [Box(10 * number, 50, 30, 30), Box(200 - 10 * number, 90, 30, 30)])
    for number in range(21):
        assert sorted((box.x, box.y) for box in tracked.at(number)) == sorted([(10 * number, 50), (200 - 10 * number, 90)])


def test_things_of_another_size_or_place_are_others() -> None:
    """A track does not jump across the picture, nor to something three times as large."""
    tracked = Tracker(REACH, 0.0)
    tracked.add(0, [Box(100, 100, 30, 30)])
    tracked.add(1, [Box(300, 100, 30, 30), Box(100, 100, 90, 90)])
    assert len(tracked.at(1)) == 3


def test_one_sure_detection_makes_a_track_count() -> None:
    """The confidence is asked of a thing once; the weaker sights of it are covered, too."""
    tracked = Tracker(REACH, 0.8)
    for number, score in enumerate((0.3, 0.9, 0.3)):
        tracked.add(number, [moving(number, score)])
    assert all(tracked.at(number) for number in range(3))
    assert not any(tracker(0, 1, 2, confidence=0.8, score=0.3).at(number) for number in range(3))


def test_a_cut_ends_all_tracks() -> None:
    """Neither does a thing reach into the shot that follows its own, nor one of that shot back across the cut."""
    tracked = Tracker(REACH, 0.0)
    tracked.add(0, [Box(100, 100, 30, 30)])
    tracked.add(4, [Box(100, 100, 30, 30)])
    tracked.cut(5)
    tracked.add(5, [Box(300, 100, 30, 30)])
    results = [[box.x for box in tracked.at(number)] for number in range(8)]
    assert results == [[100]] * 5 + [[300]] * 3


def test_what_is_long_gone_is_forgotten() -> None:
    """An hour of pictures needs no more memory than a second."""
    tracked = Tracker(REACH, 0.0)
    for number in range(2000):
        tracked.add(number, [Box(number % 7 * 300, 100, 30, 30), Box(50, 50, 30, 30)])
        tracked.at(number)
    assert len(tracked._tracks) < 20 and all(len(track.boxes) < 20 for track in tracked._tracks)


def test_of_boxes_that_overlap_the_surest_stays() -> None:
    """Two that hardly touch are two."""
    sure, weak, beside = Box(50, 50, 40, 40, 0.9), Box(55, 52, 40, 40, 0.5), Box(92, 50, 40, 40, 0.4)
    assert distinct([weak, beside, sure], 0.3) == [sure, beside]
