"""The wall's files, as they are in the package, and what a browser is told with each answer."""

import gzip
import hashlib
import html
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from aiohttp import web

_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    # Nothing from elsewhere, nothing inline, no frames, forms only to here.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True)
class Asset:
    """A file that everybody may have: nothing of anybody's streams is in it."""

    body: bytes
    packed: bytes
    kind: str
    tag: str

    def answer(self, request: web.Request) -> web.Response:
        """The file, or that the browser has it already."""
        headers = {"ETag": self.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("If-None-Match") == self.tag:
            return web.Response(status=304, headers=headers)
        body = self.body
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            body = self.packed
        return web.Response(body=body, content_type=self.kind, charset="utf-8", headers=headers)


@cache
def assets() -> dict[str, Asset]:
    """Every static file by its name."""
    found = {}
    for path in files(__package__).joinpath("static").iterdir():
        kind = _KINDS.get(path.name[path.name.rfind(".") :])
        if kind is not None:
            body = path.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            found[path.name] = Asset(body, gzip.compress(body, 9, mtime=0), kind, tag)
    return found


@cache
def _page(name: str) -> str:
    return files(__package__).joinpath("static").joinpath(f"{name}.html").read_text()


def page(name: str, status: int = 200, **fields: str) -> web.Response:
    """A page, its `{{fields}}` filled in."""
    text = _page(name)
    for field, value in fields.items():
        text = text.replace(f"{{{{{field}}}}}", html.escape(value))
    return web.Response(status=status, text=text, content_type="text/html")


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Put on every answer what a browser must know."""
    del request
    for name, value in _HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
