"""The table of buckets: which ones URIs may name, and where each really is.

An entry is `PATTERN` or `PATTERN=TARGET`, for example

    gs://*
    oss://media=s3://media-eu/imported
    oss://*=oss://*?endpoint=https://oss-cn-hangzhou.aliyuncs.com&region=cn-hangzhou
    s3://archive=file:///srv/archive
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from urllib.parse import parse_qsl, urlsplit

OBJECT_SCHEMES = ("gs", "oss", "s3")
SAME = "*"
"""As the bucket of a target: the one that the URI names."""

_PATTERN = re.compile(rf"({'|'.join(OBJECT_SCHEMES)})://[^/?#\s]+")
_OPTIONS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "endpoint": re.compile(r"https?://[^\s@/?#]+/?"),
        "region": re.compile(r"[a-z0-9-]+"),
        "addressing": re.compile(r"path|virtual|auto"),
        "profile": re.compile(r"\S+"),
        "anonymous": re.compile(r"true|false"),
        "sts": re.compile(r"https?://[^\s@/?#]+/?"),
        "iam": re.compile(r"https?://[^\s@/?#]+/?"),
    }
)


@dataclass(frozen=True)
class Target:
    """Where a bucket really is. For a `file` target `prefix` is the folder; else it goes before each object's name."""

    scheme: str
    bucket: str = SAME
    prefix: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str) -> str:
        """An option's value, "" if it is not set."""
        return dict(self.options).get(name, "")

    def locate(self, bucket: str, key: str) -> tuple[str, str]:
        """Return the bucket and the key under which an object really is that is called `key` of `bucket`."""
        return bucket if self.bucket == SAME else self.bucket, self.prefix + key


@dataclass(frozen=True)
class BucketRule:
    """One entry: `pattern` is `scheme://bucket`, where * and ? stand for any characters and one."""

    pattern: str
    target: Target = field(default_factory=lambda: Target(""))

    @property
    def scheme(self) -> str:
        """The scheme of the URIs it is about."""
        return self.pattern.partition("://")[0]

    def matches(self, uri: str) -> bool:
        """Whether a URI is in one of these buckets."""
        scheme, _, rest = uri.partition("://")
        return fnmatchcase(f"{scheme}://{rest.partition('/')[0]}", self.pattern)


def parse_rule(text: str) -> BucketRule:
    """Reads one entry; ValueError says what is wrong with it."""
    pattern, separator, target = text.partition("=")
    if not _PATTERN.fullmatch(pattern):
        raise ValueError(f"{pattern!r}: expected gs://, s3:// or oss:// and a bucket's name, in which * may stand")
    scheme = pattern.partition("://")[0]
    rule = BucketRule(pattern, _parse_target(target) if separator else Target(scheme))
    if rule.target.scheme == "oss" and not rule.target.option("endpoint"):
        raise ValueError(f"{text!r}: oss:// has no endpoint of its own: add =oss://*?endpoint=https://oss-REGION.aliyuncs.com")
    return rule


def _parse_target(text: str) -> Target:
    parts = urlsplit(text)
    options = parse_qsl(parts.query, keep_blank_values=True)
    for name, value in options:
        if name not in _OPTIONS or not _OPTIONS[name].fullmatch(value):
            raise ValueError(f"{text!r}: {name} is not an option, or not with this value; there are {', '.join(_OPTIONS)}")
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/") and not options:
        return Target("file", prefix=parts.path)
    if parts.scheme not in OBJECT_SCHEMES or not parts.netloc or parts.fragment:
        raise ValueError(f"{text!r}: expected gs://, s3:// or oss:// with a bucket or *, or file:///folder")
    prefix = parts.path.strip("/")
    return Target(parts.scheme, parts.netloc, f"{prefix}/" if prefix else "", tuple(sorted(options)))
