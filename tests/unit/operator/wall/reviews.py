"""The API server's reviews, as far as the wall asks for them."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from streammonitor_operator.kube import Manifest, Resource, Unreachable
from streammonitor_operator.kube_client import KubeClient

USERS = {"alice-token": "alice", "root-token": "root", "nobody-token": "nobody"}
GRANTS = {"alice": {"video"}, "root": {"", "video", "sport"}}


class Reviews(KubeClient):
    """Answers reviews of a few people; nothing else of the API is there."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.away = False
        self.users = dict(USERS)
        self.grants = {name: set(some) for name, some in GRANTS.items()}
        self._numbers: Iterator[int] = count()

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        if self.away:
            raise Unreachable("no answer")
        spec: dict[str, Any] = manifest["spec"]
        if resource.plural == "tokenreviews":
            self.asked.append(("token", spec["token"]))
            name = self.users.get(spec["token"])
            if name is None:
                return {"status": {"authenticated": False, "error": "unknown"}}
            user = {"username": name, "uid": f"uid-{name}", "groups": ["g"], "extra": {"k": ["v"]}}
            return {"status": {"authenticated": True, "user": user}}
        attributes = spec["resourceAttributes"]
        assert (attributes["group"], attributes["resource"], attributes["verb"]) == (
            "streammonitor.io", "streammonitors", "get",
        )  # fmt: skip
        assert (spec["groups"], spec["extra"]) == (["g"], {"k": ["v"]})
        self.asked.append((spec["user"], attributes["namespace"]))
        allowed = attributes["namespace"] in self.grants.get(spec["user"], set())
        return {"status": {"allowed": allowed}}
