"""Storage of `s3://` and `oss://`: services with the S3 protocol, through botocore."""

import base64
import hashlib
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import botocore.exceptions
import botocore.session
import urllib3.exceptions
from botocore import UNSIGNED
from botocore.config import Config

from reelmill_server.errors import (
    AccessDenied,
    BucketNotFound,
    InvalidArgument,
    OutputError,
    ReelmillError,
    StorageUnavailable,
)
from reelmill_server.model.buckets import Target
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.storage.assumed_roles import region_of, session_of
from reelmill_server.storage.base import Upload
from reelmill_server.storage.content import Labels
from reelmill_server.storage.objects import MARK, ObjectLocation, ObjectUpload, Stat, read_part, size_of
from reelmill_server.storage.retry import error_of_status
from reelmill_server.storage.roles import Identity

_PART_BYTES = 8 * 1024**2
_MAX_PARTS = 10_000
_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_CONNECTIONS = 32
_TRANSIENT_CODES = frozenset({"BadDigest", "InternalError", "OperationAborted", "RequestTimeout", "SlowDown", "Throttling"})
_BROKEN = (
    botocore.exceptions.HTTPClientError,
    botocore.exceptions.ConnectionError,
    botocore.exceptions.IncompleteReadError,
    urllib3.exceptions.HTTPError,
    OSError,
)
_NO_CREDENTIALS = (
    botocore.exceptions.NoCredentialsError,
    botocore.exceptions.PartialCredentialsError,
    botocore.exceptions.CredentialRetrievalError,
    botocore.exceptions.ProfileNotFound,
    botocore.exceptions.TokenRetrievalError,
)


class S3Service:
    """One endpoint, accessed with one identity."""

    def __init__(self, target: Target, identity: Identity) -> None:
        session = session_of(target, identity)
        self._client: Any = session.create_client(
            "s3", endpoint_url=target.option("endpoint") or None, **_client_options(target, session)
        )

    def stat(self, location: ObjectLocation) -> Stat:
        try:
            head = self._client.head_object(Bucket=location.bucket, Key=location.key)
        except botocore.exceptions.ClientError as error:
            if _status(error) == 404:
                self._client.head_bucket(Bucket=location.bucket)  # a response without a body does not say what is missing
            raise
        modified: datetime = head["LastModified"]
        return Stat(head["ContentLength"], int(modified.timestamp()) * MICROSECONDS, head["ETag"])

    def read(self, location: ObjectLocation, version: str, offset: int, length: int) -> bytes:
        response = self._client.get_object(
            Bucket=location.bucket, Key=location.key, IfMatch=version, Range=f"bytes={offset}-{offset + length - 1}"
        )
        with response["Body"] as body:
            data: bytes = body.read()
        if len(data) != length:
            raise StorageUnavailable(f"{location.uri}: received {len(data)} bytes instead of {length}")
        return data

    def prepare_upload(self, location: ObjectLocation, upload: Upload, labels: Labels) -> ObjectUpload:
        return _Upload(self._client, location, upload, labels)

    def withdraw(self, location: ObjectLocation, mark: str) -> None:
        head = _head(self._client, {"Bucket": location.bucket, "Key": location.key})
        if head and _mark_of(head) == mark:
            self.remove(location)

    def list_below(self, folder: ObjectLocation) -> list[tuple[str, int]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=folder.key)
        return [(entry["Key"], entry["Size"]) for page in pages for entry in page.get("Contents", ())]

    def remove(self, location: ObjectLocation) -> None:
        # Objects are deleted one by one: OSS requires a checksum for batches that botocore does not compute.
        self._client.delete_object(Bucket=location.bucket, Key=location.key)

    def abort_below(self, folder: ObjectLocation) -> None:
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=folder.bucket, Prefix=folder.key)
        for upload in [upload for page in pages for upload in page.get("Uploads", ())]:
            _abort(self._client, {"Bucket": folder.bucket, "Key": upload["Key"]}, upload["UploadId"])


def explain(error: Exception, uri: str) -> ReelmillError | None:
    """Return the ReelmillError for an error of the client, or None if it is a defect."""
    if isinstance(error, botocore.exceptions.ClientError):
        return _explain_response(error, uri)
    if isinstance(error, _NO_CREDENTIALS):
        return AccessDenied(f"{uri}: this server has no credentials for it ({type(error).__name__})")
    if isinstance(error, botocore.exceptions.ParamValidationError | botocore.exceptions.InvalidRegionError):
        return InvalidArgument(f"{uri} is not an object URI: its bucket name is invalid")
    if isinstance(error, _BROKEN):
        return StorageUnavailable(f"{uri}: the storage did not respond ({type(error).__name__})")
    return None


def _client_options(target: Target, session: botocore.session.Session) -> dict[str, Any]:
    # OSS refuses path-style addressing; a custom endpoint often has no host name for each bucket. Without one, environment and
    # profile decide, as they do for Amazon's tools.
    default_style = "virtual" if target.scheme == "oss" else "path" if target.option("endpoint") else None
    style = target.option("addressing") or default_style
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=_CONNECTIONS,
        retries={"total_max_attempts": 1},  # RetryPolicy applies to all services alike
        s3={"addressing_style": style} if style else None,
        # All services support Content-MD5; the newer checksums are sent in a framing that OSS refuses.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        **({"signature_version": UNSIGNED} if target.option("anonymous") == "true" else {}),
    )
    return {"region_name": region_of(target, session), "config": config}


def _status(error: botocore.exceptions.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _explain_response(error: botocore.exceptions.ClientError, uri: str) -> ReelmillError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = _status(error)
    if code == "NoSuchBucket" or (error.operation_name == "HeadBucket" and status == 404):
        return BucketNotFound(f"The bucket of {uri} does not exist")
    if code in _TRANSIENT_CODES:
        return StorageUnavailable(f"{uri}: the storage is unavailable (HTTP {status} {code})")
    if error.operation_name == "AssumeRole" and status < 500:
        return AccessDenied(f"{uri}: this server is not allowed to assume the role ({code})")
    if code == "NoSuchUpload":
        return OutputError(f"{uri}: the upload no longer exists; it may have been aborted")
    return error_of_status(status, uri, code if not code.isdigit() else "")


class _Upload:
    """An upload: a single part is sent when it is published, more parts are a multipart upload that is then completed."""

    def __init__(self, client: Any, location: ObjectLocation, upload: Upload, labels: Labels) -> None:
        self._client, self._upload = client, upload
        self._at = {"Bucket": location.bucket, "Key": location.key}
        self._uri = location.uri
        self._size = size_of(upload)
        self._part_bytes = max(_PART_BYTES, -(-self._size // _MAX_PARTS))
        self.mark = uuid.uuid4().hex
        self._attributes = _attributes(location.key, labels, self.mark)
        self._upload_id = ""
        self._digests: dict[int, bytes] = {}
        self._etags: dict[int, str] = {}
        self._etag = ""
        count = -(-self._size // self._part_bytes)
        self.parts = count if count > 1 else 0

    def begin(self) -> None:
        if self.parts:
            self.abort()  # an earlier upload whose response was lost
            self._upload_id = self._client.create_multipart_upload(**self._at, **self._attributes)["UploadId"]

    def send(self, number: int) -> None:
        offset = number * self._part_bytes
        body, digest = self._read(offset, min(self._part_bytes, self._size - offset))
        response = self._client.upload_part(
            **self._at, UploadId=self._upload_id, PartNumber=number + 1, Body=body, ContentMD5=_base64(digest)
        )
        self._digests[number], self._etags[number] = digest, response["ETag"]

    def publish(self) -> None:
        if not self.parts:
            body, digest = self._read(0, self._size)
            self._etag = f'"{digest.hex()}"'  # in case the response is lost
            response = self._client.put_object(**self._at, Body=body, ContentMD5=_base64(digest), **self._attributes)
            self._etag = response["ETag"]
            return
        parts = [{"PartNumber": number + 1, "ETag": self._etags[number]} for number in range(self.parts)]
        # The expected ETag, unless the service encrypts with its own keys: in case the response is lost.
        digest_of_digests = _md5(b"".join(self._digests[number] for number in range(self.parts)))
        self._etag = f'"{digest_of_digests.hex()}-{self.parts}"'
        try:
            response = self._client.complete_multipart_upload(
                **self._at, UploadId=self._upload_id, MultipartUpload={"Parts": parts}
            )
            self._etag = response["ETag"]
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload" or not self._is_this_upload():
                raise
        self._upload_id = ""

    def abort(self) -> None:
        if self._upload_id:
            _abort(self._client, self._at, self._upload_id)
            self._upload_id = ""

    def remove(self) -> None:
        if self._is_this_upload():
            self._client.delete_object(**self._at)

    def _is_this_upload(self) -> bool:
        """Return whether the object there is the one uploaded.

        ETags decide only if the store returns no mark: another attempt may have uploaded the same bytes.
        """
        head = _head(self._client, self._at)
        if not head:
            return False
        mark = _mark_of(head)
        return bool(mark == self.mark if mark else head["ETag"] == self._etag)

    def _read(self, offset: int, length: int) -> tuple[bytes, bytes]:
        body = read_part(self._upload, offset, length)
        return body, _md5(body)


def _head(client: Any, at: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the head of an object, empty if there is none."""
    try:
        head: Mapping[str, Any] = client.head_object(**at)
        return head
    except botocore.exceptions.ClientError as error:
        if _status(error) == 404:
            return {}
        raise


def _mark_of(head: Mapping[str, Any]) -> str:
    """Return the mark in an object's head; empty if it has none, or the store does not return it."""
    marks = {name.lower(): value for name, value in head.get("Metadata", {}).items()}  # some stores capitalize names
    return str(marks.get(MARK, ""))


def _abort(client: Any, at: Mapping[str, str], upload_id: str) -> None:
    """Abort an upload, which may no longer exist."""
    try:
        client.abort_multipart_upload(**at, UploadId=upload_id)
    except botocore.exceptions.ClientError as error:
        if _status(error) != 404:
            raise


def _attributes(key: str, labels: Labels, mark: str) -> dict[str, Any]:
    return {
        "ContentType": labels.content_type(key),
        **({"CacheControl": labels.cache(key)} if labels.cache(key) else {}),
        "Metadata": {**labels.metadata, MARK: mark},
        **({"Tagging": urlencode(labels.tags)} if labels.tags else {}),
    }


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
