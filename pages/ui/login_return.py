"""After a login by OIDC the browser is on the page again on which it began.

Streamlit sends everybody to the root address. Here the page is read from the request that starts the login (the browser
names where it comes from), kept in a cookie of ten minutes and put into the last redirect. Only names in `ADMIN_PAGES`
count, so no visitor can be sent anywhere else.
"""

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request

ADMIN_PAGES = ("import", "training", "models", "admin")  # addresses of the pages behind the gate
COOKIE, LASTS_S = "echo2ecg_login_page", 600


class ReturnToPage:
    """ASGI middleware round Streamlit's login and callback routes; everything else passes untouched."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        """Pass the request on and, on the two routes of a login, mend the answer's headers."""
        route = scope.get("path", "").rstrip("/") if scope["type"] == "http" else ""
        if not route.endswith(("/auth/login", "/oauth2callback")):
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        begins = route.endswith("/auth/login")
        page = _page_of(request.headers.get("referer", "")) if begins else request.cookies.get(COOKIE)
        secure = "; Secure" if request.url.scheme == "https" else ""

        async def mended(message) -> None:
            if message["type"] == "http.response.start" and page in ADMIN_PAGES:
                headers = MutableHeaders(scope=message)
                if not begins and headers.get("location", "").endswith("/"):
                    headers["location"] += page
                headers.append(
                    "set-cookie",
                    f"{COOKIE}={page}; Path=/; HttpOnly; SameSite=Lax; Max-Age={LASTS_S if begins else 0}{secure}",
                )
            await send(message)

        await self.app(scope, receive, mended)


def _page_of(address: str) -> str:
    """Last part of an address's path; "" for what is no address."""
    try:
        return urlsplit(address).path.rpartition("/")[2]
    except ValueError:
        return ""
