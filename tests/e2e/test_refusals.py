"""What `kubectl apply` itself refuses, and the sentences that the user reads."""

import json
from typing import Any

import pytest

from dev.host import Failure
from tests.e2e.monitor import Monitor, channel

NOT_ONE_GROUP = (
    "detector {} is in none or in several of spec.workers: name it in the detectors of exactly one "
    "group"
)

CLOCK = {"name": "clock", "left": 0.8, "top": 0.05, "width": 0.15, "height": 0.1}
WHOLE = {"left": 0, "top": 0, "width": 1, "height": 1}

REFUSALS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown detector": (
        {"detectors": {"blck": {}}},
        ['unknown field "spec.detectors.blck"'],
    ),
    "no detector": ({"detectors": {}}, ["spec.detectors", "at least 1"]),
    "threshold out of bounds": (
        {"detectors": {"silence": {"threshold": 20}}},
        ["spec.detectors.silence.threshold", "less than or equal to"],
    ),
    "duration out of bounds": (
        {"detectors": {"black": {"minDuration": "1ms"}}},
        ["spec.detectors.black.minDuration", "minDuration is 1ms: use a duration from 100ms to 1h"],
    ),
    "duration without unit": (
        {"detectors": {"black": {"minDuration": "2"}}},
        ["minDuration is 2: use a duration from 100ms to 1h, as in 1m30s"],
    ),
    "two streams of one name": (
        {"streams": [channel(0), channel(0)]},
        ["spec.streams[1]", 'Duplicate value: {"name":"channel-0"}'],
    ),
    "undeclared detector in a group": (
        {"detectors": {"black": {}}, "workers": [{"name": "a", "detectors": ["black", "freeze"]}]},
        [
            "a group of spec.workers names detector freeze, which spec.detectors does not declare: "
            "add freeze to spec.detectors or take it out of the group"
        ],
    ),
    "detector in no group": (
        {
            "detectors": {"black": {}, "freeze": {}},
            "workers": [{"name": "a", "detectors": ["black"]}],
        },
        [NOT_ONE_GROUP.format("freeze")],
    ),
    "detector in two groups": (
        {
            "detectors": {"black": {}},
            "workers": [
                {"name": "a", "detectors": ["black"]},
                {"name": "b", "detectors": ["black"]},
            ],
        },
        [NOT_ONE_GROUP.format("black")],
    ),
    "model without a volume": (
        {"detectors": {"model": {}}},
        [
            "detector model has no volume to read its file from: name it in the detectors of one "
            "of spec.workers and set template.modelVolume there"
        ],
    ),
    "models from two places": (
        {
            "detectors": {"model": {}},
            "workers": [
                {
                    "name": "a",
                    "detectors": ["model"],
                    "template": {
                        "modelVolume": {
                            "configMap": {"name": "a"},
                            "persistentVolumeClaim": {"claimName": "b"},
                        }
                    },
                }
            ],
        },
        ["modelVolume names none or several sources: name exactly one of"],
    ),
    "model outside its volume": (
        {"detectors": {"model": {"file": "../secret"}}},
        ["spec.detectors.model.file", "should match"],
    ),
    "more workers at least than at most": (
        {
            "detectors": {"black": {}},
            "workers": [{"name": "a", "detectors": ["black"], "scaling": {"min": 3, "max": 2}}],
        },
        ["scaling.min is more than scaling.max: lower min or raise max"],
    ),
    "scheme that is not allowed": (
        {"streams": [{"name": "passwd", "url": "file:///etc/passwd"}]},
        [
            "stream passwd: url begins with file, which cannot be monitored: write "
            "SCHEME://HOST/... with one of http, https, rtmp, rtmps, rtsp, rtsps"
        ],
    ),
    "program of what has none": (
        {"streams": [{"name": "a", "url": "rtmp://h/a", "program": {"number": 3}}]},
        ["program is set, but the URL is of no MPEG-TS: take it out"],
    ),
    "program named twice": (
        {"streams": [{"name": "a", "url": "udp://@:1", "program": {"number": 3, "service": "x"}}]},
        ["program names none or both of number and service: set exactly one of them"],
    ),
    "bucket of what is in none": (
        {"streams": [{"name": "a", "url": "http://h/a", "objectStore": {"region": "eu"}}]},
        ["objectStore is set, but the URL names no object: take it out, or write s3://BUCKET/PATH"],
    ),
    "duration of one stream out of bounds": (
        {"streams": [channel(0, detectors={"black": {"minDuration": "1ms"}})]},
        [
            "spec.streams[0].detectors.black.minDuration",
            "minDuration is 1ms: use a duration from 100ms to 1h",
        ],
    ),
    "integer below a fractional bound": (
        {"streams": [channel(0, detectors={"black": {"darkRatio": 0}})]},
        ["spec.streams[0].detectors.black.darkRatio", "darkRatio: use a number from 0.5 to 1"],
    ),
    "stream that sets parameters of an undeclared detector": (
        {"streams": [channel(0, detectors={"blur": {}})]},
        [
            "a stream of spec.streams sets parameters of detector blur, which spec.detectors does "
            "not declare: add blur to spec.detectors or take it out of the stream"
        ],
    ),
    "unknown profile": (
        {"profile": "lax"},
        ["spec.profile", 'supported values: "strict", "broadcast", "relaxed"'],
    ),
    "region beyond the picture": (
        {"streams": [channel(0, ignoreRegions=[{**CLOCK, "left": 0.9}])]},
        [
            "spec.streams[0].ignoreRegions[0]",
            "the region reaches beyond the picture (left + width is more than 1): make it smaller",
        ],
    ),
    "region without a height": (
        {"streams": [channel(0, region={**WHOLE, "height": 0})]},
        ["spec.streams[0].region", "the region is empty (width and height must be more than 0)"],
    ),
    "everything ignored": (
        {"streams": [channel(0, ignoreRegions=[WHOLE])]},
        ["spec.streams[0].ignoreRegions[0]", "the region covers the whole picture: make it"],
    ),
    "streams listed in two places": (
        {
            "streamsFrom": {
                "configMap": {"name": "channels", "key": "list"},
                "http": {"url": "https://lists.example/"},
            }
        },
        ["streamsFrom names none or several sources: name exactly one of configMap and http"],
    ),
    "list asked for with a password": (
        {"streamsFrom": {"http": {"url": "https://me:secret@lists.example/"}}},
        ["spec.streamsFrom.http.url", "should match"],
    ),
    "list asked for too often": (
        {"streamsFrom": {"http": {"url": "https://lists.example/", "interval": "1s"}}},
        ["interval is 1s: use a duration from 5s to 1h, as in 1m30s"],
    ),
    "too many streams": (
        {"streams": [{"name": f"s{n}", "url": "http://h/"} for n in range(501)]},
        ["spec.streams", "500"],
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_is_refused_with_a_sentence(monitor: Monitor, case: str) -> None:
    spec, sentences = REFUSALS[case]
    with pytest.raises(Failure) as refusal:
        monitor.access.kubectl("apply", "-f", "-", stdin=json.dumps(monitor.manifest(**spec)))
    for sentence in sentences:
        assert sentence in str(refusal.value)


def test_a_monitor_without_any_streams_is_refused(monitor: Monitor) -> None:
    manifest = monitor.manifest()
    del manifest["spec"]["streams"]
    with pytest.raises(Failure, match=r"names no streams: set spec\.streams, spec\.streamsFrom"):
        monitor.access.apply(manifest)


def test_explain_reads_well(monitor: Monitor) -> None:
    text = monitor.access.kubectl("explain", "streammonitor.spec.detectors.silence")
    words = " ".join(text.split())
    assert "threshold <number>" in words
    assert "Default: -60." in words
    assert "minDuration <string>" in words
    assert "Default: 10s. From 100ms to 1h." in words
