"""Buildah with storage of its own, so that the machine's images are left alone."""

from collections.abc import Sequence
from pathlib import Path

from dev.host import cache_folder, run

TOOLS = {"buildah": "buildah"}


def folder() -> Path:
    """Where images and their archives are kept."""
    return cache_folder() / "images"


def buildah(*arguments: str | Path, timeout: float = 1800, check: bool = True) -> str:
    """Run buildah on the storage of this project."""
    return run(["buildah", *_storage(), *arguments], timeout=timeout, check=check)


def _storage() -> Sequence[str]:
    root = folder() / "storage"
    root.mkdir(parents=True, exist_ok=True)
    return [f"--root={root}", f"--runroot={folder() / 'run'}", f"--storage-driver={driver(root)}"]


def driver(root: Path) -> str:
    """Overlay where the kernel can do it: vfs copies the whole image for every layer."""
    kind = run(["stat", "--file-system", "--format=%T", root]).strip()
    # One overlay cannot lie on another: in a container, the cache folder usually is one.
    return "vfs" if kind in ("overlayfs", "nfs", "fuseblk") else "overlay"
