"""What the tests of alerts share."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.alerting import Receiver, receiver
from streammonitor_api.alerts import Alerts
from streammonitor_worker.alerts import AlertDesk, delivery
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.ingest import Access

MONITOR = "video/sports"
LOOPBACK = Access(hosts=("127.0.0.1",), denied=())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here ends with a power cut, or has a server that must recover."""
    monkeypatch.setattr(os, "fsync", lambda file: None)
    monkeypatch.setattr(delivery, "BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(delivery, "BACKOFF_CAP_S", 0.02)


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


class Rig:
    """A desk, its status, and its secrets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.board = StatusBoard("w-1")
        self.access = LOOPBACK
        self._desks: list[AlertDesk] = []
        self.desk = self.begin()

    def begin(self) -> AlertDesk:
        """A desk as a new process has it."""
        self.desk = AlertDesk(
            self.board,
            self.folder / "spool",
            worker="w-1",
            secrets_folder=self.folder / "secrets",
            access=self.access,
        )
        self._desks.append(self.desk)
        return self.desk

    def configure(self, *sinks: dict[str, Any], mutes: list[dict[str, Any]] | None = None) -> None:
        document = {"sinks": list(sinks), "mutes": mutes or []}
        self.desk.configure(Alerts.model_validate(document), MONITOR)

    def secret(self, name: str, key: str, value: str) -> dict[str, str]:
        path = self.folder / "secrets" / name / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)
        return {"name": name, "key": key}

    def close(self) -> None:
        for desk in self._desks:
            desk.close(0.0)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    one = Rig(tmp_path)
    yield one
    one.close()
