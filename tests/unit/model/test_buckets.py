"""The table of buckets: what an entry may be, and what it is about."""

import pytest

from reelmill_server.model.buckets import BucketRule, Target, parse_rule
from reelmill_server.settings import Settings


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("gs://*", BucketRule("gs://*", Target("gs"))),
        ("s3://media-*", BucketRule("s3://media-*", Target("s3"))),
        ("oss://a=gs://b/c/d/", BucketRule("oss://a", Target("gs", "b", "c/d/"))),
        ("oss://a=file:///srv/a", BucketRule("oss://a", Target("file", prefix="/srv/a"))),
        (
            "oss://*=oss://*?region=cn-hangzhou&endpoint=https://oss-cn-hangzhou.aliyuncs.com",
            BucketRule(
                "oss://*",
                Target("oss", "*", "", (("endpoint", "https://oss-cn-hangzhou.aliyuncs.com"), ("region", "cn-hangzhou"))),
            ),
        ),
    ],
)
def test_entries(text: str, rule: BucketRule) -> None:
    """A pattern, and where it leads; nothing: to the service of its scheme."""
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        "media",
        "ftp://media",
        "s3://",
        "s3://media/prefix",
        "oss://*",
        "oss://*=oss://*",
        "s3://a=http://b",
        "s3://a=s3://",
        "s3://a=file://host/folder",
        "s3://a=s3://b?endpoint=http://user:password@host",
        "s3://a=s3://b?adressing=path",
        "s3://a=s3://b?addressing=sideways",
    ],
)
def test_wrong_entries(text: str) -> None:
    """Are found when the server starts."""
    with pytest.raises(ValueError, match=r"expected|no default endpoint|the options are"):
        parse_rule(text)
    with pytest.raises(ValueError):
        Settings(bucket=[text])


def test_the_environment_takes_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Separated by commas; the first that fits counts."""
    monkeypatch.setenv("REELMILL_BUCKET", "oss://a=gs://b,oss://a*=s3://c?endpoint=http://h:1")
    rules = Settings().bucket
    assert [rule.matches("oss://a/x") for rule in rules] == [True, True]
    assert [rule.matches("oss://ab/x") for rule in rules] == [False, True]
    assert not any(rule.matches("s3://a/x") or rule.matches("oss://b/a") for rule in rules)
