"""The Kubernetes API with the credentials of `kubernetes.aio`, the official client.

Bodies stay plain dicts. The generated model classes would cost a conversion each way and make
absent and null fields the same, which server-side apply must tell apart. Requests go straight to
aiohttp: the client's own way there looks for a .netrc, in a thread, before each of them.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from kubernetes.aio import client, config
from yarl import URL

from streammonitor_api import names
from streammonitor_operator.kube import NAMESPACE_ENDING, Manifest, Rejected, Resource, Unreachable
from streammonitor_operator.metrics import API_REQUESTS, API_SECONDS

REQUEST_TIMEOUT_S = 10.0
WATCH_SERVER_TIMEOUT_S = 45
"""The server ends a watch after this long; it then goes on from where it was."""
WATCH_SILENCE_S = 60.0
"""A watch on which nothing arrives for longer than the server would let it live is dead."""
AT_ONCE = 64
"""So many requests are under way at any moment. The others wait, and their time does not run."""
_config: Any = config  # it is typed as far as it is generated, and this part is not
_TIMEOUT = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
_LONGEST_LINE = 2**21
"""A line of a watch is a whole object; etcd takes 1.5 MiB."""
_PAGE = 500
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_NETWORK_ERRORS = (aiohttp.ClientError, asyncio.TimeoutError, OSError)


def _allowed() -> None:
    """The default guard: writes are always allowed."""


async def load_configuration(context: str | None = None) -> client.Configuration:
    """Credentials of the pod's service account, or of the kubeconfig outside a cluster.

    Args:
        context: The kubeconfig's context to use; None: its current one.

    Raises:
        Unreachable: There is no usable kubeconfig, or no such context.
    """
    configuration = client.Configuration()
    try:
        if context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            _config.load_incluster_config(client_configuration=configuration)
        else:
            await _config.load_kube_config(context=context, client_configuration=configuration)
    except _config.ConfigException as error:
        raise Unreachable(str(error)) from error
    configuration.proxy = configuration.proxy or _proxy(configuration.host)
    return configuration


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a URL."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


class KubeClient:
    """`Kube` over HTTP.

    `guard` is called before every write and raises when this process may not write any more.
    """

    def __init__(
        self, configuration: client.Configuration, *, guard: Callable[[], None] = _allowed
    ) -> None:
        self._configuration = configuration
        self._guard = guard
        self._api: Any = client.ApiClient(configuration)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._api.rest_client.ssl_context),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=configuration.proxy or None,
            read_bufsize=_LONGEST_LINE,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
        await self._api.close()

    async def serves(self, resource: Resource) -> bool:
        """Whether the cluster knows a kind of object."""
        try:
            answer = await self._call("GET", resource, f"/apis/{resource.api_version}")
        except Rejected as error:
            if error.missing:
                return False
            raise
        return any(one["name"] == resource.plural for one in answer.get("resources", []))

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest:
        """Read one object."""
        return await self._call("GET", resource, resource.path(namespace, name))

    async def list_all(self, resource: Resource, namespace: str, selector: str) -> Manifest:
        """Read the objects with certain labels, page by page."""
        path, token = resource.path(namespace), ""
        items: list[Manifest] = []
        while True:
            query = {"labelSelector": selector, "limit": str(_PAGE)}
            if token:
                query["continue"] = token
            page = await self._call("GET", resource, path, query=query)
            items += page.get("items") or []
            token = page["metadata"].get("continue", "")
            if not token:
                return {"metadata": page["metadata"], "items": items}

    async def watch(
        self, resource: Resource, namespace: str, selector: str, resource_version: str
    ) -> AsyncIterator[Manifest]:
        """Yield watch events until the server or silence ends the stream.

        Raises:
            Rejected: the API refused, or ended the stream with an error (410: list again).
            Unreachable: the connection broke or was silent for too long.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": selector,
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_SERVER_TIMEOUT_S),
        }
        timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=WATCH_SILENCE_S)
        path = resource.path(namespace)
        response = await self._send("GET", resource, path, query=query, timeout=timeout)
        try:
            while line := await response.content.readline():
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise _rejected(event["object"].get("code", 500), event["object"])
                yield event
        except _NETWORK_ERRORS as error:
            raise Unreachable(f"watch of {resource.plural}: {error!r}") from error
        finally:
            response.close()

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Create an object; a conflict if it is there already."""
        path = resource.path(manifest["metadata"]["namespace"])
        query = {"fieldManager": names.FIELD_MANAGER}
        return await self._call("POST", resource, path, query=query, body=manifest)

    async def apply(
        self, resource: Resource, manifest: Manifest, *, subresource: str = ""
    ) -> Manifest:
        """Server-side apply, taking over fields that others own."""
        metadata = manifest["metadata"]
        path = resource.path(metadata["namespace"], metadata["name"], subresource)
        query = {"fieldManager": names.FIELD_MANAGER, "force": "true"}
        return await self._call(
            "PATCH", resource, path, query=query, body=manifest, content_type=_APPLY
        )

    async def replace(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Write an object whole; a conflict unless its resourceVersion is the newest."""
        path = resource.path(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        query = {"fieldManager": names.FIELD_MANAGER}
        return await self._call("PUT", resource, path, query=query, body=manifest)

    async def patch(
        self, resource: Resource, namespace: str, name: str, patch: Manifest
    ) -> Manifest:
        """Merge a few fields into an object."""
        path = resource.path(namespace, name)
        query = {"fieldManager": names.FIELD_MANAGER}
        return await self._call(
            "PATCH", resource, path, query=query, body=patch, content_type=_MERGE
        )

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """Delete exactly the object with this uid, its dependents in the background."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        await self._call("DELETE", resource, resource.path(namespace, name), body=options)

    async def _call(
        self,
        method: str,
        resource: Resource,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        async with self._slots:
            response = await self._send(
                method, resource, path, query=query, body=body, content_type=content_type,
                timeout=_TIMEOUT,
            )  # fmt: skip
            try:
                said = await response.read()
            except _NETWORK_ERRORS as error:
                raise Unreachable(f"{method} {path}: {error!r}") from error
        return _document(said, f"{method} {path}")

    async def _send(
        self,
        method: str,
        resource: Resource,
        path: str,
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, per phase
        query: dict[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> aiohttp.ClientResponse:
        if method != "GET":
            self._guard()
        headers = {"Accept": "application/json", "Content-Type": content_type}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else orjson.dumps(body)
        try:
            with API_SECONDS.labels(method, resource.plural).time():
                answer = await self._session.request(
                    method, URL(url, encoded=True), headers=headers, data=data, timeout=timeout
                )
        except _NETWORK_ERRORS as error:
            API_REQUESTS.labels(method, resource.plural, "unreachable").inc()
            raise Unreachable(f"{method} {path}: {error!r}") from error
        API_REQUESTS.labels(method, resource.plural, str(answer.status)).inc()
        if answer.status >= 400:
            raise await _failure(answer)
        return answer


def _document(said: bytes, request: str) -> Manifest:
    """An answer's object; what is none was not said by the API."""
    try:
        answer = orjson.loads(said)
    except ValueError as error:
        raise Unreachable(f"{request}: the answer is no JSON") from error
    if not isinstance(answer, dict):
        raise Unreachable(f"{request}: the answer is no object")
    return answer


async def _failure(response: aiohttp.ClientResponse) -> Rejected:
    """What an error response says; the body need not be Kubernetes' (a proxy may have spoken)."""
    try:
        document = orjson.loads(await response.read())
    except (ValueError, *_NETWORK_ERRORS):
        document = {}
    header = response.headers.get("Retry-After", "")
    pause_s = float(header) if header.isdecimal() else 0.0
    return _rejected(response.status, document if isinstance(document, dict) else {}, pause_s)


def _rejected(code: int, document: Manifest, pause_s: float = 0.0) -> Rejected:
    message = str(document.get("message", "no message"))[:500]
    reason = str(document.get("reason", "Error"))
    details = document.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    # Forbidden is all that its reason says; which of its causes it is makes a difference.
    if any(one.get("reason") == NAMESPACE_ENDING for one in causes or ()):
        reason = NAMESPACE_ENDING
    return Rejected(code, reason, message, retry_after_s=pause_s)
