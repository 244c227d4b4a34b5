import json
import tarfile
from pathlib import Path

import pytest

from dev.cluster import archives
from dev.host import Failure


def test_an_image_of_one_program_refers_only_to_blobs_that_it_holds(tmp_path: Path) -> None:
    program, archive = tmp_path / "pause", tmp_path / "out" / "pause.tar"
    program.write_bytes(b"\x7fELF")
    archives.write_single_program(program, "localhost/pause:1", archive)
    with tarfile.open(archive) as tar:
        names = set(tar.getnames())

        def blob(descriptor: dict[str, str]) -> bytes:
            path = f"blobs/{descriptor['digest'].replace(':', '/')}"
            assert path in names
            member = tar.extractfile(path)
            assert member
            return member.read()

        index = tar.extractfile("index.json")
        assert index
        manifest = json.loads(blob(json.load(index)["manifests"][0]))
        assert json.loads(blob(manifest["config"]))["config"]["Entrypoint"] == ["/pause"]
        assert [len(blob(layer)) for layer in manifest["layers"]] == [
            layer["size"] for layer in manifest["layers"]
        ]
    archives.require_named(archive)


@pytest.mark.parametrize(
    ("annotations", "named"),
    [
        ({"org.opencontainers.image.ref.name": "ghcr.io/streammonitor/worker:dev-1"}, True),
        ({"io.containerd.image.name": "localhost/pause:1"}, True),
        ({"org.opencontainers.image.ref.name": "latest"}, False),
        ({}, False),
    ],
)
def test_tells_full_names_from_short_ones(annotations: dict[str, str], named: bool) -> None:
    assert archives.is_named({"manifests": [{"annotations": annotations}]}) == named


def test_an_empty_index_is_no_image() -> None:
    assert not archives.is_named({})


def test_refuses_a_file_that_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_text("no")
    with pytest.raises(Failure, match="is no image archive"):
        archives.require_named(path)
