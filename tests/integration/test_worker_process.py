"""A real worker process over real media: reconnection, reload, departure, crash."""

import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dev.media.classifier import brightness
from dev.media.clips import Defect, write_clip
from dev.media.servers import free_port, http_server
from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.worker_status import DetectorState
from streammonitor_worker.caution import FILE_NAME
from tests.e2e import poison
from tests.integration.live import LiveOrigin
from tests.integration.rig import WorkerRig, eventually


def _on(stream: str) -> Callable[[Incident], bool]:
    return lambda incident: incident.stream == stream


def _of(defect: str, rig: WorkerRig) -> Incident | None:
    return next((one for one in rig.status().incidents if one.defect == defect), None)


def _active(incident: Incident) -> bool:
    return incident.active


def test_it_recovers_when_the_origin_comes_back(rig: WorkerRig, clean_origin: LiveOrigin) -> None:
    rig.assign({"a": clean_origin.url})
    rig.start()
    rig.wait_state("a", "retrying", "ConnectionRefused")
    with clean_origin.serving():
        rig.wait_state("a", "receiving")
    rig.wait_state("a", "retrying")
    with clean_origin.serving():
        status = rig.wait_state("a", "receiving")

    assert status.message is None
    assert rig.metric("streammonitor_connects_total", "a") >= 2
    assert rig.metric("streammonitor_discontinuities_total", "a") >= 1


def test_each_problem_is_named_and_the_others_go_on(rig: WorkerRig, media: Path) -> None:
    (media / "notes.txt").write_text("no media\n" * 1000)
    header = {"name": "Authorization", "secretKeyRef": {"name": "origin", "key": "token"}}
    with http_server(media) as web:
        rig.assign(
            {
                "good": f"{web}/clean.ts",
                "gone": f"{web}/nothing.m3u8",
                "refused": f"http://user:hidden@127.0.0.1:{free_port()}/a.ts?token=hidden",
                "text": f"{web}/notes.txt",
                "mute": f"{web}/mute.ts",
                "file": str(media / "clean.ts"),
                "locked": {"url": f"{web}/clean.ts", "headersFrom": [header]},
            },
            detectors={"black": {}, "silence": {}},
        )
        rig.start()
        rig.wait_state("good", "receiving")
        rig.wait_state("gone", "retrying", "NotFound")
        rig.wait_state("refused", "retrying", "ConnectionRefused")
        rig.wait_state("text", "retrying", "NotMedia")
        rig.wait_state("file", "failed", "SchemeNotAllowed")
        missing = rig.wait_state("locked", "retrying", "SecretMissing")
        mute = rig.wait_state("mute", "receiving", "NoAudio")

        assert "'token' of Secret 'origin'" in (missing.message or "")
        assert "'silence'" in (mute.message or "")
        (rig.folder / "secrets" / "origin").mkdir()
        (rig.folder / "secrets" / "origin" / "token").write_text("Bearer hidden\n")
        rig.wait_state("locked", "receiving")
        assert rig.metric("streammonitor_connects_total", "good") == 1
        said = rig.get("/status")[1] + rig.get("/metrics")[1]
        said += (rig.folder / "stderr.log").read_text()
        assert "hidden" not in said


def test_a_bad_model_is_the_models_problem_until_it_is_mended(rig: WorkerRig, media: Path) -> None:
    model = {"file": "dark.onnx", "inputWidth": 16, "inputHeight": 16, "every": "200ms"}
    detectors = {"black": {}, "model": model | {"minDuration": "1s"}}
    file = rig.folder / "models" / "dark.onnx"
    file.write_bytes(b"damaged")
    origin = LiveOrigin(media / "dark.ts")
    with origin.serving():
        rig.assign({"a": origin.url}, detectors=detectors)
        rig.start()
        bad = rig.wait_state("a", "receiving", "ModelInvalid")
        assert (bad.message or "").startswith("detector 'model' cannot tell: dark.onnx is no ONNX")
        rig.wait_incident(lambda one: one.defect == "black")
        assert bad.detectors["model"] is DetectorState.UNKNOWN

        file.write_bytes(brightness(level=0.1, gain=-80))
        # A file is looked at every 10 s.
        found = eventually("the mended model's incident", lambda: _of("model", rig), timeout_s=60)
        rig.wait_state("a", "receiving", None)
        assert found.measurements["score"] > 0.9
        log = (rig.folder / "stderr.log").read_text().splitlines()
        assert {json.loads(line)["level"] for line in log} == {"info"}


def test_a_streams_own_parameters_take_effect_on_the_open_connection(
    rig: WorkerRig, media: Path
) -> None:
    origin = LiveOrigin(media / "dark.ts")
    with origin.serving():
        patient = {"url": origin.url, "detectors": {"black": {"minDuration": "1h"}}}
        rig.assign({"a": patient, "b": origin.url}, detectors={"black": {"minDuration": "1s"}})
        rig.start()
        rig.wait_incident(_on("b"))
        rig.wait_state("a", "receiving")
        assert [one.stream for one in rig.status().incidents] == ["b"]

        wrong = {"url": origin.url, "detectors": {"black": {"minDuration": "1ms"}}}
        rig.assign({"a": wrong, "b": origin.url}, detectors={"black": {"minDuration": "1s"}})
        refused = rig.wait_state("a", "receiving", "InvalidParameter")
        assert refused.message == (
            "detectors.black.minDuration is '1ms': set at least 100ms: it is ignored"
        )
        rig.wait_incident(_on("a"))
        assert rig.metric("streammonitor_connects_total", "a") == 1
        assert rig.metric("streammonitor_connects_total", "b") == 1


def test_a_header_from_a_secret_opens_the_door(rig: WorkerRig, media: Path) -> None:
    origin = LiveOrigin(media / "clean.ts")
    origin.authorization = "Bearer x"
    header = {"name": "Authorization", "secretKeyRef": {"name": "origin", "key": "token"}}
    with origin.serving():
        rig.assign({"a": origin.url})
        rig.start()
        rig.wait_state("a", "retrying", "Unauthorized")
        (rig.folder / "secrets" / "origin").mkdir()
        (rig.folder / "secrets" / "origin" / "token").write_text("Bearer x")
        rig.assign({"a": {"url": origin.url, "headersFrom": [header]}})
        rig.wait_state("a", "receiving")


def _undisturbed(rig: WorkerRig, stream: str) -> tuple[float, float]:
    frames = rig.metric("streammonitor_frames_total", stream)
    assert rig.metric("streammonitor_connects_total", stream) == 1
    assert rig.metric("streammonitor_discontinuities_total", stream) == 0
    return frames, rig.metric("streammonitor_media_seconds", stream)


def test_a_changed_assignment_disturbs_no_other_stream(
    rig: WorkerRig, media: Path, record_property: Callable[[str, object], None]
) -> None:
    with http_server(media) as web:
        rig.assign({"a": f"{web}/clean.ts", "b": f"{web}/clean.ts"})
        rig.start()
        rig.wait_state("a", "receiving")
        latencies = []
        for streams, detectors in (
            ({"a": f"{web}/clean.ts", "c": f"{web}/clean.mp4"}, {"black": {}}),
            ({"a": f"{web}/clean.ts", "c": f"{web}/clean.ts"}, {"black": {"minDuration": "9s"}}),
            ({"a": f"{web}/clean.ts"}, {"black": {}, "freeze": {}}),
        ):
            changed_at = time.monotonic()
            rig.wait_epoch(rig.assign(dict(streams), detectors=detectors))
            latencies.append(time.monotonic() - changed_at)
            names = {stream.name for stream in rig.status().streams}
            assert names == set(streams)
        frames, media_s = _undisturbed(rig, "a")
        eventually("more frames", lambda: _undisturbed(rig, "a")[0] > frames)

        record_property("assignment written -> acknowledged, s", round(max(latencies), 3))
        assert frames == pytest.approx(media_s * 25 + 1, abs=2)
        stream = rig.stream("a")
        assert stream is not None
        assert set(stream.detectors) == {"black", "freeze"}
        # Now they need sound too: the source is opened again, once.
        rig.wait_epoch(rig.assign({"a": f"{web}/clean.ts"}, detectors={"silence": {}}))
        eventually("again", lambda: rig.metric("streammonitor_connects_total", "a") == 2)


def test_a_bad_assignment_changes_nothing_and_is_reported(rig: WorkerRig, media: Path) -> None:
    with http_server(media) as web:
        rig.assign({"a": f"{web}/clean.ts"}, detectors={"black": {}, "psychic": {}})
        rig.start()
        rig.wait_state("a", "receiving")
        assert "psychic" in rig.status().problems[0]
        path = rig.folder / "assignment" / "assignment.json"
        good = json.loads(path.read_text())

        path.write_text("{")
        eventually("refusal", lambda: "refused" in " ".join(rig.status().problems))
        path.write_text(json.dumps({**good, "epoch": 0 + good["epoch"], "streams": 3}))
        eventually("refusal", lambda: "streams" in " ".join(rig.status().problems))
        path.write_text(json.dumps({**good, "detectors": {"black": {}}, "novelty": 1}))
        eventually("remark", lambda: "novelty" in " ".join(rig.status().problems))

        _undisturbed(rig, "a")


def test_a_finite_stream_completes_and_ends_what_is_open(rig: WorkerRig, tmp_path: Path) -> None:
    write_clip(
        tmp_path / "end.ts", duration_s=4, size=(320, 180), defects=[Defect("black", 1.0, 4.0)]
    )
    with http_server(tmp_path) as web:
        rig.assign({"a": f"{web}/end.ts"}, detectors={"black": {"minDuration": "1s"}})
        rig.start()
        rig.wait_state("a", "completed")

    ended = rig.wait_incident(lambda incident: not incident.active)
    assert ended.end_reason is EndReason.EOF
    assert ended.start_s == pytest.approx(1.0, abs=0.1)
    assert rig.get("/healthz")[0] == 200


def test_a_long_poll_answers_when_an_incident_starts(rig: WorkerRig, media: Path) -> None:
    with http_server(media) as web, ThreadPoolExecutor() as pool:
        rig.assign({"a": f"{web}/dark.ts"}, detectors={"black": {"minDuration": "1s"}})
        rig.start()
        rig.wait_state("a", "receiving")
        revision = rig.status().revision
        while not rig.status().incidents:
            status = pool.submit(rig.status, f"?since={revision}&wait=10s").result(12)
            assert status.revision > revision
            revision = status.revision

    assert rig.get("/status?since=soon")[0] == 400


def test_what_is_open_travels_and_only_the_holder_ends_it(rig: WorkerRig, media: Path) -> None:
    black = {"black": {"minDuration": "1s"}}
    with http_server(media) as web:
        rig.assign({"a": f"{web}/dark.ts", "b": f"{web}/dark.ts"}, detectors=black)
        rig.start()
        raised = {name: rig.wait_incident(_on(name)) for name in ("a", "b")}
        # a moves to another worker; b is removed for good.
        released = [{"stream": "b", "reason": "removed"}]
        rig.wait_epoch(rig.assign({}, detectors=black, released=released))
        left = {incident.stream: incident for incident in rig.status().incidents}
        assert left["a"].end_reason is EndReason.INTERRUPTED, "told on for those who had not heard"
        assert left["b"].end_reason is EndReason.REMOVED

        # a comes back with what the other worker holds.
        rig.assign(
            {"a": f"{web}/clean.ts"}, detectors=black, openIncidents=[raised["a"].to_json_object()]
        )
        rig.wait_incident(lambda item: item.id == raised["a"].id and item.active)
        ended = rig.wait_incident(lambda item: item.id == raised["a"].id and not item.active)
        assert ended.end_reason is EndReason.CLEARED
        rig.signal(signal.SIGTERM)
        rig.signal(signal.SIGINT)
        rig.wait()

    told = [(kind, item.stream, item.id) for kind, item in rig.events()]
    assert ("ended", "a", raised["a"].id) in told
    assert len([one for one in told if one[0] == "started" and one[1] == "a"]) == 1


def test_a_stream_is_handed_over_with_what_is_open(tmp_path: Path, media: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    black = {"black": {"minDuration": "1s"}}
    with (
        http_server(media) as web,
        WorkerRig(tmp_path / "old") as old,
        WorkerRig(tmp_path / "new") as new,
    ):
        streams: dict[str, str | dict[str, Any]] = {"a": f"{web}/dark.ts"}
        old.assign(streams, detectors=black)
        old.start()
        new.assign(streams, detectors=black, warming=["a"])
        new.start()
        raised = old.wait_incident(_active)
        eventually("it sees the defect", lambda: _sees(new, "a") == "active")
        assert new.status().incidents == [], "another holds it"
        old.wait_epoch(old.assign({}, detectors=black))
        [left] = old.status().incidents
        assert (left.id, left.end_reason) == (raised.id, EndReason.INTERRUPTED)
        new.assign(streams, detectors=black, openIncidents=[raised.to_json_object()])
        back = new.wait_incident(lambda item: item.id == raised.id)
        assert back.active
        for rig in (old, new):
            rig.signal(signal.SIGTERM)
            rig.signal(signal.SIGINT)
            rig.wait()

    assert [kind for kind, _ in old.events()] == ["started"]
    assert {item.id for _, item in new.events()} == {raised.id}
    assert "started" not in [kind for kind, _ in new.events()]


def _sees(rig: WorkerRig, stream: str) -> str | None:
    """The state of the black detector, once it is warm."""
    said = rig.stream(stream)
    return said.detectors.get("black") if said and said.warm else None


def test_a_killed_worker_goes_on_with_the_same_incident(rig: WorkerRig, media: Path) -> None:
    with http_server(media) as web:
        rig.assign({"a": f"{web}/dark.ts"}, detectors={"black": {"minDuration": "1s"}})
        rig.start()
        raised = rig.wait_incident(_active)
        process = rig.status().process
        rig.kill()
        rig.start()
        again = rig.wait_incident(_active)
        rig.wait_state("a", "receiving")

    assert rig.status().process != process
    assert again.id == raised.id
    assert again.started_at == raised.started_at
    assert len(rig.status().incidents) == 1


def test_a_stream_that_killed_the_process_is_opened_last_by_the_next(
    rig: WorkerRig, clean_origin: LiveOrigin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(poison.HOOK)
    monkeypatch.setenv("PYTHONPATH", f"{hooks}:{os.environ.get('PYTHONPATH', '')}")
    steady: dict[str, str | dict[str, Any]] = {"a": clean_origin.url}
    opening = tmp_path / "state" / FILE_NAME
    with clean_origin.serving():
        rig.assign(steady)
        rig.start()
        rig.wait_state("a", "receiving")
        eventually("a is steady", lambda: opening.read_text() == "[]", timeout_s=40)
        rig.assign({**steady, "deadly": f"{clean_origin.url}?{poison.MARK}=1"})
        assert rig.wait() == -signal.SIGSEGV
        assert opening.read_text() == '["deadly"]'

        rig.start()
        rig.wait_epoch(rig.assign(steady))  # as the operator does, who has heard of it
        rig.wait_state("a", "receiving")
        eventually("a is steady again", lambda: opening.read_text() == "[]", timeout_s=40)


def test_sigterm_waits_to_be_released_and_then_leaves(rig: WorkerRig, media: Path) -> None:
    with http_server(media) as web:
        rig.assign({"a": f"{web}/dark.ts"}, detectors={"black": {"minDuration": "1s"}})
        rig.start()
        rig.wait_incident(_active)
        rig.signal(signal.SIGTERM)
        eventually("draining", lambda: rig.status().draining)
        frames = rig.metric("streammonitor_frames_total", "a")
        eventually("frames", lambda: rig.metric("streammonitor_frames_total", "a") > frames)
        rig.assign({})
        assert rig.wait(5) == 0

    kinds = [kind for kind, _ in rig.events()]
    assert "ended" not in kinds


def test_sigterm_reports_what_is_open_as_interrupted(tmp_path: Path, media: Path) -> None:
    with WorkerRig(tmp_path, grace_s=0.5) as rig, http_server(media) as web:
        rig.assign({"a": f"{web}/dark.ts"}, detectors={"black": {"minDuration": "1s"}})
        rig.start()
        raised = rig.wait_incident(_active)
        started = time.monotonic()
        rig.signal(signal.SIGTERM)
        assert rig.wait() == 0
        assert time.monotonic() - started < 5
        kind, last = list(rig.events())[-1]
        rig.start()
        again = rig.wait_incident(_active)

    assert (kind, last.id, last.end_reason) == ("ended", raised.id, EndReason.INTERRUPTED)
    assert last.expires_at is not None
    assert last.ended_at is not None
    assert (last.expires_at - last.detected_at).total_seconds() > 290
    assert again.id == raised.id, "its successor on this node goes on with it"


def test_sigterm_without_streams_ends_at_once(tmp_path: Path) -> None:
    with WorkerRig(tmp_path, grace_s=60) as rig:
        rig.assign({})
        rig.start()
        rig.signal(signal.SIGTERM)
        assert rig.wait(5) == 0
