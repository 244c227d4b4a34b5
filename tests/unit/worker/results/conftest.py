"""What the tests of results share."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from streammonitor_api.results import Results
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.figures import Figures
from streammonitor_worker.ingest import EVERYTHING
from streammonitor_worker.results import ResultsDesk

MONITOR = "video/sports"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here ends with a power cut."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


class Rig:
    """A desk whose clocks a test sets, and the folder that is its store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.now_s = NOON.timestamp()
        self.board = StatusBoard("w-1")
        self._desks: list[ResultsDesk] = []
        self.desk = self.begin()

    def begin(self) -> ResultsDesk:
        """A desk as a new process has it."""
        self.desk = ResultsDesk(
            self.board,
            self.folder / "spool",
            worker="w-1",
            secrets_folder=self.folder / "secrets",
            access=EVERYTHING,
            wall=lambda: self.now_s,
            clock=lambda: self.now_s,
        )
        self._desks.append(self.desk)
        return self.desk

    def configure(self, **more: Any) -> None:
        self.desk.configure(self.asked(**more), MONITOR, "all")

    def asked(self, **more: Any) -> Results:
        """What a resource asks for, but that its store is a folder."""
        asked = Results.model_validate({"url": "s3://quality", **more})
        return asked.model_copy(update={"url": self.store.as_uri()})

    def watch(self, *streams: str) -> None:
        """Streams come of which nothing is known but that they are watched."""
        for stream in streams:
            self.desk.minutes(stream, Figures)

    def pass_minutes(self, count: int) -> None:
        for _ in range(60 * count):
            self.now_s += 1
            self.desk.tick()

    def files(self, kind: str) -> list[Path]:
        return sorted(self.store.glob(f"kind={kind}/**/*.*"))

    def rows(self, kind: str, what: str = "*") -> list[tuple[Any, ...]]:
        """What DuckDB finds in the store."""
        if not self.files(kind):
            return []
        pattern = self.store / f"kind={kind}/**/*.parquet"
        found = duckdb.read_parquet(str(pattern), hive_partitioning=True)
        return found.project(what).fetchall()

    def close(self) -> None:
        for desk in self._desks:
            desk.close(0.0)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    one = Rig(tmp_path)
    yield one
    one.close()
