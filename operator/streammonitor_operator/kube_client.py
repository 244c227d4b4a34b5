"""The Kubernetes API over `kubernetes.aio`: the official client's credentials and transport.

Bodies stay plain dicts. The generated model classes would cost a conversion each way and make
absent and null fields the same, which server-side apply must tell apart.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client, config

from streammonitor_api import names
from streammonitor_operator.kube import Manifest, Rejected, Resource, Unreachable
from streammonitor_operator.metrics import API_REQUESTS

REQUEST_TIMEOUT_S = 10.0
WATCH_SERVER_TIMEOUT_S = 45
"""The server ends a watch after this long; it then goes on from where it was."""
WATCH_SILENCE_S = 60.0
"""A watch on which nothing arrives for longer than the server would let it live is dead."""
_config: Any = config  # it is typed as far as it is generated, and this part is not
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
    return configuration


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

    async def close(self) -> None:
        """Close the connections."""
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
                event = json.loads(line)
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
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        response = await self._send(
            method, resource, path, query=query, body=body, content_type=content_type,
            timeout=timeout,
        )  # fmt: skip
        try:
            answer: Manifest = json.loads(await response.read())
        except _NETWORK_ERRORS as error:
            raise Unreachable(f"{method} {path}: {error!r}") from error
        return answer

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
    ) -> Any:
        if method != "GET":
            self._guard()
        headers = {"Accept": "application/json", "Content-Type": content_type}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            answer = await self._api.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=timeout
            )
        except _NETWORK_ERRORS as error:
            API_REQUESTS.labels(method, resource.plural, "unreachable").inc()
            raise Unreachable(f"{method} {path}: {error!r}") from error
        API_REQUESTS.labels(method, resource.plural, str(answer.status)).inc()
        if answer.status >= 400:
            raise await _failure(answer.response)
        return answer.response


async def _failure(response: aiohttp.ClientResponse) -> Rejected:
    """What an error response says; the body need not be Kubernetes' (a proxy may have spoken)."""
    try:
        document = json.loads(await response.read())
    except (ValueError, *_NETWORK_ERRORS):
        document = {}
    header = response.headers.get("Retry-After", "")
    pause_s = float(header) if header.isdecimal() else 0.0
    return _rejected(response.status, document if isinstance(document, dict) else {}, pause_s)


def _rejected(code: int, document: Manifest, pause_s: float = 0.0) -> Rejected:
    message = str(document.get("message", "no message"))[:500]
    return Rejected(code, str(document.get("reason", "Error")), message, retry_after_s=pause_s)
