"""How a browser says who looks: a header, or a cookie that the login form sets.

The cookie holds the token itself, out of reach of scripts, and is sent to this place only: so any
replica knows it, and nothing is kept here.
"""

import re
from urllib.parse import urlsplit

from aiohttp import web

from streammonitor_operator.wall.access import MAX_TOKEN

COOKIE = "streammonitor-wall"
MAX_FORM_BYTES = 16 * 1024
INSECURE = (
    "The wall takes tokens over HTTPS or at localhost only: here, whoever listens could read them. "
    "Use kubectl port-forward, or an Ingress with TLS."
)
_LOCAL = re.compile(r"(localhost|.*\.localhost|127(\.[0-9]{1,3}){3}|\[::1\])")
_INSIDE = re.compile(r"/[A-Za-z0-9/._~?&=%*+-]*")


def token_of(request: web.Request) -> str:
    """The token that a request carries; empty without one. A proxy's header wins."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return request.cookies.get(COOKIE, "")


def is_private(request: web.Request) -> bool:
    """Whether nobody else can read what a browser sends: TLS in front, or the same machine."""
    return _is_tls(request) or is_local(request)


def is_local(request: web.Request) -> bool:
    """Whether the browser asks for this machine: a port-forward."""
    host = urlsplit(f"//{request.host}")
    name = request.host.rpartition(":")[0] if host.port else request.host
    return bool(_LOCAL.fullmatch(name))


def _is_tls(request: web.Request) -> bool:
    return request.headers.get("X-Forwarded-Proto", request.scheme).split(",")[0].strip() == "https"


def is_own_form(request: web.Request) -> bool:
    """Whether a form was sent from a page of this place (CSRF, CWE-352)."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def inside(path: str) -> str:
    """Where to go after the login: a path of this place, else the wall."""
    return path if _INSIDE.fullmatch(path) and not path.startswith("//") else "/"


def keep(response: web.Response, request: web.Request, token: str) -> None:
    """Have the browser send the token from now on, until it is closed."""
    response.set_cookie(
        COOKIE,
        token,
        httponly=True,
        samesite="Strict",
        secure=_is_tls(request),
        path="/",
    )


def forget(response: web.Response) -> None:
    """Have the browser forget the token."""
    response.del_cookie(COOKIE, httponly=True, samesite="Strict", path="/")


def fits(token: str) -> bool:
    """Whether a browser keeps a cookie of that length."""
    return len(token) <= MAX_TOKEN
