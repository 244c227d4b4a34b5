from dataclasses import replace
from pathlib import Path

import pytest

from dev.cluster import binaries
from dev.host import Failure


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMONITOR_CACHE", str(tmp_path))


@pytest.mark.parametrize(
    ("version", "enough"),
    [("go1.24.0", True), ("go1.24", True), ("go1.26.8", True), ("go2.0", True), ("go1.23.9", False),
     ("go1.9", False), ("devel go1.27-abc", True)],
)  # fmt: skip
def test_judges_go_by_its_number(version: str, enough: bool) -> None:
    assert binaries.go_is_new_enough(version) == enough


def test_another_version_has_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    before = binaries.bin_folder()
    changed = {**binaries.RECIPES, "helm": replace(binaries.RECIPES["helm"], version="v3.0.0")}
    monkeypatch.setattr(binaries, "RECIPES", changed)
    assert binaries.bin_folder() != before


def test_what_is_there_is_not_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = binaries.bin_folder()
    folder.mkdir(parents=True)
    (folder / "helm").touch()
    monkeypatch.setattr(binaries, "find_tool", lambda name: pytest.fail("asked for Go"))
    assert binaries.build(["helm"]) == folder


def test_refuses_a_program_that_it_does_not_know() -> None:
    with pytest.raises(Failure, match="Cannot build nonsense"):
        binaries.build(["nonsense"])


def test_says_what_to_do_without_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_tool", lambda name: None)
    with pytest.raises(Failure, match=r"Go 1\.24 or newer is not installed"):
        binaries.build(["helm"])


def test_a_module_pins_exactly_one_version() -> None:
    text = binaries.go_mod(binaries.RECIPES["kubernetes"], ["k8s.io/api => k8s.io/api v0.34.4"])
    assert f"require k8s.io/kubernetes v{binaries.KUBERNETES}\n" in text
    assert text.endswith("replace k8s.io/api => k8s.io/api v0.34.4\n")
