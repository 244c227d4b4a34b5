"""The defects that are benched, one file each; a file that is added here is benched.

A file defines BENCH: what the defect looks like, what only looks like it, and ffmpeg's filter for
it if there is one. The file is named after the detector's.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from tests.accuracy.edits import Bench

modules: dict[str, ModuleType] = {}
"""Where each defect is defined."""
benches: dict[str, Bench] = {}
"""Every benched defect by its canonical name."""
for _found in iter_modules(__path__):
    _module = import_module(f"{__name__}.{_found.name}")
    if not isinstance(_module.BENCH, Bench):
        raise TypeError(f"{_found.name}.BENCH is not a Bench: write BENCH = Bench(...)")
    benches[_module.BENCH.defect] = _module.BENCH
    modules[_module.BENCH.defect] = _module
