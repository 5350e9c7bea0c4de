"""Settings of the storages that URIs may name."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ByteSize, Field, StringConstraints
from pydantic_settings import NoDecode

from reelmill_server.model.buckets import BucketRule, parse_rule
from reelmill_server.settings.clouds import oss_endpoint
from reelmill_server.settings.fields import Bytes, Count, Folder, Hosts, Metavar, Pairs, Separated
from reelmill_server.settings.group import Group, UsedBy


def _rule(value: Any) -> Any:
    return parse_rule(value, oss_endpoint()) if isinstance(value, str) else value


Folders = Annotated[tuple[Folder, ...], NoDecode, Separated(os.pathsep + ",", in_flags=False), Metavar("FOLDER")]
Buckets = Annotated[
    tuple[Annotated[BucketRule, BeforeValidator(_rule)], ...],
    NoDecode,
    Separated(in_flags=False),
    Metavar("PATTERN[=TARGET]"),
]
# The names of roles at AWS may contain commas: a flag holds one.
ServiceRoles = Annotated[tuple[str, ...], NoDecode, Separated(in_flags=False), Metavar("NAME[=ROLE]")]
_Extension = Annotated[str, StringConstraints(pattern=r"^(\*|\w+)$")]
_HeaderValue = Annotated[str, StringConstraints(pattern=r"^[^\r\n]+$")]
# A value of Cache-Control is a list with commas.
CacheControl = Annotated[dict[_Extension, _HeaderValue], NoDecode, Pairs(";", in_flags=False), Metavar("EXTENSION=VALUE")]
Labels = Annotated[
    dict[Annotated[str, StringConstraints(min_length=1, max_length=128)], str], NoDecode, Pairs(), Metavar("NAME=VALUE")
]


class StorageSettings(Group):
    """Locations that tasks may read and write, and attributes of published objects."""

    title = "Storage"
    used_by = UsedBy("serve", "api", "worker", "plan")

    file_root: Folders = Field(
        default_factory=lambda: (Path(),),
        description="Folder that file:// URIs may name, including everything below it. Empty: no file:// URIs. Default: the"
        " current folder.",
    )
    bucket: Buckets = Field(
        default=("gs://*", "s3://*"),  # type: ignore[arg-type]  # defaults are parsed, too
        description="Bucket that URIs may name; TARGET is the bucket to use in its place (docs/storage.md). The first match"
        " counts. Empty: no buckets.",
    )
    web_host: Hosts = Field(
        default=(),
        description="Host that http:// and https:// sources may name; *.example.com matches all hosts below it, * any host."
        " Empty: no such sources.",
    )
    web_private: bool = Field(
        default=False,
        description="Allow http:// and https:// sources at private addresses, such as this machine's own network.",
    )
    web_max_bytes: Bytes = Field(
        default=ByteSize(50 * 1024**3), ge=1, le=1024**6, description="Largest http:// or https:// source, for example 100GiB."
    )
    service_role: ServiceRoles = Field(
        default=(),
        description="Role that requests and projects may name; * matches any characters, and NAME=ROLE gives a role another"
        " name. Empty: none, so that storage is accessed with the worker's own credentials.",
    )
    cache_control: CacheControl = Field(
        default_factory=dict,
        description="Cache-Control of published objects by file extension, for example m3u8=no-cache; * stands for all other"
        " extensions. Empty: not set.",
    )
    object_tags: Labels = Field(
        default_factory=dict,
        description="Tag of published objects, for example team=video; on gs:// it becomes metadata. Empty: no tags.",
    )
    object_metadata: Labels = Field(
        default_factory=dict, description="Metadata of published objects, for example origin=reelmill. Empty: no metadata."
    )
    storage_tries: Count = Field(
        default=6, ge=1, le=20, description="Maximum number of attempts at a storage call that fails with temporary errors."
    )
