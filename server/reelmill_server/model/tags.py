"""Tags of media files by what they mean, whatever devices and containers call them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

QUICKTIME = "com.apple.quicktime."
"""Beginning of the names of tags that Apple's devices write."""
_DEVICES = (QUICKTIME, "com.android.")
_PLACES = ("location", f"{QUICKTIME}location.iso6709")
_MOMENTS = ("creation_time", f"{QUICKTIME}creationdate")
# ISO 6709: latitude and longitude in degrees, or degrees and minutes, or also seconds, by the number of digits.
_PLACE = re.compile(r"([+-])(\d{2})(\d{2})?(\d{2})?(\.\d+)?([+-])(\d{3})(\d{2})?(\d{2})?(\.\d+)?")

# What RFC 5646 calls well-formed, as far as it begins with a code of ISO 639: `deu`, `de`, `zh-Hant-TW`.
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_MAX_LANGUAGE_LENGTH = 35  # RFC 5646, 4.4.1: what every reader holds

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

MOST_CHARACTERS = 64 << 10
"""Of the tags of a stream or a file together, names included."""


def readable(text: str) -> str:
    """Return a text of a file, bytes of it that are not UTF-8 replaced: PyAV 19 keeps them as what no message can hold."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def in_xml(text: str) -> str:
    """Return a text without the characters that no XML may have, escaped or not, such as most control characters."""
    return _NOT_IN_XML.sub("", text)


def bounded(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags, readable and in their order, but those that would make them longer than MOST_CHARACTERS."""
    left, within = MOST_CHARACTERS, {}
    for name, value in ((readable(name), readable(value)) for name, value in tags.items()):
        if len(name) + len(value) <= left:
            left -= len(name) + len(value)
            within[name] = value
    return within


def language(tags: Mapping[str, str]) -> str:
    """Return the language (ISO 639 or BCP 47); empty: there is none, or the tag is not the code of one.

    Only what this returns may reach a file: libav writes languages into manifests without escaping them.
    """
    text = tags.get("language", "")
    return text if len(text) <= _MAX_LANGUAGE_LENGTH and _LANGUAGE.fullmatch(text) else ""


def tag(tags: Mapping[str, str], name: str) -> str:
    """Return the tag called `name` in lower case, or Apple's of that name; empty: there is none."""
    return next(_values(tags, (name, f"{QUICKTIME}{name}")), "")


def place(tags: Mapping[str, str]) -> str:
    """Return where it was filmed, as in ISO 6709; empty: unknown."""
    return next(_values(tags, _PLACES), "")


def moment(tags: Mapping[str, str]) -> datetime | None:
    """Return when it was made, None if unknown."""
    for text in _values(tags, _MOMENTS):
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            continue
        if time.tzinfo:
            return time
    return None


def coordinates(text: str) -> tuple[float, float] | None:
    """Return latitude and longitude in degrees of an ISO 6709 text such as `+27.5916+086.5640+8850/`; None: it is none."""
    match = _PLACE.match(text)
    return (_degrees(*match.groups()[:5]), _degrees(*match.groups()[5:])) if match else None


def translated(tags: Mapping[str, str]) -> dict[str, str]:
    """Return place and time under the names that libav's muxers write, where `tags` have only a device's."""
    lower = {key.lower() for key in tags}
    created = moment(tags)
    tags_of_mp4 = {
        "location": place(tags),
        "creation_time": created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if created else "",
    }
    return {name: value for name, value in tags_of_mp4.items() if value and name not in lower}


def of_a_device(tags: Iterable[str]) -> bool:
    """Return whether there are tags that only a list of free names holds."""
    return any(name.lower().startswith(_DEVICES) for name in tags)


def _values(tags: Mapping[str, str], names: Iterable[str]) -> Iterator[str]:
    lower = {key.lower(): value for key, value in tags.items()}
    return (lower[name] for name in names if lower.get(name))


def _degrees(sign: str, degrees: str, minutes: str | None, seconds: str | None, rest: str | None) -> float:
    values = [float(part) for part in (degrees, minutes, seconds) if part]
    values[-1] += float(f"0{rest}") if rest else 0.0
    size = sum(value / float(60**place) for place, value in enumerate(values))
    return -size if sign == "-" else size
