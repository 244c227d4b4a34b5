"""The defects that are benched, one file each; a file that is added here is benched.

>>> sorted(benches)
['black', 'freeze', 'silence']
"""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from tests.accuracy.edits import Bench


def _scan() -> Iterator[Bench]:
    for module in iter_modules(__path__):
        bench = import_module(f"{__name__}.{module.name}").BENCH
        if not isinstance(bench, Bench):
            raise TypeError(f"{module.name}.BENCH is not a Bench: write BENCH = Bench(…)")
        yield bench


benches: dict[str, Bench] = {bench.defect: bench for bench in _scan()}
