"""Whose request it is where a proxy stands in front: attempts to log in are counted by that address.

The server believes what a proxy on the same machine says of its visitors in `X-Forwarded-For`; one elsewhere has to be
named by the setting `trusted_proxies`, else all its visitors count as one. What visitors write into that header
themselves counts for nothing: it is read from the right, up to the first address that is no named proxy (uvicorn).
"""

from starlette.middleware import Middleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from echo2ecg_core.settings import settings


def behind_proxies() -> list[Middleware]:
    """What takes the visitor's address from the named proxies; [] where none is named."""
    named = [one.strip() for one in settings().trusted_proxies.split(",") if one.strip()]
    return [Middleware(ProxyHeadersMiddleware, trusted_hosts=named)] if named else []
