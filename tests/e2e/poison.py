"""A worker image in which reading a certain source kills the process, as a decoder's bug would.

No product code knows of it: the image has a file more, which Python runs when it starts.
"""

import hashlib
from pathlib import Path

from dev import images
from dev.images.storage import buildah

MARK = "poison"
"""A URL that contains it is deadly."""
_PACKAGES = "/opt/streammonitor/lib/python3.11/site-packages"
HOOK = f"""
import ctypes

import av

_open = av.open


def _deadly(file, *arguments, **more):
    if {MARK!r} in str(file):
        ctypes.string_at(0)  # reads through a null pointer
    return _open(file, *arguments, **more)


av.open = _deadly
"""


def build(folder: Path) -> images.Image:
    """Make the image from that of the present tree."""
    worker = images.build("worker")
    content = hashlib.sha256(f"{worker.ref}{HOOK}".encode()).hexdigest()[:12]
    reference, archive = f"localhost/streammonitor/worker:{MARK}-{content}", folder / "poison.tar"
    (folder / "deadly_hook.py").write_text(HOOK)
    (folder / "deadly.pth").write_text("import deadly_hook\n")
    container = buildah("from", "--pull-never", worker.ref).strip()
    try:
        for name in ("deadly_hook.py", "deadly.pth"):
            buildah("copy", container, folder / name, f"{_PACKAGES}/{name}")
        buildah("commit", "--quiet", container, reference)
        buildah("push", "--quiet", reference, f"docker-archive:{archive}:{reference}")
    finally:
        buildah("rm", container)
    return images.Image(reference, archive)
