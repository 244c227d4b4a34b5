"""Builds the images of worker and operator from the tree, if they changed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.host import REPOSITORY, Failure, cache_folder, require_linux_root, require_tools, timed
from dev.images import debian
from dev.images.content import COMPONENTS, content_hash, reference
from dev.images.storage import TOOLS, buildah, folder

_KEPT_ARCHIVES = 3
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_INSIDE_AUTHORITIES = "/run/build-authorities.crt"
# Settings of the host's pip that say where packages come from.
_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout")


@dataclass(frozen=True)
class Image:
    """An image of one component: its name and the archive to load it from."""

    ref: str
    archive: Path


def image(component: str, base: str | None = None) -> Image:
    """Name the image of the present tree, whether it is built or not.

    Raises:
        Failure: there is no such component.
    """
    if component not in COMPONENTS:
        raise Failure(f"There is no {component!r}. There are: {', '.join(COMPONENTS)}.")
    # A base from a registry is known by its name; the local one by what it is made of.
    content = content_hash(REPOSITORY, component, base or debian.recipe())
    return Image(reference(component, content), folder() / f"{component}-{content}.tar")


def build(component: str, base: str | None = None) -> Image:
    """Have the image of the present tree as an archive; an unchanged tree costs nothing.

    Args:
        component: worker or operator.
        base: an image from a registry instead of the local base image.

    Raises:
        Failure: the build failed; the text ends with what it said.
    """
    wanted = image(component, base)
    if not wanted.archive.exists():
        require_linux_root()
        require_tools(TOOLS)
        chosen = base or debian.base()
        with timed(f"Building {wanted.ref}"):
            _build(component, chosen, wanted)
        _forget_old(component)
    return wanted


def _build(component: str, base: str, wanted: Image) -> None:
    with _pip_volumes() as volumes:
        buildah(
            "bud",
            "--isolation=chroot",
            "--layers",
            # Nobody can be asked for the local base; another is asked for if it is not here.
            "--pull=never" if base == debian.NAME else "--pull=false",
            f"--build-arg=BASE={base}",
            f"--ignorefile={REPOSITORY / '.dockerignore'}",
            *(f"--volume={volume}" for volume in volumes),
            f"--tag={wanted.ref}",
            f"--file={REPOSITORY / component / 'Dockerfile'}",
            REPOSITORY,
        )
    new = wanted.archive.with_name(f".{wanted.archive.name}.new")
    new.unlink(missing_ok=True)
    try:
        # Docker's format, because buildah compresses layers for the OCI one whatever it is told,
        # and that takes longer than everything else.
        buildah("push", "--quiet", wanted.ref, f"docker-archive:{new}:{wanted.ref}")
        new.replace(wanted.archive)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def _pip_volumes() -> Iterator[list[str]]:
    """The host's certificates, pip settings and downloads: seen by the build, not kept by it."""
    downloads = cache_folder() / "pip"
    downloads.mkdir(parents=True, exist_ok=True)
    authorities = Path(os.environ.get("PIP_CERT") or _AUTHORITIES)
    with tempfile.TemporaryDirectory() as name:
        settings = Path(name) / "pip.conf"
        settings.write_text(pip_settings(dict(os.environ), authorities.is_file()))
        volumes = [f"{downloads}:/root/.cache/pip", f"{settings}:/etc/pip.conf:ro"]
        if authorities.is_file():
            volumes.append(f"{authorities}:{_INSIDE_AUTHORITIES}:ro")
        yield volumes


def pip_settings(environment: dict[str, str], with_authorities: bool) -> str:
    """A pip.conf from the host's PIP_* variables."""
    lines = ["[global]"]
    if with_authorities:
        lines.append(f"cert = {_INSIDE_AUTHORITIES}")
    for name in _PIP_SETTINGS:
        if value := environment.get("PIP_" + name.upper().replace("-", "_")):
            lines.append(f"{name} = {value}")
    return "\n".join(lines) + "\n"


def _forget_old(component: str) -> None:
    """Keep the newest archives only; they are a few hundred megabytes each."""
    archives = sorted(
        folder().glob(f"{component}-*.tar"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for archive in archives[_KEPT_ARCHIVES:]:
        archive.unlink(missing_ok=True)
        content = archive.stem.removeprefix(f"{component}-")
        buildah("rmi", reference(component, content), check=False)
