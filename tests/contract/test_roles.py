"""Credentials of storage: roles of AWS, Alibaba Cloud and Google Cloud, each against a token service."""

import base64
import hashlib
import hmac
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import google.auth
import pytest
from aiohttp import web
from google.auth import downscoped
from google.oauth2.credentials import Credentials as GoogleCredentials
from tenacity import wait_none

from reelmill_server.errors import AccessDenied, InvalidArgument, ReelmillError, StorageUnavailable
from reelmill_server.model.request import Credentials, Role
from reelmill_server.settings import Settings
from reelmill_server.storage import assumed_roles
from reelmill_server.storage.base import Storage, Upload
from reelmill_server.storage.build import build_storage
from reelmill_server.storage.retry import RetryPolicy
from reelmill_server.storage.roles import RoleTable
from tests.stores import KEYS, Front, GcsEmulator, Moto, as_gcs, as_s3, forward

DATA = b"some bytes"
FIRST = "arn:aws:iam::111111111111:role/first"
SECOND = "arn:aws:iam::222222222222:role/second"
SECRET = "aliyun-secret-key"


@pytest.fixture(scope="module")
def front(moto: Moto) -> Front:
    """The way to S3 with an object, and to STS, where requests are seen."""
    moto.bucket("media")
    moto.client.put_object(Bucket="media", Key="in.mp4", Body=DATA)
    return Front(forward(moto.url, as_s3)).start()


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch, front: Front) -> None:
    """The worker's own identity."""
    monkeypatch.setattr(RetryPolicy, "_wait", lambda self: wait_none())
    for name, value in KEYS.items():
        monkeypatch.setenv(name.upper(), value)
    front.reset()


def _storage(tmp_path: Path, target: str, *roles: str) -> Storage:
    return build_storage(Settings(data_dir=tmp_path, bucket=[target], service_role=roles))


async def _read(storage: Storage, uri: str = "s3://media/in.mp4") -> bytes:
    return await (await storage.open(uri)).read(0, 100)


def _assumed(front: Front) -> list[dict[str, str]]:
    """What was asked of STS."""
    return [dict(parse_qsl(body)) for method, path, body in front.bodies if method == "POST" and path == "/"]


def _key_of(headers: dict[str, str]) -> str:
    """Who signed a request."""
    return headers["Authorization"].partition("Credential=")[2].partition("/")[0]


async def test_roles_of_aws_are_assumed_one_after_the_other(front: Front, tmp_path: Path) -> None:
    """Each with the keys of the one before; the policy narrows the last; the object is read with its keys."""
    storage = _storage(tmp_path, f"s3://*=s3://*?endpoint={front.url}", "arn:aws:iam::*")
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    acting = storage.acting_as(Credentials((Role(FIRST), Role("second", "222222222222")), policy))
    assert await _read(acting) == DATA
    first, second = _assumed(front)
    assert (first["RoleArn"], first.get("Policy")) == (FIRST, None)
    assert (second["RoleArn"], second["Policy"]) == (SECOND, policy)
    signers = [_key_of(headers) for _, _, headers in front.requests]
    assert signers[0] == KEYS["aws_access_key_id"] and signers[1] != signers[0]
    assert len(set(signers)) == 3 and len(set(signers[2:])) == 1
    assert all("X-Amz-Security-Token" in headers for _, _, headers in front.requests[1:])
    before = len(front.requests)
    assert await _read(storage) == DATA
    assert {_key_of(headers) for _, _, headers in front.requests[before:]} == {KEYS["aws_access_key_id"]}


@pytest.mark.parametrize(("lifetime", "times"), [(3600, 1), (900, 3)])
async def test_keys_are_fetched_anew_before_they_expire(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lifetime: int, times: int
) -> None:
    """While a long task reads: a quarter of an hour before their end, and not before it is time."""
    monkeypatch.setattr(assumed_roles, "_LIFETIME_SECONDS", lifetime)
    acting = _storage(tmp_path, f"s3://*=s3://*?endpoint={front.url}", "*").acting_as(Credentials((Role(FIRST),)))
    reader = await acting.open("s3://media/in.mp4")
    assert await reader.read(0, 100) == DATA
    assert len(_assumed(front)) == times
    signers = [_key_of(headers) for method, _, headers in front.requests if method != "POST"]
    assert len(set(signers)) == min(times, 2)


async def test_a_role_that_may_not_be_assumed(tmp_path: Path) -> None:
    """Says so, and is not tried again; nothing of the keys is told."""

    async def refuse(_: web.Request) -> web.Response:
        text = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>AKIDEXAMPLE may not</Message></Error></ErrorResponse>"
        return web.Response(status=403, text=text, content_type="text/xml")

    sts = Front(refuse).start()
    storage = _storage(tmp_path, f"s3://*=s3://*?endpoint={sts.url}", "*")
    with pytest.raises(AccessDenied, match=r"s3://media/in.mp4: this server is not allowed to assume the role") as caught:
        await storage.acting_as(Credentials((Role(FIRST),))).open("s3://media/in.mp4")
    assert len(sts.requests) == 1
    assert "AKID" not in caught.value.message and caught.value.__cause__ is None and caught.value.__context__ is None


def _aliyun_sts(seen: list[dict[str, str]]) -> Front:
    """A token service that checks signatures as its documentation describes them."""
    secrets = {"own-id": SECRET, "id-1": "secret-1"}

    def encode(text: str) -> str:
        return quote(text, safe="~").replace("+", "%20").replace("*", "%2A")

    async def answer(request: web.Request) -> web.Response:
        given = dict(await request.post())
        parameters = {str(name): str(value) for name, value in given.items()}
        signature = parameters.pop("Signature")
        query = "&".join(f"{encode(name)}={encode(parameters[name])}" for name in sorted(parameters))
        text = "POST&%2F&" + encode(query)
        key = (secrets[parameters["AccessKeyId"]] + "&").encode()
        if base64.b64encode(hmac.digest(key, text.encode(), hashlib.sha1)).decode() != signature:
            return web.json_response({"Code": "SignatureDoesNotMatch"}, status=400)
        if "refused" in parameters["RoleArn"]:
            return web.json_response({"Code": "NoPermission"}, status=403)
        if "away" in parameters["RoleArn"]:
            return web.json_response({"Code": "ServiceUnavailable"}, status=503)
        seen.append(parameters)
        number = len(seen)
        keys = {
            "AccessKeyId": f"id-{number}",
            "AccessKeySecret": f"secret-{number}",
            "SecurityToken": f"token-{number}",
            "Expiration": (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return web.json_response({"RequestId": "x", "Credentials": keys})

    return Front(answer).start()


async def test_roles_of_alibaba_cloud(front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same by its own token service, signed with the keys of each step."""
    seen: list[dict[str, str]] = []
    sts = _aliyun_sts(seen)
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", "own-id")
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", SECRET)
    storage = _storage(
        tmp_path,
        f"oss://*=oss://*?endpoint={front.url}&addressing=path&sts={sts.url}",
        "acs:ram::*",
        "Default=acs:ram::1:role/d",
    )
    policy = json.dumps({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*~ é"}]})
    acting = storage.acting_as(Credentials((Role("Default"), Role("last", "42")), policy))
    assert await _read(acting, "oss://media/in.mp4") == DATA
    assert [(step["RoleArn"], step.get("Policy"), step.get("SecurityToken")) for step in seen] == [
        ("acs:ram::1:role/d", None, None),
        ("acs:ram::42:role/last", policy, "token-1"),
    ]
    assert _key_of(front.requests[-1][2]) == "id-2" and front.requests[-1][2]["X-Amz-Security-Token"] == "token-2"
    for name, error in (("refused", AccessDenied), ("away", StorageUnavailable)):
        with pytest.raises(error) as caught:
            await storage.acting_as(Credentials((Role(f"acs:ram::1:role/{name}"),))).open("oss://media/in.mp4")
        assert SECRET not in caught.value.message


async def test_roles_of_google_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gcs_emulator: GcsEmulator) -> None:
    """The last account is impersonated, the ones before are delegates; the boundary goes with the token."""
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/v1/token":
            asked.append(("boundary", dict(await request.post())))
            return web.json_response({"access_token": "narrow", "expires_in": 3600, "token_type": "Bearer"})
        asked.append((request.path, await request.json(), request.headers["Authorization"]))
        expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return web.json_response({"accessToken": "wide", "expireTime": expires})

    service = Front(answer).start()
    front = Front(forward(gcs_emulator.url, as_gcs)).start()
    gcs_emulator.bucket("media").blob("in.mp4").upload_from_string(DATA)
    monkeypatch.setattr(google.auth, "default", lambda scopes: (GoogleCredentials("own-token"), None))  # type: ignore[no-untyped-call]
    monkeypatch.setattr(downscoped, "_STS_TOKEN_URL_PATTERN", f"{service.url}/v1/token?{{}}")
    storage = _storage(tmp_path, f"gs://*=gs://*?endpoint={front.url}&iam={service.url}", "*.iam.gserviceaccount.com")
    roles = (Role("a@one.iam.gserviceaccount.com"), Role("b", "two"), Role("c@three.iam.gserviceaccount.com"))
    before = set(threading.enumerate())
    assert await _read(storage.acting_as(Credentials(roles)), "gs://media/in.mp4") == DATA
    for thread in set(threading.enumerate()) - before:
        if not thread.name.startswith("storage-"):  # what the client does beside its calls ends first
            thread.join(20)
    assert all("/o/" in path for _, path, _ in front.requests)  # nothing was asked of the bucket
    path, body, authorization = asked.pop()
    assert path == "/v1/projects/-/serviceAccounts/c@three.iam.gserviceaccount.com:generateAccessToken"
    assert body["delegates"] == ["a@one.iam.gserviceaccount.com", "b@two.iam.gserviceaccount.com"]
    assert authorization == "Bearer own-token"
    assert {headers["Authorization"] for _, _, headers in front.requests if "alt=media" in _} == {"Bearer wide"}
    rule = {"availableResource": "//storage.googleapis.com/projects/_/buckets/media", "availablePermissions": ["inRole:x"]}
    policy = {"accessBoundary": {"accessBoundaryRules": [rule]}}
    front.reset()
    assert await _read(storage.acting_as(Credentials(roles, json.dumps(policy))), "gs://media/in.mp4") == DATA
    assert json.loads(unquote(asked[-1][1]["options"])) == policy and asked[-1][1]["subject_token"] == "wide"
    assert {headers["Authorization"] for _, _, headers in front.requests} == {"Bearer narrow"}


@pytest.mark.parametrize(
    ("credentials", "cloud", "error"),
    [
        (Credentials((Role("arn:aws:iam::333333333333:role/other"),)), "aws", AccessDenied),
        (Credentials((Role("other", "111111111111"),)), "aws", AccessDenied),
        (Credentials((Role(FIRST, "222222222222"),)), "aws", InvalidArgument),
        (Credentials((Role(FIRST),)), "google", InvalidArgument),
        (Credentials((Role(FIRST),)), "aliyun", InvalidArgument),
        (Credentials((Role("Named"),)), "google", InvalidArgument),
        (Credentials((Role("Own"),), "{}"), "aws", InvalidArgument),
        (Credentials((), "{}"), "aws", InvalidArgument),
        (Credentials((Role(FIRST),), "[]"), "aws", InvalidArgument),
        (Credentials((Role("a@one.iam.gserviceaccount.com"),), '{"Statement": []}'), "google", InvalidArgument),
    ],
)
def test_roles_that_are_refused(credentials: Credentials, cloud: Any, error: type[ReelmillError]) -> None:
    """By the table, by their form, or because a policy has nothing to narrow or no counterpart."""
    table = RoleTable([FIRST, "*@one.iam.gserviceaccount.com", f"Named={SECOND}", "Own="])
    assert table.identity(Credentials((Role("first", "111111111111"), Role("Named"), Role("Own"))), "aws").roles == (
        FIRST,
        SECOND,
    )
    with pytest.raises(error):
        table.identity(credentials, cloud)


async def test_no_key_is_told(front: Front, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in messages, nor in what hangs on errors, nor in logs, whatever goes wrong."""
    storage = _storage(tmp_path, f"s3://*=s3://*?endpoint={front.url}")
    (tmp_path / "x").write_bytes(DATA)
    told: list[str] = []
    with caplog.at_level("INFO"):
        for uri in ("s3://media/missing", "s3://none/x", "s3://B?d/x"):
            for attempt in (storage.open(uri), storage.publish([Upload(tmp_path / "x", uri)], "task.one")):
                try:
                    await attempt
                except ReelmillError as error:
                    told.append(repr([error, error.message, error.__cause__, error.__context__]))
    assert len(told) == 5
    told.append(caplog.text)
    assert not any(value in text for value in KEYS.values() for text in told)
