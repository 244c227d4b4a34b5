"""The defects that are benched, one file each; a file that is added here is benched.

A file defines BENCH: what the defect looks like, what only looks like it, and ffmpeg's filter for
it if there is one. The file is named after the detector's.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from tests.accuracy.edits import Bench


def _scan() -> Iterator[tuple[Bench, Path]]:
    for module in iter_modules(__path__):
        bench = import_module(f"{__name__}.{module.name}").BENCH
        if not isinstance(bench, Bench):
            raise TypeError(f"{module.name}.BENCH is not a Bench: write BENCH = Bench(...)")
        yield bench, Path(__path__[0]) / f"{module.name}.py"


files: dict[str, Path] = {}
"""Where each defect is defined."""
benches: dict[str, Bench] = {}
"""Every benched defect by its canonical name."""
for _bench, _file in _scan():
    benches[_bench.defect], files[_bench.defect] = _bench, _file
