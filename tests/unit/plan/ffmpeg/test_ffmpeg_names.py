"""Names as ffmpeg takes them, and what they never show."""

import pytest

from reelmill_server.plan.ffmpeg.names import Names
from reelmill_server.plan.ffmpeg.notes import Notes


@pytest.fixture
def notes() -> Notes:
    """What there is to say."""
    return Notes()


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("file:///in/a%20b%231.mp4", "/in/a b#1.mp4"),
        ("file:///in/%0A-x.mp4", "/in/\n-x.mp4"),
        ("file://localhost/in/a.mp4", "/in/a.mp4"),
        ("/in/a.mp4", "/in/a.mp4"),
        ("-x.mp4", "./-x.mp4"),
    ],
)
def test_files_are_named_by_their_paths(notes: Notes, uri: str, name: str) -> None:
    """Decoded, and never an option."""
    names = Names(notes)
    assert (names.source(uri), names.output(uri), notes.texts) == (name, name, ())


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("https://me:secret@host:8443/a.mp4?X-Amz-Signature=secret&X-Amz-Credential=secret", "https://host:8443/a.mp4"),
        ("https://host/a.mp4#t=secret", "https://host/a.mp4"),
        ("https://host?sig=secret", "https://host"),
        ("HTTPS://secret@host/a%20b.mp4", "https://host/a%20b.mp4"),
        ("s3://secret@bucket/a b?c.mp4", "s3://bucket/a b?c.mp4"),
    ],
)
def test_secrets_are_left_out(notes: Notes, uri: str, name: str) -> None:
    """Users, passwords and signed queries; a question mark in the key of an object is none."""
    names = Names(notes)
    assert (names.source(uri), names.output(uri)) == (name, name)
    assert notes.texts and not any("secret" in text for text in notes.texts)


def test_a_note_is_one_line(notes: Notes) -> None:
    """Whatever is in the name that it is about: notes are printed as comments of a shell."""
    Names(notes).source("https://host/a\n$(rm x)\x1b[2J?q")
    (note,) = notes.texts
    assert note.isprintable() and note.startswith(r"https://host/a\n$(rm x)\x1b[2J: ")


def test_a_plain_link_needs_no_note(notes: Notes) -> None:
    """Ffmpeg reads it as it is."""
    assert Names(notes).source("https://host/a.mp4") == "https://host/a.mp4"
    assert notes.texts == ()


def test_a_percent_sign_is_doubled_where_ffmpeg_counts(notes: Notes) -> None:
    """In the names of pictures; the muxer of HLS keeps one as it is."""
    names = Names(notes)
    assert names.images("file:///out/50%25 ", ".jpg") == "/out/50%% %d.jpg"
    assert names.segments("file:///out/50%25 ", ".ts") == "/out/50% %d.ts"
    assert notes.texts == ()
    assert names.segments("file:///out/%25d-", ".ts") == "/out/%d-%d.ts"
    assert len(notes.texts) == 1
