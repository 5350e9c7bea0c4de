"""Name sources and outputs as ffmpeg takes them, without the secrets in their URIs."""

import re

from reelmill_server.plan.ffmpeg.notes import Notes
from reelmill_server.uris import Resource

_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_MARK = "\0"  # no URI has it
_COUNTER = re.compile(r"%\d*d")
_WEB = ("http", "https")


class Names:
    """The names of files in a command."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def source(self, uri: str) -> str:
        """Return the name from which ffmpeg reads `uri`."""
        scheme, name = _parts(uri)
        if scheme in _WEB and name != uri:
            self._notes.add(f"{name}: query string and credentials are left out: fill them in")
        elif scheme and scheme not in _WEB:
            self._notes.add(f"ffmpeg does not read {scheme}://: name local copies or signed HTTPS links instead")
        return name

    def output(self, uri: str) -> str:
        """Return the name under which ffmpeg writes `uri`."""
        scheme, name = _parts(uri)
        if scheme:
            self._notes.add(f"ffmpeg does not write to {scheme}:// as the service does: name local files instead")
        return name

    def images(self, prefix: str, suffix: str) -> str:
        """Return the name pattern of numbered images, whose URIs have a number between `prefix` and `suffix`."""
        return "%d".join(part.replace("%", "%%") for part in self._around(prefix, suffix))

    def segments(self, prefix: str, suffix: str) -> str:
        """Return the name pattern of HLS segments; the muxer has no escape for a literal `%d`."""
        parts = self._around(prefix, suffix)
        if any(map(_COUNTER.search, parts)):
            self._notes.add(f"{parts[0]}: ffmpeg replaces %d in the names of segments")
        return "%d".join(parts)

    def _around(self, prefix: str, suffix: str) -> tuple[str, str]:
        before, _, after = self.output(f"{prefix}{_MARK}{suffix}").partition(_MARK)
        return before, after


def _parts(uri: str) -> tuple[str, str]:
    """Return the scheme, empty for a local file, and the name."""
    match = _SCHEME.fullmatch(uri)
    if match is None:
        return "", f"./{uri}" if uri.startswith("-") else uri
    scheme, rest = match["scheme"].lower(), match["rest"]
    if scheme == "file":
        return "", Resource.of(f"file://{rest}").path
    host, slash, path = rest.partition("/")
    if scheme in _WEB:
        host, path = re.split(r"[?#]", host, maxsplit=1)[0], re.split(r"[?#]", path, maxsplit=1)[0]
    return scheme, f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
