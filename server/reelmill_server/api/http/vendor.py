"""The vendor's wire protocol: actions at the root, parameters in the query, signed requests, flat answers."""

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import ceil
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from reelmill import vendor_json
from reelmill_server.api.http.calls import answer_single
from reelmill_server.api.http.codecs import write_only
from reelmill_server.api.http.codes import CODES
from reelmill_server.api.http.context import HttpContext
from reelmill_server.api.http.errors import retry_seconds, unpacked
from reelmill_server.api.http.guard import is_browser
from reelmill_server.api.http.methods import Method
from reelmill_server.api.http.queries import message_of_fields, nested
from reelmill_server.api.signature import NotSigned, Signed, acs3, hmac_sha1
from reelmill_server.errors import InvalidArgument, ReelmillError

_ALIASES = {"DetectMediaMeta": "ProbeMedia"}
"""Actions of the vendor that our RPCs have by other names."""
_FLAT = {"GetTaskResponse": "Task", "ProbeMediaResponse": "MediaInfo"}
"""Of responses whose fields the vendor has at the top: the field in which ours are."""
_TEXTS = {"ListTasksResponse": ("MaxResults",)}
"""Numbers that the vendor writes as text."""
_STATUS = {"invalid_argument": 400, "not_found": 400, "already_exists": 400, "failed_precondition": 400, "unimplemented": 400}
"""HTTP statuses of the vendor where they are not Connect's: a client must not take a missing task for a missing page."""
_FORM = "application/x-www-form-urlencoded"
_MOST_PARAMETERS = 10_000

Read = Callable[[web.Request], Awaitable[bytes]]


def is_call(request: web.Request) -> bool:
    """Return whether a GET at the root is one of the vendor's protocol."""
    return "x-acs-action" in request.headers or "Action" in request.query


class Vendor:
    """The RPCs with one answer, as actions."""

    def __init__(self, methods: Mapping[str, Method], read: Read) -> None:
        """Take the RPCs by their paths, and what reads the body of a request."""
        self._read = read
        self._actions = {method.name: method for method in methods.values() if not method.streams}
        self._actions |= {alias: self._actions[name] for alias, name in _ALIASES.items() if name in self._actions}

    async def handle(self, request: web.Request) -> web.Response:
        """Make the call that a request describes, and return the response."""
        answers = _Answers(request.host)
        try:
            parts = _Parts(request, await self._read(request))
        except ReelmillError as error:
            return answers.refusal(400, error.code, error.message)
        method = self._actions.get(parts.action)
        if method is None:
            return answers.refusal(404, "InvalidAction.NotFound", f"no action {parts.action[:64]!r} is served here")
        if request.method == "GET" and not method.safe and is_browser(request):
            return answers.refusal(403, "Forbidden", "browsers may only read with GET")

        async def read() -> Message:
            return message_of_fields(method, nested(parts.parameters), ignore_unknown=True)

        return await answer_single(request, method, answers, read, HttpContext(request, parts.signed, parts.bearer))


class _Parts:
    """A request taken apart: its action, its parameters, and what shows who makes it."""

    def __init__(self, request: web.Request, body: bytes) -> None:
        if body and request.content_type != _FORM:
            raise InvalidArgument(f"the body of an action has parameters, as {_FORM}")
        query, form = _pairs(request.raw_path.partition("?")[2]), _pairs(body.decode("utf-8", "surrogateescape"))
        self.parameters = dict(query + form)
        headers = {name.lower(): request.headers.getall(name) for name in request.headers}
        names = {name for name in (*headers.get("x-acs-action", ()), self.parameters.get("Action", "")) if name}
        if len(names) > 1:  # signatures of older SDKs cover the parameter only
            raise InvalidArgument("x-acs-action and Action name different actions")
        self.action = "".join(names)
        self.bearer = request.headers.get("x-acs-bearer-token") or self.parameters.get("BearerToken", "")
        self.signed: Signed | NotSigned | None = None
        try:
            if headers.get("authorization", [""])[0].startswith("ACS3"):
                self.signed = acs3(request.method, request.rel_url.raw_path, query, headers, body)
            elif "Signature" in self.parameters:
                self.signed = hmac_sha1(request.method, query + form)
        except NotSigned as problem:
            self.signed = problem


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise InvalidArgument(f"the request has more than {_MOST_PARAMETERS} parameters") from None


class _Answers:
    """Answers in the vendor's form."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.codec = write_only("json", _write)

    def read(self, body: bytes) -> bytes:
        """Return a body as it is."""
        return body

    def answer(self, data: bytes) -> web.Response:
        """Return the response with a message."""
        return web.Response(body=data, content_type="application/json")

    def failure(self, status: status_pb2.Status) -> web.Response:
        """Return the response of a call that failed, with our code and the id of the call."""
        info = unpacked(status, error_details_pb2.ErrorInfo).metadata
        code = CODES[status.code]
        http = _STATUS.get(code.name, code.http)
        name = info["code"] if "code" in info else code.name.title().replace("_", "")
        violations = unpacked(status, error_details_pb2.BadRequest).field_violations
        faults = [{"Field": item.field, "Description": item.description} for item in violations]
        return self.refusal(http, name, status.message, info.get("request_id", ""), retry_seconds(status), faults)

    def refusal(
        self, http: int, code: str, message: str, request_id: str = "", seconds: float = 0, faults: Sequence[Any] = ()
    ) -> web.Response:
        """Return an error."""
        body = {
            "RequestId": request_id or str(uuid.uuid4()).upper(),
            "HostId": self._host,
            "Code": code,
            "Message": message,
            **({"Violations": faults} if faults else {}),
        }
        # Milliseconds, as the SDKs wait.
        headers = {"x-acs-retry-after": str(ceil(seconds * 1000)), "Retry-After": str(ceil(seconds))} if seconds else None
        return web.json_response(body, status=http, headers=headers)


def _write(_: Method, message: Any) -> bytes:
    value = vendor_json.dump(message, zeros=True)
    name = message.DESCRIPTOR.name
    if name in _FLAT:
        value = {**value.pop(_FLAT[name], {}), **value}
    for field in _TEXTS.get(name, ()):
        value[field] = str(value[field])
    return json.dumps(value, ensure_ascii=False).encode()
