"""The types of settings: how a text becomes a value, and what stands for that text in help.

A variable holds one text, a flag of a list holds one or more. What an empty text means is up to each type.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ByteSize, GetCoreSchemaHandler, IPvAnyNetwork, SecretStr
from pydantic_core import CoreSchema, core_schema
from pydantic_settings import NoDecode


@dataclass(frozen=True)
class Metavar:
    """Placeholder for the value of a flag in help: its unit or its form."""

    text: str


@dataclass(frozen=True)
class PemFile(Metavar):
    """Marks a PEM file, which must be there when a role that uses it starts: others may know it by name only."""

    text: str = "FILE"


@dataclass(frozen=True)
class EnvironmentOnly:
    """Marks what has no flag, because every user of a machine can read its command lines."""


@dataclass(frozen=True)
class Separated:
    """Lets several values be one text in a variable, and as many texts as a flag is given. Empty ones are dropped.

    `in_flags`: a flag may hold several values as well; False where a value may contain the separator.
    """

    by: str = ","
    in_flags: bool = True

    def parts(self, value: Any) -> Any:
        """Split what a variable or flags hold; leave what is no text as it is."""
        if isinstance(value, str):
            return self._split(value)
        return [part for item in value for part in self._parts_of(item)] if isinstance(value, list | tuple) else value

    def _parts_of(self, item: Any) -> list[Any]:
        if self.in_flags and isinstance(item, str):
            return self._split(item)
        return [] if item == "" else [item]

    def _split(self, text: str) -> list[str]:
        return [stripped for part in re.split(f"[{re.escape(self.by)}]", text) if (stripped := part.strip())]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Split before anything else is checked; pydantic calls this for what stands in an annotation."""
        return core_schema.no_info_before_validator_function(self.parts, handler(source))


@dataclass(frozen=True)
class Pairs(Separated):
    """Lets a mapping be given as `name=value`, in texts as `Separated` takes them; the last value of a name counts."""

    def parts(self, value: Any) -> Any:
        """Split what a variable or flags hold; ValueError for what is no pair."""
        parts = super().parts(value)
        if not isinstance(parts, list):
            return parts
        if any("=" not in part for part in parts):
            raise ValueError("expected name=value")
        return dict(part.split("=", 1) for part in parts)


def split_address(address: str) -> tuple[str, int]:
    """Split `host:port` (an IPv6 host in brackets) into host and port 0..65535; ValueError for anything else."""
    match = re.fullmatch(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>\d{1,5})", address)
    if match is None or int(match["port"]) > 65535:
        raise ValueError("expected host:port, for example 127.0.0.1:50051 or [::1]:0")
    return match["v6"] or match["host"], int(match["port"])


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked_address(value: str) -> str:
    split_address(value)
    return value


def _checked_endpoint(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+/?", value):
        raise ValueError("expected https://host")
    return value


def _checked_origin(value: str) -> str:
    if value != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/?#@]+", value, re.IGNORECASE):
        raise ValueError("expected https://host, or *")
    return value


def _folder(value: Path | str) -> Path:
    if value == "":
        raise ValueError("expected a folder")
    return Path(value).expanduser().resolve()


def _or_empty(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda value: check(value) if value else value)


def _distinct(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) != len(value):
        raise ValueError("expected each name once")
    return value


EncoderFamily = Literal["nvenc", "vaapi", "qsv", "software"]

DAY_SECONDS = 24 * 3600

DISTINCT = AfterValidator(_distinct)

Count = Annotated[int, Metavar("COUNT")]
Seconds = Annotated[float, Metavar("SECONDS")]
Hours = Annotated[float, Metavar("HOURS")]
Bytes = Annotated[ByteSize, Metavar("BYTES")]
Name = Annotated[str, Metavar("NAME")]
Secret = Annotated[SecretStr, EnvironmentOnly()]
Address = Annotated[str, AfterValidator(_checked_address), Metavar("HOST:PORT")]
AddressOrEmpty = Annotated[str, _or_empty(_checked_address), Metavar("HOST:PORT")]
Origin = Annotated[str, AfterValidator(_checked_origin)]
Endpoint = Annotated[str, AfterValidator(_checked_endpoint), Metavar("URL")]
EndpointOrEmpty = Annotated[str, _or_empty(_checked_endpoint), Metavar("URL")]
Folder = Annotated[Path, BeforeValidator(_folder), Metavar("FOLDER")]
Networks = Annotated[tuple[IPvAnyNetwork, ...], NoDecode, Separated(), Metavar("NETWORK")]
Hosts = Annotated[tuple[str, ...], NoDecode, Separated(), Metavar("HOST")]
OptionalPemFile = Annotated[Path | None, BeforeValidator(lambda value: value or None), PemFile()]
