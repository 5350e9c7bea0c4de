"""Break requests and send them to the HTTP front: `python -m tests.fuzz.http [--cases N] [--seed N] [--seconds N]`.

The front is real, its services only pretend (`tests.fronts`). A case is wrong if its answer is a defect of the server (500) or
no HTTP, and so is a front that no longer answers whole requests in the end.
"""

import argparse
import asyncio
import base64
import json
import logging
import random
import re
import sys
import time
from collections import Counter
from urllib.parse import quote

import structlog

from reelmill.v1 import media_convert_service_pb2 as pb
from tests.fronts import pretended_front, serving
from tests.fuzz.mutations import mutate

_GET, _WATCH = "/reelmill.v1.MediaConvertService/GetTask", "/reelmill.v1.MediaConvertService/WatchTask"
_FIELDS = json.dumps({"ProjectName": "p", "TaskId": "t"})
_MESSAGE = pb.GetTaskRequest(project_name="p", task_id="t").SerializeToString()
_FRAME = b"\0" + len(_MESSAGE).to_bytes(4, "big") + _MESSAGE
_SIGNED = (
    "Authorization: ACS3-HMAC-SHA256 Credential=LTAI1,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;"
    f"x-acs-signature-nonce,Signature={'0' * 64}\r\nx-acs-action: ListProjects\r\nx-acs-date: 2026-01-31T12:00:00Z\r\n"
    f"x-acs-signature-nonce: 1\r\nx-acs-content-sha256: {'0' * 64}\r\n"
)
_AT_ONCE = 20
_ANSWER_SECONDS, _PATIENT_SECONDS = 0.1, 20.0  # for broken requests, and for whole ones
_STATUS = re.compile(rb"HTTP/\d\.\d (\d{3}) ")


def _request(line: str, headers: str = "", body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}{length}\r\n".encode() + body


def _typed(path: str, kind: str, body: bytes) -> bytes:
    return _request(f"POST {path}", f"Content-Type: {kind}\r\n", body)


SEEDS = (
    _typed(_GET, "application/json", _FIELDS.encode()),
    _typed(_GET, "application/proto", _MESSAGE),
    _typed(_GET, "application/grpc-web+proto", _FRAME),
    _typed(_GET, "application/grpc-web-text", base64.b64encode(_FRAME)),
    _typed(_WATCH, "application/connect+proto", _FRAME),
    _request(f"GET {_GET}?connect=v1&encoding=json&message={quote(_FIELDS)}"),
    _request(f"GET {_GET}?encoding=proto&base64=1&message={base64.urlsafe_b64encode(_MESSAGE).decode()}"),
    _request(f"GET {_WATCH}?ProjectName=p&TaskId=t", "Accept: text/event-stream\r\n"),
    _request("GET /?Action=GetTask&ProjectName=p&TaskId=t&Signature=x&SignatureNonce=1&SignatureMethod=HMAC-SHA1"),
    _request("POST /?Prefix=a&Tag.1.Key=k&Tag.1.Value=v&Tag.2.Key=l", _SIGNED),
    _typed("/", "application/x-www-form-urlencoded", b"Action=ListProjects&Tag=%5B%7B%22Key%22%3A%22k%22%7D%5D"),
    _request(f"OPTIONS {_GET}", "Origin: http://127.0.0.1\r\nAccess-Control-Request-Method: POST\r\n"),
)


async def _answer(port: int, request: bytes, seconds: float = _ANSWER_SECONDS) -> bytes:
    """Return the beginning of an answer; nothing if none comes soon: the request may lack its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(seconds):
            return await reader.read(4096)
    except (TimeoutError, ConnectionError):
        return b""
    finally:
        writer.close()


async def run(cases: int, seed: int, seconds: float) -> tuple[Counter[str], list[str]]:
    """Return how many answers had each status, and what was wrong."""
    counts, wrong, end = Counter[str](), list[str](), time.monotonic() + (seconds or float("inf"))
    numbers = iter(range(cases))

    async def work(port: int) -> None:
        for number in numbers:
            if time.monotonic() > end:
                return
            chance = random.Random(f"{seed}-{number}")
            request = mutate(SEEDS[number % len(SEEDS)], chance.choice(SEEDS), chance)
            answer = await _answer(port, request)
            status = _STATUS.match(answer)
            counts[status[1].decode() if status else "none"] += 1
            if (answer and not status) or (status and status[1] == b"500"):
                wrong.append(f"case {number}: {request[:2000]!r}: {answer[:200]!r}")

    async with serving(pretended_front(), most=1000) as url:
        port = int(url.rpartition(":")[2])
        await asyncio.gather(*(work(port) for _ in range(_AT_ONCE)))
        for request in SEEDS:
            if not (status := _STATUS.match(await _answer(port, request, _PATIENT_SECONDS))) or status[1] == b"500":
                wrong.append(f"afterwards: {request[:2000]!r}")
    return counts, wrong


def main() -> int:
    """Run, say what came out, and return 1 if something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.http", description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--seconds", type=float, default=0, help="begin no case later than this (0: no limit)")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # a line for each case
    counts, wrong = asyncio.run(run(options.cases, options.seed, options.seconds))
    print("\n".join(f"WRONG {text}" for text in wrong), end="\n" if wrong else "")
    print(f"{counts.total()} broken requests, {len(wrong)} wrong: {dict(sorted(counts.items()))}, seed {options.seed}")
    return min(len(wrong), 1)


if __name__ == "__main__":
    sys.exit(main())
