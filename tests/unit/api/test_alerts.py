"""What spec.alerts refuses, in words."""

from typing import Any

import pytest
from pydantic import ValidationError

from streammonitor_api.alerts import ENDS_BEFORE, ONE_KIND, ONE_TIME, ONE_URL, Alerts
from streammonitor_api.spec import StreamMonitorSpec

REF = {"name": "s", "key": "k"}
ONCE = {"start": "2027-03-01T20:00:00Z", "end": "2027-03-01T22:00:00Z"}


@pytest.mark.parametrize(
    ("sink", "sentence"),
    [
        ({"name": "a"}, ONE_KIND),
        ({"name": "a", "log": {}, "apprise": {"urlFrom": REF}}, ONE_KIND),
        ({"name": "a", "webhook": {}}, ONE_URL),
        ({"name": "a", "webhook": {"url": "http://h/", "urlFrom": REF}}, ONE_URL),
        ({"name": "a", "webhook": {"url": "http://me:secret@h/"}}, "pattern"),
        ({"name": "a", "alertmanager": {"url": "http://h", "resendEvery": "1s"}}, "greater"),
    ],
)
def test_a_sink_has_one_kind_and_one_url(sink: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Alerts.model_validate({"sinks": [sink]})


@pytest.mark.parametrize(
    ("mute", "sentence"),
    [
        ({"name": "m"}, ONE_TIME),
        ({"name": "m", "once": {**ONCE, "end": ONCE["start"]}}, ENDS_BEFORE),
        ({"name": "m", "once": {**ONCE, "end": "2027-03-01T22:00:00"}}, "need a time zone"),
        ({"name": "m", "recurring": {"schedule": "0 3 * * *", "duration": "1s"}}, "greater"),
    ],
)
def test_a_mute_has_one_time(mute: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Alerts.model_validate({"mutes": [mute]})


def test_names_are_unique() -> None:
    sinks = [{"name": "a", "log": {}}, {"name": "a", "apprise": {"urlFrom": REF}}]
    with pytest.raises(ValidationError, match="two sinks are named 'a'"):
        StreamMonitorSpec.model_validate(
            {
                "streams": [{"name": "a", "url": "http://h/"}],
                "detectors": {"black": {}},
                "alerts": {"sinks": sinks},
            }
        )


def test_a_kind_of_a_newer_version_is_read_by_an_older_worker() -> None:
    (sink,) = Alerts.model_validate({"sinks": [{"name": "a", "pager": {}}]}).sinks
    assert sink.model_extra == {"pager": {}}
