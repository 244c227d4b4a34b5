from pathlib import Path

import pytest

from dev.host import REPOSITORY, Failure
from dev.images import builder
from dev.images.content import content_hash, inputs, reference


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "pyproject.toml",
        "constraints.txt",
        "worker/Dockerfile",
        "operator/Dockerfile",
        "crds/streammonitor_api/spec.py",
        "worker/streammonitor_worker/cli.py",
        "operator/streammonitor_operator/plan.py",
        "docs/index.md",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    "name",
    ["pyproject.toml", "constraints.txt", "worker/Dockerfile", "crds/streammonitor_api/spec.py",
     "worker/streammonitor_worker/cli.py"],
)  # fmt: skip
def test_what_goes_into_an_image_changes_its_name(tree: Path, name: str) -> None:
    before = content_hash(tree, "worker", "base")
    (tree / name).write_text("changed")
    assert content_hash(tree, "worker", "base") != before


@pytest.mark.parametrize(
    "name", ["docs/index.md", "operator/streammonitor_operator/plan.py",
             "worker/streammonitor_worker/__pycache__/cli.pyc"]
)  # fmt: skip
def test_what_does_not_leaves_it(tree: Path, name: str) -> None:
    before = content_hash(tree, "worker", "base")
    (tree / name).parent.mkdir(exist_ok=True)
    (tree / name).write_text("changed")
    assert content_hash(tree, "worker", "base") == before


def test_a_file_that_moves_changes_the_name(tree: Path) -> None:
    before = content_hash(tree, "worker", "base")
    source = tree / "worker/streammonitor_worker/cli.py"
    source.rename(source.with_name("main.py"))
    assert content_hash(tree, "worker", "base") != before


def test_the_base_is_part_of_the_name(tree: Path) -> None:
    assert content_hash(tree, "worker", "one") != content_hash(tree, "worker", "two")


def test_every_input_is_let_into_the_build(tree: Path) -> None:
    allowed = [
        line.removeprefix("!")
        for line in (REPOSITORY / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    for component in ("worker", "operator"):
        for path in inputs(tree, component):
            name = path.relative_to(tree).as_posix()
            if not name.endswith("Dockerfile"):
                assert any(name == entry or name.startswith(f"{entry}/") for entry in allowed), name


def test_names_are_full_so_that_no_registry_is_guessed() -> None:
    assert reference("worker", "abc") == "ghcr.io/streammonitor/worker:dev-abc"


def test_refuses_an_unknown_component() -> None:
    with pytest.raises(Failure, match="There are: worker, operator"):
        builder.image("sidecar")


def test_pip_in_the_build_uses_the_hosts_settings_and_certificates() -> None:
    environment = {"PIP_INDEX_URL": "https://packages.example/simple", "PIP_NO_CACHE_DIR": "1"}
    text = builder.pip_settings(environment, with_authorities=True)
    assert "index-url = https://packages.example/simple" in text
    assert "cert = /run/" in text
    assert "cache" not in text
    assert builder.pip_settings({}, with_authorities=False) == "[global]\n"
