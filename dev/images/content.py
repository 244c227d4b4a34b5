"""What an image is made from, and the name that follows from it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

COMPONENTS = ("worker", "operator")
_SHARED = (".dockerignore", "LICENSE", "README.md", "constraints.txt", "pyproject.toml")
_REGISTRY = "ghcr.io/streammonitor"


def inputs(repository: Path, component: str) -> Iterator[Path]:
    """Every file that can change the image of a component, in a fixed order."""
    yield from (path for name in _SHARED if (path := repository / name).is_file())
    yield repository / component / "Dockerfile"
    packages = ("crds/streammonitor_api", f"{component}/streammonitor_{component}")
    for package in packages:
        for path in sorted((repository / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def content_hash(repository: Path, component: str, base: str) -> str:
    """A short name for exactly these inputs on exactly this base."""
    digest = hashlib.sha256(base.encode())
    for path in inputs(repository, component):
        content = path.read_bytes()
        name = path.relative_to(repository).as_posix()
        # Lengths keep the end of one file and the start of the next apart.
        digest.update(f"\0{name}\0{path.stat().st_mode & 0o111}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def reference(component: str, content: str) -> str:
    """The full name of a development image; a kubelet would put docker.io before a short one."""
    return f"{_REGISTRY}/{component}:dev-{content}"
