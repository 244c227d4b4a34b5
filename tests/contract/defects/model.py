from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from dev.media.classifier import brightness
from tests.contract.material import View, flat, pan, views

PARAMS = {"file": "bright.onnx", "inputWidth": 16, "inputHeight": 16, "every": "200ms"}


def prepare(folder: Path) -> None:
    (folder / "bright.onnx").write_bytes(brightness(level=0.88, gain=60))


def defective() -> Iterator[View]:
    return views(chain(pan(25), flat(25, 220), flat(25, 40)))
