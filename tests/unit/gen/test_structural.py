from typing import Annotated, Any

import pytest
from pydantic import Field

from dev.gen.structural import parameters, structural
from streammonitor_api.durations import Duration
from streammonitor_api.model import Model


class Inner(Model):
    count: int | None = None
    """How many."""


class Outer(Model):
    inner: Inner
    """The inside."""
    labels: dict[str, str] = {}


class Params(Model):
    hold: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long."""
    level: float = Field(default=-60, ge=-100, le=-20)
    """How loud, in dB."""


def test_references_are_inlined_and_optional_means_absent() -> None:
    schema = structural(Outer)
    assert schema["properties"]["inner"] == {
        "type": "object",
        "description": "The inside.",
        "properties": {"count": {"type": "integer", "description": "How many."}},
    }
    assert schema["properties"]["labels"]["additionalProperties"] == {"type": "string"}
    assert schema["required"] == ["inner"]


def test_parameters_carry_no_default_but_describe_it() -> None:
    level = parameters(Params)["properties"]["level"]
    assert "default" not in level
    assert level["description"] == "How loud, in dB. Default: -60. From -100 to -20."
    assert (level["minimum"], level["maximum"]) == (-100, -20)


def test_the_bounds_of_a_duration_become_a_rule_with_a_sentence() -> None:
    hold = parameters(Params)["properties"]["hold"]
    assert hold["description"] == "How long. Default: 2s. From 100ms to 1h."
    (rule,) = hold["x-kubernetes-validations"]
    assert rule["rule"].endswith(
        "duration(self) >= duration('100ms') && duration(self) <= duration('1h')"
    )
    assert "from 100ms to 1h" in rule["messageExpression"]


class Fractions(Model):
    share: float = Field(default=0.9, ge=0.5, le=1)
    """How much."""
    phase: float = Field(default=-0.7, ge=-1, le=-0.5)
    """Where."""
    whole: float = Field(default=2, ge=1, le=3)
    """How many."""


def test_a_bound_that_the_apiserver_rounds_for_integers_becomes_a_rule() -> None:
    properties = parameters(Fractions)["properties"]
    (share,), (phase,) = (properties[n]["x-kubernetes-validations"] for n in ("share", "phase"))
    assert share["rule"] == "self >= 0.5"
    assert share["message"] == "share: use a number from 0.5 to 1"
    assert phase["rule"] == "self <= -0.5"
    assert "x-kubernetes-validations" not in properties["whole"]


class Union(Model):
    either: int | str


class Exclusive(Model):
    number: Annotated[int, Field(gt=0)]


@pytest.mark.parametrize("model", [Union, Exclusive], ids=["union", "exclusive bound"])
def test_what_kubernetes_would_ignore_is_refused(model: Any) -> None:
    with pytest.raises(ValueError, match="no place in a structural schema"):
        structural(model)
