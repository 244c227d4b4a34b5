"""What a cluster changes on the machine outside its own folder, noted to be put back."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path

from dev.cluster import mounts
from dev.host import cache_folder, say, write

_SETTINGS = Path("/proc/sys")

# Kubelets write the kernel.* and vm.* ones themselves.
_TOUCHED_SETTINGS = (
    "fs/inotify/max_user_instances",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)

# Where programs write whatever they are told.
_TOUCHED_PATHS = (
    "/etc/cni",
    "/opt/cni",
    "/opt/containerd",
    "/run/containerd",
    "/run/netns",
    "/run/xtables.lock",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/lib/kube-proxy",
    "/var/log/containers",
    "/var/log/pods",
)
_MANY_INSTANCES = 1024


def note(state: Path) -> None:
    """Note once how the machine was before the cluster."""
    path = state / "footprint.json"
    if path.exists():
        return
    settings = {name: value for name in _TOUCHED_SETTINGS if (value := _setting(name)) is not None}
    absent = [name for name in _TOUCHED_PATHS if not Path(name).exists()]
    write(path, json.dumps({"settings": settings, "absent": absent}))


def prepare() -> None:
    """Change what the host has to allow."""
    _set("net/ipv4/ip_forward", "1")
    # Every kubelet and every container manager watches files; the default is 128 for all.
    if int(_setting("fs/inotify/max_user_instances") or _MANY_INSTANCES) < _MANY_INSTANCES:
        _set("fs/inotify/max_user_instances", str(_MANY_INSTANCES))


def restore(state: Path) -> None:
    """Put settings back and remove folders that were not there before."""
    path = state / "footprint.json"
    if not path.exists():
        return
    before = json.loads(path.read_text())
    for name, value in before["settings"].items():
        if _setting(name) != value:
            _set(name, value)
    for name in before["absent"]:
        _remove(Path(name))


def _remove(path: Path) -> None:
    if _is_in_use(path):
        return
    mounts.unmount_below(path)  # `ip netns` mounts its folder on itself
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_in_use(path: Path) -> bool:
    """Whether somebody else has started to use it since: something is mounted or served there."""
    tables = ("/proc/self/mountinfo", "/proc/net/unix")
    return any(f" {path}/" in Path(table).read_text() for table in tables)


def _setting(name: str) -> str | None:
    with suppress(OSError):
        return (_SETTINGS / name).read_text().strip()
    return None


def _set(name: str, value: str) -> None:
    with suppress(OSError):  # read-only in some containers; whoever needs it will say so
        (_SETTINGS / name).write_text(value)


@contextmanager
def exclusive() -> Iterator[None]:
    """Let one command at a time change the cluster; the machine has one network to build in."""
    path = cache_folder() / "cluster.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            flock(handle, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            say("Waiting for another command that changes the cluster …")
            flock(handle, LOCK_EX)
        try:
            yield
        finally:
            flock(handle, LOCK_UN)
