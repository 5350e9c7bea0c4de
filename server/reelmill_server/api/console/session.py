"""Who looks: the token that a caller has given, in a cookie that no script reads and no other site sends."""

from aiohttp import web

COOKIE = "reelmill_token"
_MOST_CHARACTERS = 4000  # of a cookie in browsers
_HOURS = 12


def token_of(request: web.Request) -> str:
    """Return the token of whoever makes a request; "" if there is none."""
    token = request.cookies.get(COOKIE, "")
    return token if is_token(token) else ""


def is_token(text: str) -> bool:
    """Return whether a text can be a token: what a header takes."""
    return 0 < len(text) <= _MOST_CHARACTERS and text.isascii() and text.isprintable() and not set(text) & set(' ";,\\')


def keep(response: web.StreamResponse, request: web.Request, token: str) -> None:
    """Have the browser send a token with its next requests to this server."""
    response.set_cookie(
        COOKIE, token, max_age=_HOURS * 3600, path="/", httponly=True, samesite="Strict", secure=request.scheme == "https"
    )


def forget(response: web.StreamResponse) -> None:
    """Have the browser send no token any more."""
    response.del_cookie(COOKIE, path="/")


def local_path(text: str) -> str:
    """Return where to go after a login: a path of this server, else the first page."""
    ours = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() and "\\" not in text
    return text if ours else "/"
