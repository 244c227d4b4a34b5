"""Reading the assignment: a mounted ConfigMap whose content changes under us.

The kubelet swaps a symlink, an editor rewrites a file; both are found by looking at the content.
Whatever is wrong with a new assignment, the worker goes on with the one it has and says why.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from streammonitor_api import names
from streammonitor_api.assignment import SCHEMA_VERSION, Assignment
from streammonitor_api.model import unknown_keys

POLL_S = 0.2
MAX_BYTES = 4_000_000
"""A ConfigMap holds 1 MiB; anything much larger is no assignment."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading the file gave.

    Attributes:
        assignment: The new assignment; None if there is none to carry out.
        problems: What is wrong with it, as sentences.
    """

    assignment: Assignment | None = None
    problems: list[str] = field(default_factory=list)


class AssignmentFile:
    """The assignment's file. `poll` it every POLL_S."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / names.ASSIGNMENT_KEY
        self._digest = b""
        self._epoch = 0

    def poll(self) -> Reading | None:
        """Return what the file says if it changed since the last call."""
        try:
            with self._path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            return self._changed(
                b"!" + str(error.errno).encode(),
                Reading(problems=[f"the assignment {self._path} cannot be read: {error.strerror}"]),
            )
        digest = hashlib.sha256(content).digest()
        return None if digest == self._digest else self._changed(digest, self._parse(content))

    def _changed(self, digest: bytes, reading: Reading) -> Reading | None:
        if digest == self._digest:
            return None
        self._digest = digest
        if reading.assignment:
            self._epoch = reading.assignment.epoch
        return reading

    def _parse(self, content: bytes) -> Reading:
        if len(content) > MAX_BYTES:
            return Reading(problems=[f"the assignment is larger than {MAX_BYTES} bytes"])
        try:
            assignment = Assignment.model_validate_json(content)
        except ValidationError as error:
            return Reading(
                problems=[f"the assignment is refused: {text}" for text in _texts(error)]
            )
        refusal = self._refusal(assignment)
        if refusal:
            return Reading(problems=[refusal])
        return Reading(assignment, problems=_remarks(assignment))

    def _refusal(self, assignment: Assignment) -> str | None:
        if assignment.schema_version > SCHEMA_VERSION:
            return (
                f"the assignment has schemaVersion {assignment.schema_version}, this worker reads "
                f"up to {SCHEMA_VERSION}: update the worker"
            )
        if assignment.epoch < self._epoch:
            return (
                f"the assignment has epoch {assignment.epoch}, older than {self._epoch}, which is "
                f"carried out: it is ignored"
            )
        names_seen = [stream.name for stream in assignment.streams]
        twice = sorted({name for name in names_seen if names_seen.count(name) > 1})
        return f"the assignment lists stream {twice[0]!r} twice" if twice else None


def _remarks(assignment: Assignment) -> list[str]:
    # Parameters of detectors are opaque here: the detectors themselves judge them.
    return [
        f"the assignment's key {key!r} is not known to this version and is ignored"
        for key in unknown_keys(assignment.model_copy(update={"detectors": {}}))
    ]


def _texts(error: ValidationError) -> list[str]:
    """One sentence per fault; the offending input may hold a URL and is left out."""
    return [
        f"{'.'.join(str(part) for part in fault['loc']) or 'document'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False)[:5]
    ]
