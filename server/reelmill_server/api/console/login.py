"""The page that asks for a token, and what keeps or forgets one."""

from aiohttp import web

from reelmill_server.api.console import pages, session
from reelmill_server.api.console.browser import check_origin, form
from reelmill_server.api.console.calls import Calls


class Login:
    """Asks callers who they are."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Return the page that asks for a token."""
        return self._page(session.local_path(request.query.get("next", "/")))

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        """Keep a token, if it is one of a caller."""
        check_origin(request)
        fields = await form(request)
        token, then = fields.get("token", "").strip(), session.local_path(fields.get("next", "/"))
        if not session.is_token(token) or not await self._calls.is_known(request, token):
            return self._page(then, "This key or token is not valid.", 401)
        response = web.Response(status=303, headers={"Location": then, **pages.HEADERS})
        session.keep(response, request, token)
        return response

    async def log_out(self, request: web.Request) -> web.StreamResponse:
        """Forget a token."""
        check_origin(request)
        response = web.Response(status=303, headers={"Location": "/console/login", **pages.HEADERS})
        session.forget(response)
        return response

    def _page(self, then: str, problem: str = "", status: int = 200) -> web.Response:
        return pages.respond("login.html", status, then=then, problem=problem, asks=False)
