"""The boundary to the Kubernetes API: what the operator asks of it, and how it fails.

Objects are plain dicts as on the wire. The implementation is in `kube_client`; tests put an
in-memory API behind the same protocol.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from streammonitor_api import names

Manifest = dict[str, Any]
"""A Kubernetes object as on the wire."""


@dataclass(frozen=True)
class Resource:
    """A kind of object."""

    api_version: str
    plural: str

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of a collection or of one object; no namespace means all of them."""
        root = "/apis/" if "/" in self.api_version else "/api/"
        parts = [root + self.api_version]
        if namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)


MONITORS = Resource(names.API_VERSION, names.PLURAL)
CONFIG_MAPS = Resource("v1", "configmaps")
DEPLOYMENTS = Resource("apps/v1", "deployments")
PODS = Resource("v1", "pods")
SERVICES = Resource("v1", "services")
NODES = Resource("v1", "nodes")
BUDGETS = Resource("policy/v1", "poddisruptionbudgets")
EVENTS = Resource("v1", "events")
LEASES = Resource("coordination.k8s.io/v1", "leases")

NAMESPACE_ENDING = "NamespaceTerminating"
"""Why the API creates nothing in a namespace that is being deleted."""


class KubeError(Exception):
    """The API did not do what was asked."""


class Unreachable(KubeError):
    """No answer: refused, reset, timed out."""


class Rejected(KubeError):
    """The API answered with an error.

    Attributes:
        status: the HTTP status code.
        reason: Kubernetes' CamelCase reason, as in AlreadyExists; of a namespace that is being
            deleted, the cause that says so.
        retry_after_s: when the API asks to be left alone; 0 without such a wish.
    """

    def __init__(
        self, status: int, reason: str, message: str, *, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s

    @property
    def missing(self) -> bool:
        """The object is not there."""
        return self.status == 404

    @property
    def forbidden(self) -> bool:
        """This process has no right to that."""
        return self.status == 403

    @property
    def conflict(self) -> bool:
        """The object is there already, or is not what was read."""
        return self.status == 409

    @property
    def ending(self) -> bool:
        """The namespace is being deleted: nothing can be made in it ever again."""
        return self.reason == NAMESPACE_ENDING

    @property
    def final(self) -> bool:
        """Trying again cannot help: a quota, a policy, a value that the API refuses."""
        return self.status in (400, 403, 422) and not self.ending

    @property
    def expired(self) -> bool:
        """The resource version is too old: list again."""
        return self.status == 410


class NotLeader(KubeError):
    """This process may no longer write: its Lease was not renewed in time."""


class Kube(Protocol):
    """The calls that the operator makes. Every one may raise a `KubeError`."""

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest:
        """Read one object."""
        ...

    async def list_all(self, resource: Resource, namespace: str, selector: str) -> Manifest:
        """Read the objects with certain labels (none: all): `items`, `metadata.resourceVersion`."""
        ...

    def watch(
        self, resource: Resource, namespace: str, selector: str, resource_version: str
    ) -> AsyncIterator[Manifest]:
        """Yield watch events until the server or silence ends the stream."""
        ...

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Create an object; a conflict if it is there already."""
        ...

    async def apply(
        self, resource: Resource, manifest: Manifest, *, subresource: str = ""
    ) -> Manifest:
        """Server-side apply, taking over fields that others own."""
        ...

    async def replace(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Write an object whole; a conflict unless its resourceVersion is the newest."""
        ...

    async def patch(
        self, resource: Resource, namespace: str, name: str, patch: Manifest
    ) -> Manifest:
        """Merge a few fields into an object."""
        ...

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """Delete exactly the object with this uid, its dependents in the background."""
        ...
