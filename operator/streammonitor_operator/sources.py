"""Where lists of streams are read from: a key of a ConfigMap, or an HTTP endpoint.

An endpoint is asked from inside the cluster on behalf of whoever may write a StreamMonitor. So the
platform team says which hosts may be asked; redirects are not followed, and neither the size of an
answer nor the time that it takes is up to the endpoint.
"""

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from streammonitor_api.streams_from import ConfigMapStreams, HttpStreams, StreamsFrom
from streammonitor_operator.entries import Entries, ListError, read_list
from streammonitor_operator.kube import CONFIG_MAPS, Kube, KubeError, Rejected

MAX_BYTES = 1024 * 1024
TIMEOUT_S = 10.0
CONFIG_MAP_INTERVAL_S = 10.0
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}
_CHUNK = 64 * 1024
_AT_ONCE = 16 * 1024
"""So many characters are parsed without going to another thread."""


class SourceError(Exception):
    """A list could not be had; the text is a sentence without its full stop."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A list as it was read."""

    entries: Entries = field(repr=False)
    version: str
    """Two answers of one source with the same version are the same."""
    tag: str = ""
    """What to ask an HTTP endpoint with for what is newer."""


class Sources:
    """Reads lists of streams.

    Args:
        kube: the API.
        session: for HTTP; without one, nothing is asked.
        allowed_hosts: the hosts that may be asked: "host" with any port, "host:port", or
            "*.domain" for every host below a domain.
    """

    def __init__(
        self,
        kube: Kube,
        session: aiohttp.ClientSession | None = None,
        allowed_hosts: Iterable[str] = (),
    ) -> None:
        self._kube = kube
        self._session = session
        self._allowed = [host.lower() for host in allowed_hosts]

    async def read(self, namespace: str, source: StreamsFrom, last: Answer | None) -> Answer:
        """Read the list; `last` itself if nothing is newer.

        Raises:
            SourceError: there is no list to be had; says why, and the remedy.
        """
        if source.config_map is not None:
            return await self._config_map(namespace, source.config_map, last)
        if source.http is None:
            raise SourceError("streamsFrom names no source: set configMap or http")
        return await self._http(source.http, last)

    async def _config_map(
        self, namespace: str, source: ConfigMapStreams, last: Answer | None
    ) -> Answer:
        what = f"ConfigMap {source.name}"
        try:
            manifest = await self._kube.get(CONFIG_MAPS, namespace, source.name)
        except KubeError as error:
            if isinstance(error, Rejected) and error.missing:
                raise SourceError(f"{what} does not exist: create it") from None
            raise SourceError(f"{what} could not be read: {error}") from None
        version = f"{manifest['metadata']['uid']}/{manifest['metadata']['resourceVersion']}"
        if last is not None and last.version == version:
            return last
        text = (manifest.get("data") or {}).get(source.key)
        if text is None:
            raise SourceError(f"{what} has no key {source.key} in its data: add it")
        return Answer(await _parse(f"{what}, key {source.key},", text, allow_yaml=True), version)

    async def _http(self, source: HttpStreams, last: Answer | None) -> Answer:
        try:
            url = URL(source.url)
        except ValueError:
            raise SourceError("streamsFrom.http.url is no URL: correct it") from None
        what = f"{url.scheme}://{url.authority}{url.raw_path}"
        session = self._checked(url)
        headers = dict(_HEADERS)
        if last is not None and last.tag:
            headers["If-None-Match"] = last.tag
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._ask(session, url, what, headers, last)
        except TimeoutError:
            raise SourceError(f"{what} did not answer within {TIMEOUT_S:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise SourceError(f"{what} could not be asked: {_cause(error)}") from None

    def _checked(self, url: URL) -> aiohttp.ClientSession:
        """The session, if this host may be asked."""
        host = (url.host or "").lower()
        remedy = "the platform team sets discovery.allowedHosts of the operator's chart"
        if self._session is None or not self._allowed:
            raise SourceError(f"lists over HTTP are switched off here: {remedy}")
        if url.user is not None or url.scheme not in ("http", "https"):
            raise SourceError(
                "streamsFrom.http.url is no http or https URL without user: correct it"
            )
        if not any(_matches(allowed, host, url.port) for allowed in self._allowed):
            raise SourceError(f"host {host} may not be asked for a list: {remedy}")
        return self._session

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        url: URL,
        what: str,
        headers: dict[str, str],
        last: Answer | None,
    ) -> Answer:
        async with session.get(url, headers=headers, allow_redirects=False) as response:
            if response.status == 304 and last is not None:
                return last
            if 300 <= response.status < 400:
                raise SourceError(
                    f"{what} answers with a redirect ({response.status}), and redirects are not "
                    f"followed: name the final URL"
                )
            if response.status != 200:
                raise SourceError(f"{what} answers with status {response.status} instead of 200")
            body = await _bounded(response, what)
            tag = response.headers.get("ETag", "")
        version = hashlib.sha256(body).hexdigest()
        if last is not None and last.version == version:
            return Answer(last.entries, version, tag)
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise SourceError(f"{what} is not readable as JSON (no UTF-8): correct it") from None
        return Answer(await _parse(what, text, allow_yaml=False), version, tag)


async def _bounded(response: aiohttp.ClientResponse, what: str) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > MAX_BYTES:
            raise SourceError(f"{what} answers with more than 1 MiB: split the list")
    return bytes(body)


async def _parse(what: str, text: str, *, allow_yaml: bool) -> Entries:
    try:
        if len(text) <= _AT_ONCE:
            return read_list(text, allow_yaml=allow_yaml)
        # A mebibyte of YAML takes seconds, in which the Lease must be renewed.
        return await asyncio.to_thread(read_list, text, allow_yaml=allow_yaml)
    except ListError as error:
        raise SourceError(f"{what} {error}") from None


def _matches(allowed: str, host: str, port: int | None) -> bool:
    names = (host, f"{host}:{port}")
    if allowed.startswith("*."):
        return any(name.endswith(allowed[1:]) for name in names)
    return allowed in names


def _cause(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:200]
