"""The layout's one trap: a folder named like a module of the standard library."""

import operator
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_standard_librarys_operator_module_stays_itself() -> None:
    assert Path(operator.__file__).parent == Path(sysconfig.get_path("stdlib"))
    assert not (ROOT / "operator/__init__.py").exists()


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert sorted(str(f) for f in folders if not (f / "__init__.py").exists()) == []
