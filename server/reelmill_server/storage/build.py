"""Construction of storage from the settings."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from pathlib import Path

from reelmill_server.errors import ReelmillError
from reelmill_server.model.buckets import BucketRule, Target
from reelmill_server.model.request import Credentials
from reelmill_server.settings import Settings
from reelmill_server.settings.reference import SETTINGS
from reelmill_server.storage.base import Backend, Storage
from reelmill_server.storage.content import Labels
from reelmill_server.storage.file import FileStorage, FolderStorage, file_path
from reelmill_server.storage.http import HttpRules, HttpStorage
from reelmill_server.storage.metering import MeteredStorage, count_errors_from_zero
from reelmill_server.storage.objects import Family, ObjectStorage, Service
from reelmill_server.storage.registry import Registry
from reelmill_server.storage.reserved import NOTHING_RESERVED, Reserved
from reelmill_server.storage.retry import RetryPolicy
from reelmill_server.storage.roles import CLOUDS, Identity, RoleTable
from reelmill_server.storage.shared_scratch import SharedScratch
from reelmill_server.telemetry.metrics import Metrics

_MAX_SERVICES = 64
_SQLITE_SUFFIXES = ("", "-wal", "-shm", "-journal")  # of the files that make up one database


def build_storage(settings: Settings, metrics: Metrics | None = None, *, writes_here: bool = False) -> Storage:
    """Return the storage that the settings allow tasks to use; its use is counted in `metrics`.

    `writes_here`: this process is the one that writes, so that folders it may not write to are refused beforehand.
    """
    return _registry(settings, settings.file_root, metrics or Metrics(), reserved_by(settings), writes_here=writes_here)


def build_scratch(settings: Settings, metrics: Metrics) -> SharedScratch | None:
    """Return the shared scratch, if the settings name one; its use is counted in `metrics`."""
    uri = settings.scratch_uri
    if not uri:
        return None
    roots: tuple[Path, ...] = ()
    if uri.startswith("file:"):
        roots = (file_path(uri),)
        roots[0].mkdir(parents=True, exist_ok=True)
    return SharedScratch(_registry(settings, roots, metrics, NOTHING_RESERVED, shown=False), uri)


def reserved_by(settings: Settings) -> Reserved:
    """Return the paths and objects reserved for the service: data folder, database, shared scratch and PEM files."""
    pem_files = (getattr(settings, setting.field) for setting in SETTINGS.values() if setting.is_pem_file)
    paths = [settings.data_dir, *filter(None, pem_files)]
    database = settings.database_file()
    if database:
        paths += [database.with_name(database.name + suffix) for suffix in _SQLITE_SUFFIXES]
    scratch, objects = settings.scratch_uri, []
    if scratch.startswith("file:"):
        paths.append(file_path(scratch))
    elif scratch:
        bucket, _, key = scratch.partition("://")[2].partition("/")
        target = next((rule.target for rule in settings.bucket if rule.matches(scratch)), Target(""))
        if target.scheme == "file":
            paths.append(Path(target.prefix, key))
        else:
            objects.append(target.locate(bucket, key))
    return Reserved(paths, objects)


def _registry(
    settings: Settings,
    file_roots: Sequence[Path],
    metrics: Metrics,
    reserved: Reserved,
    *,
    writes_here: bool = False,
    shown: bool = True,
) -> Registry:
    retry_policy = RetryPolicy(settings.storage_tries)
    backends: dict[str, Backend] = {"file": FileStorage(file_roots, reserved, writes_here=writes_here, shown=shown)}
    labels = Labels(settings.cache_control, settings.object_tags, settings.object_metadata)
    families = _families(RoleTable(settings.service_role))
    for rule in settings.bucket:
        backends.setdefault(rule.pattern, _bucket(rule, families, labels, retry_policy, reserved))
    if settings.web_host:
        rules = HttpRules(
            settings.web_host, settings.web_private, int(settings.web_max_bytes), settings.data_dir / "scratch" / "http"
        )
        backends["http"] = backends["https"] = HttpStorage(rules, retry_policy)
    schemes = {key: key.partition("://")[0] for key in backends}
    for scheme in set(schemes.values()):
        count_errors_from_zero(scheme, metrics)
    metered = {key: MeteredStorage(backend, schemes[key], metrics) for key, backend in backends.items()}
    return Registry(metered)


def _bucket(
    rule: BucketRule, families: dict[str, Family], labels: Labels, retry_policy: RetryPolicy, reserved: Reserved
) -> Backend:
    if rule.target.scheme == "file":
        return FolderStorage(Path(rule.target.prefix), reserved)
    return ObjectStorage(rule, families[rule.target.scheme], labels, retry_policy, reserved)


def _families(roles: RoleTable) -> dict[str, Family]:
    families = {}
    for scheme, cloud in CLOUDS.items():
        connections = _ServiceCache(_LIBRARIES[scheme], partial(roles.identity, cloud=cloud))
        families[scheme] = Family(connections.connect, connections.explain, connections.identity)
    return families


def _s3() -> "_Library":
    from reelmill_server.storage import s3

    return s3.S3Service, s3.explain


def _gcs() -> "_Library":
    from reelmill_server.storage import gcs

    return gcs.GcsService, gcs.explain


_Library = tuple[Callable[[Target, Identity], Service], Callable[[Exception, str], ReelmillError | None]]
_LIBRARIES: Mapping[str, Callable[[], _Library]] = {"s3": _s3, "oss": _s3, "gs": _gcs}
"""Imported at their first use: each takes half a second."""


class _ServiceCache:
    """Cache of services by endpoint and identity, as creating one is slow. The least recently used are dropped."""

    def __init__(self, load: Callable[[], _Library], identity: Callable[[Credentials], Identity]) -> None:
        self._load, self.identity = load, identity
        self._services: OrderedDict[Hashable, Service] = OrderedDict()
        self._lock = threading.Lock()

    def explain(self, error: Exception, uri: str) -> ReelmillError | None:
        """Return the ReelmillError for an error of the library, or None if it is a defect."""
        return self._load()[1](error, uri)

    def connect(self, target: Target, credentials: Credentials) -> Service:
        """Return the service of a target. May block, and raises errors of its library."""
        identity = self.identity(credentials)
        key = (target.scheme, target.options, identity)
        with self._lock:
            service = self._services.get(key)
        if service is None:
            service = self._load()[0](target, identity)  # without the lock, as a token service may be slow
        with self._lock:
            service = self._services.setdefault(key, service)
            self._services.move_to_end(key)
            if len(self._services) > _MAX_SERVICES:
                self._services.popitem(last=False)
        return service
