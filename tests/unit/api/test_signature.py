"""Signatures of the vendor's protocol: what is read, what is refused, and what counts once."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from reelmill_server.api.access_keys import AccessKeys
from reelmill_server.api.signature import NotSigned, Signed, acs3, hmac_sha1
from reelmill_server.errors import NotAuthenticated
from reelmill_server.model.access import parse_grant
from reelmill_server.settings.callers import AccessKey

SECRET = "planted-secret-0123"
NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
QUERY = [("ProjectName", "films"), ("Tags", '{"a b":"ü*~"}'), ("UserData", "")]
HEADERS = {
    "host": "media.example.com:8080",
    "x-acs-action": "GetTask",
    "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
    "x-acs-date": "2026-01-31T12:00:00Z",
    "x-acs-signature-nonce": "0f" * 16,
    "x-acs-version": "2020-09-30",
}


def signed_headers(changes: Mapping[str, str] = {}, without: str = "") -> dict[str, list[str]]:
    """The headers of a request as an SDK would sign it, written down from the vendor's description."""
    headers = {name: value for name, value in ({**HEADERS, **changes}).items() if name != without}
    names = ";".join(sorted(headers))
    query = "&".join(f"{name}={quote(value, safe='~')}" for name, value in sorted(QUERY))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"POST\n/\n{query}\n{lines}\n{names}\n{headers['x-acs-content-sha256']}"
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = f"ACS3-HMAC-SHA256 Credential=LTAI1,SignedHeaders={names},Signature={signature}"
    return {name: [value] for name, value in headers.items()}


def read(headers: Mapping[str, list[str]], query: list[tuple[str, str]] = QUERY, body: bytes = b"") -> Signed:
    """Read a signature."""
    return acs3("POST", "/", query, headers, body)


def test_a_signature_holds_for_the_whole_request() -> None:
    """Each part that changes makes it another one."""
    signed = read(signed_headers())
    assert (signed.key_id, signed.time, signed.nonce) == ("LTAI1", NOW, "0f" * 16)
    assert signed.matches(SECRET) and not signed.matches(SECRET + "x")
    for name in ("host", "x-acs-action", "x-acs-version"):
        assert not read({**signed_headers(), name: ["other"]}).matches(SECRET)
    assert not read(signed_headers(), [("ProjectName", "shows"), *QUERY[1:]]).matches(SECRET)
    assert not read(signed_headers(), [*QUERY, ("More", "1")]).matches(SECRET)
    with pytest.raises(NotSigned, match="not that of the body"):
        read(signed_headers(), body=b"more")
    # What is signed for these is the same text.
    (project, name), tags, _ = QUERY
    for other in ([(f"{project}={name}&Tags", tags[1]), QUERY[2]], [*QUERY, QUERY[0]]):
        with pytest.raises(NotSigned, match="twice, or its name"):
            read(signed_headers(), other)


@pytest.mark.parametrize("without", ["host", "x-acs-action", "x-acs-date", "x-acs-signature-nonce"])
def test_what_must_be_covered(without: str) -> None:
    """A signature that leaves one of these out could be used again for something else."""
    with pytest.raises(NotSigned, match=f"does not cover {without}"):
        read(signed_headers(without=without))


@pytest.mark.parametrize(
    "changes",
    [
        {"authorization": ["ACS3-RSA-SHA256 Credential=a,SignedHeaders=host,Signature=00"]},
        {"authorization": ["ACS3-HMAC-SHA256 " + "A" * 100_000]},
        {"authorization": []},
        {"x-acs-date": ["yesterday"]},
        {"x-acs-signature-nonce": ["n" * 1000]},
        {"host": ["a", "b"]},
        {"x-acs-content-sha256": ["\udcff"]},
    ],
)
def test_what_is_none(changes: Mapping[str, list[str]]) -> None:
    """It is refused with a sentence."""
    with pytest.raises(NotSigned):
        read({**signed_headers(), **changes})


def old(**changes: str) -> list[tuple[str, str]]:
    """The parameters of an older SDK's request, signed."""
    values = {
        "Action": "GetTask",
        "AccessKeyId": "LTAI1",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": "n-1",
        "Timestamp": "2026-01-31T12:00:00Z",
        "UserData": "a b+ü/*'",
    }
    query = "&".join(f"{quote(name, safe='~')}={quote(values[name], safe='~')}" for name in sorted(values))
    text = f"GET&%2F&{quote(query, safe='~')}"
    signature = base64.b64encode(hmac.new(f"{SECRET}&".encode(), text.encode(), hashlib.sha1).digest()).decode()
    return [*(values | changes).items(), ("Signature", signature)]


def test_signatures_of_older_sdks() -> None:
    """The same holds for them."""
    assert hmac_sha1("GET", old()).matches(SECRET)
    assert not hmac_sha1("POST", old()).matches(SECRET) and not hmac_sha1("GET", old(Action="DeleteProject")).matches(SECRET)
    for wrong in (
        old(SignatureMethod="HMAC-MD5"),
        old(Timestamp=""),
        old(SignatureNonce=""),
        old(Action=""),
        [*old(), ("Action", "x")],
    ):
        with pytest.raises(NotSigned):
            hmac_sha1("GET", wrong)


class Clock:
    """A clock that is set."""

    now = NOW.timestamp()

    def __call__(self) -> float:
        return self.now


class Nonces:
    """What all replicas know."""

    def __init__(self) -> None:
        self.used: dict[str, int] = {}

    async def use(self, digest: str, expire_us: int) -> bool:
        """Whether it is new."""
        new = digest not in self.used
        self.used[digest] = expire_us
        return new


async def test_a_signature_counts_once_and_for_a_quarter_of_an_hour() -> None:
    """Its nonce is refused the second time, by another replica too; earlier and later than that, it is nobody's."""
    clock, nonces = Clock(), Nonces()
    keys, others = (AccessKeys({"LTAI1": AccessKey("LTAI1", SECRET, "")}, nonces.use, clock) for _ in range(2))
    granted = {"access-key:LTAI1": (parse_grant("viewer@films"),)}
    principal = await keys.principal(read(signed_headers()), granted)
    assert (principal.name, principal.may("GetTask", "films")) == ("access-key:LTAI1", True)
    for replica in (keys, others):
        with pytest.raises(NotAuthenticated, match="nonce"):
            await replica.principal(read(signed_headers()), granted)
    other = {"x-acs-signature-nonce": "1e" * 16}
    for seconds in (901, -901):
        clock.now = NOW.timestamp() + seconds
        with pytest.raises(NotAuthenticated, match="another time"):
            await keys.principal(read(signed_headers(other)), granted)
    clock.now = NOW.timestamp() + 899
    await keys.principal(read(signed_headers(other)), granted)
    assert all(expire_us > (NOW.timestamp() + 900) * 1e6 for expire_us in nonces.used.values())
    clock.now += 4000
    await keys._remember(read(signed_headers({"x-acs-signature-nonce": "2d" * 16})))
    assert len(keys._seen) == len(keys._until) == 1


async def test_keys_are_told_apart_by_their_secrets_and_tokens() -> None:
    """An unknown key, another secret, and a token that is missing, wrong, or not asked for are refused alike."""
    token = {"x-acs-security-token": "planted-token"}
    cases = [
        ({}, {}),
        ({"LTAI1": AccessKey("LTAI1", "another-secret-0123", "")}, {}),
        ({"LTAI1": AccessKey("LTAI1", SECRET, "planted-token")}, {}),
        ({"LTAI1": AccessKey("LTAI1", SECRET, "")}, token),
    ]
    for keys, changes in cases:
        with pytest.raises(NotAuthenticated, match="not that of an access key"):
            await AccessKeys(keys, Nonces().use, Clock()).principal(read(signed_headers(changes)), {})
    known = AccessKeys({"LTAI1": AccessKey("LTAI1", SECRET, "planted-token")}, Nonces().use, Clock())
    await known.principal(read(signed_headers(token)), {})
