"""A user's own classifier: what it is shown, what it says, and what is wrong with a bad one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from dev.media.classifier import brightness, model, node
from streammonitor_api.worker_status import DetectorState
from streammonitor_worker.analysis import StreamAnalysis
from streammonitor_worker.detectors.base import Measurement, Trouble, Verdict
from streammonitor_worker.detectors.model import ModelDetector, ModelParams, batch_of
from streammonitor_worker.frames import FrameView
from streammonitor_worker.measures.picture import PictureMeter
from streammonitor_worker.models import faults, store
from streammonitor_worker.models.probe import examine
from streammonitor_worker.models.store import ModelStore
from tests.contract.material import BOTH, deep, flat, tinted, views

WHITE, BLACK = 235, 16
SMALL = {"inputWidth": 16, "inputHeight": 16, "every": "200ms"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models; they are tried in this process, which is quicker."""
    monkeypatch.setattr(store, "shared", ModelStore(tmp_path, patient=True, probe=examine))
    return tmp_path


def detector(**params: Any) -> ModelDetector:
    return ModelDetector(ModelParams.model_validate({**SMALL, **params}))


def look(one: ModelDetector, pictures: Iterator[FrameView]) -> list[Measurement]:
    meter = PictureMeter()
    return [found for view in pictures for found in one.observe(meter.measure(view))]


def trouble(folder: Path, content: bytes, **params: Any) -> Trouble:
    """What is wrong with a model; the pictures stay unjudged."""
    (folder / "model.onnx").write_bytes(content)
    one = detector(**params)
    found = look(one, views(flat(10, WHITE)))
    assert {m.verdict for m in found} == {Verdict.UNKNOWN}
    said = one.trouble()
    assert said is not None
    return said


def test_a_score_holds_until_the_next_picture_is_shown(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(brightness())
    pictures = [*flat(7, BLACK), *flat(8, WHITE)]
    found = look(detector(), views(pictures))
    assert [m.verdict for m in found] == [Verdict.GOOD] * 10 + [Verdict.BAD] * 5
    assert found[0].values["score"] == pytest.approx(1 / (1 + np.exp(10)), rel=1e-4)
    assert found[-1].values == {"score": pytest.approx(1, abs=1e-4), "topClass": 1.0}


def test_between_the_thresholds_nothing_is_decided(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(brightness(gain=8))
    (found,) = look(detector(), views(flat(1, 146)))
    assert found.verdict is Verdict.BETWEEN
    assert 0.5 < found.values["score"] < 0.8
    assert found.confidence == pytest.approx(1 - found.values["score"])
    (found,) = look(detector(threshold=0.3), views(flat(1, 110)))
    assert found.verdict is Verdict.BAD, "the clear threshold of 0.5 gives way"


def test_a_new_scene_after_a_reset_is_shown_at_once(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(brightness())
    one = detector(every="10s")
    assert look(one, views(flat(2, BLACK)))[-1].verdict is Verdict.GOOD
    one.reset()
    assert look(one, views(flat(1, WHITE), start_s=0.08))[0].verdict is Verdict.BAD


@pytest.mark.parametrize(
    ("content", "params"),
    [
        (brightness(softmax=False), {"activation": "softmax"}),
        (brightness(softmax=False), {"activation": "sigmoid"}),
        (brightness(batch="N"), {}),
        (brightness(outputs=3), {"labels": ["dark", "bright", "odd"], "label": "bright"}),
        (brightness(channels=1), {"channelOrder": "grey"}),
        (brightness(level=0.5 * 255, gain=20 / 255), {"std": [1 / 255]}),
        (brightness(level=0), {"mean": [0.5], "output": "probabilities"}),
    ],
    ids=["logits", "sigmoid", "any batch", "labels", "grey", "0 to 255", "mean"],
)
def test_inputs_and_outputs_are_as_declared(
    folder: Path, content: bytes, params: dict[str, Any]
) -> None:
    (folder / "model.onnx").write_bytes(content)
    one = detector(**params)
    found = look(one, views([*flat(5, BLACK), *flat(5, WHITE)]))
    assert one.trouble() is None
    assert [m.verdict for m in found] == [Verdict.GOOD] * 5 + [Verdict.BAD] * 5


def test_channels_layout_and_scale_reach_the_model_as_declared() -> None:
    red = deep(next(flat(1, 63)), 10)
    (view,) = views([red], bit_depth=10, chroma=lambda y: tinted(y, -0.1, 0.43, bit_depth=10))
    params = {**SMALL, "mean": [0.1, 0.2, 0.3], "std": [1, 2, 4]}
    rgb = batch_of(view, ModelParams.model_validate(params))
    assert rgb.shape == (1, 3, 16, 16)
    bgr = batch_of(view, ModelParams.model_validate({**SMALL, "channelOrder": "bgr"}))
    last = batch_of(view, ModelParams.model_validate({**SMALL, "layout": "nhwc"}))
    assert last.shape == (1, 16, 16, 3)
    r, g, b = last[0, 0, 0]
    assert r > 0.8
    assert max(g, b) < 0.1
    np.testing.assert_allclose(bgr[0, :, 0, 0], [b, g, r], atol=1e-6)
    np.testing.assert_allclose(rgb[0, :, 0, 0], [r - 0.1, (g - 0.2) / 2, (b - 0.3) / 4], atol=1e-6)


def _shifted() -> bytes:
    """A model without classes: its output is the picture."""
    shape = (1, 3, 16, 16)
    nodes = [node("Relu", ["input"], ["out"])]
    return model(nodes, inputs={"input": shape}, outputs={"out": shape}, constants={})


def _two_inputs() -> bytes:
    shape = (1, 3, 16, 16)
    nodes = [node("Add", ["a", "b"], ["out"])]
    return model(nodes, inputs={"a": shape, "b": shape}, outputs={"out": shape}, constants={})


@pytest.mark.parametrize(
    ("content", "params", "reason", "sentence"),
    [
        (
            b"no model", {}, faults.INVALID,
            "model.onnx is no ONNX model that can be run: ",
        ),
        (
            b"", {}, faults.INVALID, "model.onnx is no ONNX model that can be run: ",
        ),
        (
            brightness(elsewhere=True), {}, faults.INVALID,
            "model.onnx keeps its weights in other files: export it in one piece",
        ),
        (
            brightness(), {"inputWidth": 224, "inputHeight": 224}, faults.INPUT,
            "the input of model.onnx is 1x3x16x16, but 1x3x224x224 is declared: set inputWidth, "
            "inputHeight, channelOrder and layout to what the model takes",
        ),
        (
            _two_inputs(), {}, faults.INPUT,
            "model.onnx has 2 inputs: a classifier of pictures has one",
        ),
        (
            _shifted(), {}, faults.OUTPUT,
            "output 'out' of model.onnx is tensor(float) of 1x3x16x16, not one score for each "
            "class: name the right one in output",
        ),
        (
            brightness(), {"output": "logits"}, faults.OUTPUT,
            "model.onnx has no output 'logits': set output to one of probabilities",
        ),
        (
            brightness(), {"label": "bright"}, faults.LABEL,
            "label 'bright' is not among labels: add it there, or write its number in the output",
        ),
        (
            brightness(), {"mean": [0.1, 0.2]}, faults.INPUT,
            "mean has 2 numbers: write one for all channels, or 3 as channelOrder rgb has",
        ),
        (
            brightness(), {"label": "2"}, faults.LABEL,
            "model.onnx gives 2 scores, the first is number 0: there is no label 2",
        ),
        (
            brightness(), {"labels": ["a", "b", "c"], "label": "b"}, faults.OUTPUT,
            "model.onnx gives 2 scores, but labels names 3: name each class",
        ),
        (
            brightness(softmax=False), {}, faults.OUTPUT,
            "model.onnx gives scores from 0 to 10, which are no probabilities: set activation to "
            "softmax or sigmoid",
        ),
        (
            brightness(gain=float("nan")), {}, faults.FAILED,
            "output 'probabilities' of model.onnx is not a finite number: check the model, and "
            "mean and std",
        ),
    ],
    ids=["not ONNX", "empty", "in pieces", "size", "inputs", "no classifier", "output", "label",
         "mean", "number", "labels", "logits", "NaN"],
)  # fmt: skip
def test_a_bad_model_is_named_with_a_remedy(
    folder: Path, content: bytes, params: dict[str, Any], reason: str, sentence: str
) -> None:
    said = trouble(folder, content, **params)
    assert said.reason == reason
    assert said.message.startswith(sentence)
    assert len(said.message) < 200


def test_a_model_that_takes_too_long_is_not_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = ModelStore(folder, patient=True, probe=lambda content, declared: 0.15)
    monkeypatch.setattr(store, "shared", slow)
    said = trouble(folder, brightness())
    assert said == Trouble(
        faults.TOO_SLOW,
        "model.onnx takes 0.15 s of CPU time for a picture, more than half of every (0.2 s): raise "
        "every, or use a smaller model or input",
    )


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"file": "../secret.onnx"}, "file"),
        ({"file": "/etc/passwd"}, "file"),
        ({"file": "a/../../b.onnx"}, "file"),
        ({"file": "a.onnx\n"}, "file"),
        ({"std": [0.0]}, "std"),
        ({"layout": "chw"}, "layout"),
    ],
)  # fmt: skip
def test_what_is_declared_wrongly_is_refused(params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        ModelParams.model_validate(params)


def test_a_bad_model_does_not_disturb_the_detectors_beside_it(folder: Path) -> None:
    analysis = StreamAnalysis(
        monitor_uid="", stream="a", worker="w",
        detectors={"black": {"minDuration": "1s"}, "model": {"file": "none.onnx"}},
    )  # fmt: skip
    analysis.feed(BOTH)
    events = [event for view in views(flat(50, BLACK)) for event in analysis.feed(view)]
    assert [event.incident.defect for event in events] == ["black"]
    assert analysis.detector_states() == {
        "black": DetectorState.ACTIVE,
        "model": DetectorState.UNKNOWN,
    }
    assert analysis.blind_spots() == {
        "model": (
            faults.MISSING, f"there is no none.onnx in {folder}: put it there, or correct file"
        )
    }  # fmt: skip
    assert analysis.warm, "a worker with a bad model can still take streams over"
