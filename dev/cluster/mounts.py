"""Mounts below a folder."""

import re
from pathlib import Path

from dev.host import run


def unmount_below(folder: Path) -> None:
    """Unmount everything below a folder (and on it), the deepest first."""
    for target in targets_below(folder, Path("/proc/self/mountinfo").read_text()):
        run(["umount", target], check=False)
    # What is still busy (a process on its way out) goes when its last user does.
    for target in targets_below(folder, Path("/proc/self/mountinfo").read_text()):
        run(["umount", "--lazy", target], check=False)


def targets_below(folder: Path, mountinfo: str) -> list[str]:
    """The mount points at or below a folder, in an order in which they can be unmounted."""
    found = [_unescaped(line.split()[4]) for line in mountinfo.splitlines()]
    below = [target for target in found if Path(target).is_relative_to(folder)]
    return below[::-1]  # later mounts may stand on earlier ones


def _unescaped(text: str) -> str:
    """The kernel writes blanks and the like as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
