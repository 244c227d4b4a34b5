"""Which value holds on a stream: stream over monitor over profile over what is built in."""

from typing import Any

import pytest

from streammonitor_api.spec import Stream
from streammonitor_worker.detectors import registry
from streammonitor_worker.parameters import Origin, Resolution, resolve

RELAXED = registry["black"].params_type.profiles["relaxed"]


def resolved(
    own: dict[str, Any] | None = None,
    monitors: dict[str, Any] | None = None,
    profile: str | None = None,
) -> Resolution:
    stream = Stream(name="a", url="http://h/", detectors=None if own is None else {"black": own})
    return resolve(stream, {"black": monitors or {}}, profile)


def value(resolution: Resolution, key: str) -> tuple[object, Origin]:
    black = resolution.detectors["black"]
    return black.params.to_json_object()[key], black.origins[key]


def test_without_a_word_everything_is_built_in() -> None:
    found = resolved()
    assert found.profile == "broadcast"
    assert found.detectors["black"].params == registry["black"].params_type()
    assert set(found.detectors["black"].origins.values()) == {Origin.BUILT_IN}
    assert found.values == {"black": {}}


def test_each_parameter_comes_from_the_strongest_that_names_it() -> None:
    found = resolved({"threshold": 0.2}, {"threshold": 0.3, "clearDuration": "7s"}, "relaxed")
    assert value(found, "threshold") == (0.2, Origin.STREAM)
    assert value(found, "clearDuration") == ("7s", Origin.MONITOR)
    assert value(found, "criticalAfter") == (RELAXED["criticalAfter"], Origin.PROFILE)
    assert value(found, "darkRatio") == (0.98, Origin.BUILT_IN)
    assert found.faults == ()


def test_a_streams_own_profile_takes_the_place_of_the_monitors() -> None:
    stream = Stream(name="a", url="http://h/", profile="strict")
    found = resolve(stream, {"black": {"minDuration": "4s"}}, "relaxed")
    assert found.profile == "strict"
    assert value(found, "minDuration") == ("4s", Origin.MONITOR)
    assert value(found, "criticalAfter")[0] == "5s"


def test_a_value_that_says_the_default_still_beats_what_is_weaker() -> None:
    found = resolved({"minDuration": "2s"}, {"minDuration": "9s"})
    assert value(found, "minDuration") == ("2s", Origin.STREAM)


@pytest.mark.parametrize(
    ("own", "fault"),
    [
        ({"minDuration": "1ms"}, "detectors.black.minDuration is '1ms': set at least 100ms"),
        ({"minDuration": "2h"}, "detectors.black.minDuration is '2h': set at most 1h"),
        ({"minDuration": 5}, "detectors.black.minDuration: 5 is no duration: write it with"),
        ({"threshold": 7}, "detectors.black.threshold is 7: set at most 0.5"),
        ({"treshold": 0.1}, "detectors.black.treshold is no parameter of black: it has clearDur"),
    ],
)
def test_a_refused_value_is_named_and_the_next_level_holds(own: dict[str, Any], fault: str) -> None:
    found = resolved({**own, "darkRatio": 0.9}, {"minDuration": "3s"})
    (text,) = found.faults
    assert text.startswith(fault)
    assert value(found, "minDuration") == ("3s", Origin.MONITOR)
    assert value(found, "darkRatio") == (0.9, Origin.STREAM)


def test_an_override_of_a_detector_that_the_monitor_lacks_is_named() -> None:
    stream = Stream(name="a", url="http://h/", detectors={"freeze": {}})
    (fault,) = resolve(stream, {"black": {}}, None).faults
    assert fault == (
        "detectors.freeze is set, but 'freeze' does not run: declare it in spec.detectors or take "
        "it out of the stream"
    )


def test_an_unknown_profile_is_named_and_the_next_one_holds() -> None:
    stream = Stream(name="a", url="http://h/", profile="lax")
    found = resolve(stream, {"black": {}}, "relaxed")
    assert found.faults == ("profile is 'lax': use one of strict, broadcast, relaxed",)
    assert found.profile == "relaxed"
    assert resolve(stream, {"black": {}}, None).profile == "broadcast"


def test_a_parameter_may_be_named_as_in_python_and_counts_once() -> None:
    found = resolved({"min_duration": "5s"}, {"minDuration": "9s"})
    assert found.values == {"black": {"minDuration": "5s"}}
