"""Tags by what they mean."""

import pytest

from reelmill_server.model import tags


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("+27.5916+086.5640+8850/", (27.5916, 86.564)),
        ("+52.5200-122.0312186+034.000/", (52.52, -122.0312186)),
        ("-90+000/", (-90, 0)),
        ("+4012.25-07500.5/", (40 + 12.25 / 60, -75 - 0.5 / 60)),
        ("+401213.1-0750015.1/", (40 + 12 / 60 + 13.1 / 3600, -75 - 15.1 / 3600)),
        ("Berlin", None),
        ("", None),
    ],
)
def test_a_place_is_read_as_degrees(text: str, place: tuple[float, float] | None) -> None:
    """ISO 6709, in all its forms."""
    assert tags.coordinates(text) == (pytest.approx(place) if place else None)


def test_texts_that_are_no_utf_8_are_readable() -> None:
    """PyAV 19 gives surrogates for their bytes."""
    result = tags.bounded({"ti\udce4tle": "Caf\udce9", "album": "Café"})
    assert result == {"ti\ufffdtle": "Caf\ufffd", "album": "Café"}


def test_a_phones_names_are_translated() -> None:
    """Where the common ones are not there."""
    phone = {
        "com.apple.quicktime.location.ISO6709": "+52.5200+013.4050/",
        "COM.APPLE.QUICKTIME.CREATIONDATE": "2024-05-01T12:00:00+0200",
        "com.apple.quicktime.title": "Lake",
    }
    assert tags.translated(phone) == {"location": "+52.5200+013.4050/", "creation_time": "2024-05-01T10:00:00Z"}
    assert tags.translated({**phone, "LOCATION": "x", "creation_time": "2020-01-01T00:00:00Z"}) == {}
    assert (tags.tag(phone, "title"), tags.tag(phone, "album")) == ("Lake", "")
    assert tags.tag({"TITLE": "Sea", **phone}, "title") == "Sea"
    assert tags.of_a_device(phone) and not tags.of_a_device({"title": "Lake"})
    assert tags.moment({"creation_time": "once", **phone}) == tags.moment(phone)
    assert tags.moment({"creation_time": "2020-01-01"}) is None


@pytest.mark.parametrize("text", ["eng", "de", "und", "zh-Hant-TW", "sl-rozaj-biske-1994", "i" * 2 + "-x"])
def test_the_code_of_a_language_is_taken(text: str) -> None:
    """ISO 639, and BCP 47 with subtags."""
    assert tags.language({"language": text}) == text


@pytest.mark.parametrize(
    "text", ["", 'eng"><BaseURL>http://a/</BaseURL>', "English", "e", "en_US", "eng\n", "eng eng", "дэ", "en" + "-abcdefgh" * 4]
)
def test_what_is_no_code_is_no_language(text: str) -> None:
    """It could say anything."""
    assert tags.language({"language": text}) == ""
