"""Who looks, and what they may see: asked of the cluster (TokenReview and SubjectAccessReview).

Whoever may `get` the StreamMonitors of a namespace sees its streams. Answers are kept for half a
minute: so long a right that was taken away goes on at most.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from streammonitor_api import names
from streammonitor_operator.kube import Kube, Manifest, Resource
from streammonitor_operator.wall.brief import Brief

KEEP_S = 30.0
"""How long an answer of the cluster is kept."""
MAX_TOKEN = 3800
"""A browser keeps cookies of up to 4,096 bytes, name and attributes included."""
_MOST = 2000
_AT_ONCE = 8
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=:-]+")

TOKEN_REVIEWS = Resource("authentication.k8s.io/v1", "tokenreviews")
ACCESS_REVIEWS = Resource("authorization.k8s.io/v1", "subjectaccessreviews")


@dataclass(frozen=True)
class Visitor:
    """Somebody whom the cluster knows.

    Attributes:
        name: As in RBAC.
        subject: What a SubjectAccessReview is told of them.
        fingerprint: Tells visitors and what they are members of apart.
    """

    name: str
    subject: Manifest
    fingerprint: str


class Access:
    """Asks the cluster.

    Args:
        kube: Where reviews are created.
        clock: In seconds.
    """

    def __init__(self, kube: Kube, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._visitors: Brief[str, Visitor | None] = Brief(KEEP_S, _MOST, clock)
        self._allowed: Brief[tuple[str, str], bool] = Brief(KEEP_S, 10 * _MOST, clock)

    async def visitor(self, token: str) -> Visitor | None:
        """Whose token it is; None if the cluster does not take it.

        Raises:
            KubeError: The cluster did not answer.
        """
        if len(token) > 4 * MAX_TOKEN or not _TOKEN.fullmatch(token):
            return None
        fingerprint = hashlib.sha256(token.encode()).hexdigest()
        return await self._visitors.get(fingerprint, lambda: self._review(token, fingerprint))

    async def namespaces(self, visitor: Visitor, known: Collection[str]) -> frozenset[str]:
        """Those among some namespaces whose StreamMonitors a visitor may get.

        Raises:
            KubeError: The cluster did not answer.
        """
        if await self._may(visitor, ""):
            return frozenset(known)
        asked = sorted(known)
        answers = await asyncio.gather(*(self._may(visitor, one) for one in asked))
        return frozenset(one for one, may in zip(asked, answers, strict=True) if may)

    async def may_see(self, visitor: Visitor, namespace: str) -> bool:
        """Whether a visitor may get the StreamMonitors of a namespace.

        Raises:
            KubeError: The cluster did not answer.
        """
        return await self._may(visitor, "") or await self._may(visitor, namespace)

    async def _review(self, token: str, fingerprint: str) -> Visitor | None:
        status = await self._created(TOKEN_REVIEWS, "TokenReview", {"token": token})
        if not status.get("authenticated"):
            return None
        user = status.get("user") or {}
        subject = {
            "user": user.get("username", ""),
            "uid": user.get("uid", ""),
            "groups": user.get("groups") or [],
            "extra": user.get("extra") or {},
        }
        return Visitor(subject["user"], subject, fingerprint)

    async def _may(self, visitor: Visitor, namespace: str) -> bool:
        async def ask() -> bool:
            attributes = {
                "group": names.GROUP,
                "resource": names.PLURAL,
                "verb": "get",
                "namespace": namespace,  # "" is all of them
            }
            spec = {**visitor.subject, "resourceAttributes": attributes}
            status = await self._created(ACCESS_REVIEWS, "SubjectAccessReview", spec)
            return bool(status.get("allowed"))

        return await self._allowed.get((visitor.fingerprint, namespace), ask)

    async def _created(self, resource: Resource, kind: str, spec: Manifest) -> Manifest:
        manifest = {
            "apiVersion": resource.api_version,
            "kind": kind,
            "metadata": {"namespace": ""},
            "spec": spec,
        }
        async with self._slots:
            answer = await self._kube.create(resource, manifest)
        status: Manifest = answer.get("status") or {}
        return status
