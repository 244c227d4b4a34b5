"""Model: a user's own classifier says so."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, StringConstraints

from streammonitor_api.durations import Duration
from streammonitor_worker.detectors.base import (
    Detector,
    DetectorParams,
    Kind,
    Measurement,
    Profiles,
    Trace,
    Trouble,
    Units,
    Verdict,
)
from streammonitor_worker.frames import FrameView
from streammonitor_worker.measures.colour import rgb_of
from streammonitor_worker.measures.picture import PictureMeasures
from streammonitor_worker.models import faults, store
from streammonitor_worker.models.declared import Declared, Layout
from streammonitor_worker.models.faults import ModelFault
from streammonitor_worker.models.session import Batch, Scores, Session

MAX_SHARE = 0.5
"""Of the time between two pictures, at most this much may go into looking at one."""
ROUNDING = 1e-3
"""What a probability may be below 0 or above 1: models calculate with 16 or 32 bits."""
_GREY = (0.2126, 0.7152, 0.0722)
"""Weights of red, green and blue (ITU-R BT.709-6 item 3.2)."""

Offset = Annotated[float, Field(ge=-256.0, le=256.0)]
Factor = Annotated[float, Field(ge=0.001, le=256.0)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=63)]


class ChannelOrder(StrEnum):
    """Which channels a model takes."""

    RGB = "rgb"
    BGR = "bgr"
    GREY = "grey"


class Activation(StrEnum):
    """What makes probabilities of a model's output."""

    NONE = "none"
    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"


class ModelParams(DetectorParams):
    """Parameters of the model detector."""

    min_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long the model must see the defect before an incident is raised."""
    clear_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long the model must not see it before the incident ends."""
    critical_after: Duration = Field(default=30.0, ge=0.1, le=86400)
    """How long the model must see the defect for the incident to become critical."""
    file: Annotated[
        str,
        StringConstraints(
            min_length=1,
            max_length=253,
            pattern=r"^[A-Za-z0-9_][-.A-Za-z0-9_]*(/[A-Za-z0-9_][-.A-Za-z0-9_]*)*$",
        ),
    ] = "model.onnx"
    """The model, an ONNX file of at most 256 MiB in one piece: its path in the worker group's
    modelVolume, or in the folder of --models."""
    input_width: int = Field(default=224, ge=1, le=2048)
    """Width of the model's input. The whole picture is stretched to it."""
    input_height: int = Field(default=224, ge=1, le=2048)
    """Height of the model's input."""
    channel_order: ChannelOrder = ChannelOrder.RGB
    """The channels of the model's input."""
    layout: Layout = Layout.NCHW
    """The order of the model's input: N pictures, C channels, H lines, W columns."""
    mean: Annotated[list[Offset], Field(min_length=1, max_length=3)] = [0.0]
    """Taken off each channel (one number for all, or three in channelOrder) of a picture whose
    channels go from 0 to 1."""
    std: Annotated[list[Factor], Field(min_length=1, max_length=3)] = [1.0]
    """What each channel is then divided by: 0.00392157 for a model that takes 0 to 255."""
    output: Annotated[str, StringConstraints(max_length=253)] = ""
    """Name of the model's output with one score for each class; empty for the first."""
    activation: Activation = Activation.NONE
    """What makes probabilities of the scores; none if the model gives probabilities."""
    labels: Annotated[list[Label], Field(max_length=1000)] = []
    """Names of the classes, in the order of the output; none if `label` is a number."""
    label: Label = "1"
    """The class that is the defect: one of labels, or its number in the output, the first is 0."""
    threshold: float = Field(default=0.8, ge=0.0, le=1.0)
    """Probability of that class from which a picture is defective."""
    clear_threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability of that class below which a picture is good again; never above threshold."""
    every: Duration = Field(default=1.0, ge=0.04, le=60)
    """How often a picture is shown to the model; what it says holds until the next."""

    units: ClassVar[Units] = {
        "inputWidth": "pixels",
        "inputHeight": "pixels",
        "threshold": "ratio",
        "clearThreshold": "ratio",
    }
    profiles: ClassVar[Profiles] = {
        "strict": {"minDuration": "1s", "criticalAfter": "10s", "threshold": 0.7},
        "relaxed": {"minDuration": "10s", "clearDuration": "5s", "criticalAfter": "2m"},
    }

    @property
    def channels(self) -> int:
        """How many channels the model takes."""
        return 1 if self.channel_order is ChannelOrder.GREY else 3

    @property
    def declared(self) -> Declared:
        """What the file must be."""
        return Declared(
            self.file, self.input_width, self.input_height, self.channels, self.layout, self.output
        )

    @property
    def clear_at(self) -> float:
        """The clear threshold that holds."""
        return min(self.threshold, self.clear_threshold)


class ModelDetector(Detector[ModelParams, PictureMeasures]):
    """Shows pictures to a model of your own, and reports the class that you call the defect.

    The model is an ONNX file with one input of pictures and one score for each class, run by ONNX
    Runtime on the CPU. It is tried in a process of its own before a worker loads it; while it is
    missing or wrong, this detector is unknown, the stream's problem says why, and the other
    detectors go on. A file that changes is read again within 10 s.

    Input: one picture every `every`, of 8 to 16 bits, in red, green and blue by the stream's own
    matrix (BT.601, BT.709 or BT.2020) and range, stretched to the model's size, bars included;
    `region` crops it, and `ignoreRegions` are black. A model takes at most 512 MiB of memory, and
    half of `every` in CPU time for a picture.

    Values: `score` (probability of the class, 0..1) and `topClass` (the number of the likeliest
    class).

    Source: your own; docs/model.md tells how to export and declare it. ONNX: operator sets up to
    what ONNX Runtime 1.23 reads.

    Blind spots: what lies between two pictures that are shown; PQ and HLG are shown as they are
    coded; what the model does not know. How often it is right is for you to measure.
    """

    name: ClassVar[str] = "model"
    kind: ClassVar[Kind] = Kind.VIDEO
    summary: ClassVar[str] = "A model of your own (ONNX) sees its defect in the picture."
    params_type: ClassVar[type[DetectorParams]] = ModelParams
    cost: ClassVar[float] = 0.2
    self_contained: ClassVar[bool] = False
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(("score",), "", lambda p: p.threshold, lambda p: p.clear_at),
    )

    def __init__(self, params: ModelParams) -> None:
        super().__init__(params)
        self._trouble: Trouble | None = None
        self._forget()

    def reset(self) -> None:
        """Show the next picture at once."""
        self._forget()

    def _forget(self) -> None:
        self._due_s = float("-inf")
        self._verdict = Verdict.UNKNOWN
        self._confidence = 0.0
        self._values: dict[str, float] = {}

    def trouble(self) -> Trouble | None:
        """What is wrong with the model."""
        return self._trouble

    def observe(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """Show the picture to the model if one is due; else what it said last holds."""
        view = measures.view
        if view.time_s >= self._due_s:
            self._look(view)
        yield Measurement(
            start_s=view.time_s,
            end_s=view.time_s + view.duration_s,
            arrived_at=view.arrived_at,
            verdict=self._verdict,
            confidence=self._confidence,
            values=dict(self._values),
        )

    def _look(self, view: FrameView) -> None:
        self._forget()
        found = store.shared.get(self.params.declared)
        if found is None:
            return
        try:
            if isinstance(found, ModelFault):
                raise found
            self._judge(self._scores(found, view))
            self._trouble = None
        except ModelFault as fault:
            self._trouble = Trouble(fault.reason, fault.message)
        # Also after a fault: what fails on every picture is not tried on every picture.
        self._due_s = view.time_s + self.params.every

    def _scores(self, session: Session, view: FrameView) -> Scores:
        params = self.params
        if session.cpu_s > MAX_SHARE * params.every:
            raise ModelFault(
                faults.TOO_SLOW,
                f"{params.file} takes {session.cpu_s:.2g} s of CPU time for a picture, more than "
                f"half of every ({params.every:g} s): raise every, or use a smaller model or input",
            )
        return probabilities(session.run(batch_of(view, params)), params)

    def _judge(self, scores: Scores) -> None:
        score = float(scores[class_of(self.params, len(scores))])
        self._values = {"score": score, "topClass": float(scores.argmax())}
        self._confidence = score if score >= self.params.threshold else 1.0 - score
        if score >= self.params.threshold:
            self._verdict = Verdict.BAD
        else:
            good = score < self.params.clear_at
            self._verdict = Verdict.GOOD if good else Verdict.BETWEEN


def class_of(params: ModelParams, scores: int) -> int:
    """The number of the defective class among so many scores.

    Raises:
        ModelFault: There is no such class, or there are not as many as there are labels.
    """
    file, labels, label = params.file, params.labels, params.label
    if labels and len(labels) != scores:
        raise ModelFault(
            faults.OUTPUT,
            f"{file} gives {scores} scores, but labels names {len(labels)}: name each class",
        )
    if label in labels:
        return labels.index(label)
    if not label.isdecimal():
        raise ModelFault(
            faults.LABEL,
            f"label {label!r} is not among labels: add it there, or write its number in the output",
        )
    if int(label) >= scores:
        raise ModelFault(
            faults.LABEL,
            f"{file} gives {scores} scores, the first is number 0: there is no label {label}",
        )
    return int(label)


def batch_of(view: FrameView, params: ModelParams) -> Batch:
    """The picture as the model takes it, of the shape that is declared.

    Raises:
        ModelFault: There is not one mean and std for each channel, nor one for all.
    """
    for name, values in (("mean", params.mean), ("std", params.std)):
        if len(values) not in (1, params.channels):
            raise ModelFault(
                faults.INPUT,
                f"{name} has {len(values)} numbers: write one for all channels, or "
                f"{params.channels} as channelOrder {params.channel_order} has",
            )
    picture = rgb_of(view, params.input_width, params.input_height)
    if params.channel_order is ChannelOrder.BGR:
        picture = picture[..., ::-1]
    elif params.channel_order is ChannelOrder.GREY:
        picture = picture @ np.array(_GREY, np.float32)[:, None]
    batch = (picture - np.array(params.mean, np.float32)) / np.array(params.std, np.float32)
    if params.layout is Layout.NCHW:
        batch = batch.transpose(2, 0, 1)
    return np.ascontiguousarray(batch[None], np.float32)


def probabilities(scores: Scores, params: ModelParams) -> Scores:
    """The probability of each class.

    Raises:
        ModelFault: These are no probabilities.
    """
    if params.activation is Activation.SOFTMAX:
        raised = np.exp(scores - scores.max())
        return np.asarray(raised / raised.sum(), np.float64)
    if params.activation is Activation.SIGMOID:
        return np.asarray(0.5 * (1 + np.tanh(scores / 2)), np.float64)
    if scores.min() < -ROUNDING or scores.max() > 1 + ROUNDING:
        raise ModelFault(
            faults.OUTPUT,
            f"{params.file} gives scores from {scores.min():.3g} to {scores.max():.3g}, which are "
            f"no probabilities: set activation to softmax or sigmoid",
        )
    return scores.clip(0, 1)
