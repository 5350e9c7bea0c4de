"""AssumeRole of Alibaba Cloud's Security Token Service, signed according to its RPC protocol."""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

import requests

from reelmill_server.errors import AccessDenied, StorageUnavailable

STS = "https://sts.aliyuncs.com"
_TIMEOUT_SECONDS = (10, 30)


def assume_role(
    endpoint: str, keys: Mapping[str, str], role: str, policy: str, session_name: str, seconds: int
) -> dict[str, str]:
    """Return temporary keys of `role`: access_key, secret_key, token, expiry_time.

    Raises AccessDenied or StorageUnavailable.
    """
    if not keys["access_key"]:
        raise AccessDenied(f"the role {role} cannot be assumed: this server has no credentials for Alibaba Cloud")
    parameters = {
        "Action": "AssumeRole",
        "Version": "2015-04-01",
        "Format": "JSON",
        "RoleArn": role,
        "RoleSessionName": session_name,
        "DurationSeconds": str(seconds),
        **({"Policy": policy} if policy else {}),
        "AccessKeyId": keys["access_key"],
        **({"SecurityToken": keys["token"]} if keys["token"] else {}),
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": uuid.uuid4().hex,
        "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    signed = {**parameters, "Signature": signature(parameters, keys["secret_key"])}
    problem = None
    try:
        response = requests.post(endpoint, data=signed, timeout=_TIMEOUT_SECONDS)
        body = response.json()
    except (requests.RequestException, ValueError) as error:
        problem = StorageUnavailable(
            f"the role {role} cannot be assumed now: the token service did not respond ({type(error).__name__})"
        )
    if problem:
        raise problem
    if response.status_code >= 500 or "Throttling" in str(body.get("Code")):
        raise StorageUnavailable(f"the role {role} cannot be assumed now ({body.get('Code')})")
    if response.status_code != 200:
        raise AccessDenied(f"this server is not allowed to assume the role {role} ({body.get('Code')})")
    credentials = body["Credentials"]
    return {
        "access_key": credentials["AccessKeyId"],
        "secret_key": credentials["AccessKeySecret"],
        "token": credentials["SecurityToken"],
        "expiry_time": credentials["Expiration"],
    }


def signature(parameters: Mapping[str, str], secret: str) -> str:
    """Return the signature of a POST: base64 of the HMAC-SHA1 of its sorted, doubly encoded parameters."""
    query = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(parameters.items()))
    text = f"POST&{_encoded('/')}&{_encoded(query)}"
    return base64.b64encode(hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()).decode()


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
