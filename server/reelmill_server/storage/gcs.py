"""Storage of `gs://`: Google Cloud Storage through Google's client."""

import base64
import json
import os
import re
import uuid
from dataclasses import replace
from typing import Any

import google.auth
import google_crc32c
import requests
import urllib3.exceptions
from google.api_core.exceptions import ClientError, GoogleAPICallError, NotFound
from google.auth import downscoped, impersonated_credentials
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError
from google.auth.transport.requests import AuthorizedSession
from google.cloud import storage
from google.cloud.storage.exceptions import InvalidResponse

from reelmill_server.errors import AccessDenied, BucketNotFound, OutputError, ReelmillError, StorageUnavailable
from reelmill_server.model.buckets import Target
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.settings.clouds import emulator
from reelmill_server.storage.base import Upload
from reelmill_server.storage.content import Labels
from reelmill_server.storage.objects import MARK, ObjectLocation, ObjectUpload, Stat, read_part, size_of
from reelmill_server.storage.retry import error_of_status
from reelmill_server.storage.roles import Identity

_STEP_BYTES = 256 * 1024
"""All chunks but the last must be a multiple of this."""
_CHUNK_BYTES = 32 * _STEP_BYTES
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_TIMEOUT_SECONDS = (10, 60)
_CONNECTIONS = 32
_LIFETIME_SECONDS = 3600
_IAM = "https://iamcredentials.googleapis.com"
# Recent clients ask for the metadata of each bucket, in a thread of their own, with or without traces: a request that nothing
# needs, that a role may not be allowed to make, and that may come when its task is over.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
_NO_PROJECT = "reelmill"
"""The client needs a project, but uses it only to list buckets."""


class GcsService:
    """One endpoint, accessed with one identity."""

    def __init__(self, target: Target, identity: Identity) -> None:
        target = _in_environment(target)
        credentials = _credentials(target, identity)
        self._session = AuthorizedSession(credentials) if credentials else requests.Session()
        adapter = requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=_CONNECTIONS)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        options = {"api_endpoint": target.option("endpoint").rstrip("/")} if target.option("endpoint") else None
        self._client = storage.Client(
            project=_NO_PROJECT, credentials=credentials or AnonymousCredentials(), _http=self._session, client_options=options
        )

    def stat(self, location: ObjectLocation) -> Stat:
        blob = self._client.bucket(location.bucket).blob(location.key)
        try:
            blob.reload(timeout=_TIMEOUT_SECONDS, retry=None)
        except NotFound:
            self._check_bucket(location)
            raise
        return Stat(int(blob.size), int(blob.updated.timestamp() * MICROSECONDS), str(blob.generation))

    def read(self, location: ObjectLocation, version: str, offset: int, length: int) -> bytes:
        data: bytes = (
            self._client.bucket(location.bucket)
            .blob(location.key)
            .download_as_bytes(
                start=offset,
                end=offset + length - 1,
                raw_download=True,  # stored bytes, to which sizes and offsets refer
                if_generation_match=int(version),
                timeout=_TIMEOUT_SECONDS,
                checksum=None,  # ranges have none
                retry=None,
            )
        )
        if len(data) != length:
            raise StorageUnavailable(f"{location.uri}: received {len(data)} bytes instead of {length}")
        return data

    def prepare_upload(self, location: ObjectLocation, upload: Upload, labels: Labels) -> ObjectUpload:
        return _ResumableUpload(self._client, self._session, location, upload, labels)

    def withdraw(self, location: ObjectLocation, mark: str) -> None:
        blob = self._client.bucket(location.bucket).blob(location.key)
        try:
            blob.reload(timeout=_TIMEOUT_SECONDS, retry=None)
            if (blob.metadata or {}).get(MARK) == mark:
                blob.delete(if_generation_match=int(blob.generation), timeout=_TIMEOUT_SECONDS, retry=None)
        except ClientError as error:
            if error.code not in (404, 412):
                raise

    def list_below(self, folder: ObjectLocation) -> list[tuple[str, int]]:
        try:
            blobs = self._client.list_blobs(folder.bucket, prefix=folder.key, timeout=_TIMEOUT_SECONDS, retry=None)
            return [(blob.name, int(blob.size)) for blob in blobs]
        except NotFound:
            raise BucketNotFound(f"The bucket of {folder.uri} does not exist") from None

    def remove(self, location: ObjectLocation) -> None:
        try:
            self._client.bucket(location.bucket).blob(location.key).delete(timeout=_TIMEOUT_SECONDS, retry=None)
        except NotFound:
            pass

    def abort_below(self, folder: ObjectLocation) -> None:
        pass  # Google lists no resumable uploads, and deletes unfinished ones after a week

    def _check_bucket(self, location: ObjectLocation) -> None:
        """Raise BucketNotFound if the bucket is missing; ignore identities that may not look at buckets."""
        try:
            exists = self._client.bucket(location.bucket).exists(timeout=_TIMEOUT_SECONDS, retry=None)
        except ClientError:
            return
        if not exists:
            raise BucketNotFound(f"The bucket of {location.uri} does not exist")


def _in_environment(target: Target) -> Target:
    """Return the target, on the emulator that the environment names if it has no endpoint: without credentials."""
    if target.option("endpoint") or not emulator():
        return target
    options = {**dict(target.options), "endpoint": emulator(), "anonymous": "true"}
    return replace(target, options=tuple(sorted(options.items())))


def explain(error: Exception, uri: str) -> ReelmillError | None:
    """Return the ReelmillError for an error of the client, or None if it is a defect."""
    if isinstance(error, NotFound) and "bucket does not exist" in str(error.message):
        return BucketNotFound(f"The bucket of {uri} does not exist")
    if isinstance(error, GoogleAPICallError | InvalidResponse):
        status = error.code if isinstance(error, GoogleAPICallError) else error.response.status_code
        return error_of_status(status or 500, uri)
    if isinstance(error, DefaultCredentialsError) or (isinstance(error, RefreshError) and not _is_transient(error)):
        return AccessDenied(f"{uri}: this server has no credentials for it or cannot get a token ({type(error).__name__})")
    if isinstance(error, GoogleAuthError | requests.RequestException | urllib3.exceptions.HTTPError | OSError):
        return StorageUnavailable(f"{uri}: the storage did not respond ({type(error).__name__})")
    return None


def _is_transient(error: RefreshError) -> bool:
    """Return whether another try may get a token; for impersonation, only the text of the response says."""
    status = re.search(r'"code":\s*(\d+)', " ".join(map(str, error.args)))
    return bool(error.retryable or (status and (status[1] == "429" or status[1] >= "500")))


def _credentials(target: Target, identity: Identity) -> Any:
    """Return the credentials of an identity, or None for anonymous access."""
    if target.option("anonymous") == "true":
        return None
    credentials, _ = google.auth.default(scopes=[_SCOPE if not identity.roles else "https://www.googleapis.com/auth/iam"])
    if identity.roles:
        *delegates, last = identity.roles
        iam = (target.option("iam") or _IAM).rstrip("/")
        credentials = impersonated_credentials.Credentials(
            source_credentials=credentials,
            target_principal=last,
            delegates=list(delegates),
            target_scopes=[_SCOPE],
            lifetime=_LIFETIME_SECONDS,
            iam_endpoint_override=f"{iam}/v1/projects/-/serviceAccounts/{last}:generateAccessToken",
        )
    if identity.policy:
        credentials = downscoped.Credentials(credentials, _boundary(identity.policy))
    return credentials


def _boundary(policy: str) -> downscoped.CredentialAccessBoundary:
    """Parse an access boundary; raises AccessDenied for one that Google would refuse."""
    problem = ""
    try:
        rules = []
        for rule in json.loads(policy)["accessBoundary"]["accessBoundaryRules"]:
            condition = rule.get("availabilityCondition")
            rules.append(
                downscoped.AccessBoundaryRule(
                    rule["availableResource"],
                    rule["availablePermissions"],
                    downscoped.AvailabilityCondition(condition["expression"]) if condition else None,
                )
            )
        return downscoped.CredentialAccessBoundary(rules)
    except (KeyError, TypeError, ValueError, AttributeError, GoogleAuthError) as error:
        problem = f"the policy is not an access boundary of Google Cloud ({type(error).__name__}: {error})"
    raise AccessDenied(problem)


class _ResumableUpload:
    """A resumable upload; its last chunk is sent when the file is published."""

    def __init__(self, client: Any, session: Any, location: ObjectLocation, upload: Upload, labels: Labels) -> None:
        self._client, self._session, self._location, self._labels = client, session, location, labels
        self._upload = upload
        self._size = size_of(upload)
        self.mark = uuid.uuid4().hex
        self.parts = max(0, -(-self._size // _CHUNK_BYTES) - 1)
        self._url = self._checksum = ""
        self._generation = 0
        self._unsure = False  # a chunk was sent without a response, so what the service received is unknown

    def begin(self) -> None:
        # The checksum is sent first, so that corrupted data never becomes an object.
        blob = self._client.bucket(self._location.bucket).blob(self._location.key)
        blob.cache_control = self._labels.cache(self._location.key) or None
        blob.metadata = {**self._labels.tags, **self._labels.metadata, MARK: self.mark}
        self._checksum = _crc32c(self._upload, self._size)
        blob.crc32c = self._checksum
        try:
            self._url = blob.create_resumable_upload_session(
                content_type=self._labels.content_type(self._location.key),
                size=self._size,
                timeout=_TIMEOUT_SECONDS,
                checksum=None,
                retry=None,
            )
        except NotFound:
            raise BucketNotFound(f"The bucket of {self._location.uri} does not exist") from None

    def send(self, number: int) -> None:
        end = (number + 1) * _CHUNK_BYTES
        if self._put(number * _CHUNK_BYTES, end) != end:
            raise StorageUnavailable(f"{self._location.uri}: a chunk was not received completely")

    def publish(self) -> None:
        if self._put(self.parts * _CHUNK_BYTES, self._size) != self._size or not self._generation:
            raise StorageUnavailable(f"{self._location.uri}: the last chunk was not received completely")

    def abort(self) -> None:
        if self._url and not self._generation:
            self._session.delete(self._url, timeout=_TIMEOUT_SECONDS)
            self._url = ""

    def remove(self) -> None:
        if not self._generation:
            self._query_received()  # the response may have been lost
        if self._generation:
            blob = self._client.bucket(self._location.bucket).blob(self._location.key)
            try:
                blob.delete(if_generation_match=self._generation, timeout=_TIMEOUT_SECONDS, retry=None)
            except ClientError as error:
                if error.code not in (404, 412):
                    raise

    def _put(self, start: int, end: int) -> int:
        """Send the part of a range that the service lacks, and return how many bytes it has in total."""
        if self._unsure:
            start = max(start, min(self._query_received(), end))
            if self._generation or start == end:
                return start
        self._unsure = True
        received = self._received(
            self._session.put(
                self._url,
                data=read_part(self._upload, start, end - start),
                headers={"Content-Range": f"bytes {start}-{end - 1}/{self._size}" if self._size else "bytes */0"},
                timeout=_TIMEOUT_SECONDS,
            )
        )
        self._unsure = received != end
        return received

    def _query_received(self) -> int:
        """Return how many bytes the service has received."""
        headers = {"Content-Range": f"bytes */{self._size}"}
        return self._received(self._session.put(self._url, headers=headers, timeout=_TIMEOUT_SECONDS))

    def _received(self, response: requests.Response) -> int:
        if response.status_code in (200, 201):
            stored = response.json()
            self._generation = int(stored["generation"])
            if stored.get("crc32c", self._checksum) != self._checksum or int(stored["size"]) != self._size:
                raise OutputError(f"{self._location.uri} was corrupted in transit")
            return self._size
        if response.status_code == 308:
            match = re.fullmatch(r"bytes=0-(\d+)", response.headers.get("Range", ""))
            return (int(match[1]) + 1) // _STEP_BYTES * _STEP_BYTES if match else 0
        if response.status_code == 400:
            raise OutputError(f"{self._location.uri} was corrupted in transit")
        if response.status_code in (404, 410):
            raise OutputError(f"{self._location.uri}: the upload no longer exists; it may have been aborted")
        raise error_of_status(response.status_code, self._location.uri)


def _crc32c(upload: Upload, size: int) -> str:
    checksum = google_crc32c.Checksum()
    for offset in range(0, size, _CHUNK_BYTES):
        checksum.update(read_part(upload, offset, min(_CHUNK_BYTES, size - offset)))
    return base64.b64encode(checksum.digest()).decode()
