"""`gs://`: Google Cloud Storage, by Google's own client."""

import base64
import json
import re
import uuid
from pathlib import Path
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
from reelmill_server.storage.content import Labels
from reelmill_server.storage.objects import MARK, Delivery, Place, Stat, read_part
from reelmill_server.storage.retrying import refusal
from reelmill_server.storage.roles import Identity

_STEP_BYTES = 256 * 1024
"""All chunks but the last must be multiples of it."""
_CHUNK_BYTES = 32 * _STEP_BYTES
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_TIMEOUT_SECONDS = (10, 60)
_CONNECTIONS = 32
_LIFETIME_SECONDS = 3600
_IAM = "https://iamcredentials.googleapis.com"
_NO_PROJECT = "reelmill"
"""The client wants a name; it is used for lists of buckets only."""


class GcsService:
    """One endpoint, in the name of one identity."""

    def __init__(self, target: Target, identity: Identity) -> None:
        credentials = _credentials(target, identity)
        self._session = AuthorizedSession(credentials) if credentials else requests.Session()
        adapter = requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=_CONNECTIONS)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        options = {"api_endpoint": target.option("endpoint").rstrip("/")} if target.option("endpoint") else None
        self._client = storage.Client(
            project=_NO_PROJECT, credentials=credentials or AnonymousCredentials(), _http=self._session, client_options=options
        )

    def stat(self, place: Place) -> Stat:
        """As `Service.stat`."""
        blob = self._client.bucket(place.bucket).blob(place.key)
        try:
            blob.reload(timeout=_TIMEOUT_SECONDS, retry=None)
        except NotFound:
            self._check_bucket(place)
            raise
        return Stat(int(blob.size), int(blob.updated.timestamp() * MICROSECONDS), str(blob.generation))

    def read(self, place: Place, version: str, offset: int, length: int) -> bytes:
        """As `Service.read`."""
        data: bytes = (
            self._client.bucket(place.bucket)
            .blob(place.key)
            .download_as_bytes(
                start=offset,
                end=offset + length - 1,
                raw_download=True,  # as it is stored: sizes and offsets are of that
                if_generation_match=int(version),
                timeout=_TIMEOUT_SECONDS,
                checksum=None,  # there is none of a range
                retry=None,
            )
        )
        if len(data) != length:
            raise StorageUnavailable(f"{place.uri}: {len(data)} bytes came instead of {length}")
        return data

    def deliver(self, place: Place, path: Path, labels: Labels) -> Delivery:
        """As `Service.deliver`."""
        return _Delivery(self._client, self._session, place, path, labels)

    def withdraw(self, place: Place, mark: str) -> None:
        """As `Service.withdraw`."""
        blob = self._client.bucket(place.bucket).blob(place.key)
        try:
            blob.reload(timeout=_TIMEOUT_SECONDS, retry=None)
            if (blob.metadata or {}).get(MARK) == mark:
                blob.delete(if_generation_match=int(blob.generation), timeout=_TIMEOUT_SECONDS, retry=None)
        except ClientError as error:
            if error.code not in (404, 412):
                raise

    def list_below(self, folder: Place) -> list[tuple[str, int]]:
        """As `Service.list_below`."""
        try:
            found = self._client.list_blobs(folder.bucket, prefix=folder.key, timeout=_TIMEOUT_SECONDS, retry=None)
            return [(blob.name, int(blob.size)) for blob in found]
        except NotFound:
            raise BucketNotFound(f"The bucket of {folder.uri} does not exist") from None

    def remove(self, place: Place) -> None:
        """As `Service.remove`."""
        try:
            self._client.bucket(place.bucket).blob(place.key).delete(timeout=_TIMEOUT_SECONDS, retry=None)
        except NotFound:
            pass

    def abort_below(self, folder: Place) -> None:
        """As `Service.abort_below`: Google tells of none, and forgets them after a week."""

    def _check_bucket(self, place: Place) -> None:
        """Raises BucketNotFound; an identity that may not look at buckets is content with the object's own answer."""
        try:
            exists = self._client.bucket(place.bucket).exists(timeout=_TIMEOUT_SECONDS, retry=None)
        except ClientError:
            return
        if not exists:
            raise BucketNotFound(f"The bucket of {place.uri} does not exist")


def explain(error: Exception, uri: str) -> ReelmillError | None:
    """Puts an error of the client into words; None: it is a defect."""
    if isinstance(error, NotFound) and "bucket does not exist" in str(error.message):
        return BucketNotFound(f"The bucket of {uri} does not exist")
    if isinstance(error, GoogleAPICallError | InvalidResponse):
        status = error.code if isinstance(error, GoogleAPICallError) else error.response.status_code
        return refusal(status or 500, uri)
    if isinstance(error, DefaultCredentialsError) or (isinstance(error, RefreshError) and not _may_pass(error)):
        return AccessDenied(f"{uri}: this server has no credentials for it, or gets no token ({type(error).__name__})")
    if isinstance(error, GoogleAuthError | requests.RequestException | urllib3.exceptions.HTTPError | OSError):
        return StorageUnavailable(f"{uri}: the storage did not answer ({type(error).__name__})")
    return None


def _may_pass(error: RefreshError) -> bool:
    """Whether a token may be given next time; of impersonation only the answer's text tells."""
    status = re.search(r'"code":\s*(\d+)', " ".join(map(str, error.args)))
    return bool(error.retryable or (status and (status[1] == "429" or status[1] >= "500")))


def _credentials(target: Target, identity: Identity) -> Any:
    """None: nobody's."""
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
    """Raises AccessDenied for one that Google would refuse."""
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


class _Delivery:
    """A resumable upload: its last chunk is kept back until the file is placed."""

    def __init__(self, client: Any, session: Any, place: Place, path: Path, labels: Labels) -> None:
        self._client, self._session, self._place, self._path, self._labels = client, session, place, path, labels
        self._size = path.stat().st_size
        self.mark = uuid.uuid4().hex
        self.parts = max(0, -(-self._size // _CHUNK_BYTES) - 1)
        self._url = self._checksum = ""
        self._generation = 0
        self._unsure = False  # of what the service has: a chunk was sent, and no answer came

    def begin(self) -> None:
        """As `Delivery.begin`. The checksum goes first, so that what arrives otherwise never appears."""
        blob = self._client.bucket(self._place.bucket).blob(self._place.key)
        blob.cache_control = self._labels.cache(self._place.key) or None
        blob.metadata = {**self._labels.tags, **self._labels.metadata, MARK: self.mark}
        self._checksum = _crc32c(self._path, self._size)
        blob.crc32c = self._checksum
        try:
            self._url = blob.create_resumable_upload_session(
                content_type=self._labels.content_type(self._place.key),
                size=self._size,
                timeout=_TIMEOUT_SECONDS,
                checksum=None,
                retry=None,
            )
        except NotFound:
            raise BucketNotFound(f"The bucket of {self._place.uri} does not exist") from None

    def send(self, number: int) -> None:
        """As `Delivery.send`."""
        end = (number + 1) * _CHUNK_BYTES
        if self._put(number * _CHUNK_BYTES, end) != end:
            raise StorageUnavailable(f"{self._place.uri}: a chunk did not arrive whole")

    def place(self) -> None:
        """As `Delivery.place`."""
        if self._put(self.parts * _CHUNK_BYTES, self._size) != self._size or not self._generation:
            raise StorageUnavailable(f"{self._place.uri}: the last chunk did not arrive whole")

    def abort(self) -> None:
        """As `Delivery.abort`."""
        if self._url and not self._generation:
            self._session.delete(self._url, timeout=_TIMEOUT_SECONDS)
            self._url = ""

    def remove(self) -> None:
        """As `Delivery.remove`."""
        if not self._generation:
            self._asked()  # was the answer lost?
        if self._generation:
            blob = self._client.bucket(self._place.bucket).blob(self._place.key)
            try:
                blob.delete(if_generation_match=self._generation, timeout=_TIMEOUT_SECONDS, retry=None)
            except ClientError as error:
                if error.code not in (404, 412):
                    raise

    def _put(self, start: int, end: int) -> int:
        """Sends what the service does not have yet of a range; how much it has in all then."""
        if self._unsure:
            start = max(start, min(self._asked(), end))
            if self._generation or start == end:
                return start
        self._unsure = True
        received = self._answered(
            self._session.put(
                self._url,
                data=read_part(self._path, start, end - start),
                headers={"Content-Range": f"bytes {start}-{end - 1}/{self._size}" if self._size else "bytes */0"},
                timeout=_TIMEOUT_SECONDS,
            )
        )
        self._unsure = received != end
        return received

    def _asked(self) -> int:
        """How many bytes the service has."""
        headers = {"Content-Range": f"bytes */{self._size}"}
        return self._answered(self._session.put(self._url, headers=headers, timeout=_TIMEOUT_SECONDS))

    def _answered(self, answer: requests.Response) -> int:
        if answer.status_code in (200, 201):
            stored = answer.json()
            self._generation = int(stored["generation"])
            if stored.get("crc32c", self._checksum) != self._checksum or int(stored["size"]) != self._size:
                raise OutputError(f"{self._place.uri} arrived damaged")
            return self._size
        if answer.status_code == 308:
            match = re.fullmatch(r"bytes=0-(\d+)", answer.headers.get("Range", ""))
            return (int(match[1]) + 1) // _STEP_BYTES * _STEP_BYTES if match else 0
        if answer.status_code == 400:
            raise OutputError(f"{self._place.uri} arrived damaged")
        if answer.status_code in (404, 410):
            raise OutputError(f"{self._place.uri}: the upload is gone, as if somebody had aborted it")
        raise refusal(answer.status_code, self._place.uri)


def _crc32c(path: Path, size: int) -> str:
    checksum = google_crc32c.Checksum()
    for offset in range(0, size, _CHUNK_BYTES):
        checksum.update(read_part(path, offset, min(_CHUNK_BYTES, size - offset)))
    return base64.b64encode(checksum.digest()).decode()
