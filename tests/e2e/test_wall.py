"""The wall on the real cluster, as its notes say it is opened: through its Service."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

from dev.cluster import binaries
from dev.kube import Access, eventually
from dev.product import RELEASE, SYSTEM_NAMESPACE
from tests.e2e.monitor import Monitor, channel

JPEG = b"\xff\xd8\xff"


@contextmanager
def forwarded(access: Access) -> Iterator[str]:
    """The wall's address, for as long as kubectl forwards to it."""
    command = [str(binaries.program("kubectl")), f"--kubeconfig={access.kubeconfig}"]
    command += ["port-forward", "-n", SYSTEM_NAMESPACE, f"service/{RELEASE}-wall", ":80"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
            assert found is not None
            yield f"127.0.0.1:{found[1]}"
        finally:
            process.kill()


def grant(access: Access, namespace: str) -> dict[str, str]:
    """Two service accounts, one of whom may get StreamMonitors; their tokens."""
    names = ("viewer", "stranger")
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    meta = {"metadata": {"name": "viewer", "namespace": namespace}}
    rule = {"apiGroups": ["streammonitor.io"], "resources": ["streammonitors"], "verbs": ["get"]}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "viewer"}
    subject = {"kind": "ServiceAccount", "name": "viewer", "namespace": namespace}
    accounts = [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace},
        }
        for name in names
    ]
    access.apply(
        *accounts,
        {**kind, **meta, "kind": "Role", "rules": [rule]},
        {**kind, **meta, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]},
    )
    return {
        name: access.kubectl("create", "token", name, "-n", namespace).strip() for name in names
    }


def asked(wall: str, path: str, token: str) -> bytes:
    """What the wall answers to somebody."""
    with closing(HTTPConnection(wall, timeout=30)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read()
    assert answer.status == HTTPStatus.OK, body
    return body


def test_who_may_get_a_monitor_sees_its_streams(monitor: Monitor) -> None:
    tokens = grant(monitor.access, monitor.namespace)
    monitor.apply(streams=[channel(0)])
    monitor.wait("Ready")
    stream = f"{monitor.namespace}/{monitor.name}/channel-0"

    with forwarded(monitor.access) as wall:

        def tiles(who: str) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = json.loads(asked(wall, "/api/wall", tokens[who]))["tiles"]
            return found

        eventually(
            "the tile", lambda: stream in {one["id"] for one in tiles("viewer")}, timeout_s=30
        )
        picture = asked(wall, f"/api/streams/{stream}/picture", tokens["viewer"])
        page = asked(wall, f"/streams/{stream}", tokens["viewer"])
        others = tiles("stranger")

    assert picture.startswith(JPEG)
    assert b"StreamMonitor" in page
    assert others == []
