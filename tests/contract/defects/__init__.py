"""What the contract test shows each detector, one file each, named after the detector's.

A file defines `defective`: a few seconds in memory that hold the detector's defect and good media
before or after it. It may define PARAMS, what a user would set, and `prepare`, which puts what the
detector needs into a folder. Made in memory, small and short: the contract test runs it many times.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from streammonitor_worker.detectors import AnyDetector, registry
from tests.contract.material import View


@dataclass(frozen=True)
class Shown:
    """What a detector is shown.

    Attributes:
        views: Media with its defect in it.
        params: What a user would set, as it is on the wire.
        prepare: Puts what the detector needs into a folder.
    """

    views: list[View]
    params: Mapping[str, Any]
    prepare: Callable[[Path], None]


@cache
def shown(name: str) -> Shown:
    """What the file of a detector defines; the same views for everybody: they are read-only."""
    file = registry[name].__module__.rsplit(".", 1)[1]
    try:
        module = import_module(f"{__name__}.{file}")
    except ModuleNotFoundError:
        raise AssertionError(
            f"tests/contract/defects/{file}.py is missing: define `defective` in it"
        ) from None
    return Shown(
        list(module.defective()),
        getattr(module, "PARAMS", {}),
        getattr(module, "prepare", lambda folder: None),
    )


def detector_of(name: str) -> AnyDetector:
    """A new detector with the parameters of its file."""
    params = registry[name].params_type
    return registry[name](params.model_validate(dict(shown(name).params)))
