"""Read what browsers send to the console, and send them on."""

from urllib.parse import urlsplit

from aiohttp import web

from reelmill_server.api.console import pages, session

_FORM_BYTES = 1 << 20


def go(request: web.Request, place: str) -> web.Response:
    """Have the browser go to a page, also where a script has asked."""
    if "HX-Request" in request.headers:
        return web.Response(headers={"HX-Redirect": place, **pages.HEADERS})
    return web.Response(status=303, headers={"Location": place, **pages.HEADERS})


def return_to(request: web.Request) -> str:
    """Return the page that a request came from."""
    if "HX-Request" in request.headers:
        url = urlsplit(request.headers.get("HX-Current-URL", "/"))
        return session.local_path(f"{url.path}?{url.query}" if url.query else url.path)
    return session.local_path(request.path_qs) if request.method == "GET" else "/"


def check_origin(request: web.Request) -> None:
    """Raise unless a request comes from a page of this server: allowed origins may use the API, not a caller's cookie."""
    origin = request.headers.get("Origin", "")
    if origin and urlsplit(origin).netloc.lower() != request.host.lower():
        raise web.HTTPForbidden


async def form(request: web.Request) -> dict[str, str]:
    """Return the text fields of a form. Raises HTTPException."""
    if request.content_type != "application/x-www-form-urlencoded" or (request.content_length or 0) > _FORM_BYTES:
        raise web.HTTPRequestEntityTooLarge(max_size=_FORM_BYTES, actual_size=request.content_length or 0)
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
