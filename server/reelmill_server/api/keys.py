"""Implementation of KeyService."""

from datetime import UTC
from typing import Any

from reelmill.v1 import key_service_pb2 as pb
from reelmill_server.api import validate
from reelmill_server.api.caller import caller
from reelmill_server.api.interceptor import request_id
from reelmill_server.api.responses import timestamp
from reelmill_server.errors import InvalidArgument, Violation
from reelmill_server.model.access import parse_grant
from reelmill_server.tasks.keys import Key, KeyStore

_DEFAULT_PAGE = 100


class KeyService:
    """The RPCs of KeyService; errors are raised as ReelmillError, and the interceptor converts them to statuses."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    async def CreateKey(self, request: pb.CreateKeyRequest, _: Any) -> pb.CreateKeyResponse:
        validate.check_rules(request)
        violations = [*_grant_problems(request)]
        if violations:
            raise InvalidArgument(violations=violations)
        expires = request.expire_time.ToDatetime(UTC) if request.HasField("expire_time") else None
        grants = [grant.strip() for grant in request.grants]
        key, secret = await self._keys.create(request.name, grants, caller().name, expires)
        return pb.CreateKeyResponse(request_id=request_id(), key=_message(key), secret=secret)

    async def ListKeys(self, request: pb.ListKeysRequest, _: Any) -> pb.ListKeysResponse:
        validate.check_rules(request)
        keys, token = await self._keys.list(request.max_results or _DEFAULT_PAGE, request.next_token)
        return pb.ListKeysResponse(request_id=request_id(), keys=[_message(key) for key in keys], next_token=token)

    async def RevokeKey(self, request: pb.RevokeKeyRequest, _: Any) -> pb.RevokeKeyResponse:
        validate.check_rules(request)
        await self._keys.revoke(request.key_id)
        return pb.RevokeKeyResponse(request_id=request_id())


def _grant_problems(request: pb.CreateKeyRequest) -> list[Violation]:
    problems = []
    for index, text in enumerate(request.grants):
        try:
            parse_grant(text)
        except ValueError as error:
            problems.append(Violation(f"grants[{index}]", str(error)))
    return problems


def _message(key: Key) -> pb.Key:
    return pb.Key(
        key_id=key.key_id,
        name=key.name,
        grants=key.grants,
        create_time=timestamp(key.create_time),
        expire_time=timestamp(key.expire_time),
        created_by=key.created_by,
    )
