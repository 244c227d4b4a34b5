"""The detector that docs/add-a-detector.md adds, step by step, with the code on that page."""

import re
import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from inspect import signature
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import ValidationError

from dev.gen.reference import parts_of
from dev.host import REPOSITORY
from streammonitor_worker.detectors import AnyDetector, build_registry, detector_of, registry
from tests.accuracy.edits import Bench
from tests.contract import test_detectors as contract

_BLOCK = re.compile(r"^```python\n# (?P<path>\S+)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ModuleType]]:
    """The page's files by path, written and imported in its order."""
    page = (REPOSITORY / "docs" / "add-a-detector.md").read_text()
    modules: dict[str, ModuleType] = {}
    before = dict(sys.modules)
    try:
        for match in _BLOCK.finditer(page):
            path = match["path"].removeprefix("worker/")
            name = path.removesuffix(".py").replace("/", ".")
            file = tmp_path_factory.mktemp("step") / Path(path).name
            file.write_text(match["code"])
            modules[path] = sys.modules[name] = _imported(name, file)
        yield modules
    finally:
        for module in modules.values():
            del sys.modules[module.__name__]
            sys.modules.update({name: before[name] for name in {module.__name__} & before.keys()})


def _imported(name: str, file: Path) -> ModuleType:
    spec = spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_it_obeys_the_contract(
    detector: type[AnyDetector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry, "washedOut", detector)
    tests = [test for name, test in vars(contract).items() if name.startswith("test_")]
    assert len(tests) > 10
    for test in tests:
        fresh = {"name": "washedOut", "detector": detector(detector.params_type()), "gap_s": 0.5}
        test(**{argument: fresh[argument] for argument in signature(test).parameters})


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
