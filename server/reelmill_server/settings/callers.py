"""Settings of callers: who may use the API, and how they show who they are."""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from reelmill_server.model.access import Grant, parse_grant
from reelmill_server.settings.fields import DISTINCT, Count, Metavar, Name, Secret, Separated, is_loopback
from reelmill_server.settings.group import Group, UsedBy, both_names, checked_by, environment_name


def _checked_url(value: str) -> str:
    url = urlsplit(value)
    if value and not (url.hostname and (url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname)))):
        raise ValueError("expected https://…")
    return value


UrlOrEmpty = Annotated[str, AfterValidator(_checked_url), Metavar("URL")]
Method = Literal["keys", "jwt", "mtls", "access-keys"]
_LEAST_TOKEN = 24
_LEAST_SECRET = 16
_SUBJECT = re.compile(r"(jwt|mtls|access-key):[^\s=]+")


def _checked_grant(value: str) -> str:
    subject, _, grants = value.partition("=")
    if not _SUBJECT.fullmatch(subject.strip()) or not grants.strip():
        raise ValueError(
            "expected jwt:SUBJECT=GRANT, mtls:NAME=GRANT or access-key:ID=GRANT, for example mtls:encoder-1=submitter@films"
        )
    for grant in grants.split():
        parse_grant(grant)
    return value


def _checked_token(value: SecretStr) -> SecretStr:
    if 0 < len(value.get_secret_value()) < _LEAST_TOKEN:
        raise ValueError(f"expected at least {_LEAST_TOKEN} characters, for example of `openssl rand -hex 32`")
    return value


class AccessKey(NamedTuple):
    """An access key: its id, its secret, and its security token if it is a temporary one."""

    key_id: str
    secret: str
    token: str


def _parsed_access_keys(text: str) -> Mapping[str, AccessKey]:
    """Return keys by their ids, from entries separated by commas or line breaks, without comments (#). Raises ValueError."""
    keys: dict[str, AccessKey] = {}
    for line in re.split(r"[,\n]", text):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        key_id, _, rest = entry.partition(":")
        secret, _, token = rest.partition(":")
        if not re.fullmatch(r"[^\s=]+", key_id) or len(secret) < _LEAST_SECRET:
            raise ValueError(f"expected ID:SECRET, with a secret of at least {_LEAST_SECRET} characters")
        if key_id in keys:
            raise ValueError("expected each ID once")
        keys[key_id] = AccessKey(key_id, secret, token)
    return keys


def _checked_access_keys(value: SecretStr) -> SecretStr:
    _parsed_access_keys(value.get_secret_value())
    return value


class CallerSettings(Group):
    """Who may call, how callers show who they are, and how often they may call."""

    title = "Callers"
    used_by = UsedBy("serve", "api")

    authentication: Annotated[tuple[Method, ...], NoDecode, Separated(), DISTINCT, Metavar("METHOD")] = Field(
        default=(),
        description="How callers authenticate: `keys` (API keys), `jwt` (tokens of an OpenID Connect issuer), `mtls`"
        " (client certificates), `access-keys` (signatures of the vendor's SDKs). Empty: no authentication, on loopback"
        " only.",
    )
    insecure: bool = Field(default=False, description="Serve without authentication on an address that others can reach.")
    admin_token: Annotated[Secret, AfterValidator(_checked_token)] = Field(
        default=SecretStr(""), description="Token of an administrator, with which the first keys are made. Empty: none."
    )
    access_keys: Annotated[Secret, AfterValidator(_checked_access_keys)] = Field(
        default=SecretStr(""),
        description="Access keys for the vendor's SDKs: `ID:SECRET`, or `ID:SECRET:TOKEN` for one with a security token,"
        " separated by commas. REELMILL_GRANT says what each may do, as `access-key:ID`. Empty: none.",
    )
    access_key_file: Annotated[Path | None, BeforeValidator(lambda value: value or None), Metavar("FILE")] = Field(
        default=None, description="File with more of them, one on each line. It is read at the start. Empty: none."
    )
    grant: Annotated[
        tuple[Annotated[str, AfterValidator(_checked_grant)], ...], NoDecode, Separated(";", in_flags=False), Metavar("GRANT")
    ] = Field(
        default=(),
        description="What the subject of a JWT, the name in a client certificate or an access key may do, for example"
        " `mtls:encoder-1=submitter@films`; several grants of one are separated by spaces. Empty: nothing.",
    )
    jwt_issuer: UrlOrEmpty = Field(
        default="", description="Issuer of the JWTs that are accepted, as their claim `iss` names it. Empty: none is."
    )
    jwt_audience: Name = Field(
        default="", description="Audience that a JWT must name in its claim `aud`. Empty: none is accepted."
    )
    jwt_jwks_url: UrlOrEmpty = Field(
        default="", description="Where the issuer's keys are. Empty: its OpenID Connect configuration says it."
    )
    jwt_algorithm: Annotated[
        tuple[Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"], ...],
        NoDecode,
        Separated(),
        DISTINCT,
        Metavar("NAME"),
    ] = Field(default=("RS256", "ES256"), min_length=1, description="Signature algorithms of JWTs that are accepted.")
    jwt_grants_claim: Name = Field(
        default="", description="Claim of a JWT that lists grants of its subject. Empty: only the settings grant something."
    )
    caller_rate: Count = Field(
        default=50, ge=0, le=1_000_000, description="Calls a second that one caller may make in the long run. 0: no limit."
    )
    caller_burst: Count = Field(
        default=500, ge=1, le=1_000_000, description="Calls that one caller may make at once before that limit counts."
    )

    @checked_by(used_by)
    def _check_authentication(self) -> None:
        if "jwt" in self.authentication and not (self.jwt_issuer and self.jwt_audience):
            raise ValueError(f"{both_names('jwt_issuer')} and {both_names('jwt_audience')}: set both to accept JWTs")
        if self.admin_token.get_secret_value() and not self.authentication:
            raise ValueError(f"{environment_name('admin_token')}: requires {both_names('authentication')}, for example keys")
        if "access-keys" in self.authentication and not self.access_key_pairs():
            names = f"{environment_name('access_keys')} or {both_names('access_key_file')}"
            raise ValueError(f"{names}: set one to accept access keys")
        if self.access_keys.get_secret_value() and "access-keys" not in self.authentication:
            raise ValueError(f"{environment_name('access_keys')}: requires {both_names('authentication')} access-keys")

    def access_key_pairs(self) -> Mapping[str, AccessKey]:
        """Return the access keys by their ids. Raises ValueError if the file cannot be read or is malformed."""
        keys = dict(_parsed_access_keys(self.access_keys.get_secret_value()))
        if self.access_key_file is not None:
            try:
                keys |= _parsed_access_keys(self.access_key_file.read_text())
            except (OSError, UnicodeDecodeError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                raise ValueError(f"{both_names('access_key_file')}: {reason}") from None
        return keys

    def grants(self) -> Mapping[str, tuple[Grant, ...]]:
        """Return the grants of each subject, named jwt:SUBJECT, mtls:NAME or access-key:ID."""
        by_subject: defaultdict[str, list[Grant]] = defaultdict(list)
        for entry in self.grant:
            subject, _, grants = entry.partition("=")
            by_subject[subject.strip()].extend(map(parse_grant, grants.split()))
        return {subject: tuple(grants) for subject, grants in by_subject.items()}
