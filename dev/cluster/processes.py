"""Long-running processes: started detached, recorded, and only ever signalled if still ours."""

import json
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from dev.cluster import cgroups
from dev.host import write

# The shell joins the group before the program exists: none of its children can be missed.
_ENTER = 'echo $$ >"$0" && exec "$@"'


@dataclass(frozen=True)
class Record:
    """Which process was started; a process number alone may belong to somebody else by now."""

    pid: int
    started: int  # clock ticks since boot
    boot: str
    command: list[str]
    settings: str = ""  # what its configuration file said


def boot_id() -> str:
    """Changes with every boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """When a process started, or None if there is no such process (or just its remains)."""
    with suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)  # collect it if it was a child of this very process
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name stands in parentheses and may hold anything, also parentheses.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])


class Processes:
    """The processes of one state folder."""

    def __init__(self, state: Path) -> None:
        self._records = state / "run"
        self._logs = state / "log"

    def names(self) -> list[str]:
        """Every process that was started and not stopped."""
        return sorted(path.stem for path in self._records.glob("*.json"))

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self._logs / f"{name}.log"

    def pid(self, name: str) -> int | None:
        """The number of a process if it still runs."""
        record = self._record(name)
        return record.pid if record and is_ours(record) else None

    def ensure(
        self, name: str, command: Iterable[object], *, group: str, settings: str = ""
    ) -> bool:
        """Have exactly this command running, started with exactly these settings.

        Returns:
            Whether it had to be started.
        """
        arguments = [str(part) for part in command]
        record = self._record(name)
        if record and is_ours(record):
            if (record.command, record.settings) == (arguments, settings):
                return False
            self.stop(name)
        self._start(name, arguments, group, settings)
        return True

    def stop(self, name: str, *, force: bool = False, patience: float = 10) -> None:
        """End a process: politely first unless forced; afterwards it is forgotten."""
        record = self._record(name)
        if record:
            if not force:
                _end(record, signal.SIGTERM, patience)
            _end(record, signal.SIGKILL, patience)
        (self._records / f"{name}.json").unlink(missing_ok=True)

    def last_words(self, name: str, lines: int = 12) -> str:
        """The end of its log, for a message about its failure."""
        with suppress(FileNotFoundError):
            return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])
        return "(no log)"

    def _record(self, name: str) -> Record | None:
        try:
            return Record(**json.loads((self._records / f"{name}.json").read_text()))
        except FileNotFoundError:
            return None

    def _start(self, name: str, command: list[str], group: str, settings: str) -> None:
        self._records.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        with _undisturbed():
            pid = _spawn(
                ["/bin/sh", "-c", _ENTER, str(cgroups.entrance(group)), *command], self.log(name)
            )
            record = Record(pid, start_time(pid) or 0, boot_id(), command, settings)
            write(self._records / f"{name}.json", json.dumps(asdict(record)))


def is_ours(record: Record) -> bool:
    """Whether the process with the recorded number is still the one that was recorded."""
    return record.boot == boot_id() and start_time(record.pid) == record.started


def _end(record: Record, how: signal.Signals, patience: float) -> None:
    """Signal through a descriptor: it cannot come to mean another process in between."""
    try:
        descriptor = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return
    try:
        if not is_ours(record):
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, how)
        deadline = time.monotonic() + patience
        while is_ours(record) and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        os.close(descriptor)


def _spawn(command: list[str], log: Path) -> int:
    """Start without a parent's duties: nobody waits for it, and Ctrl-C does not reach it."""
    if log.exists():
        log.replace(log.with_suffix(".log.old"))
    write = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        command[0],
        command,
        os.environ,
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE],
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), write, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold back interrupts between starting a process and having recorded it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
