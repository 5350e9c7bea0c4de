"""Sessions of S3 and OSS, with the worker's own identity or with assumed roles, which are refreshed before they expire."""

import os
from collections.abc import Callable, Mapping
from functools import partial

import botocore.credentials
import botocore.loaders
import botocore.session
from botocore.config import Config

from reelmill_server.model.buckets import Target
from reelmill_server.settings.clouds import OSS_KEYS, REGIONS
from reelmill_server.storage import aliyun
from reelmill_server.storage.roles import Identity

Keys = Mapping[str, str]
"""access_key, secret_key, token and expiry_time, as botocore names the parts of temporary credentials."""

_SESSION_NAME = "reelmill"
_LIFETIME_SECONDS = 3600
"""The maximum that AWS grants for a role assumed by another role."""
_LOADER = botocore.loaders.create_loader()
"""Shared, as it caches service descriptions, which are slow to load."""


def session_of(target: Target, identity: Identity) -> botocore.session.Session:
    """Return a session for `identity`; without roles it uses the worker's own: environment, profile, or instance role."""
    own_session = _own_session(target)
    if not identity.roles:
        return own_session
    assume = _assume_aliyun if target.scheme == "oss" else _assume_aws
    session = _session(target)
    provider = _RoleCredentialProvider(partial(_assume_chain, partial(assume, target, own_session), identity))
    session.register_component("credential_provider", botocore.credentials.CredentialResolver([provider]))
    return session


def _session(target: Target) -> botocore.session.Session:
    session = botocore.session.Session(profile=target.option("profile") or None)
    session.register_component("data_loader", _LOADER)
    return session


def _own_session(target: Target) -> botocore.session.Session:
    session = _session(target)
    if target.scheme == "oss" and not target.option("profile"):
        names = next((names for names in OSS_KEYS if os.environ.get(names[0])), ())
        if names:
            session.set_credentials(*(os.environ.get(name) or None for name in names))
    return session


def region_of(target: Target, session: botocore.session.Session) -> str:
    """Return the region of a target: its option, or that of the environment or the profile."""
    named = os.environ.get(REGIONS[target.scheme]) or session.get_config_variable("region")
    return target.option("region") or str(named or "us-east-1")


class _RoleCredentialProvider(botocore.credentials.CredentialProvider):
    """Provider of credentials that are refreshed before they expire."""

    METHOD = "reelmill-roles"

    def __init__(self, fetch: Callable[[], Keys]) -> None:
        super().__init__()
        self._fetch = fetch

    def load(self) -> botocore.credentials.RefreshableCredentials:
        """Return credentials that refresh themselves."""
        return botocore.credentials.RefreshableCredentials.create_from_metadata(
            metadata=self._fetch(), refresh_using=self._fetch, method=self.METHOD
        )


def _assume_chain(assume: Callable[[Keys | None, str, str], Keys], identity: Identity) -> Keys:
    """Return the keys of the last role: each role is assumed by its predecessor, and the policy narrows the last one."""
    keys: Keys | None = None
    last = len(identity.roles) - 1
    for number, role in enumerate(identity.roles):
        keys = assume(keys, role, identity.policy if number == last else "")
    assert keys is not None
    return keys


def _assume_aws(target: Target, own_session: botocore.session.Session, keys: Keys | None, role: str, policy: str) -> Keys:
    key_options = (
        {
            "aws_access_key_id": keys["access_key"],
            "aws_secret_access_key": keys["secret_key"],
            "aws_session_token": keys["token"],
        }
        if keys
        else {}
    )
    client = own_session.create_client(
        "sts",
        region_name=region_of(target, own_session),
        endpoint_url=target.option("sts") or target.option("endpoint") or None,
        config=Config(connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 3}),
        **key_options,
    )
    credentials = client.assume_role(
        RoleArn=role,
        RoleSessionName=_SESSION_NAME,
        DurationSeconds=_LIFETIME_SECONDS,
        **({"Policy": policy} if policy else {}),
    )["Credentials"]
    return {
        "access_key": credentials["AccessKeyId"],
        "secret_key": credentials["SecretAccessKey"],
        "token": credentials["SessionToken"],
        "expiry_time": credentials["Expiration"].isoformat(),
    }


def _assume_aliyun(target: Target, own_session: botocore.session.Session, keys: Keys | None, role: str, policy: str) -> Keys:
    if keys is None:
        credentials = own_session.get_credentials()
        frozen = credentials.get_frozen_credentials() if credentials else None
        keys = {
            "access_key": frozen.access_key if frozen else "",
            "secret_key": frozen.secret_key if frozen else "",
            "token": (frozen.token or "") if frozen else "",
        }
    return aliyun.assume_role(target.option("sts") or aliyun.STS, keys, role, policy, _SESSION_NAME, _LIFETIME_SECONDS)
