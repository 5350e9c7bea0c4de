"""Object stores and web servers for tests, each behind a front that can inject faults.

The stores are real ones that run in this process: moto for S3, gcp-storage-emulator for Google Cloud Storage.
"""

import asyncio
import base64
import hashlib
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import botocore.session
from aiohttp import web
from botocore.config import Config
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KEYS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "not-a-secret-but-looks-like-one"}


@dataclass
class Fault:
    """What goes wrong with the next requests that fit; `holds` is in their path or in what they send; `times` 0: for ever.

    `kind` is an HTTP status, cut (before anything is done), lost (the answer, after it is done), short, slow, or damaged (what
    is sent).
    """

    kind: str
    method: str = "GET"
    times: int = 1
    holds: str = ""
    seen: int = 0

    async def fits(self, request: web.Request) -> bool:
        """Whether it strikes now; counts."""
        fits = request.method == self.method and (not self.times or self.seen < self.times)
        if self.holds:
            fits = fits and (self.holds in request.path_qs or self.holds.encode() in await request.read())
        self.seen += fits
        return fits


@dataclass
class Front:
    """A server on a free port, in a thread: `handler` answers, unless a fault strikes first.

    `requests` are methods, paths and headers of what came, `bodies` methods, paths and bodies of forms.
    """

    handler: Handler
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    bodies: list[tuple[str, str, str]] = field(default_factory=list)
    port: int = 0
    context: ssl.SSLContext | None = None
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def start(self) -> "Front":
        """Serves until the process ends."""
        ready = threading.Event()

        async def serve() -> None:
            app = web.Application(client_max_size=1 << 30)
            app.router.add_route("*", "/{tail:.*}", self._answer)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self.context)
            await site.start()
            self.port = runner.addresses[0][1]
            ready.set()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            self._loop.run_until_complete(serve())
            self._loop.run_forever()

        threading.Thread(target=run, daemon=True).start()
        assert ready.wait(10)
        return self

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def reset(self) -> None:
        """Nothing goes wrong any more, nothing was asked."""
        self.faults.clear()
        self.requests.clear()
        self.bodies.clear()

    def asked(self, method: str) -> int:
        """How many requests of this method came."""
        return sum(one == method for one, _, _ in self.requests)

    async def _fault(self, request: web.Request) -> Fault | None:
        for fault in self.faults:
            if await fault.fits(request):
                return fault
        return None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs, dict(request.headers)))
        if request.content_type == "application/x-www-form-urlencoded":
            self.bodies.append((request.method, request.path_qs, await request.text()))
        fault = await self._fault(request)
        if fault is None:
            return await self.handler(request)
        if fault.kind == "damaged":
            request._read_bytes = (await request.read())[:-1] + b"?"
            return await self.handler(request)
        if fault.kind.isdigit():
            await request.read()
            return web.Response(status=int(fault.kind), text="fault")
        if fault.kind == "slow":
            await asyncio.sleep(2)
        if fault.kind == "cut":
            assert request.transport
            request.transport.abort()
            return web.Response()
        answer = await self.handler(request)
        assert isinstance(answer, web.Response) and isinstance(answer.body, bytes)
        if fault.kind == "short":
            half = web.StreamResponse(status=answer.status, headers=answer.headers)
            half.content_length = len(answer.body)
            await half.prepare(request)
            await half.write(answer.body[: len(answer.body) // 2])
        if fault.kind in ("short", "lost") and request.transport:
            request.transport.abort()
        return answer


def forward(upstream: str, check: Callable[[web.Request, str], Awaitable[tuple[str, web.Response | None]]]) -> Handler:
    """Passes requests on; `check` gives the path to ask for, or the answer itself."""

    async def handle(request: web.Request) -> web.Response:
        path, answer = await check(request, upstream)
        if answer is not None:
            return answer
        left_out = {"Expect", "Accept-Encoding"} | ({"Host"} if check is as_oss else set())
        headers = {name: value for name, value in request.headers.items() if name not in left_out}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method,
                upstream + path,
                headers=headers,
                data=await request.read() or None,
                allow_redirects=False,
                skip_auto_headers=("Content-Type",),
            ) as reply,
        ):
            body = await reply.read()
            kept = {
                name: value
                for name, value in reply.headers.items()
                if name not in ("Transfer-Encoding", "Connection", "Date", "Server")
            }
            if request.method != "HEAD":
                kept.pop("Content-Length", None)
            return web.Response(status=reply.status, body=body, headers=kept)

    return handle


async def as_s3(request: web.Request, _: str) -> tuple[str, web.Response | None]:
    """S3 with paths; compares checksums, which moto leaves out."""
    wanted = request.headers.get("Content-MD5")
    if request.method == "PUT" and (not wanted or base64.b64decode(wanted) != hashlib.md5(await request.read()).digest()):
        return "", _s3_error(400, "BadDigest")
    return request.raw_path, None


def _s3_error(status: int, code: str) -> web.Response:
    return web.Response(status=status, text=f"<Error><Code>{code}</Code></Error>", content_type="application/xml")


async def as_oss(request: web.Request, upstream: str) -> tuple[str, web.Response | None]:
    """What Alibaba's OSS wants: the bucket in the host's name, and no chunks signed one by one."""
    bucket, _, domain = request.host.partition(".")
    chunked = "aws-chunked" in request.headers.get("Content-Encoding", "")
    if not domain.startswith("oss.test") or chunked:
        return "", _s3_error(403, "InvalidArgument" if chunked else "SecondLevelDomainForbidden")
    path, answer = await as_s3(request, upstream)
    return f"/{bucket}{path}", answer


async def as_gcs(request: web.Request, upstream: str) -> tuple[str, web.Response | None]:
    """Preconditions on generations, which the emulator leaves out."""
    wanted = request.query.get("ifGenerationMatch")
    if wanted:
        path = request.raw_path.partition("?")[0].replace("/download/", "/")
        async with aiohttp.ClientSession() as session, session.get(upstream + path) as reply:
            if reply.status == 200 and (await reply.json())["generation"] != wanted:
                return "", web.json_response({"error": {"code": 412, "message": "conditionNotMet"}}, status=412)
    return request.raw_path, None


def web_files(files: dict[str, bytes], versions: dict[str, int]) -> Handler:
    """A web server of `files`, with ranges and tags; paths below /whole/ are given without ranges."""

    async def handle(request: web.Request) -> web.Response:
        whole = request.path.startswith("/whole/")
        name = request.path.removeprefix("/whole/").removeprefix("/")
        if name not in files:
            return web.Response(status=404)
        data, tag = files[name], f'"{name}-{versions.get(name, 0)}"'
        headers = {"ETag": tag, "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}
        if request.headers.get("If-Match", tag) != tag:
            return web.Response(status=412, headers=headers)
        if whole or "Range" not in request.headers:
            return web.Response(body=data, headers=headers)
        start, _, end = request.headers["Range"].removeprefix("bytes=").partition("-")
        if int(start) >= len(data):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
        stop = min(int(end) + 1, len(data)) if end else len(data)
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        return web.Response(status=206, body=data[int(start) : stop], headers=headers)

    return handle


class Moto:
    """S3 and its token service."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer  # not at the top: the media tests of images have the servers above only

        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        session = botocore.session.Session()
        session.set_credentials(*KEYS.values())
        config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
        self.client: Any = session.create_client("s3", region_name="us-east-1", endpoint_url=self.url, config=config)

    def bucket(self, name: str) -> None:
        """Make a bucket, or empty the one that there is."""
        if name in (bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]):
            self.empty(name)
        else:
            self.client.create_bucket(Bucket=name)

    def empty(self, bucket: str) -> None:
        """Removes all objects of a bucket, and uploads to it."""
        for entry in self.client.list_objects_v2(Bucket=bucket).get("Contents", []):
            self.client.delete_object(Bucket=bucket, Key=entry["Key"])
        for entry in self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
            self.client.abort_multipart_upload(Bucket=bucket, Key=entry["Key"], UploadId=entry["UploadId"])

    def stop(self) -> None:
        """Ends it."""
        self._server.stop()


class GcsEmulator:
    """Google Cloud Storage."""

    def __init__(self) -> None:
        from gcp_storage_emulator.server import create_server

        self._server = create_server("127.0.0.1", 0, in_memory=True)
        self._server.start()
        address = self._server._api._httpd.server_address
        self.url = f"http://127.0.0.1:{address[1]}"
        self.client = storage.Client(
            project="test", credentials=AnonymousCredentials(), client_options={"api_endpoint": self.url}
        )

    def bucket(self, name: str) -> storage.Bucket:
        """Make a bucket, or empty the one that there is."""
        result = self.client.lookup_bucket(name)
        if result is None:
            return self.client.create_bucket(name)
        self.empty(name)
        return result

    def empty(self, bucket: str) -> None:
        """Removes all objects of a bucket."""
        for blob in self.client.list_blobs(bucket):
            blob.delete()

    def stop(self) -> None:
        """Ends it."""
        self._server.stop()
