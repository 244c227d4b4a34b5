"""Clips, made once and kept until what decides their content changes."""

import ast
import hashlib
import inspect
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import av
import cv2
import numpy as np

from dev.host import cache_folder
from dev.media import pictures as dev_pictures
from dev.origin import origin
from tests.accuracy.cases import Case
from tests.accuracy.defects import modules
from tests.accuracy.encode import Encoding
from tests.accuracy.inject import Manifest, inject
from tests.accuracy.sources import SIZE, Source, families

_OURS = ("tests.accuracy", "dev.media")
"""Where code lies that decides what a clip shows; of `dev.origin` only what is in _ORIGIN does."""
_ORIGIN = (
    *(origin.Canvas, origin.field, origin.Layer, origin.Grain, origin.Texture, origin.Zoom),
    *(origin.noise, origin.Tones, origin.Speech),
)


def made(case: Case, where: Path | None = None) -> tuple[Path, Manifest]:
    """The clip and its manifest; encoded unless it is there already."""
    what = json.dumps([asdict(case), _identity(case)])
    key = hashlib.sha256(_code_digest(case) + what.encode()).hexdigest()[:24]
    where = where or cache_folder() / "accuracy" / "clips"
    where.mkdir(parents=True, exist_ok=True)
    encoding = case.encoding or Encoding()
    clip = where / f"{key}{encoding.suffix}"
    note = where / f"{key}.json"
    if not note.exists():
        manifest = inject(case.footage(), clip, case.injections, encoding=encoding)
        note.write_text(manifest.to_json())
    return clip, Manifest.from_json(note.read_text())


def _identity(case: Case) -> list[object]:
    """What decides the content of a generated source besides code."""
    if case.clip:
        return []
    source = Source(case.family, case.take, case.kind)
    return [source.seed, str(source.frame_rate), *SIZE]


def _code_digest(case: Case) -> bytes:
    """Of the code that makes this clip: a new defect or family leaves the others' clips."""
    digest = hashlib.sha256(f"{av.__version__} {cv2.__version__} {np.__version__}".encode())
    for part in _ORIGIN:
        digest.update(inspect.getsource(part).encode())
    names: set[str] = set()
    for root in _roots(case):
        _gather(root, names)
    for name in sorted(names):
        digest.update(inspect.getsource(sys.modules[name]).encode())
    return digest.digest()


def _roots(case: Case) -> Iterator[str]:
    """The modules that make the clip."""
    yield "tests.accuracy.inject"
    yield from (modules[one.defect].__name__ for one in case.injections)
    if not case.clip:
        yield families.get((case.kind, case.family), dev_pictures).__name__


def _gather(name: str, names: set[str]) -> None:
    """Add a module of ours, and those that it imports from."""
    if name in names or name not in sys.modules or not name.startswith(_OURS):
        return
    names.add(name)
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[name]))):
        if isinstance(node, ast.ImportFrom) and node.module:
            _gather(node.module, names)
            for one in node.names:
                _gather(f"{node.module}.{one.name}", names)
