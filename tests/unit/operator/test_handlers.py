"""The Kopf shell: what it registers, and that it writes nothing."""

from typing import Any

import kopf
import pytest
from kubernetes.aio import client

from streammonitor_operator.children import Key
from streammonitor_operator.handlers import credentials, register, shell_settings
from streammonitor_operator.monitors import Monitors


def manifest(version: int, **spec: Any) -> dict[str, Any]:
    metadata = {
        "namespace": "video", "name": "sports", "uid": "u", "generation": 1,
        "resourceVersion": str(version),
    }  # fmt: skip
    streams = [{"name": "a", "url": "http://h/"}]
    return {"metadata": metadata, "spec": {"streams": streams, "detectors": {"freeze": {}}, **spec}}


async def call(monitors: Monitors, kind: str | None, body: dict[str, Any]) -> None:
    registry = kopf.OperatorRegistry()
    register(registry, monitors)
    [handler] = registry._watching.get_all_handlers()
    function: Any = handler.fn
    await function(event={"type": kind, "object": body}, extra="ignored")


def test_only_an_event_handler_is_registered() -> None:
    registry = kopf.OperatorRegistry()
    register(registry, Monitors(lambda _: None))
    assert len(registry._watching.get_all_handlers()) == 1
    assert not registry._changing.get_all_handlers()
    assert not registry._spawning.get_all_handlers()
    assert not registry._indexing.get_all_handlers()


def test_kopf_posts_no_events() -> None:
    settings = shell_settings()
    assert not settings.posting.enabled
    assert settings.watching.server_timeout is not None
    assert settings.watching.server_timeout < settings.watching.inactivity_timeout


async def test_the_index_follows_the_events() -> None:
    woken: list[Key] = []
    monitors = Monitors(woken.append)
    key = ("video", "sports")
    await call(monitors, None, manifest(5))
    monitor = monitors.get(key)
    assert monitor is not None
    assert monitor.spec is not None
    await call(monitors, "MODIFIED", manifest(6))
    assert woken == [key], "nothing that matters changed"
    await call(monitors, "DELETED", manifest(7))
    assert monitors.get(key) is None
    assert woken == [key, key]


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"detectors": {}}, "spec.detectors is empty"),
        ({"streams": []}, "spec.streams: List should have at least 1 item"),
        ({"streams": [{"name": "A", "url": "u"}]}, "spec.streams[0].name: String should match"),
        (
            {"workers": [{"name": "g", "detectors": ["black"]}]},
            "spec: detector 'freeze' is in no worker group",
        ),
        (
            {"streams": [{"name": "a", "url": "u", "detectors": {"blur": {}}}]},
            "spec: stream 'a': detectors.blur is set, but spec.detectors does not declare 'blur'",
        ),
        (
            {
                "streams": [
                    {
                        "name": "a",
                        "url": "u",
                        "ignoreRegions": [
                            {"left": 0, "top": 0, "width": 0.5, "height": 1},
                            {"left": 0.5, "top": 0, "width": 0.5, "height": 1},
                        ],
                    }
                ]
            },
            "spec: stream 'a': ignoreRegions leave nothing of the picture: make them smaller",
        ),
    ],
)
async def test_a_fault_is_a_sentence_with_its_place(spec: dict[str, Any], fault: str) -> None:
    monitors = Monitors(lambda _: None)
    monitors.put(manifest(5, **spec))
    monitor = monitors.get(("video", "sports"))
    assert monitor is not None
    assert monitor.spec is None
    assert monitor.fault.startswith(fault)


async def test_a_list_drops_what_is_gone_but_not_what_is_newer() -> None:
    monitors = Monitors(lambda _: None)
    await call(monitors, None, manifest(5))
    monitors.replace("", [], 4)
    assert monitors.get(("video", "sports")) is not None
    monitors.replace("elsewhere", [], 9)
    assert monitors.get(("video", "sports")) is not None
    monitors.replace("", [], 9)
    assert monitors.get(("video", "sports")) is None


@pytest.mark.parametrize("header", ["Bearer secret", "bearer secret"])
async def test_kopf_gets_the_same_credentials(header: str) -> None:
    configuration = client.Configuration()
    configuration.host = "https://api.example:6443"
    configuration.api_key["BearerToken"] = header
    info = await credentials(configuration)
    assert info.server == "https://api.example:6443"
    assert info.as_http_headers() == {"Authorization": header}
