"""One loaded model: checked against what was declared of it, and run. Alone in using ONNX Runtime.

What ONNX Runtime raises has no base class of its own, and a model is a stranger's code: whatever
goes wrong with it here is that model's fault and must not reach the stream.
"""

import importlib
import re
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from streammonitor_worker.models import faults
from streammonitor_worker.models.declared import Declared
from streammonitor_worker.models.faults import ModelFault

Batch = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]

MAX_CONCURRENT = 2
"""Runs of one model at a time, whatever the number of streams: each needs memory of its own."""
MAX_CLASSES = 100_000
_FLOATS = ("tensor(float)", "tensor(double)", "tensor(float16)")
_QUIET = 4
"""Only what is fatal is logged: a model's faults are told as the detector's."""
_CODE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
"""How ONNX Runtime's messages begin."""
_IN_PIECES = ("model_path must not be empty", "xternal data")
"""What it says of weights in another file: a model that is read from memory has no folder."""
_REMEDY = "set inputWidth, inputHeight, channelOrder and layout to what the model takes"


class Session:
    """A model that is ready to run; several threads may use it at once.

    Args:
        content: The ONNX file.
        declared: What it must be like.

    Raises:
        ModelFault: It cannot be loaded, or is not as declared.
    """

    def __init__(self, content: bytes, declared: Declared) -> None:
        self._declared = declared
        self._slots = threading.BoundedSemaphore(MAX_CONCURRENT)
        self._session = _open(content, declared.file)
        self._input = _input_name(self._session, declared)
        self._output = _output_name(self._session, declared)
        self.cpu_s = 0.0
        """CPU time of one run, in seconds, as measured when it was tried."""

    def run(self, batch: Batch) -> Scores:
        """Return the scores of one picture, one for each class, as the model gives them.

        Args:
            batch: The picture, of the declared shape.

        Raises:
            ModelFault: It fails, or the output is not a list of finite numbers.
        """
        file = self._declared.file
        try:
            with self._slots:
                (output,) = self._session.run([self._output], {self._input: batch})
        except Exception as error:  # see above
            raise _failure(file, error) from None
        scores = np.asarray(output, np.float64)
        if scores.size == 0 or scores.size != max(scores.shape, default=1):
            raise ModelFault(
                faults.OUTPUT,
                f"output {self._output!r} of {file} has shape {_shape(scores.shape)}, not one "
                f"score for each class: name the right one in output",
            )
        if not np.isfinite(scores).all():
            raise ModelFault(
                faults.FAILED,
                f"output {self._output!r} of {file} is not a finite number: check the model, and "
                f"mean and std",
            )
        return scores.reshape(-1)


def _open(content: bytes, file: str) -> Any:
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    # A worker has many streams: threads of their own for each model would only contend.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    try:
        return runtime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # see above
        if _for_memory(error):
            raise _failure(file, error) from None
        if any(text in str(error) for text in _IN_PIECES):
            raise ModelFault(
                faults.INVALID,
                f"{file} keeps its weights in other files: export it in one piece",
            ) from None
        raise ModelFault(
            faults.INVALID, f"{file} is no ONNX model that can be run: {_brief(error)}"
        ) from None


def _input_name(session: Any, declared: Declared) -> str:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise ModelFault(
            faults.INPUT,
            f"{declared.file} has {len(inputs)} inputs: a classifier of pictures has one",
        )
    (one,) = inputs
    if one.type != "tensor(float)":
        raise ModelFault(
            faults.INPUT,
            f"the input of {declared.file} is {one.type}: export it with an input of float",
        )
    fits = len(one.shape) == len(declared.shape) and all(
        not isinstance(has, int) or has == wanted
        for has, wanted in zip(one.shape, declared.shape, strict=True)
    )
    if not fits:
        raise ModelFault(
            faults.INPUT,
            f"the input of {declared.file} is {_shape(one.shape)}, but {_shape(declared.shape)} is "
            f"declared: {_REMEDY}",
        )
    return str(one.name)


def _output_name(session: Any, declared: Declared) -> str:
    outputs = {one.name: one for one in session.get_outputs()}
    name = declared.output or next(iter(outputs))
    if name not in outputs:
        has = ", ".join(list(outputs)[:5])
        raise ModelFault(
            faults.OUTPUT,
            f"{declared.file} has no output {name!r}: set output to one of {has}",
        )
    one = outputs[name]
    known = [size for size in one.shape or [] if isinstance(size, int)]
    if one.type not in _FLOATS or sum(size > 1 for size in known) > 1:
        raise ModelFault(
            faults.OUTPUT,
            f"output {name!r} of {declared.file} is {one.type} of {_shape(one.shape)}, not one "
            f"score for each class: name the right one in output",
        )
    return str(name)


def too_large(file: str) -> ModelFault:
    """It wants more memory than it may have."""
    return ModelFault(
        faults.TOO_LARGE,
        f"{file} needs more memory than there is for it: use a smaller model or input",
    )


def _failure(file: str, error: Exception) -> ModelFault:
    if _for_memory(error):
        return too_large(file)
    return ModelFault(faults.FAILED, f"{file} fails when it runs: {_brief(error)}")


def _for_memory(error: Exception) -> bool:
    text = str(error)
    return isinstance(error, MemoryError) or "bad_alloc" in text or "allocate memory" in text


def _brief(error: Exception) -> str:
    text = " ".join(_CODE.sub("", str(error)).split()) or type(error).__name__
    return text if len(text) <= 120 else f"{text[:117]}..."


def _shape(shape: Any) -> str:
    return "x".join("?" if not isinstance(size, int) else str(size) for size in shape) or "a number"
