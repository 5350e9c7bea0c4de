"""Finds the storage of a URI by its scheme."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from reelmill_server.errors import InvalidArgument
from reelmill_server.storage.base import Fetched, ObjectReader, Storage, Upload


class Registry:
    """All storages, by scheme; itself a storage for any URI with a known scheme."""

    def __init__(self, storages: Mapping[str, Storage]) -> None:
        self._storages = storages

    def check_readable(self, uri: str) -> None:
        """As `Storage.check_readable`."""
        self._of(uri).check_readable(uri)

    def check_writable(self, uri: str) -> None:
        """As `Storage.check_writable`."""
        self._of(uri).check_writable(uri)

    async def open(self, uri: str) -> ObjectReader:
        """As `Storage.open`."""
        return await self._of(uri).open(uri)

    async def fetch(self, uri: str) -> Fetched:
        """As `Storage.fetch`."""
        return await self._of(uri).fetch(uri)

    async def publish(self, uploads: Sequence[Upload], owner: str) -> None:
        """As `Storage.publish`, one storage after the other."""
        by_storage: defaultdict[int, list[Upload]] = defaultdict(list)
        storages: dict[int, Storage] = {}
        for upload in uploads:
            storage = self._of(upload.uri)
            storages[id(storage)] = storage
            by_storage[id(storage)].append(upload)
        for key, group in by_storage.items():
            await storages[key].publish(group, owner)

    def _of(self, uri: str) -> Storage:
        scheme, separator, _ = uri.partition("://")
        if not separator or scheme not in self._storages:
            known = ", ".join(f"{name}://" for name in sorted(self._storages))
            raise InvalidArgument(f"{uri!r} is not a URI that can be used here: expected {known}")
        return self._storages[scheme]
