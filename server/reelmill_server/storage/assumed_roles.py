"""Sessions of S3 and OSS: the worker's own identity, or roles assumed one after the other, anew before they expire."""

import os
from collections.abc import Callable, Mapping
from functools import partial

import botocore.credentials
import botocore.loaders
import botocore.session
from botocore.config import Config

from reelmill_server.model.buckets import Target
from reelmill_server.storage import aliyun
from reelmill_server.storage.roles import Identity

Keys = Mapping[str, str]
"""access_key, secret_key, token, expiry_time: what botocore calls the parts of temporary credentials."""

_SESSION_NAME = "reelmill"
_LIFETIME_SECONDS = 3600
"""The longest that AWS gives a role that was assumed by a role."""
_OSS_VARIABLES = ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN")
"""As Alibaba's own tools call them."""
_LOADER = botocore.loaders.create_loader()
"""Shared: it keeps the descriptions of services, which take long to read."""


def session_of(target: Target, identity: Identity) -> botocore.session.Session:
    """A session in the name of `identity`; without roles the worker's own: environment, profile, or the machine's."""
    own = _own_session(target)
    if not identity.roles:
        return own
    assume = _assume_aliyun if target.scheme == "oss" else _assume_aws
    session = _session(target)
    provider = _Assumed(partial(_walk, partial(assume, target, own), identity))
    session.register_component("credential_provider", botocore.credentials.CredentialResolver([provider]))
    return session


def _session(target: Target) -> botocore.session.Session:
    session = botocore.session.Session(profile=target.option("profile") or None)
    session.register_component("data_loader", _LOADER)
    return session


def _own_session(target: Target) -> botocore.session.Session:
    session = _session(target)
    if target.scheme == "oss" and not target.option("profile") and os.environ.get(_OSS_VARIABLES[0]):
        session.set_credentials(*(os.environ.get(name) or None for name in _OSS_VARIABLES))
    return session


class _Assumed(botocore.credentials.CredentialProvider):
    """Gives credentials that are fetched anew before they expire."""

    METHOD = "reelmill-roles"

    def __init__(self, fetch: Callable[[], Keys]) -> None:
        super().__init__()
        self._fetch = fetch

    def load(self) -> botocore.credentials.RefreshableCredentials:
        """The first ones."""
        return botocore.credentials.RefreshableCredentials.create_from_metadata(
            metadata=self._fetch(), refresh_using=self._fetch, method=self.METHOD
        )


def _walk(assume: Callable[[Keys | None, str, str], Keys], identity: Identity) -> Keys:
    """The keys of the last role: each one is assumed by the one before, and the policy narrows the last."""
    keys: Keys | None = None
    last = len(identity.roles) - 1
    for number, role in enumerate(identity.roles):
        keys = assume(keys, role, identity.policy if number == last else "")
    assert keys is not None
    return keys


def _assume_aws(target: Target, own: botocore.session.Session, keys: Keys | None, role: str, policy: str) -> Keys:
    given = (
        {
            "aws_access_key_id": keys["access_key"],
            "aws_secret_access_key": keys["secret_key"],
            "aws_session_token": keys["token"],
        }
        if keys
        else {}
    )
    client = own.create_client(
        "sts",
        region_name=target.option("region") or own.get_config_variable("region") or "us-east-1",
        endpoint_url=target.option("sts") or target.option("endpoint") or None,
        config=Config(connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 3}),
        **given,
    )
    answer = client.assume_role(
        RoleArn=role,
        RoleSessionName=_SESSION_NAME,
        DurationSeconds=_LIFETIME_SECONDS,
        **({"Policy": policy} if policy else {}),
    )["Credentials"]
    return {
        "access_key": answer["AccessKeyId"],
        "secret_key": answer["SecretAccessKey"],
        "token": answer["SessionToken"],
        "expiry_time": answer["Expiration"].isoformat(),
    }


def _assume_aliyun(target: Target, own: botocore.session.Session, keys: Keys | None, role: str, policy: str) -> Keys:
    if keys is None:
        found = own.get_credentials()
        frozen = found.get_frozen_credentials() if found else None
        keys = {
            "access_key": frozen.access_key if frozen else "",
            "secret_key": frozen.secret_key if frozen else "",
            "token": (frozen.token or "") if frozen else "",
        }
    return aliyun.assume_role(target.option("sts") or aliyun.STS, keys, role, policy, _SESSION_NAME, _LIFETIME_SECONDS)
