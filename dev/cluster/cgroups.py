"""Control groups of the cluster: where its processes are, and how they are found again.

Membership cannot be mistaken for another process's, unlike a name or a number; whatever is in a
group of ours is ours to stop.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_PREFIX = "smon-"


def is_unified() -> bool:
    """Whether the machine uses cgroup v2 only."""
    return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """The mount point of every hierarchy that a kubelet uses (just one with cgroup v2)."""
    if is_unified():
        return [ROOT]
    mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return sorted({Path(part[4]) for part in mounts if part[part.index("-") + 1] == "cgroup"})


def make(name: str) -> None:
    """Make a group in every hierarchy, ready to take processes."""
    if is_unified():
        _delegate_controllers()
    for hierarchy in hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
        for kind in ("cpus", "mems"):
            # A new cpuset is empty, and an empty one takes no process.
            source, target = (hierarchy / part / f"cpuset.{kind}" for part in ("", name))
            if source.exists() and target.exists() and not target.read_text().strip():
                target.write_text(source.read_text())


def _delegate_controllers() -> None:
    """Let groups below the root limit what the kubelet limits (not tried on such a machine)."""
    for controller in (ROOT / "cgroup.controllers").read_text().split():
        with suppress(OSError):
            (ROOT / "cgroup.subtree_control").write_text(f"+{controller}")


def entrance(name: str) -> Path:
    """The file that takes a process into a group: one hierarchy is enough to find it again."""
    known = hierarchies()
    chosen = next((h for h in known if h.name == "pids"), known[0])
    return chosen / name / "cgroup.procs"


def kill(name: str, *, timeout: float = 15) -> None:
    """Kill whatever is in a group and below it, as a power cut would."""
    deadline = time.monotonic() + timeout
    while members := _members(name):
        for pid in members:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return  # what is left hangs in the kernel; removing the group will say so
        time.sleep(0.02)


def _members(name: str) -> set[int]:
    found: set[int] = set()
    for folder in _folders(name):
        for top, _, _ in os.walk(folder):
            with suppress(OSError):
                found.update(int(p) for p in (Path(top) / "cgroup.procs").read_text().split())
    return found - {0}


def names() -> list[str]:
    """The groups of ours that exist."""
    return sorted({f.name for h in _every_hierarchy() for f in h.glob(f"{_PREFIX}*")})


def remove(name: str) -> None:
    """Remove an empty group and the groups below it."""
    for folder in _folders(name):
        for top, _, _ in os.walk(folder, topdown=False):
            with suppress(FileNotFoundError):
                _remove_folder(Path(top))


def _remove_folder(folder: Path) -> None:
    for _ in range(100):
        try:
            folder.rmdir()
        except OSError:  # the last process is still on its way out
            time.sleep(0.02)
        else:
            return


def _folders(name: str) -> Iterator[Path]:
    yield from (h / name for h in _every_hierarchy() if (h / name).is_dir())


def _every_hierarchy() -> list[Path]:
    """Also the v2 tree that systemd mounts beside v1: runc may leave folders there."""
    return [*hierarchies(), *(p for p in (ROOT / "unified",) if p.is_dir())]
