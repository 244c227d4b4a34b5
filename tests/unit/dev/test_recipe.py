"""The detector that docs/add-a-detector.md adds, step by step, with the code on that page."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import ValidationError

from dev.gen.reference import parts_of
from dev.host import REPOSITORY
from streammonitor_worker.detectors import AnyDetector, build_registry, detector_of
from streammonitor_worker.detectors.base import Verdict
from streammonitor_worker.measures.picture import PictureMeter
from tests.accuracy.edits import Bench

_BLOCK = re.compile(r"^```python\n# (?P<path>\S+)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def steps() -> Iterator[dict[str, ModuleType]]:
    """The page's files by path, imported in its order."""
    page = (REPOSITORY / "docs" / "add-a-detector.md").read_text()
    modules: dict[str, ModuleType] = {}
    before = dict(sys.modules)
    try:
        for match in _BLOCK.finditer(page):
            path = match["path"].removeprefix("worker/")
            module = ModuleType(path.removesuffix(".py").replace("/", "."))
            sys.modules[module.__name__] = module
            modules[path] = module
            exec(compile(match["code"], match["path"], "exec"), vars(module))  # noqa: S102
        yield modules
    finally:
        for module in modules.values():
            del sys.modules[module.__name__]
            sys.modules.update({name: before[name] for name in {module.__name__} & before.keys()})


@pytest.fixture
def detector(steps: dict[str, ModuleType]) -> type[AnyDetector]:
    path = "streammonitor_worker/detectors/washed_out.py"
    found = detector_of(steps[path])
    assert build_registry([(Path(path).stem, found)]) == {"washedOut": found}
    return found


def test_the_registry_takes_it_and_its_documentation_is_complete(
    detector: type[AnyDetector],
) -> None:
    assert "darkestLuma" in parts_of(detector)["Values"]
    with pytest.raises(ValidationError, match="threshold"):
        detector.params_type.model_validate({"threshold": 2})


def test_it_finds_the_defect_that_it_is_shown(
    detector: type[AnyDetector], steps: dict[str, ModuleType]
) -> None:
    one, meter = detector(detector.params_type()), PictureMeter()
    views = steps["tests/contract/defects/washed_out.py"].defective()
    verdicts = [m.verdict for view in views for m in one.observe(meter.measure(view))]
    assert [verdict is Verdict.BAD for verdict in verdicts] == [False] * 25 + [True] * 25 + [
        False
    ] * 25


def test_its_own_tests_pass(steps: dict[str, ModuleType]) -> None:
    test: Callable[..., None] = steps[
        "tests/unit/worker/test_washed_out.py"
    ].test_is_washed_out_when_nothing_is_dark
    (cases,) = test.pytestmark  # type: ignore[attr-defined]  # pytest puts it on the function
    for case in cases.args[1]:
        test(*case)


def test_it_is_benched(steps: dict[str, ModuleType]) -> None:
    bench = steps["tests/accuracy/defects/washed_out.py"].BENCH
    assert isinstance(bench, Bench)
    assert (bench.defect, list(bench.variants), list(bench.negatives)) == (
        "washedOut",
        ["white"],
        ["high key"],
    )
