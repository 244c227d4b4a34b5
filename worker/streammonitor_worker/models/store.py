"""The models of this process: each read once, kept up to date, shared by every stream."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from streammonitor_api import names
from streammonitor_worker.models import faults
from streammonitor_worker.models.declared import Declared
from streammonitor_worker.models.faults import ModelFault
from streammonitor_worker.models.probe import probe
from streammonitor_worker.models.session import Session

MAX_BYTES = 256 * 2**20
MAX_MODELS = 8
"""In one process; streams whose declarations agree share one."""
RECHECK_S = 10.0
"""How often a file is looked at: a volume may be filled, and a ConfigMap changed, at any time."""
FORGET_S = 60.0
"""A model that nobody asked for so long is dropped when another is wanted."""

Probe = Callable[[bytes, Declared], float]


@dataclass(slots=True)
class _Entry:
    """One model.

    Attributes:
        found: The model, or why it cannot be used; None until that is known.
        stamp: What its file was when it was read.
        busy: It is being looked at.
        checked_at: When that was last done, by the monotonic clock.
        wanted_at: When it was last asked for.
        known: Is set once `found` is.
    """

    wanted_at: float
    found: Session | ModelFault | None = None
    stamp: object = None
    busy: bool = False
    checked_at: float | None = None
    known: threading.Event = field(default_factory=threading.Event)


class ModelStore:
    """Reads, tries and loads models, away from the threads that decode.

    Args:
        folder: Where models are.
        patient: Whoever asks waits until the model is there, so that the same media give the same
            result: for files, which can wait. A live stream goes on without it.
        probe: Tries a model before it is loaded.
    """

    def __init__(self, folder: Path, *, patient: bool = False, probe: Probe = probe) -> None:
        self._folder = folder
        self._patient = patient
        self._probe = probe
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._entries: dict[Declared, _Entry] = {}

    def use(self, folder: Path, *, patient: bool = False) -> None:
        """Take models from another folder; forget those that were read."""
        with self._lock:
            self._folder, self._patient, self._entries = folder, patient, {}

    def get(self, declared: Declared) -> Session | ModelFault | None:
        """The model, or why it cannot be used, or None while that is being found out."""
        now = time.monotonic()
        with self._lock:
            entry = self._entries.get(declared) or self._enter(declared, now)
            if entry is None:
                return ModelFault(
                    faults.TOO_MANY,
                    f"this worker has {MAX_MODELS} models already: declare fewer different ones",
                )
            entry.wanted_at = now
            due = entry.checked_at is None or now - entry.checked_at >= RECHECK_S
            if due and not entry.busy:
                entry.busy = True
                threading.Thread(
                    target=self._look, args=(declared, entry), name="model", daemon=True
                ).start()
        if self._patient:
            entry.known.wait()
        return entry.found

    def _enter(self, declared: Declared, now: float) -> _Entry | None:
        for other, entry in list(self._entries.items()):
            if now - entry.wanted_at > FORGET_S and not entry.busy:
                del self._entries[other]
        if len(self._entries) >= MAX_MODELS:
            return None
        return self._entries.setdefault(declared, _Entry(now))

    def _look(self, declared: Declared, entry: _Entry) -> None:
        # One after the other: each is tried in a process that needs memory of its own.
        with self._reading:
            found: Session | ModelFault | None
            try:
                found = self._changed(declared, entry)
            except ModelFault as fault:
                found = fault
            except Exception as error:  # the thread's boundary: whoever waits must hear of it
                found = ModelFault(faults.FAILED, f"{declared.file} cannot be read: {error!r:.100}")
        if found is not None:
            entry.found = found
        entry.known.set()
        entry.checked_at, entry.busy = time.monotonic(), False

    def _changed(self, declared: Declared, entry: _Entry) -> Session | None:
        """The model as its file is now; None if that is as it was."""
        path = self._path(declared.file)
        try:
            stat = path.stat()
            stamp = (str(path), stat.st_mtime_ns, stat.st_size)
            if stamp == entry.stamp:
                return None
            content = _read(path, declared.file)
        except OSError as error:
            entry.stamp = None
            raise self._unreadable(declared.file, error) from None
        entry.stamp = stamp
        cpu_s = self._probe(content, declared)
        session = Session(content, declared)
        session.cpu_s = cpu_s
        return session

    def _path(self, file: str) -> Path:
        """Where a file is, links followed: a ConfigMap's files are links, but none leads out."""
        folder = self._folder.resolve()
        path = (folder / file).resolve()
        if not path.is_relative_to(folder):
            raise ModelFault(
                faults.UNREADABLE,
                f"{file} leads out of {self._folder}: name a file that is inside",
            )
        return path

    def _unreadable(self, file: str, error: OSError) -> ModelFault:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return ModelFault(
                faults.MISSING,
                f"there is no {file} in {self._folder}: put it there, or correct file",
            )
        return ModelFault(
            faults.UNREADABLE, f"{file} in {self._folder} cannot be read: {error.strerror}"
        )


def _read(path: Path, file: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as opened:
        content = opened.read(MAX_BYTES + 1) or b""
    if len(content) > MAX_BYTES:
        raise ModelFault(
            faults.TOO_LARGE,
            f"{file} is larger than {MAX_BYTES >> 20} MiB: use a smaller model",
        )
    return content


shared = ModelStore(Path(names.MODELS_FOLDER))
"""The models of this process."""
