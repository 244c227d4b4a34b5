"""The detectors, one file each. A file that is added here is a detector; nothing else changes.

>>> registry["black"].kind.value
'video'
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from streammonitor_worker.detectors.base import Detector

AnyDetector = Detector[Any, Any]


def _scan() -> Iterator[tuple[str, type[AnyDetector]]]:
    for module in iter_modules(__path__):
        if module.name != "base":
            yield module.name, detector_of(import_module(f"{__name__}.{module.name}"))


def detector_of(module: ModuleType) -> type[AnyDetector]:
    """The one detector that a module defines.

    Raises:
        TypeError: The module defines none, or several.
    """
    found = [
        item
        for item in vars(module).values()
        if isinstance(item, type)
        and issubclass(item, Detector)
        and item.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} defines {len(found)} detectors: write one in each file")
    return found[0]


def build_registry(
    found: Iterable[tuple[str, type[AnyDetector]]],
) -> dict[str, type[AnyDetector]]:
    """Index detectors by name.

    Raises:
        TypeError: Two detectors have the same name, or a file is not named after its detector.
    """
    detectors: dict[str, type[AnyDetector]] = {}
    for file_name, detector in found:
        if detector.name in detectors:
            raise TypeError(f"two detectors are named {detector.name!r}: rename one")
        expected = re.sub("(?<=[a-z])([A-Z])", r"_\1", detector.name).lower()
        if file_name != expected:
            raise TypeError(f"detector {detector.name!r} is in {file_name}.py, not {expected}.py")
        detectors[detector.name] = detector
    return detectors


registry: dict[str, type[AnyDetector]] = build_registry(_scan())
"""Every detector by its canonical name."""


@cache
def causes_of(detector: type[AnyDetector]) -> tuple[str, ...]:
    """Detectors whose defect implies this one's: roots first, then those that it names itself.

    >>> causes_of(registry["freeze"])
    ('stall', 'black')
    """
    roots = [name for name in sorted(registry) if registry[name].root]
    found = dict.fromkeys([*(roots if detector.kind.decoded else ()), *detector.causes])
    return tuple(name for name in found if name != detector.name)
