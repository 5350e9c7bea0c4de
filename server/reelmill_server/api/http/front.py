"""The routes of the HTTP front: each RPC at its path, in whichever protocol the request is."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from aiohttp import web
from google.protobuf.message import Message

from reelmill_server.api.http import connect, events
from reelmill_server.api.http.body import Bodies
from reelmill_server.api.http.calls import answer_framed, answer_single
from reelmill_server.api.http.context import HttpContext
from reelmill_server.api.http.descriptors import descriptor_set
from reelmill_server.api.http.dialects import Framed, Single
from reelmill_server.api.http.grpc_web import grpc_web
from reelmill_server.api.http.methods import Method, methods
from reelmill_server.api.http.queries import message_of_fields
from reelmill_server.api.http.vendor import Vendor, is_call
from reelmill_server.api.interceptor import CallInterceptor
from reelmill_server.api.services import Services

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _nothing(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


async def _descriptors(_: web.Request) -> web.StreamResponse:
    return web.Response(body=descriptor_set(), content_type="application/x-protobuf")


class Front:
    """The RPCs over HTTP, through the interceptor that gRPC's calls pass, too."""

    def __init__(self, services: Services, interceptor: CallInterceptor) -> None:
        self.methods: Mapping[str, Method] = methods(services, interceptor)
        self._bodies = Bodies()
        self._vendor = Vendor(self.methods, self._bodies.read)
        self.index: Handler = _nothing
        """Handler of GET at the root, unless it is a call of the vendor's."""

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes of all RPCs."""
        for method in self.methods.values():
            router.add_post(method.path, partial(self._post, method))
            if method.safe:
                router.add_get(method.path, partial(self._get, method), allow_head=False)
        router.add_get("/descriptor.binpb", _descriptors)
        router.add_post("/", self._vendor.handle)
        router.add_get("/", self._root)

    async def _root(self, request: web.Request) -> web.StreamResponse:
        return await (self._vendor.handle if is_call(request) else self.index)(request)

    async def _post(self, method: Method, request: web.Request) -> web.StreamResponse:
        kind, headers = request.content_type, request.headers
        framed: Framed | None = grpc_web(kind, headers) or (connect.stream(kind, headers) if method.streams else None)
        if framed is None and method.streams and connect.is_plain(kind) and _takes_events(request):
            framed = events.Events(headers)
        single = None if framed is not None or method.streams else connect.unary(kind, headers)
        dialect = framed or single
        if dialect is None:
            return _refused(method)

        async def read() -> Message:
            return dialect.codec.read(method, dialect.read(await self._bodies.read(request)))

        return await _answer(request, method, single, framed, read)

    async def _get(self, method: Method, request: web.Request) -> web.StreamResponse:
        if method.streams and not _takes_events(request):
            return _refused(method)
        codec = connect.codec_of_query(request.query)
        framed = events.Events(request.headers) if method.streams else None
        single = None if method.streams else connect.ConnectUnary(codec, request.headers)

        async def read() -> Message:
            data = connect.message_of_query(request.query)
            return codec.read(method, data) if data is not None else message_of_fields(method, request.query)

        response = await _answer(request, method, single, framed, read)
        if not response.prepared:
            response.headers["Cache-Control"] = "no-store"
        return response


async def _answer(
    request: web.Request, method: Method, single: Single | None, framed: Framed | None, read: Callable[[], Awaitable[Message]]
) -> web.StreamResponse:
    context = HttpContext(request)
    if single is not None:
        return await answer_single(request, method, single, read, context)
    assert framed is not None
    return await answer_framed(request, method, framed, read, context)


def _takes_events(request: web.Request) -> bool:
    """Return whether a request is one for Server-Sent Events: those that take anything are."""
    accepted = request.headers.get("Accept", "*/*")
    return events.TYPE in accepted or "*/*" in accepted


def _refused(method: Method) -> web.Response:
    form = f"ask with `Accept: {events.TYPE}`" if method.streams else "send application/json"
    return web.json_response(
        {"code": "unimplemented", "message": f"{method.name}: {form}, or use Connect or gRPC-Web"}, status=415
    )
