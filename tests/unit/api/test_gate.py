"""Who may call what: three roles and every RPC, methods of authentication, and how often."""

from __future__ import annotations  # grpc's classes are generic in its stubs only

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill_server.api import permissions
from reelmill_server.api.authentication import Authenticator
from reelmill_server.api.gate import Gate
from reelmill_server.api.interceptor import CallInterceptor
from reelmill_server.api.rate_limit import RateLimit
from reelmill_server.api.services import SERVICES
from reelmill_server.api.tokens import KeyRing, TokenVerifier
from reelmill_server.errors import Forbidden, NotAuthenticated, ServiceUnavailable, Throttled
from reelmill_server.model.access import Principal, parse_grant
from reelmill_server.settings.callers import CallerSettings
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.keys import KeyStore
from reelmill_server.tasks.migrate import upgrade
from reelmill_server.telemetry.metrics import Metrics

# Who may call it on a project of its own: v(iewer), s(ubmitter), a(dmin), and e(verybody's): an admin of every project only.
EXPECTED = {
    "CreateMediaConvertTask": "sa",
    "GetTask": "vsa",
    "ListTasks": "vsa",
    "WatchTask": "vsa",
    "WatchTasks": "vsa",
    "CancelTask": "sa",
    "PlanMediaConvertTask": "sa",
    "ProbeMedia": "sa",
    "RetryTask": "sa",
    "GetCapabilities": "vsa",
    "ListWorkers": "vsa",
    "CreateProject": "a",
    "GetProject": "vsa",
    "UpdateProject": "a",
    "ListProjects": "vsa",
    "DeleteProject": "a",
    "ListNotifications": "vsa",
    "RedeliverNotification": "sa",
    "CreateKey": "e",
    "ListKeys": "e",
    "RevokeKey": "e",
}
ROLES = {"viewer": "v", "submitter": "s", "admin": "a"}


def methods() -> Iterator[MethodDescriptor]:
    """Every RPC of the API, from its descriptors."""
    for name in SERVICES:
        yield from descriptor_pool.Default().FindServiceByName(name).methods


METHODS = {method.name: method for method in methods()}


def principal(*grants: str) -> Principal:
    """Somebody with these grants."""
    return Principal("key:somebody", tuple(map(parse_grant, grants)))


class Served:
    """Every RPC, answered with an empty message, behind a gate that takes the token for a grant."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[grpc.aio.Channel]:
        """Serve, and connect."""
        server = grpc.aio.server(interceptors=(CallInterceptor(Metrics(), Gate(self._authenticate)),))
        for name in SERVICES:
            handlers = {
                method.name: self._handler(method) for method in descriptor_pool.Default().FindServiceByName(name).methods
            }
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
        await server.stop(None)

    async def _authenticate(self, context: Any) -> Principal:
        token = dict(context.invocation_metadata()).get("authorization")
        if not token:
            raise NotAuthenticated("say who you are")
        return principal(token)

    def _handler(self, method: MethodDescriptor) -> Any:
        answer = message_factory.GetMessageClass(method.output_type)
        parse = message_factory.GetMessageClass(method.input_type).FromString

        async def one(_: Message, __: Any) -> Message:
            self.asked.append(method.name)
            return answer()

        async def stream(_: Message, __: Any) -> AsyncIterator[Message]:
            self.asked.append(method.name)
            yield answer()

        serialize = answer.SerializeToString
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream, parse, serialize)
        return grpc.unary_unary_rpc_method_handler(one, parse, serialize)


async def call(channel: grpc.aio.Channel, method: MethodDescriptor, project: str, grant: str) -> tuple[str, str]:
    """Make a call about a project; return the code and the text of the refusal."""
    request = message_factory.GetMessageClass(method.input_type)()
    body = request.request if hasattr(request, "request") else request
    if hasattr(body, "project_name"):
        body.project_name = project
    path = f"/{method.containing_service.full_name}/{method.name}"
    metadata = (("authorization", grant),) if grant else ()
    try:
        if method.server_streaming:
            async for _ in channel.unary_stream(path, lambda sent: sent.SerializeToString())(request, metadata=metadata):
                pass
        else:
            await channel.unary_unary(path, lambda sent: sent.SerializeToString())(request, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return error.code().name, error.details() or ""
    return "OK", ""


def test_every_rpc_has_a_row_and_a_rule() -> None:
    """A new RPC is refused, and fails here, until someone says who may call it."""
    assert set(METHODS) == set(EXPECTED)
    assert {f"/{method.containing_service.full_name}/{method.name}" for method in methods()} == set(permissions.RULES)


async def test_three_roles_and_every_rpc() -> None:
    """On a project of the caller's, a foreign one, and one that nobody has: the last two are alike."""
    served = Served()
    async with served.running() as channel:
        for name, method in METHODS.items():
            of_project = permissions.RULES[f"/{method.containing_service.full_name}/{name}"].project is not None
            for role, letter in ROLES.items():
                served.asked.clear()
                allowed = letter in EXPECTED[name]
                code, text = await call(channel, method, "films", f"{role}@films")
                assert (code, served.asked) == (("OK", [name]) if allowed else ("PERMISSION_DENIED", [])), (name, role)
                assert allowed or f"imm:{name} on acs:imm:*:*:project/" in text
                if of_project:
                    foreign, unknown = [await call(channel, method, other, f"{role}@films") for other in ("other", "nobody")]
                    assert foreign[0] == unknown[0] == "NOT_FOUND" and foreign[1].replace("other", "nobody") == unknown[1]
            assert (await call(channel, method, "films", "admin@*"))[0] == "OK"
            assert (await call(channel, method, "films", ""))[0] == "UNAUTHENTICATED"
            assert (await call(channel, method, "films", f"imm:{name}@acs:imm:*:*:project/*"))[0] == "OK"


def _uri_fields(message: Descriptor, seen: set[str]) -> Iterator[str]:
    if message.full_name in seen or not message.full_name.startswith("reelmill."):
        return
    seen.add(message.full_name)
    for field in message.fields:
        if field.message_type is not None:
            yield from _uri_fields(field.message_type, seen)
        elif field.type == FieldDescriptor.TYPE_STRING and field.name.endswith("uri"):
            yield f"{message.name}.{field.name}"


def test_every_uri_of_a_request_is_read_or_written() -> None:
    """A new field with a URI fails here until someone says which prefixes it is held to."""
    seen = set[str]()
    results = {name for method in methods() for name in _uri_fields(method.input_type, seen)}
    assert results == permissions.SOURCES | permissions.TARGETS and not permissions.SOURCES & permissions.TARGETS


@pytest.mark.parametrize(
    ("source", "target", "allowed"),
    [
        ("s3://in/a/b.mp4", "s3://out/films/c", True),
        ("s3://in/a/b.mp4", "s3://out/films/{barename}", True),
        ("s3://in/a/b.mp4", "s3://out/films/{tags.name}/c", True),
        ("s3://in/a/b.mp4", "s3://out/films/{tags.up}/c", False),
        ("s3://inner/b.mp4", "s3://out/films/c", False),
        ("s3://in/a/b.mp4", "s3://out/filmsother/c", False),
        ("s3://in/a/b.mp4", "s3://out/films/../c", False),
        ("s3://in/a/b.mp4", "s3://out/films/%2e%2e/c", False),
        ("s3://in/a/b.mp4", "s3://out/films/..\\c", False),
        ("s3://in/a/../../b.mp4", "s3://out/films/{key}", False),
        ("file:///in/b.mp4", "s3://out/films/c", False),
        ("s3://in/a/b.mp4", "file:///out/films/c", False),
        ("s3://in/a/b.mp4", "c", False),
    ],
)
def test_uris_are_held_to_the_prefixes_of_one_grant(source: str, target: str, allowed: bool) -> None:
    """Sources and targets of every kind, with the request's tags; two grants do not add up to a third."""
    request = pb.CreateMediaConvertTaskRequest(project_name="films", sources=[{"uri": source}], targets=[{"uri": target}])
    request.tags.update({"name": "x", "up": "../.."})
    somebody = principal(
        "submitter@films,source=s3://in/,target=s3://out/films/", "submitter@films,source=s3://elsewhere,target=file:///out"
    )
    path = "/reelmill.v1.MediaConvertService/CreateMediaConvertTask"
    plan = pb.PlanMediaConvertTaskRequest(request=request)
    for name, sent in ((path, request), (path.replace("Create", "Plan"), plan)):
        if allowed:
            permissions.authorize(somebody, name, sent)
        else:
            with pytest.raises(Forbidden, match="imm:"):
                permissions.authorize(somebody, name, sent)


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("file:///out{tags.none}/a", False),  # "null"
        ("file:///out{tags.one}/a", False),
        ("file:///out{tags.true}/a", False),
        ("file:///out{tags.nan}/a", False),
        ("file:///out{tags.query}/a", False),  # is encoded, and no query
        ("file:///out/{tags.one}/{tags.nan}/{tags.query}", True),
        ("file:///{{tags.out}}/a", False),
        ("file:///out/{", True),  # no template: refused later
    ],
)
def test_tags_are_filled_in_as_they_will_be(target: str, allowed: bool) -> None:
    """Those that are no text have a text all the same; a folder of another name is another folder."""
    request = pb.CreateMediaConvertTaskRequest(project_name="films", sources=[{"uri": "file:///a"}], targets=[{"uri": target}])
    request.tags.update({"none": None, "one": 1, "true": True, "nan": float("nan"), "query": "?a", "out": "out"})
    somebody = principal("submitter@films,target=file:///out")
    path = "/reelmill.v1.MediaConvertService/CreateMediaConvertTask"
    if allowed:
        permissions.authorize(somebody, path, request)
    else:
        with pytest.raises(Forbidden):
            permissions.authorize(somebody, path, request)


def test_images_subtitles_and_results_are_held_to_them_too() -> None:
    """Wherever a request has a URI."""
    somebody = principal("submitter@films,source=file:///in,target=file:///out")
    path = "/reelmill.v1.MediaConvertService/CreateMediaConvertTask"
    inside = {"project_name": "films", "sources": [{"uri": "file:///in/a"}], "targets": [{"uri": "file:///out/a"}]}
    permissions.authorize(somebody, path, pb.CreateMediaConvertTaskRequest(**inside))
    for more in (
        {"sources": [{"uri": "file:///in/a", "subtitles": [{"uri": "file:///etc/a"}]}]},
        {"targets": [{"image": {"snapshots": [{"uri": "file:///etc/a"}]}}]},
        {"targets": [{"image": {"sprites": [{"uri": "file:///out/a", "web_vtt_uri": "file:///etc/a"}]}}]},
        {"targets": [{"subtitle": {"extract_subtitle": {"uri": "file:///etc/a"}}}]},
        {"target_groups": [{"uri": "file:///out/a", "targets": [{"uri": "file:///etc/a"}]}]},
        {"notification": {"extended_message_uri": "file:///etc/a"}},
    ):
        with pytest.raises(Forbidden):
            permissions.authorize(somebody, path, pb.CreateMediaConvertTaskRequest(**{**inside, **more}))


@pytest.mark.parametrize(
    "text",
    ["", "viewer", "owner@films", "viewer@", "viewer@fi*lms", "imm:Nothing@films", "viewer@acs:oss:*:*:project/films",
     "submitter@films,source=films", "submitter@films,target=s3://a/../b", "submitter@films,to=s3://a/"],
)  # fmt: skip
def test_what_is_no_grant_is_refused(text: str) -> None:
    """With what was expected."""
    with pytest.raises(ValueError, match="expected"):
        parse_grant(text)


def test_a_caller_that_calls_too_often_waits_as_long_as_it_is_told() -> None:
    """Others do not; after that time the next call is let in."""
    now = [0.0]
    limit = RateLimit(rate=2, burst=3, clock=lambda: now[0])
    for _ in range(3):
        limit.take("a")
    with pytest.raises(Throttled) as refused:
        limit.take("a")
    limit.take("b")
    assert refused.value.retry_seconds == 0.5
    now[0] = 0.5
    limit.take("a")


async def test_a_throttled_call_carries_retry_info() -> None:
    """RESOURCE_EXHAUSTED, with google.rpc.RetryInfo."""
    served = Served()

    async def known(_: Any) -> Principal:
        return principal("viewer@*")

    server = grpc.aio.server(interceptors=(CallInterceptor(Metrics(), Gate(known, RateLimit(0.5, 1))),))
    method = METHODS["GetCapabilities"]
    handler = grpc.method_handlers_generic_handler(method.containing_service.full_name, {method.name: served._handler(method)})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        result = channel.unary_unary(f"/{method.containing_service.full_name}/{method.name}", lambda _: b"")
        await result(None)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await result(None)
    await server.stop(None)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(_SyncError(refused.value))
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in status.details) and 1 < retry.retry_delay.ToTimedelta().total_seconds() <= 2


async def test_a_stream_ends_when_its_caller_may_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found out before something is said: the first state comes, the next does not."""
    monkeypatch.setattr("reelmill_server.api.interceptor._CHECK_AGAIN_SECONDS", 0.0)
    allowed = [True, True]

    async def known(_: Any) -> Principal:
        if not allowed:
            raise NotAuthenticated("revoked")
        allowed.pop()
        return principal("viewer@films")

    async def states(_: bytes, __: Any) -> AsyncIterator[bytes]:
        yield b"1"
        yield b"2"

    server = grpc.aio.server(interceptors=(CallInterceptor(Metrics(), Gate(known)),))
    method = METHODS["WatchTasks"]
    parse = message_factory.GetMessageClass(method.input_type).FromString
    handlers = {method.name: grpc.unary_stream_rpc_method_handler(states, parse)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(method.containing_service.full_name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    seen = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        result = channel.unary_stream(
            f"/{method.containing_service.full_name}/{method.name}", lambda sent: sent.SerializeToString()
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async for state in result(pb.WatchTasksRequest(project_name="films")):
                seen.append(state)
    await server.stop(None)
    assert (seen, refused.value.code()) == ([b"1"], grpc.StatusCode.UNAUTHENTICATED)


class _SyncError:
    """An error of asyncio's gRPC as grpc_status reads it."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self._error = error

    def trailing_metadata(self) -> Any:
        """The details."""
        return tuple(self._error.trailing_metadata())

    def code(self) -> Any:
        """The code."""
        return self._error.code()

    def details(self) -> Any:
        """The text."""
        return self._error.details()


class Context:
    """A call with a token or a certificate."""

    def __init__(self, *headers: str, **names: str) -> None:
        self._headers, self._names = headers, names

    def invocation_metadata(self) -> Any:
        """What the caller sent."""
        return [("authorization", header) for header in self._headers]

    def auth_context(self) -> dict[str, list[bytes]]:
        """What TLS knows."""
        return {f"x509_{name}": [value.encode()] for name, value in self._names.items()}


@pytest.fixture
async def keys(tmp_path: Path) -> AsyncIterator[KeyStore]:
    """Keys in a database."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'keys.db'}"
    await upgrade(url)
    database = Database(url)
    yield KeyStore(database)
    await database.close()


async def is_new(*_: object) -> bool:
    """Take every nonce for new."""
    return True


async def test_keys_are_known_by_their_digest(keys: KeyStore, tmp_path: Path) -> None:
    """Neither a key nor its secret is in the database; expired, revoked and altered ones are worthless."""
    settings = CallerSettings(authentication=("keys",))
    asks = Authenticator(settings, keys, is_new)
    key, text = await keys.create("ci", ["viewer@films"], "admin-token")
    known = await asks.authenticate(Context(f"Bearer {text}"))
    assert (known.name, known.may("GetTask", "films")) == ("key:ci", True)
    for file in tmp_path.glob("keys.db*"):
        assert text.split("_", 2)[2].encode() not in file.read_bytes()  # which may contain a "_"
    _, old = await keys.create("old", ["viewer@films"], "", datetime.now(UTC) - timedelta(seconds=1))
    await keys.revoke(key.key_id)
    for header in (f"Bearer {text}", f"Bearer {old}", f"Bearer {text}x", "Bearer rmk_", f"Basic {text}", text, "Bearer"):
        with pytest.raises(NotAuthenticated):
            await asks.authenticate(Context(header))
    with pytest.raises(NotAuthenticated, match="one `authorization` header"):
        await asks.authenticate(Context("Bearer a", "Bearer b"))
    with pytest.raises(NotAuthenticated, match=r"authentication is required: .*API key"):
        await asks.authenticate(Context())


async def test_names_in_certificates_have_the_grants_of_the_settings(keys: KeyStore) -> None:
    """An alternative name or the common name; one without grants is known, and may nothing."""
    settings = CallerSettings(authentication=("mtls",), grant=("mtls:encoder-1=submitter@films viewer@*",))
    asks = Authenticator(settings, keys, is_new)
    for names in ({"common_name": "encoder-1"}, {"subject_alternative_name": "encoder-1", "common_name": "x"}):
        known = await asks.authenticate(Context(**names))
        assert (known.name, known.may("CancelTask", "films"), known.may("CancelTask", "x")) == ("mtls:encoder-1", True, False)
    assert not (await asks.authenticate(Context(common_name="stranger"))).knows("films")
    with pytest.raises(NotAuthenticated):
        await asks.authenticate(Context("Bearer rmk_a_b", common_name="encoder-1"))


ISSUER, AUDIENCE = "https://issuer.example", "reelmill"


class Issuer:
    """An OpenID Connect issuer that counts how often its keys are read."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.reads, self.fails = 0, False
        self.now = 0.0
        self.rotate("one")

    def rotate(self, key_id: str) -> None:
        """Sign with a new key, and forget the others."""
        self.keys = {key_id: rsa.generate_private_key(public_exponent=65537, key_size=2048)}

    def fetch(self, url: str) -> Any:
        """Answer for the configuration and for the keys."""
        if self.fails:
            raise OSError("away")
        if url.endswith("/.well-known/openid-configuration"):
            return {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
        self.reads += 1
        results = [
            {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "alg": "RS256"}
            for key_id, key in self.keys.items()
        ]
        return {"keys": [*results, {"kty": "unheard-of", "kid": "x"}]}

    def token(self, **claims: Any) -> str:
        """A token that is valid but for these claims."""
        key_id, key = next(iter(self.keys.items()))
        base = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": datetime.now(UTC) + timedelta(minutes=5)}
        return jwt.encode({**base, **claims}, key, "RS256", headers={"kid": key_id})

    def ring(self) -> KeyRing:
        """Its keys as the server reads them."""
        return KeyRing(ISSUER, "", self.fetch, lambda: self.now)


@pytest.fixture
def issuer() -> Issuer:
    """An issuer."""
    return Issuer()


def verifier(issuer: Issuer, **more: Any) -> TokenVerifier:
    """A verifier of its tokens."""
    settings = CallerSettings(authentication=("jwt",), jwt_issuer=ISSUER, jwt_audience=AUDIENCE, **more)
    return TokenVerifier(settings, issuer.ring())


async def test_a_jwt_of_the_issuer_says_who_calls(issuer: Issuer) -> None:
    """With the grants of the settings, and those of a claim only where the settings name it."""
    granted = {"jwt:alice": (parse_grant("viewer@films"),)}
    token = issuer.token(grants=["submitter@shows"])
    known = await verifier(issuer).principal(token, granted)
    assert (known.name, known.projects("GetTask")) == ("jwt:alice", ("films",))
    known = await verifier(issuer, jwt_grants_claim="grants").principal(token, granted)
    assert known.projects("GetTask") == ("films", "shows")
    with pytest.raises(NotAuthenticated, match="not a list of grants"):
        await verifier(issuer, jwt_grants_claim="grants").principal(issuer.token(grants=["root@all"]), granted)


async def test_other_tokens_are_refused_in_words_that_do_not_repeat_them(issuer: Issuer) -> None:
    """Issuer, audience, times, algorithm, signature, and what is no token."""
    public = json.dumps(issuer.fetch("keys"))
    other = Issuer()
    tokens = [
        issuer.token(iss="https://other.example"),
        issuer.token(aud="another"),
        issuer.token(exp=datetime.now(UTC) - timedelta(minutes=5)),
        issuer.token(nbf=datetime.now(UTC) + timedelta(minutes=5)),
        issuer.token(sub=None),
        other.token(),
        jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice"}, None, "none", headers={"kid": "one"}),
        jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice"}, public[:64].encode(), "HS256", headers={"kid": "one"}),
        jwt.encode({"iss": ISSUER}, ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": "one"}),
        issuer.token()[:-4] + "AAAA",
        "a.b.c",
        "planted",
        "é.é.é",
    ]
    tested = verifier(issuer)
    for token in tokens:
        with pytest.raises(NotAuthenticated) as refused:
            await tested.principal(token, {})
        assert token not in str(refused.value)


async def test_keys_of_the_issuer_are_read_again_when_it_rotates_them(issuer: Issuer) -> None:
    """At once for an unknown id, but not for each token that names one; those known count while the issuer is away."""
    tested = verifier(issuer)
    await tested.principal(issuer.token(), {})
    await tested.principal(issuer.token(), {})
    assert issuer.reads == 1
    issuer.now, old = 60, issuer.token()
    issuer.rotate("two")
    await tested.principal(issuer.token(), {})
    assert issuer.reads == 2
    for _ in range(5):
        with pytest.raises(NotAuthenticated):
            await tested.principal(old, {})
    assert issuer.reads == 2
    issuer.now, issuer.fails = 1000, True
    await tested.principal(issuer.token(), {})
    with pytest.raises(ServiceUnavailable):
        await verifier(issuer).principal(issuer.token(), {})
