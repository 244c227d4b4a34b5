"""One-off mutes by the plugin."""

from datetime import UTC, datetime

import pytest

from streammonitor_kubectl.mutes import muted, mutes_of, one_off, unmuted

NOON = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)
RECURRING = {"name": "nightly", "recurring": {"schedule": "0 3 * * *", "duration": "1h"}}


def test_a_mute_begins_now_and_lasts_as_long_as_it_says() -> None:
    mute = one_off("derby", NOON, 7200, ["arena-*"], ["silence"])
    (listed,) = muted([], mute, NOON)
    assert listed == {
        "name": "derby",
        "streams": ["arena-*"],
        "defects": ["silence"],
        "once": {"start": "2026-11-22T12:00:00Z", "end": "2026-11-22T14:00:00Z"},
    }


def test_what_others_muted_stays_and_what_is_over_goes() -> None:
    over = muted([], one_off("over", NOON.replace(hour=1), 60), NOON)
    lasting = muted([RECURRING, *over], one_off("derby", NOON, 60), NOON)
    assert [one["name"] for one in lasting] == ["nightly", "derby"]
    again = muted(lasting, one_off("derby", NOON, 600), NOON)
    assert [one["name"] for one in again] == ["nightly", "derby"]
    assert again[1]["once"]["end"] == "2026-11-22T12:10:00Z"


def test_a_mute_is_taken_out_by_its_name() -> None:
    assert unmuted([RECURRING], "nightly") == []
    with pytest.raises(LookupError, match="there is no mute 'x': there are nightly"):
        unmuted([RECURRING], "x")


def test_a_monitor_without_alerts_has_no_mutes() -> None:
    assert mutes_of({"spec": {}}) == []


def test_what_is_no_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="streams"):
        one_off("derby", NOON, 60, ["A B"])
