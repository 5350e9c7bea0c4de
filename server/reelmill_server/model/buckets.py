"""The bucket table: which buckets URIs may name, and where each is really stored.

An entry is `PATTERN` or `PATTERN=TARGET`, for example

    gs://*
    oss://media=s3://media-eu/imported
    oss://*=oss://*?endpoint=https://oss-cn-hangzhou.aliyuncs.com&region=cn-hangzhou
    s3://archive=file:///srv/archive
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from urllib.parse import parse_qsl, urlsplit

OBJECT_SCHEMES = ("gs", "oss", "s3")
SAME = "*"
"""Bucket of a target that stands for the one in the URI."""

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
    """The real location of a bucket. `prefix` is the folder of a `file` target, else it precedes each object's key."""

    scheme: str
    bucket: str = SAME
    prefix: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str) -> str:
        """Return an option's value, or "" if it is not set."""
        return dict(self.options).get(name, "")

    def locate(self, bucket: str, key: str) -> tuple[str, str]:
        """Return the real bucket and key of the object that URIs call `key` in `bucket`."""
        return bucket if self.bucket == SAME else self.bucket, self.prefix + key


@dataclass(frozen=True)
class BucketRule:
    """One entry; `pattern` is `scheme://bucket`, where * stands for any characters and ? for one."""

    pattern: str
    target: Target = field(default_factory=lambda: Target(""))

    @property
    def scheme(self) -> str:
        """Scheme of the URIs that the rule applies to."""
        return self.pattern.partition("://")[0]

    def matches(self, uri: str) -> bool:
        """Return whether a URI is in a bucket of this rule."""
        scheme, _, rest = uri.partition("://")
        return fnmatchcase(f"{scheme}://{rest.partition('/')[0]}", self.pattern)


def parse_rule(text: str, oss_endpoint: str = "") -> BucketRule:
    """Parse one entry; raises ValueError that says what is wrong without the text, which may hold a password.

    `oss_endpoint` is that of oss:// targets that name none.
    """
    pattern, separator, target = text.partition("=")
    if not _PATTERN.fullmatch(pattern):
        raise ValueError("expected gs://, s3:// or oss:// and a bucket name, which may contain *")
    scheme = pattern.partition("://")[0]
    rule = BucketRule(pattern, _parse_target(target) if separator else Target(scheme))
    if rule.target.scheme != "oss" or rule.target.option("endpoint"):
        return rule
    if not oss_endpoint:
        raise ValueError(
            "oss:// has no default endpoint: add =oss://*?endpoint=https://oss-REGION.aliyuncs.com, or set OSS_ENDPOINT"
        )
    if not _OPTIONS["endpoint"].fullmatch(oss_endpoint):
        raise ValueError("OSS_ENDPOINT or OSS_REGION is not an endpoint: expected https://host")
    options = sorted((*rule.target.options, ("endpoint", oss_endpoint)))
    return replace(rule, target=replace(rule.target, options=tuple(options)))


def _parse_target(text: str) -> Target:
    parts = urlsplit(text)
    options = parse_qsl(parts.query, keep_blank_values=True)
    for name, value in options:
        if name not in _OPTIONS or not _OPTIONS[name].fullmatch(value):
            raise ValueError(f"{name!r} is unknown or has an invalid value; the options are {', '.join(_OPTIONS)}")
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/") and not options:
        return Target("file", prefix=parts.path)
    if parts.scheme not in OBJECT_SCHEMES or not parts.netloc or parts.fragment:
        raise ValueError("expected gs://, s3:// or oss:// with a bucket or *, or file:///folder, after =")
    prefix = parts.path.strip("/")
    return Target(parts.scheme, parts.netloc, f"{prefix}/" if prefix else "", tuple(sorted(options)))
