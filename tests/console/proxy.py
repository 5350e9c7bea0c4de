"""A proxy that ends TLS before a service, as ingresses do."""

import ssl
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.certificates import Authority
from tests.stores import Front

_OURS = ("Host", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto")
_HOPS = ("Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length")


class Proxy(Front):
    """Passes requests for https://localhost:PORT on to `upstream`, and says how they came."""

    def __init__(self, upstream: str, folder: Path) -> None:
        super().__init__(self._pass_on)
        self._upstream = upstream
        key, certificate = Authority().issue("localhost")
        (folder / "proxy.pem").write_bytes(key + certificate)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(folder / "proxy.pem")

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name not in (*_OURS, *_HOPS)}
        headers |= {"X-Forwarded-For": request.remote or "", "X-Forwarded-Host": request.host, "X-Forwarded-Proto": "https"}
        body = await request.read()
        timeout = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(auto_decompress=False, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(
                request.method, self._upstream + request.raw_path, headers=headers, data=body, allow_redirects=False
            ) as reply,
        ):
            response = web.StreamResponse(status=reply.status)
            for name, value in reply.headers.items():
                if name not in _HOPS:
                    response.headers.add(name, value)
            await response.prepare(request)
            async for piece in reply.content.iter_any():
                await response.write(piece)
            return response
