"""Selection of the storage of a URI by its scheme and bucket."""

from collections.abc import Hashable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Self

from reelmill_server.errors import AccessDenied, InvalidArgument
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import Credentials
from reelmill_server.settings.reference import SETTINGS
from reelmill_server.storage import publication
from reelmill_server.storage.base import Backend, Guard, ObjectReader, StagedFile, Upload, redacted


class Registry:
    """All storage backends behind the interface of one.

    Keys are schemes, or patterns `scheme://bucket` in which * stands for any characters; the first match applies.
    """

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = {key if "://" in key else f"{key}://*": backend for key, backend in backends.items()}

    def acting_as(self, credentials: Credentials) -> Self:
        return type(self)({key: backend.acting_as(credentials) for key, backend in self._backends.items()})

    def check_readable(self, uri: str) -> None:
        self._of(uri).check_readable(uri)

    def check_writable(self, uri: str) -> None:
        self._of(uri).check_writable(uri)

    def places(self, uri: str) -> frozenset[Hashable]:
        return self._of(uri).places(uri)

    async def open(self, uri: str) -> ObjectReader:
        return await self._of(uri).open(uri)

    async def stage(self, upload: Upload, owner: str) -> StagedFile:
        return await self._of(upload.uri).stage(upload, owner)

    async def withdraw(self, file: PendingFile) -> None:
        await self._of(file.uri).withdraw(file)

    async def list_below(self, folder_uri: str) -> list[tuple[str, int]]:
        return await self._of(folder_uri).list_below(folder_uri)

    async def erase(self, folder_uri: str) -> None:
        await self._of(folder_uri).erase(folder_uri)

    async def publish(self, uploads: Sequence[Upload], owner: str, guard: Guard | None = None) -> None:
        await publication.publish(self.stage, uploads, owner, guard)

    def _of(self, uri: str) -> Backend:
        scheme, separator, rest = uri.partition("://")
        head = f"{scheme}://{rest.partition('/')[0]}"
        for pattern, backend in self._backends.items():
            if separator and fnmatchcase(head, pattern):
                return backend
        schemes = sorted({key.partition("://")[0] for key in self._backends})
        if scheme in schemes:
            raise AccessDenied(f"{uri} is not in a bucket that this server may access; {_allowing('bucket')} others")
        known = ", ".join(f"{name}://" for name in schemes)
        hint = f"; {_allowing(_ALLOWED_BY[scheme])} {scheme}://" if scheme in _ALLOWED_BY else ""
        raise InvalidArgument(f"{redacted(uri)!r} is not a supported URI: expected {known}{hint}")


_ALLOWED_BY = {"http": "web_host", "https": "web_host", "gs": "bucket", "s3": "bucket", "oss": "bucket", "file": "file_root"}
"""Fields of the settings that allow URIs of a scheme."""


def _allowing(field: str) -> str:
    setting = SETTINGS[field]
    return f"the server's flag {setting.flag} or its variable {setting.variable} allows"
