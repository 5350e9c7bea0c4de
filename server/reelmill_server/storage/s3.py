"""`s3://` and `oss://`: services that speak the protocol of S3, by the core of Amazon's own client."""

import base64
import hashlib
import uuid
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
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
from reelmill_server.storage.assumed_roles import session_of
from reelmill_server.storage.content import Labels
from reelmill_server.storage.objects import MARK, Delivery, Place, Stat, read_part
from reelmill_server.storage.retrying import refusal
from reelmill_server.storage.roles import Identity

_PART_BYTES = 8 * 1024**2
_MOST_PARTS = 10_000
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
    """One endpoint, in the name of one identity."""

    def __init__(self, target: Target, identity: Identity) -> None:
        session = session_of(target, identity)
        self._client: Any = session.create_client(
            "s3", endpoint_url=target.option("endpoint") or None, **_client_options(target, session)
        )

    def stat(self, place: Place) -> Stat:
        """As `Service.stat`."""
        try:
            head = self._client.head_object(Bucket=place.bucket, Key=place.key)
        except botocore.exceptions.ClientError as error:
            if _status(error) == 404:
                self._client.head_bucket(Bucket=place.bucket)  # an answer without a body does not tell what is missing
            raise
        modified: datetime = head["LastModified"]
        return Stat(head["ContentLength"], int(modified.timestamp()) * MICROSECONDS, head["ETag"])

    def read(self, place: Place, version: str, offset: int, length: int) -> bytes:
        """As `Service.read`."""
        answer = self._client.get_object(
            Bucket=place.bucket, Key=place.key, IfMatch=version, Range=f"bytes={offset}-{offset + length - 1}"
        )
        with answer["Body"] as body:
            data: bytes = body.read()
        if len(data) != length:
            raise StorageUnavailable(f"{place.uri}: {len(data)} bytes came instead of {length}")
        return data

    def deliver(self, place: Place, path: Path, labels: Labels) -> Delivery:
        """As `Service.deliver`."""
        return _Delivery(self._client, place, path, labels)

    def withdraw(self, place: Place, mark: str) -> None:
        """As `Service.withdraw`."""
        head = _head(self._client, {"Bucket": place.bucket, "Key": place.key})
        if head and _mark_of(head) == mark:
            self.remove(place)

    def list_below(self, folder: Place) -> list[tuple[str, int]]:
        """As `Service.list_below`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=folder.key)
        return [(entry["Key"], entry["Size"]) for page in pages for entry in page.get("Contents", ())]

    def remove(self, place: Place) -> None:
        """As `Service.remove`. One by one: OSS wants a checksum of lists that the client does not make."""
        self._client.delete_object(Bucket=place.bucket, Key=place.key)

    def abort_below(self, folder: Place) -> None:
        """As `Service.abort_below`."""
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=folder.bucket, Prefix=folder.key)
        for upload in [upload for page in pages for upload in page.get("Uploads", ())]:
            _abort(self._client, {"Bucket": folder.bucket, "Key": upload["Key"]}, upload["UploadId"])


def explain(error: Exception, uri: str) -> ReelmillError | None:
    """Puts an error of the client into words; None: it is a defect."""
    if isinstance(error, botocore.exceptions.ClientError):
        return _explain_answer(error, uri)
    if isinstance(error, _NO_CREDENTIALS):
        return AccessDenied(f"{uri}: this server has no credentials for it ({type(error).__name__})")
    if isinstance(error, botocore.exceptions.ParamValidationError | botocore.exceptions.InvalidRegionError):
        return InvalidArgument(f"{uri} does not name an object: its bucket cannot have this name")
    if isinstance(error, _BROKEN):
        return StorageUnavailable(f"{uri}: the storage did not answer ({type(error).__name__})")
    return None


def _client_options(target: Target, session: botocore.session.Session) -> dict[str, Any]:
    # OSS refuses paths; what has an endpoint of its own often has no name for each bucket.
    usual = "virtual" if target.scheme == "oss" else "path" if target.option("endpoint") else "auto"
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=_CONNECTIONS,
        retries={"total_max_attempts": 1},  # ours counts for all services alike
        s3={"addressing_style": target.option("addressing") or usual},
        # Content-MD5 is what all of them understand; the newer checksums come in a framing that OSS refuses.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        **({"signature_version": UNSIGNED} if target.option("anonymous") == "true" else {}),
    )
    region = target.option("region") or session.get_config_variable("region") or "us-east-1"
    return {"region_name": region, "config": config}


def _status(error: botocore.exceptions.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _explain_answer(error: botocore.exceptions.ClientError, uri: str) -> ReelmillError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = _status(error)
    if code == "NoSuchBucket" or (error.operation_name == "HeadBucket" and status == 404):
        return BucketNotFound(f"The bucket of {uri} does not exist")
    if code in _TRANSIENT_CODES:
        return StorageUnavailable(f"{uri}: the storage is not available (HTTP {status} {code})")
    if error.operation_name == "AssumeRole" and status < 500:
        return AccessDenied(f"{uri}: the role may not be assumed ({code})")
    if code == "NoSuchUpload":
        return OutputError(f"{uri}: the upload is gone, as if somebody had aborted it")
    return refusal(status, uri, code if not code.isdigit() else "")


class _Delivery:
    """A file of one part is put when it is placed; a longer one is a multipart upload, completed when it is placed."""

    def __init__(self, client: Any, place: Place, path: Path, labels: Labels) -> None:
        self._client, self._path = client, path
        self._at = {"Bucket": place.bucket, "Key": place.key}
        self._uri = place.uri
        self._size = path.stat().st_size
        self._part_bytes = max(_PART_BYTES, -(-self._size // _MOST_PARTS))
        self.mark = uuid.uuid4().hex
        self._attributes = _attributes(place.key, labels, self.mark)
        self._upload_id = ""
        self._digests: dict[int, bytes] = {}
        self._etags: dict[int, str] = {}
        self._etag = ""
        count = -(-self._size // self._part_bytes)
        self.parts = count if count > 1 else 0

    def begin(self) -> None:
        """As `Delivery.begin`."""
        if self.parts:
            self.abort()  # one that was begun, if its answer was lost on the way
            self._upload_id = self._client.create_multipart_upload(**self._at, **self._attributes)["UploadId"]

    def send(self, number: int) -> None:
        """As `Delivery.send`."""
        offset = number * self._part_bytes
        body, digest = self._read(offset, min(self._part_bytes, self._size - offset))
        answer = self._client.upload_part(
            **self._at, UploadId=self._upload_id, PartNumber=number + 1, Body=body, ContentMD5=_base64(digest)
        )
        self._digests[number], self._etags[number] = digest, answer["ETag"]

    def place(self) -> None:
        """As `Delivery.place`."""
        if not self.parts:
            body, digest = self._read(0, self._size)
            self._etag = f'"{digest.hex()}"'  # in case the answer is lost
            answer = self._client.put_object(**self._at, Body=body, ContentMD5=_base64(digest), **self._attributes)
            self._etag = answer["ETag"]
            return
        parts = [{"PartNumber": number + 1, "ETag": self._etags[number]} for number in range(self.parts)]
        # What it is going to be, unless the service encrypts with keys of its own: in case the answer is lost.
        whole = _md5(b"".join(self._digests[number] for number in range(self.parts)))
        self._etag = f'"{whole.hex()}-{self.parts}"'
        try:
            answer = self._client.complete_multipart_upload(
                **self._at, UploadId=self._upload_id, MultipartUpload={"Parts": parts}
            )
            self._etag = answer["ETag"]
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload" or not self._is_ours():
                raise
        self._upload_id = ""

    def abort(self) -> None:
        """As `Delivery.abort`."""
        if self._upload_id:
            _abort(self._client, self._at, self._upload_id)
            self._upload_id = ""

    def remove(self) -> None:
        """As `Delivery.remove`."""
        if self._is_ours():
            self._client.delete_object(**self._at)

    def _is_ours(self) -> bool:
        """Whether the object there is the one that was sent. Contents tell only where no mark comes back: another attempt may
        have made the same."""
        head = _head(self._client, self._at)
        if not head:
            return False
        mark = _mark_of(head)
        return bool(mark == self.mark if mark else head["ETag"] == self._etag)

    def _read(self, offset: int, length: int) -> tuple[bytes, bytes]:
        body = read_part(self._path, offset, length)
        return body, _md5(body)


def _head(client: Any, at: Mapping[str, str]) -> Mapping[str, Any]:
    """What is told of an object; nothing if there is none."""
    try:
        head: Mapping[str, Any] = client.head_object(**at)
        return head
    except botocore.exceptions.ClientError as error:
        if _status(error) == 404:
            return {}
        raise


def _mark_of(head: Mapping[str, Any]) -> str:
    """By which upload an object came, as its head tells; empty: by none of ours, or the store does not tell."""
    marks = {name.lower(): value for name, value in head.get("Metadata", {}).items()}  # some stores capitalise names
    return str(marks.get(MARK, ""))


def _abort(client: Any, at: Mapping[str, str], upload_id: str) -> None:
    """Gives up an upload; it need not be there any more."""
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
