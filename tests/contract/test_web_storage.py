"""`http://` sources: which hosts, which addresses, where redirects may lead, how much is read."""

import asyncio
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web
from tenacity import wait_none

from reelmill_server.errors import (
    AccessDenied,
    InvalidArgument,
    MediaLimitExceeded,
    ReelmillError,
    ResourceNotFound,
    ServiceUnavailable,
    StorageUnavailable,
)
from reelmill_server.storage import http
from reelmill_server.storage.http import HttpRules, HttpStorage
from reelmill_server.storage.retry import RetryPolicy
from tests.stores import Fault, Front, web_files

DATA = bytes(range(256)) * 400
ANY = HttpRules(("*",), private=True)


@pytest.fixture(scope="module")
def serving() -> Iterator[Front]:
    """A web server: /to?url leads there, all else is a file."""
    files = web_files({"clip.mp4": DATA}, {})

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/to":
            return web.Response(status=302, headers={"Location": request.query_string})
        if request.path == "/dripping":
            dripping = web.StreamResponse()
            await dripping.prepare(request)
            while True:
                await dripping.write(b"x")
                await asyncio.sleep(0.01)
        if request.path == "/odd":
            length = min(len(DATA), int(request.headers["Range"].rpartition("-")[2]) + 1)
            return web.Response(status=206, body=DATA[:length], headers=dict(request.query))
        if request.path == "/silent":
            await asyncio.Event().wait()
        if request.path == "/endless":
            endless = web.StreamResponse()
            await endless.prepare(request)
            for _ in range(100_000):
                await endless.write(DATA)
            return endless
        return await files(request)

    yield Front(answer).start()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, serving: Front) -> None:
    """No pauses, no faults."""
    monkeypatch.setattr(RetryPolicy, "_wait", lambda self: wait_none())
    serving.reset()


async def _read(url: str, rules: HttpRules = ANY) -> bytes:
    reader = await HttpStorage(rules, RetryPolicy()).open(url)
    try:
        assert reader.descriptor is None
        return await reader.read(100, 50) + await reader.read(0, reader.size_bytes)
    finally:
        await reader.close()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://other.org/a", AccessDenied),
        ("http://example.com.evil.org/a", AccessDenied),
        ("http://evil.org/?example.com", AccessDenied),
        ("http://user:password@example.com/a", InvalidArgument),
        ("http://example.com:port/a", InvalidArgument),
        ("http:///a", InvalidArgument),
        ("http://example.com/a b", InvalidArgument),
        ("http://[::1/a", InvalidArgument),
        ("http://10.0.0.1/a", AccessDenied),
    ],
)
def test_what_may_not_be_read(url: str, error: type[ReelmillError]) -> None:
    """Is known from the URL."""
    storage = HttpStorage(HttpRules(("example.com", "*.example.com", "10.*")), RetryPolicy())
    storage.check_readable("https://EXAMPLE.com/a")
    storage.check_readable("https://a.example.com./a?b")
    with pytest.raises(error) as caught:
        storage.check_readable(url)
    assert "password" not in caught.value.message.replace("a password", "")


async def test_a_name_that_leads_to_a_private_address(serving: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often its server changes its mind: what is connected to is what was checked."""
    answers = iter(["93.184.216.34", "127.0.0.1"])

    def rebinding(host: str, port: int, *_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers, "127.0.0.1"), port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    storage = HttpStorage(HttpRules(("*",)), RetryPolicy(tries=1))
    storage.check_readable(f"http://rebind.example:{serving.port}/clip.mp4")
    next(answers)  # somebody looked the name up, and it was public
    with pytest.raises(AccessDenied, match="private address"):
        await storage.open(f"http://rebind.example:{serving.port}/clip.mp4")
    assert not serving.requests


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"),
        *("127。0。0。1", "127．0．0．１", "127.0.0。1", "①②⑦。⓪。⓪。①", "ⅼocalhost", "127.0.0.１"),
    ],
)
async def test_private_addresses_are_not_connected_to(serving: Front, host: str) -> None:
    """In whatever form they are written."""
    with pytest.raises((AccessDenied, InvalidArgument)):
        await _read(f"http://{host}:{serving.port}/clip.mp4", HttpRules(("*",)))
    assert not serving.requests


async def test_redirects_are_followed(serving: Front) -> None:
    """Relative and absolute ones."""
    for location in ("/clip.mp4", f"{serving.url}/to?/clip.mp4"):
        assert await _read(f"{serving.url}/to?{location}") == DATA[100:150] + DATA


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2/secret",
        "http://localhost/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://u:p@127.0.0.1/",
        "http://[::1",
        "//[",
        "/to?",
    ],
)
async def test_redirects_are_checked(serving: Front, location: str) -> None:
    """Like the URL itself; one that leads to itself ends."""
    target = location if location != "/to?" else "/to?" * 9
    with pytest.raises((AccessDenied, ResourceNotFound)):
        await _read(f"{serving.url}/to?{target}", HttpRules(("127.0.0.1",), private=True))
    assert all(path.startswith("/to") for _, path, _ in serving.requests)


async def test_a_server_that_gives_other_ranges(serving: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes are not taken for those that were asked for."""
    reader = await HttpStorage(ANY, RetryPolicy()).open(f"{serving.url}/clip.mp4")
    handler = serving.handler

    async def from_the_front(request: web.Request) -> web.StreamResponse:
        return await handler(request.clone(headers={**request.headers, "Range": "bytes=0-49"}))

    monkeypatch.setattr(serving, "handler", from_the_front)
    with pytest.raises(AccessDenied, match="different range"):
        await reader.read(100, 50)
    await reader.close()


async def test_a_server_without_ranges(serving: Front, tmp_path: Path) -> None:
    """Its answer is kept in a file that has no name and is gone with the reader; one that breaks off is asked again."""
    serving.faults.append(Fault("short"))
    rules = HttpRules(("*",), private=True, spool=tmp_path / "spool")
    assert await _read(f"{serving.url}/whole/clip.mp4", rules) == DATA[100:150] + DATA
    assert serving.asked("GET") == 2 and not [*(tmp_path / "spool").iterdir()]


@pytest.mark.parametrize("path", ["clip.mp4", "whole/clip.mp4", "endless"])
async def test_what_is_too_large(serving: Front, path: str) -> None:
    """Is not read, even if the server does not tell how large it is."""
    with pytest.raises(MediaLimitExceeded):
        await _read(f"{serving.url}/{path}", HttpRules(("*",), private=True, max_bytes=len(DATA) - 1))


async def test_a_signed_link_is_not_told(serving: Front) -> None:
    """Its query is a secret."""
    with pytest.raises(ResourceNotFound) as caught:
        await _read(f"{serving.url}/nothing.mp4?X-Amz-Signature=abcdef")
    assert "nothing.mp4" in caught.value.message and "abcdef" not in caught.value.message


@pytest.mark.parametrize("path", ["dripping", "silent"])
async def test_a_server_that_gives_drops(serving: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """It is given up after a while, however many drops came, and nothing of them is kept."""
    monkeypatch.setattr(http, "PATIENCE_SECONDS", 0.2)
    rules = HttpRules(("*",), private=True, spool=tmp_path)
    with pytest.raises(StorageUnavailable, match=r"less than 64 KiB a second"):
        await HttpStorage(rules, RetryPolicy()).open(f"{serving.url}/{path}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("Content-Range", f"bytes 0-0/{'9' * 5000}", AccessDenied),  # more digits than Python reads
        ("Content-Range", f"bytes 0-0/{'9' * 17}", MediaLimitExceeded),
        ("Content-Range", f"bytes {'9' * 5000}-0/{len(DATA)}", AccessDenied),
        ("Last-Modified", "Mon, 01 Jan 2020 00:00:99999999999999999999 GMT", None),
    ],
    ids=("digits", "bytes", "start", "date"),
)
async def test_a_server_that_says_odd_things_is_at_fault(
    serving: Front, name: str, value: str, error: type[ReelmillError] | None
) -> None:
    """They ended as defects of the service, which were tried again."""
    query = urlencode({"Content-Range": f"bytes 0-0/{len(DATA)}", name: value})
    with pytest.raises(error or AccessDenied, match=None if error else "different range"):  # all it gives is the first byte
        await _read(f"{serving.url}/odd?{query}")


async def test_a_disk_that_is_full_is_not_the_servers_fault(
    serving: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked for all of the source again and again, and then said not to have responded."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    rules = HttpRules(("*",), private=True, spool=tmp_path)
    with pytest.raises(ServiceUnavailable, match=r"kept on the worker's disk: No space left") as caught:
        await HttpStorage(rules, RetryPolicy()).open(f"{serving.url}/whole/clip.mp4")
    assert caught.value.retryable and serving.asked("GET") == 1
