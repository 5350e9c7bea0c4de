"""Requests that a proxy passes on: what it says of them counts if it is trusted, and only then."""

import ipaddress
from typing import Any

import aiohttp
import pytest

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill_server.api.caller import peer
from reelmill_server.api.http.forwarded import Network, Proxies
from reelmill_server.api.http.guard import Guard
from tests.fronts import Pretended, pretended_front, serving

GET = "/reelmill.v1.MediaConvertService/GetTask"
QUERY = {"ProjectName": "p", "TaskId": "t"}
PAGE = "https://media.example.com"
TOLD = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "media.example.com", "X-Forwarded-For": "203.0.113.7"}
HERE, ELSEWHERE = ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.0.0.0/8")


class Remembers(Pretended):
    """Remembers where calls came from."""

    def __init__(self) -> None:
        self.peers: list[str] = []

    async def GetTask(self, request: pb.GetTaskRequest, context: Any) -> pb.GetTaskResponse:
        """Note the caller."""
        self.peers.append(peer())
        return await super().GetTask(request, context)


async def answered(trusted: tuple[Network, ...], headers: dict[str, str]) -> tuple[int, str | None, str]:
    """Status, what a page may read, and the peer of a call from a page of `PAGE`."""
    service, proxies = Remembers(), Proxies(trusted)
    guard = Guard("0.0.0.0", ("media.example.com",), ())
    async with (
        serving(pretended_front(service=service), guard, proxies=proxies) as url,
        aiohttp.ClientSession() as session,
        session.post(f"{url}{GET}", json=QUERY, headers={"Origin": PAGE} | headers) as response,
    ):
        await response.read()
        return response.status, response.headers.get("Access-Control-Allow-Origin"), (service.peers or [""])[0]


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        (TOLD, "ipv4:203.0.113.7:0"),
        ({**TOLD, "X-Forwarded-For": "6.6.6.6, 2001:db8::1, 127.0.0.9"}, "ipv6:[2001:db8::1]:0"),
        ({**TOLD, "X-Forwarded-Proto": "http, https", "X-Forwarded-Host": "evil, media.example.com"}, "ipv4:203.0.113.7:0"),
        ({"Host": "media.example.com", "X-Forwarded-Proto": "HTTPS", "X-Forwarded-For": "unknown"}, "ipv4:127.0.0.1:"),
    ],
)
async def test_a_trusted_proxy_ends_tls(headers: dict[str, str], caller: str) -> None:
    """Pages of the server itself may call through it; a caller is who the nearest trusted proxy has seen."""
    status, origin, result = await answered((ELSEWHERE, HERE), headers)
    assert (status, origin) == (200, PAGE) and result.startswith(caller)


@pytest.mark.parametrize(
    ("trusted", "headers"),
    [
        ((ELSEWHERE,), {**TOLD, "Host": "media.example.com"}),
        ((), {**TOLD, "Host": "media.example.com"}),
        ((HERE,), {**TOLD, "X-Forwarded-Proto": "ftp"}),
        ((HERE,), {**TOLD, "X-Forwarded-Host": "evil.example.com"}),
        ((HERE,), {"Host": "media.example.com"}),
    ],
)
async def test_others_may_say_what_they_like(trusted: tuple[Network, ...], headers: dict[str, str]) -> None:
    """What comes from elsewhere, or makes no sense, is taken as it came: by plain HTTP, so that the page is foreign."""
    assert await answered(trusted, headers) == (403, None, "")


async def test_callers_behind_nobody_keep_their_address() -> None:
    """Though they name another."""
    headers = {"Origin": "http://media.example.com", "Host": "media.example.com", "X-Forwarded-For": "6.6.6.6"}
    status, _, result = await answered((), headers)
    assert status == 200 and result.startswith("ipv4:127.0.0.1:")
