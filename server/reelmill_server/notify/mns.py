"""Channel of Simple Message Queue (MNS): publishes to a topic over its HTTP API, version 2015-06-06."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from xml.sax.saxutils import escape

from reelmill_server.errors import Violation
from reelmill_server.model.notification import Failure, Recipient
from reelmill_server.notify.base import DeliveryFailed
from reelmill_server.notify.message import Message
from reelmill_server.notify.outbound import Outbound

_VERSION = "2015-06-06"
_CONTENT_TYPE = "text/xml;charset=UTF-8"
_MAX_BYTES = 64 * 1024  # of a message in a topic
# XML cannot contain these characters (XML 1.0, 2.2), so they are escaped as in JSON, whose strings they are part of.
_NOT_XML = {"\ufffe": r"\ufffe", "\uffff": r"\uffff"}
_CODE = re.compile(r"<Code>([A-Za-z.]{1,64})</Code>")


def authorization(key_id: str, secret: str, headers: Mapping[str, str], resource: str) -> str:
    """Return the Authorization header of a POST.

    It is an HMAC-SHA1 of the verb, Content-MD5 (optional), Content-Type, Date, the x-mns-* headers, and the resource.
    """
    mns_headers = [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-mns-")]
    text = "\n".join(["POST", "", headers["Content-Type"], headers["Date"], *mns_headers, resource])
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()
    return f"MNS {key_id}:{base64.b64encode(digest).decode()}"


class MnsSender:
    """Sender to the topics of one account, `https://ACCOUNT.mns.REGION.aliyuncs.com`."""

    def __init__(self, outbound: Outbound, endpoint: str, key_id: str, secret: str) -> None:
        self._outbound, self._endpoint, self._key_id, self._secret = outbound, endpoint.rstrip("/"), key_id, secret

    def problems(self, _: Recipient) -> Iterator[Violation]:
        # The protos' rules cover topic names.
        yield from ()

    async def send(self, recipient: Recipient, message: Message) -> None:
        text = message.envelope()
        size = len(text.encode())
        if size > _MAX_BYTES:
            expected = (
                f"the message has {size} bytes, but a topic allows {_MAX_BYTES}: set extended_message_uri or use fewer outputs"
            )
            raise DeliveryFailed(Failure(expected, retryable=False))
        resource = f"/topics/{recipient.destination}/messages"
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f'<Message xmlns="http://mns.aliyuncs.com/doc/v1/"><MessageBody>{escape(text, _NOT_XML)}</MessageBody></Message>'
        ).encode()
        headers = {
            "Content-Type": _CONTENT_TYPE,
            "Date": format_datetime(datetime.now(UTC), usegmt=True),
            "x-mns-version": _VERSION,
        }
        headers["Authorization"] = authorization(self._key_id, self._secret, headers, resource)
        try:
            await self._outbound.post(f"{self._endpoint}{resource}", body, headers, peek=True)
        except DeliveryFailed as error:
            raise DeliveryFailed(_redacted(error.failure)) from None

    async def close(self) -> None:
        await self._outbound.close()


def _redacted(failure: Failure) -> Failure:
    """Return the failure with the service's error code instead of its XML, which repeats what was signed."""
    code = _CODE.search(failure.message)
    text = failure.message.partition(":")[0] + (f": {code[1]}" if code else "")
    return Failure(text, failure.retryable, failure.pause_seconds, failure.counts)
