"""Reading, trying and sharing models."""

import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from dev.media.classifier import brightness, model, node
from streammonitor_worker.models import faults, probe, store
from streammonitor_worker.models.declared import Declared, Layout
from streammonitor_worker.models.faults import ModelFault
from streammonitor_worker.models.session import Session
from streammonitor_worker.models.store import ModelStore


def declared(file: str = "a.onnx") -> Declared:
    return Declared(file, 16, 16, 3, Layout.NCHW, "")


def patient(folder: Path) -> ModelStore:
    return ModelStore(folder, patient=True, probe=lambda content, declared: 0.0)


def fault(found: Session | ModelFault | None) -> tuple[str, str]:
    assert isinstance(found, ModelFault)
    return found.reason, found.message


def _until_looked() -> None:
    for thread in threading.enumerate():
        if thread.name == "model":
            thread.join(10)


def test_streams_share_a_model_and_may_run_it_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(brightness())
    models = patient(tmp_path)
    session = models.get(declared())
    assert isinstance(session, Session)
    assert models.get(declared()) is session
    scores: list[float] = []
    white = np.ones((1, 3, 16, 16), np.float32)
    threads = [
        threading.Thread(target=lambda: scores.append(float(session.run(white)[1])))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scores == [pytest.approx(1, abs=1e-4)] * 8


def test_a_configmaps_files_are_links_and_are_read(tmp_path: Path) -> None:
    version = tmp_path / "..2026_01_01"
    version.mkdir()
    (version / "a.onnx").write_bytes(brightness())
    (tmp_path / "..data").symlink_to(version.name)
    (tmp_path / "a.onnx").symlink_to("..data/a.onnx")
    assert isinstance(patient(tmp_path).get(declared()), Session)


def test_a_link_that_leads_out_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(brightness())
    (folder / "a.onnx").symlink_to("../secret")
    assert fault(patient(folder).get(declared())) == (
        faults.UNREADABLE,
        f"a.onnx leads out of {folder}: name a file that is inside",
    )


@pytest.mark.parametrize(
    ("file", "reason", "sentence"),
    [
        ("none.onnx", faults.MISSING, "there is no none.onnx in {}: put it there, or correct file"),
        ("a.onnx/b", faults.MISSING, "there is no a.onnx/b in {}: put it there, or correct file"),
        ("folder", faults.UNREADABLE, "folder in {} cannot be read: Is a directory"),
        ("a.onnx", faults.TOO_LARGE, "a.onnx is larger than 0 MiB: use a smaller model"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, reason: str, sentence: str
) -> None:
    monkeypatch.setattr(store, "MAX_BYTES", 100)
    (tmp_path / "a.onnx").write_bytes(brightness())
    (tmp_path / "folder").mkdir()
    found = patient(tmp_path).get(declared(file))
    assert fault(found) == (reason, sentence.format(tmp_path))


def test_nobody_waits_for_a_model_of_a_live_stream(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(brightness())
    tried, go_on = threading.Event(), threading.Event()

    def hesitant(content: bytes, declared: Declared) -> float:
        tried.set()
        assert go_on.wait(10)
        return 0.0

    models = ModelStore(tmp_path, probe=hesitant)
    assert models.get(declared()) is None
    assert tried.wait(10)
    assert models.get(declared()) is None
    go_on.set()
    _until_looked()
    assert isinstance(models.get(declared()), Session)


def test_a_file_that_changes_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = patient(tmp_path)

    def after_a_look() -> Session | ModelFault | None:
        monkeypatch.setattr(store, "RECHECK_S", 0.0)
        models.get(declared())
        _until_looked()
        monkeypatch.setattr(store, "RECHECK_S", float("inf"))
        return models.get(declared())

    assert fault(after_a_look())[0] == faults.MISSING
    (tmp_path / "a.onnx").write_bytes(brightness())
    first = after_a_look()
    assert isinstance(first, Session)
    assert after_a_look() is first, "an unchanged file is not loaded again"
    (tmp_path / "a.onnx").write_bytes(b"damaged")
    assert fault(after_a_look())[0] == faults.INVALID


def test_there_is_room_for_so_many_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_MODELS", 1)
    models = patient(tmp_path)
    assert fault(models.get(declared()))[0] == faults.MISSING
    assert fault(models.get(declared("b.onnx"))) == (
        faults.TOO_MANY,
        "this worker has 1 models already: declare fewer different ones",
    )
    monkeypatch.setattr(store, "FORGET_S", -1.0)
    assert fault(models.get(declared("b.onnx")))[0] == faults.MISSING


def test_damage_is_a_fault_and_nothing_worse() -> None:
    good, rng = brightness(), np.random.default_rng(4)
    reasons = set()
    for _ in range(100):
        damaged = bytearray(good[: rng.integers(1, len(good) + 1)])
        for position in rng.integers(0, len(damaged), 4):
            damaged[position] = rng.integers(0, 256)
        try:
            probe.examine(bytes(damaged), declared())
        except ModelFault as found:
            reasons.add(found.reason)
    assert faults.INVALID in reasons
    assert faults.MISSING not in reasons


def _hungry() -> bytes:
    """A model that doubles its picture 22 times: 12 GiB."""
    nodes, last = [], "input"
    for step in range(22):
        nodes.append(node("Concat", [last, last], [f"x{step}"], axis=0))
        last = f"x{step}"
    nodes.append(node("GlobalAveragePool", [last], ["mean"]))
    nodes.append(node("ReduceMax", ["mean"], ["out"], keepdims=0))
    shape = (1, 3, 16, 16)
    return model(nodes, inputs={"input": shape}, outputs={"out": (1,)}, constants={})


def test_a_model_is_tried_in_a_process_of_its_own() -> None:
    assert 0 < probe.probe(brightness(), declared()) < 1
    with pytest.raises(ModelFault) as caught:
        probe.probe(_hungry(), declared())
    assert fault(caught.value) == (
        faults.TOO_LARGE,
        "a.onnx needs more memory than there is for it: use a smaller model or input",
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (-signal.SIGSEGV, faults.FAILED),
        (-signal.SIGKILL, faults.TOO_LARGE),
        (-signal.SIGXCPU, faults.TOO_SLOW),
        (1, faults.FAILED),
    ],
)
def test_how_that_process_ends_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, reason: str
) -> None:
    ending = tmp_path / "python"
    how = f"exit {code}" if code >= 0 else f"kill -{-code} $$"
    ending.write_text(f"#!/bin/sh\ncat > /dev/null\n{how}\n")
    ending.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(ending))
    with pytest.raises(ModelFault) as caught:
        probe.probe(brightness(), declared())
    assert caught.value.reason == reason
