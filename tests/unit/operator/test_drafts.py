"""What an assignment carries of the specification."""

from typing import Any

from streammonitor_api.assignment import Assignment
from streammonitor_api.spec import StreamMonitorSpec
from streammonitor_operator.drafts import draft_assignment, same_content
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.handover import Share
from streammonitor_operator.specs.configmap import build_configmap
from streammonitor_operator.specs.identity import Owner
from tests.unit.operator.fake_kube import assignment_of
from tests.unit.operator.fleet import stream

OWNER = Owner("video", "sports", "uid")
CLOCK = {"name": "clock", "left": 0.8, "top": 0.05, "width": 0.15, "height": 0.1}
UPPER = {"left": 0.0, "top": 0.0, "width": 1.0, "height": 0.9}
GROUPS = [
    {"name": "picture", "detectors": ["black", "freeze"]},
    {"name": "sound", "detectors": ["silence"]},
]


def spec(*streams: dict[str, Any], **more: Any) -> StreamMonitorSpec:
    detectors: dict[str, Any] = {"black": {}, "freeze": {"minDuration": "5s"}, "silence": {}}
    document = {"streams": streams, "detectors": detectors, "workers": GROUPS, **more}
    return StreamMonitorSpec.model_validate(document)


def draft(asked: StreamMonitorSpec, group: str, before: Assignment | None = None) -> Assignment:
    view = WorkerView("w", group, assignment=before, map=None, deployment=None)
    share = Share(holds={one.name for one in asked.streams})
    return draft_assignment(OWNER, asked, view, share, {})


def test_a_worker_gets_what_each_stream_sets_for_the_detectors_that_it_runs() -> None:
    own = {"black": {"minDuration": "9s"}, "silence": {"threshold": -50}}
    asked = spec(
        stream("a", detectors=own, profile="strict", ignoreRegions=[CLOCK], region=UPPER),
        stream("b"),
        profile="relaxed",
    )
    manifest = build_configmap(OWNER, draft(asked, "picture"))
    wire = assignment_of(manifest)
    assert wire["profile"] == "relaxed"
    first, second = wire["streams"]
    assert first["detectors"] == {"black": {"minDuration": "9s"}}
    assert first["profile"] == "strict"
    assert first["ignoreRegions"] == [CLOCK]
    assert first["region"] == UPPER
    assert second == stream("b", headersFrom=[])
    assert draft(asked, "sound").streams[0].detectors == {"silence": {"threshold": -50}}


def test_what_concerns_another_group_is_no_news() -> None:
    before = draft(spec(stream("a")), "sound")
    other = draft(spec(stream("a", detectors={"black": {"threshold": 0.2}})), "sound", before)
    assert same_content(before, other)


def test_an_override_is_news_and_survives_the_wire() -> None:
    before = draft(spec(stream("a")), "picture")
    after = draft(spec(stream("a", detectors={"black": {"threshold": 0.2}})), "picture", before)
    assert not same_content(before, after)
    read = Assignment.model_validate_json(build_configmap(OWNER, after)["data"]["assignment.json"])
    assert same_content(after, read)
