"""The local base image: Debian 12 with Python, for where no image registry can be reached."""

import hashlib
import re
import shutil
from pathlib import Path

from dev.host import Failure, require_linux_root, require_tools, run, timed
from dev.images.storage import TOOLS, buildah, folder

NAME = "localhost/streammonitor-base:bookworm"
_SUITE = "bookworm"
_PACKAGES = ("ca-certificates", "python3", "python3-venv")

# Not needed to run anything. Licences (copyright files) stay.
_TRIM = """
set -eu
cd "$1"
rm -rf var/cache/apt var/lib/apt/lists var/log/* usr/share/man usr/share/info usr/share/locale \\
  usr/share/i18n usr/share/lintian usr/share/linda usr/share/bug var/cache/debconf/*-old \\
  var/cache/ldconfig run/* tmp/* usr/lib/python3/dist-packages/__pycache__
find usr/share/doc -type f ! -name copyright -delete
find usr/share/doc -type l -delete
find usr/share/doc -depth -type d -empty -delete
find usr/lib/python3.* -depth -type d -name __pycache__ -exec rm -rf {} +
mkdir -p var/lib/apt/lists/partial var/cache/apt/archives/partial
# Made anew by whoever runs the image: neither may be this machine's.
rm -f etc/hostname etc/resolv.conf etc/machine-id
"""


def base() -> str:
    """Have the base image; return its name."""
    require_linux_root()
    require_tools({**TOOLS, "debootstrap": "debootstrap"})
    if not exists():
        with timed(f"Making {NAME} (once, a minute or two)"):
            _make()
    return NAME


def exists() -> bool:
    """Whether the image of this recipe is there."""
    label = '{{index .OCIv1.Config.Labels "io.streammonitor.recipe"}}'
    said = buildah("inspect", "--type=image", f"--format={label}", NAME, check=False)
    return said.strip() == recipe()


def recipe() -> str:
    """Changes whenever this module would make another image."""
    return hashlib.sha256(repr((_SUITE, _PACKAGES, _TRIM)).encode()).hexdigest()[:12]


def _make() -> None:
    tree, archive = folder() / "base-root", folder() / "base.tar"
    shutil.rmtree(tree, ignore_errors=True)
    tree.parent.mkdir(parents=True, exist_ok=True)
    try:
        include = f"--include={','.join(_PACKAGES)}"
        command = ["debootstrap", "--variant=minbase", include, _SUITE, tree, *mirror()]
        run(command, timeout=1200)
        run(["sh", "-c", _TRIM, "sh", tree])
        run(["tar", "--create", "--numeric-owner", f"--directory={tree}", f"--file={archive}", "."])
        _import(archive)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
        archive.unlink(missing_ok=True)


def _import(archive: Path) -> None:
    container = buildah("from", "scratch").strip()
    try:
        buildah("add", "--quiet", container, archive, "/")
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        label = f"--label=io.streammonitor.recipe={recipe()}"
        buildah("config", f"--env={path}", "--env=LANG=C.UTF-8", label, container)
        buildah("commit", "--quiet", "--disable-compression", container, NAME)
    finally:
        buildah("rm", container, check=False)


def mirror() -> list[str]:
    """The mirror that this machine's apt uses, if any; debootstrap knows one itself."""
    wanted = ["--format=$(RELEASE) $(SITE)", "Origin: Debian"]
    try:
        said = run(["apt-get", "indextargets", *wanted])
    except Failure:
        return []
    found = re.search(rf"^{_SUITE} (\S+)$", said, re.MULTILINE)
    return [found[1]] if found else []
