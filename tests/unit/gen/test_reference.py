from typing import Any

import pytest
from pydantic import Field

from dev.gen.limits import default, limits
from dev.gen.reference import parts_of, reference
from dev.gen.structural import structural
from streammonitor_api.durations import Duration
from streammonitor_api.model import Model
from streammonitor_worker.detectors import registry
from streammonitor_worker.detectors.base import Kind
from streammonitor_worker.detectors.black import BlackDetector


class Undocumented(BlackDetector):
    """Finds nothing.

    Input: none.
    """


class Params(Model):
    hold: Duration = Field(default=2.0, ge=0.1, le=3600)
    level: float = Field(default=-60, ge=-100, le=-20)
    file: str = Field(default="a.onnx", max_length=9)
    flag: bool = False
    kind: Kind = Kind.AUDIO
    mean: list[float] = Field(default=[0.5], min_length=1, max_length=3)
    words: list[str] = Field(default=[], max_length=3, json_schema_extra={"items": {"enum": [1]}})


def told(field: str) -> tuple[str, str]:
    info = Params.model_fields[field]
    schema: dict[str, Any] = structural(Params)["properties"][field]
    return default(info), limits(info, schema)


def test_every_detector_has_a_section_with_its_parts_and_parameters() -> None:
    page = reference()
    for name, detector in registry.items():
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert detector.summary in section
        for part in ("Input", "Values", "Source", "Blind spots"):
            assert f"**{part}.** " in section
        for field, info in detector.params_type.model_fields.items():
            assert f"| `{info.alias or field}` | `{default(info)}` |" in section


def test_a_missing_part_is_named() -> None:
    with pytest.raises(ValueError, match="black lacks the part 'Values': write it"):
        parts_of(Undocumented)


def test_defaults_and_limits_are_phrases() -> None:
    assert told("hold") == ("2s", "from 100ms to 1h")
    assert told("level") == ("-60", "from -100 to -20")
    assert told("file") == ("a.onnx", "at most 9 characters")
    assert told("flag") == ("false", "true or false")
    assert told("kind") == ("audio", "one of video, audio, transport")
    assert told("words") == ("[]", "0 to 3 items, each one of 1")


def test_a_parameter_without_limits_is_refused() -> None:
    with pytest.raises(ValueError, match="a parameter without limits"):
        told("mean")
