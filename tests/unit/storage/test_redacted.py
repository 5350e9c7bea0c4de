"""What messages and logs show of a URI that was refused, or did not work."""

from pathlib import Path

import pytest

from reelmill_server.errors import InvalidArgument
from reelmill_server.storage.base import redacted
from reelmill_server.storage.registry import Registry
from tests.remote import RemoteStorage

SECRET = "planted"


@pytest.mark.parametrize(
    "scheme", ["https", "HTTP", "Https", "ftp", "rtmp", "rtsp", "srt", "wss", "data", "s3a", "S3", "blob:https", "unheard.of"]
)
@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("{}://host/a/b.mp4?key={}", "{}://host/a/b.mp4"),
        ("{}://user:{}@host/b.mp4", "{}://host/b.mp4"),
        ("{}://host/b.mp4#{}", "{}://host/b.mp4"),
        ("{}://host?{}@x/y", "{}://host"),
        ("{}://u:{}@h/x://y", "{}://h/x://y"),
    ],
)
def test_what_may_be_of_the_web_is_shown_without_secrets(scheme: str, uri: str, shown: str) -> None:
    """However its scheme is spelled, and whether or not anybody here knows it."""
    assert redacted(uri.format(scheme, SECRET)) == shown.format(scheme)


@pytest.mark.parametrize("uri", ["rtmp://u:{}@h/live?key={}", "{}@host/x", "host/x?{}", "HTTPS://h/x?{}", "//u:{}@h/x"])
def test_a_refusal_shows_none(uri: str, tmp_path: Path) -> None:
    """Of a scheme that no storage has, or none at all; refusals are logged."""
    with pytest.raises(InvalidArgument) as caught:
        Registry({"remote": RemoteStorage(tmp_path)}).check_readable(uri.format(SECRET, SECRET))
    assert SECRET not in caught.value.message


@pytest.mark.parametrize("uri", ["s3://films/what?.mp4", "file:///a/b%3F.mp4", "oss://films/a#1.mp4", "gs://films/a@b?.mp4"])
def test_names_of_objects_stay_whole(uri: str) -> None:
    """They may have such characters themselves."""
    assert redacted(uri) == uri


@pytest.mark.parametrize("text", ["", "?", "x", "://", "@"])
def test_what_is_no_uri_is_no_fault(text: str) -> None:
    """Anything may be sent."""
    assert "@" not in redacted(text)
