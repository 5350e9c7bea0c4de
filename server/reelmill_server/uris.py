"""URIs and the names in them: names are decoded internally, and encoded once, when a URI or a reference is written.

In `file` and `http` URIs names are percent-encoded. Names of objects in buckets (`s3`, `gs`, `oss`) are written unchanged, as
the tools of these stores do. References in playlists, manifests and WebVTT files are always percent-encoded (RFC 3986).
"""

import re
from dataclasses import dataclass
from itertools import takewhile
from urllib.parse import quote, unquote

_ENCODED_SCHEMES = ("file", "http", "https")
# Characters allowed in a path (RFC 3986, 3.3), except those that some readers interpret: + is a space to S3, $ begins a
# variable in a manifest, & an entity in WebVTT and XML, ; a parameter to some servers.
_SAFE = "/:@!'()*,="
_EMPTY_STEPS = re.compile(r"/(?:\.?/)+")
_GAP = "\0"


def encoded(name: str, scheme: str) -> str:
    """Return a name, which may be a path, in the encoding of URIs of this scheme."""
    return quote(name, safe=_SAFE) if scheme in _ENCODED_SCHEMES else name


def dot_steps(path: str) -> int:
    """Return how many steps of a path lead nowhere or upward, in whatever encoding a reader might still undo."""
    return sum(step in (".", "..") for step in re.split(r"[/\\]", unquote(path)))


def scheme_of(uri: str) -> str:
    """Return the part before `://`."""
    return uri.partition("://")[0]


@dataclass(frozen=True)
class Resource:
    """The resource that a URI names: a decoded path on a host or in a bucket. All spellings of a URI are the same resource.

    The path of a file begins with a slash, keys of objects do not have to. Queries are not part of it.
    """

    scheme: str
    authority: str
    path: str

    @classmethod
    def of(cls, uri: str) -> "Resource":
        """Parse a URI, which may be a template or a prefix of one."""
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
        """Last component of the path."""
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The path up to and including its last slash."""
        return self.path[: len(self.path) - len(self.name)]

    def beside(self, other: "Resource") -> str | None:
        """Return the path of `other` relative to the folder of this resource, or None if it is outside or leads upward."""
        if (other.scheme, other.authority) != (self.scheme, self.authority) or not other.path.startswith(self.folder):
            return None
        relative = other.path.removeprefix(self.folder)
        return relative if {".", ".."}.isdisjoint(relative.split("/")) else None

    def holds(self, other: "Resource") -> bool:
        """Return whether `other` is in the folder of this resource or below it."""
        return bool(self.beside(other))


def reference(base: str, uri: str) -> str:
    """Return the percent-encoded reference from a file at `base` to `uri`, relative within one host or bucket."""
    source, target = Resource.of(base), Resource.of(uri)
    if (source.scheme, source.authority) != (target.scheme, target.authority):
        separator = "" if target.path.startswith("/") else "/"
        return f"{target.scheme}://{target.authority}{separator}{quote(target.path, safe=_SAFE)}"
    source_folders, target_folders = source.folder.split("/")[:-1], target.folder.split("/")[:-1]
    shared = len([*takewhile(lambda pair: pair[0] == pair[1], zip(source_folders, target_folders, strict=False))])
    steps = [*[".."] * (len(source_folders) - shared), *target_folders[shared:], target.name]
    text = quote("/".join(steps), safe=_SAFE)
    # A colon in the first component would end a scheme, and an empty first component would mean the root of the host.
    return f"./{text}" if ":" in text.partition("/")[0] or text.startswith("/") else text


def reference_around(base: str, prefix: str, suffix: str) -> tuple[str, str]:
    """Return the parts before and after the numbers in references from `base` to `<prefix><numbers><suffix>`."""
    before, _, after = reference(base, f"{prefix}{_GAP}{suffix}").partition(quote(_GAP))
    return before, after
