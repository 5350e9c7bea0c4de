"""URIs and the names in them: names are decoded inside, and encoded once, where a URI or a reference is written.

In `file` and `http` URIs names are percent-encoded. Those of objects in buckets (`s3`, `gs`, `oss`) are written as they are, as
the tools of these stores do. References in playlists, manifests and WebVTT files are percent-encoded for all (RFC 3986).
"""

import re
from dataclasses import dataclass
from itertools import takewhile
from urllib.parse import quote, unquote

_ENCODED_SCHEMES = ("file", "http", "https")
# What a path may hold as it is (RFC 3986, 3.3), but for what some reader takes for more: + is a space to S3, $ begins a
# variable in a manifest, & an entity in WebVTT and XML, ; a parameter to some servers.
_SAFE = "/:@!'()*,="
_EMPTY_STEPS = re.compile(r"/(?:\.?/)+")
_GAP = "\0"


def written(name: str, scheme: str) -> str:
    """Return how a URI of this scheme writes a name, which may be a path."""
    return quote(name, safe=_SAFE) if scheme in _ENCODED_SCHEMES else name


def scheme_of(uri: str) -> str:
    """Return what stands before `://`."""
    return uri.partition("://")[0]


@dataclass(frozen=True)
class Resource:
    """What a URI names: a path on a host or in a bucket, not encoded. URIs of one file are one resource, however they spell it.

    The path of a file begins with a slash, others (keys of objects) do not have one for beginning. Queries are no part of it.
    """

    scheme: str
    authority: str
    path: str

    @classmethod
    def of(cls, uri: str) -> "Resource":
        """Read a URI, which may be a template or the beginning of one."""
        scheme, _, rest = uri.partition("://")
        authority, slash, path = rest.partition("/")
        if scheme not in _ENCODED_SCHEMES:
            return cls(scheme, authority, path)
        path = unquote(re.split("[?#]", path, maxsplit=1)[0])
        if scheme != "file":
            return cls(scheme, authority.lower(), path)
        return cls(scheme, "" if authority == "localhost" else authority, _EMPTY_STEPS.sub("/", slash + path))

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The path without its last part; with the slash."""
        return self.path[: len(self.path) - len(self.name)]

    def beside(self, other: "Resource") -> str | None:
        """Return the way to `other` from the folder in which this lies; None when it lies outside, or the way leads up."""
        if (other.scheme, other.authority) != (self.scheme, self.authority) or not other.path.startswith(self.folder):
            return None
        way = other.path.removeprefix(self.folder)
        return way if {".", ".."}.isdisjoint(way.split("/")) else None

    def holds(self, other: "Resource") -> bool:
        """Return whether `other` lies in the folder in which this lies, or below."""
        return bool(self.beside(other))


def reference(base: str, uri: str) -> str:
    """Return how a list at `base` refers to `uri`, percent-encoded: relative where both are on one host or in one bucket."""
    here, there = Resource.of(base), Resource.of(uri)
    if (here.scheme, here.authority) != (there.scheme, there.authority):
        return f"{there.scheme}://{there.authority}{'' if there.path.startswith('/') else '/'}{quote(there.path, safe=_SAFE)}"
    own, other = here.folder.split("/")[:-1], there.folder.split("/")[:-1]
    shared = len([*takewhile(lambda pair: pair[0] == pair[1], zip(own, other, strict=False))])
    steps = [*[".."] * (len(own) - shared), *other[shared:], there.name]
    text = quote("/".join(steps), safe=_SAFE)
    # Else a colon would end a scheme, and an empty first step would mean the root of the host.
    return f"./{text}" if ":" in text.partition("/")[0] or text.startswith("/") else text


def reference_around(base: str, prefix: str, suffix: str) -> tuple[str, str]:
    """Return what stands before and after the numbers by which a list at `base` refers to `<prefix><numbers><suffix>`."""
    before, _, after = reference(base, f"{prefix}{_GAP}{suffix}").partition(quote(_GAP))
    return before, after
