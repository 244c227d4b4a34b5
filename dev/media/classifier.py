"""A tiny ONNX classifier, written byte by byte: it tells bright pictures from dark ones.

An ONNX file is a protobuf message (onnx.proto3 of ONNX IR version 8); the few fields of it that are
needed here are not worth a dependency of 30 MB.
"""

import struct
from collections.abc import Sequence

_VARINT, _BYTES = 0, 2
_FLOAT = 1
"""TensorProto.FLOAT."""
_EXTERNAL = 1
"""TensorProto.EXTERNAL."""
_INTEGER = 2
"""AttributeProto.INT."""

Shape = Sequence[int | str]


def brightness(
    width: int = 16,
    height: int = 16,
    *,
    channels: int = 3,
    level: float = 0.5,
    gain: float = 20.0,
    softmax: bool = True,
    outputs: int = 2,
    batch: int | str = 1,
    elsewhere: bool = False,
) -> bytes:
    """A model whose class 1 is "bright": a picture with a mean above `level`.

    Args:
        width: Width of its input.
        height: Height of its input.
        channels: Channels of its input.
        level: Mean of the input at which both classes are as likely.
        gain: How steeply its probability rises with the mean.
        softmax: Whether its output are probabilities.
        outputs: How many scores it gives; those after the second are 0 before the softmax.
        batch: Size of its first axis, or a name for any.
        elsewhere: Whether its weights are to be in a file beside it.
    """
    weights = [0.0, gain / channels] + [0.0] * (outputs - 2)
    bias = [0.0, -gain * level] + [0.0] * (outputs - 2)
    nodes = [
        node("GlobalAveragePool", ["input"], ["mean"]),
        node("Flatten", ["mean"], ["flat"]),
        node("Gemm", ["flat", "weights", "bias"], ["scores"]),
    ]
    if softmax:
        nodes.append(node("Softmax", ["scores"], ["probabilities"], axis=1))
    result = "probabilities" if softmax else "scores"
    return model(
        nodes,
        inputs={"input": (batch, channels, height, width)},
        outputs={result: (batch, outputs)},
        constants={
            "weights": ((channels, outputs), weights * channels),
            "bias": ((outputs,), bias),
        },
        elsewhere=elsewhere,
    )


def model(
    nodes: Sequence[bytes],
    *,
    inputs: dict[str, Shape],
    outputs: dict[str, Shape],
    constants: dict[str, tuple[Sequence[int], Sequence[float]]],
    elsewhere: bool = False,
) -> bytes:
    """A model of nodes that `node` made; its constants may be in a file beside it."""
    graph = b"".join(_field(1, one) for one in nodes) + _field(2, b"graph")
    graph += b"".join(
        _field(5, _tensor(name, *one, elsewhere=elsewhere)) for name, one in constants.items()
    )
    graph += b"".join(_field(11, _value(name, shape)) for name, shape in inputs.items())
    graph += b"".join(_field(12, _value(name, shape)) for name, shape in outputs.items())
    operators = _field(1, b"") + _field(2, 17)
    return _field(1, 8) + _field(7, graph) + _field(8, operators)


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], **integers: int) -> bytes:
    """One operator with integer attributes."""
    body = b"".join(_field(1, name.encode()) for name in inputs)
    body += b"".join(_field(2, name.encode()) for name in outputs)
    body += _field(4, kind.encode())
    for name, value in integers.items():
        body += _field(5, _field(1, name.encode()) + _field(3, value) + _field(20, _INTEGER))
    return body


def _tensor(name: str, shape: Sequence[int], values: Sequence[float], *, elsewhere: bool) -> bytes:
    body = b"".join(_field(1, size) for size in shape) + _field(2, _FLOAT)
    if elsewhere:
        location = _field(1, b"location") + _field(2, b"weights.bin")
        return body + _field(8, name.encode()) + _field(13, location) + _field(14, _EXTERNAL)
    return body + _field(8, name.encode()) + _field(9, struct.pack(f"<{len(values)}f", *values))


def _value(name: str, shape: Shape) -> bytes:
    sizes = b"".join(
        _field(1, _field(1, size) if isinstance(size, int) else _field(2, size.encode()))
        for size in shape
    )
    return _field(1, name.encode()) + _field(2, _field(1, _field(1, _FLOAT) + _field(2, sizes)))


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
