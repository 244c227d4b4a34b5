"""Stores and informers."""

import asyncio
import time
from typing import Any

import pytest

from streammonitor_operator.cache import Informer, Store
from streammonitor_operator.children import (
    AssignmentMap,
    Key,
    read_assignment_map,
    read_deployment,
    read_pod,
)
from streammonitor_operator.kube import CONFIG_MAPS, KubeError, Manifest, Unreachable
from tests.unit.operator.fake_kube import FakeKube, rejected

OWNER = {"kind": "StreamMonitor", "name": "sports", "uid": "m", "controller": True}


def config(name: str, version: int = 1) -> Manifest:
    return {
        "metadata": {
            "namespace": "video", "name": name, "uid": name, "resourceVersion": str(version),
            "labels": {"app.kubernetes.io/name": "streammonitor-worker"},
            "ownerReferences": [OWNER],
        },
        "data": {"assignment.json": '{"epoch": 1}'},
    }  # fmt: skip


def make() -> tuple[Store[AssignmentMap], list[Key]]:
    woken: list[Key] = []
    return Store(read_assignment_map, woken.append), woken


def test_older_news_is_ignored() -> None:
    store, woken = make()
    store.put(config("a", 5))
    store.put(config("a", 4))
    store.drop("video", "a", 4)
    assert store.of(("video", "sports"))["a"].version == 5
    assert len(woken) == 1


def test_a_list_drops_what_is_gone_but_not_what_is_newer() -> None:
    store, _ = make()
    store.put(config("old", 5))
    store.put(config("new", 20))
    store.replace("video", [config("other", 7)], 10)
    assert set(store.of(("video", "sports"))) == {"new", "other"}


def test_a_list_of_one_namespace_leaves_the_others_alone() -> None:
    store, _ = make()
    store.put(config("a", 5))
    store.replace("elsewhere", [], 10)
    assert set(store.of(("video", "sports"))) == {"a"}


def test_what_lost_its_owner_reference_is_nobodys() -> None:
    store, woken = make()
    store.put(config("a", 5))
    orphan = config("a", 6)
    orphan["metadata"]["ownerReferences"] = []
    store.put(orphan)
    assert store.of(("video", "sports")) == {}
    assert ("video", "sports") in woken[1:]


def waiting(reason: str) -> dict[str, Any]:
    return {"containerStatuses": [{"state": {"waiting": {"reason": reason}}}]}


UNSCHEDULED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (waiting("ErrImagePull"), "ErrImagePull"),
        (waiting("ContainerCreating"), ""),
        ({"conditions": [UNSCHEDULED]}, "Unschedulable"),
        ({}, ""),
    ],
)
def test_a_pod_says_why_it_does_not_run(status: dict[str, Any], reason: str) -> None:
    metadata = {"namespace": "n", "name": "p", "uid": "u", "resourceVersion": "1"}
    assert read_pod({"metadata": metadata, "status": status}).reason == reason


@pytest.mark.looptime(start=time.monotonic)
@pytest.mark.parametrize("error", [rejected(410), rejected(429), rejected(500), Unreachable("x")])
async def test_an_informer_survives(error: KubeError) -> None:
    kube, (store, _) = FakeKube(), make()
    informer = Informer(kube, CONFIG_MAPS, "video", store)
    task = asyncio.create_task(informer.run())
    await informer.synced.wait()
    broken = [error, error]
    kube.fail = lambda verb, *_: broken.pop() if broken and verb in ("watch", "list") else None
    kube.drop_watches()
    kube.put(CONFIG_MAPS, config("a"))
    await asyncio.sleep(20)
    assert set(store.of(("video", "sports"))) == {"a"}
    kube.remove(CONFIG_MAPS, "video", "a")
    await asyncio.sleep(1)
    assert store.of(("video", "sports")) == {}
    task.cancel()


@pytest.mark.looptime(start=time.monotonic)
async def test_watches_that_all_expire_do_not_become_a_flood_of_lists() -> None:
    kube, (store, _) = FakeKube(), make()
    began: list[float] = []

    def fail(verb: str, *_: object) -> KubeError | None:
        began.extend([asyncio.get_running_loop().time()] if verb == "list" else [])
        return rejected(410) if verb == "watch" else None

    kube.fail = fail
    task = asyncio.create_task(Informer(kube, CONFIG_MAPS, "video", store).run())
    await asyncio.sleep(60)
    assert began[1] == began[0], "the first time is answered at once"
    assert len(began) < 10
    task.cancel()


def test_what_was_just_written_wakes_nobody_but_is_told_to_listeners() -> None:
    store, woken = make()
    heard: list[object] = []
    store.listeners.append(lambda *both: heard.append(both))
    store.put(config("a", 5), quiet=True)
    assert woken == []
    assert len(heard) == 1
    store.put(config("a", 6))
    assert woken == [("video", "sports")]


def test_the_counter_of_a_deployments_controller_is_no_news() -> None:
    woken: list[Key] = []
    store = Store(read_deployment, woken.append)
    manifest = {**config("a", 1), "spec": {"replicas": 1}}
    manifest["metadata"]["annotations"] = {"kept": "1"}
    store.put(manifest)
    counted = {**manifest["metadata"], "resourceVersion": "2"}
    counted["annotations"] = {"kept": "1", "deployment.kubernetes.io/revision": "1"}
    store.put({**manifest, "metadata": counted})
    assert len(woken) == 1
    store.put({**manifest, "metadata": {**counted, "resourceVersion": "3"}, "spec": {}})
    assert len(woken) == 2
