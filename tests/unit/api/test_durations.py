import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammonitor_api.durations import Duration, format_duration, parse_duration
from streammonitor_api.model import Model


class Holder(Model):
    wait: Duration = 1.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2s", 2.0), ("250ms", 0.25), ("1m30s", 90.0), ("1.5h", 5400.0), ("0s", 0.0)],
)
def test_parses_go_duration_strings(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "2", "2 s", "-1s", "s", "2d", "1e3s", "\u0661s"])
def test_refuses_what_is_no_duration_and_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="as in 1m30s"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**9))
def test_formatting_and_parsing_are_inverse_to_the_millisecond(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(
        milliseconds / 1000, abs=1e-6
    )


def test_a_model_reads_strings_and_writes_strings() -> None:
    holder = Holder.model_validate({"wait": "1m30s"})
    assert holder.wait == 90.0
    assert holder.to_json_object() == {"wait": "1m30s"}


@pytest.mark.parametrize("value", [2, True, None, ["2s"]])
def test_a_bare_number_is_refused_because_its_unit_would_be_a_guess(value: object) -> None:
    with pytest.raises(ValueError, match="wait"):
        Holder.model_validate({"wait": value})
