"""HTML of the console, from templates that escape every value, and the headers of every page."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from reelmill_server.api.console import text
from reelmill_server.api.console.task_files import player_of

POLICY = (
    "default-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Of every page: nothing inline and nothing from elsewhere. hls.js hands segments to the player as blob:."""
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers would send the origin of forms as null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STATIC: Mapping[str, str] = {
    "console.css": "text/css",
    "icon.svg": "image/svg+xml",
    "console.js": "text/javascript",
    "console-play.js": "text/javascript",
    "dash-5.2.1.min.js": "text/javascript",
    "htmx-2.0.11.min.js": "text/javascript",
    "htmx-ext-sse-2.2.4.min.js": "text/javascript",
    "hls-1.7.4.min.js": "text/javascript",
}
_FILTERS = "size rate span speed number moment took word state name_of listed tags percent".split()


@lru_cache(1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reelmill_server.api.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(text, name) for name in _FILTERS}
    environment.filters["player_of"] = player_of
    return environment


def render(template: str, **values: Any) -> str:
    """Return the HTML of a template."""
    return _environment().get_template(template).render(**values)


def respond(template: str, status: int = 200, **values: Any) -> web.Response:
    """Return a response with the HTML of a template."""
    return web.Response(text=render(template, **values), status=status, content_type="text/html", headers=HEADERS)


@lru_cache(len(STATIC))
def _content(name: str) -> bytes:
    return files("reelmill_server.api.console").joinpath("static", name).read_bytes()


async def static(request: web.Request) -> web.Response:
    """Return a file of this package that pages use. The names of others' files hold their versions."""
    name = request.match_info["name"]
    if name not in STATIC:
        raise web.HTTPNotFound
    age = "no-cache" if name.startswith(("console", "icon")) else "public, max-age=604800"
    headers = {"Cache-Control": age, "Cross-Origin-Resource-Policy": "same-origin"}
    return web.Response(body=_content(name), content_type=STATIC[name], charset="utf-8", headers=headers)
