"""A user's terminal, in which `kubectl streammonitor` is typed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dev.cluster.binaries import program
from streammonitor_kubectl import cli


class Terminal:
    """Commands of one namespace of one cluster, in a folder of its own."""

    def __init__(
        self, namespace: str, kubeconfig: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._namespace = namespace
        programs = folder / "bin"
        programs.mkdir()
        shutil.copy(program("kubectl"), programs / "kubectl")
        monkeypatch.setenv("PATH", str(programs), prepend=":")
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        monkeypatch.chdir(folder)

    def __call__(self, *arguments: str) -> str:
        """What a command writes."""
        return self._run(0, *arguments)

    def json(self, *arguments: str) -> Any:
        """What it writes for programs."""
        return json.loads(self(*arguments, "-o", "json"))

    def refused(self, *arguments: str) -> str:
        """What one says that cannot be done."""
        return self._run(cli.USAGE, *arguments)

    def _run(self, code: int, *arguments: str) -> str:
        done = CliRunner().invoke(cli.app, [*arguments, "-n", self._namespace])
        assert done.exit_code == code, (arguments, done.output, done.exception)
        return done.output
