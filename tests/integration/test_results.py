"""Results in a bucket of a real S3 server, versitygw."""

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import typer
from typer.testing import CliRunner

from dev.media.s3_server import ACCESS_KEY, SECRET_KEY, s3_server
from dev.media.servers import free_port, http_server
from streammonitor_api.results import Results
from streammonitor_api.worker_status import StoreProblem
from streammonitor_worker.alerts.sink import Around
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.figures import Figures
from streammonitor_worker.ingest import EVERYTHING
from streammonitor_worker.results import ResultsDesk
from streammonitor_worker.results.command import results_command
from streammonitor_worker.results.store import Store
from tests.integration.rig import WorkerRig, eventually

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
STREAMS = ("arena-1", "arena-2", "arena-3")


def results(endpoint: str, **more: Any) -> dict[str, Any]:
    credentials = {"secretRef": {"name": "bucket"}}
    store = {"endpoint": endpoint, "credentialsFrom": credentials}
    return {"url": "s3://quality/streams", "objectStore": store, **more}


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """The folder that is a bucket, beside the Secret with its credentials."""
    secret = tmp_path / "secrets" / "bucket"
    secret.mkdir(parents=True)
    (secret / "AWS_ACCESS_KEY_ID").write_text(ACCESS_KEY)
    (secret / "AWS_SECRET_ACCESS_KEY").write_text(SECRET_KEY)
    folder = tmp_path / "s3" / "quality"
    folder.mkdir(parents=True)
    return folder


class Process:
    """What a worker's process does for results, on a clock that a test sets."""

    now_s = NOON.timestamp()

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.board = StatusBoard("w-1")
        self.desk = ResultsDesk(
            self.board,
            folder / "spool",
            worker="w-1",
            secrets_folder=folder / "secrets",
            access=EVERYTHING,
            wall=lambda: Process.now_s,
            clock=lambda: Process.now_s,
        )
        asked = results(endpoint, every="1m")
        self.desk.configure(Results.model_validate(asked), "video/sports", "all")
        for stream in STREAMS:
            self.desk.minutes(stream, Figures)

    def pass_minutes(self, count: int) -> None:
        for _ in range(60 * count):
            Process.now_s += 1
            self.desk.tick()


def objects(bucket: Path) -> dict[Path, tuple[int, int]]:
    """What is in a bucket, and when it was written and its inode."""
    found = bucket.glob("streams/**/*.parquet")
    return {one: (one.stat().st_mtime_ns, one.stat().st_ino) for one in found}


def test_an_hour_without_the_store_and_two_crashes_lose_no_minute(
    tmp_path: Path, bucket: Path
) -> None:
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with s3_server(bucket.parent, port):
        first = Process(tmp_path, endpoint)
        first.pass_minutes(3)
        first.desk.close(30.0)
    before = objects(bucket)
    assert before
    for _ in range(3):
        # Each ends with its store away; its successor finds what it left.
        process = Process(tmp_path, endpoint)
        process.pass_minutes(20)
        process.desk.close(0.5)
        Process.now_s += 5
    with s3_server(bucket.parent, port):
        last = Process(tmp_path, endpoint)
        last.desk.close(30.0)
        rows = asked(endpoint, "--sql", "SELECT stream, minute, watched_s FROM minutes")
    told = {(row["stream"], datetime.fromisoformat(row["minute"])) for row in rows}
    minutes = [NOON + timedelta(minutes=number) for number in range(63)]
    assert told >= {(stream, minute) for stream in STREAMS for minute in minutes}
    # Each line is there once, and nothing that was written was written over.
    parts = duckdb.read_parquet(str(bucket / "streams/kind=summary/**/*.parquet"))
    keys = parts.project("stream, minute, watched").fetchall()
    assert len(set(keys)) == len(keys)
    assert {path: objects(bucket)[path] for path in before} == before
    assert last.board.document().results is None


def asked(endpoint: str, *options: str) -> list[dict[str, Any]]:
    """What `streammonitor results` answers of the bucket, with credentials of the environment."""
    app = typer.Typer()
    app.command()(results_command)
    command = ["s3://quality/streams", "--endpoint", endpoint, "-o", "json"]
    held = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    since = () if "--since" in options else ("--since", "2026-11-21T00:00:00Z")
    done = CliRunner().invoke(app, [*command, *since, *options], env=held)
    assert done.exit_code == 0, done.output
    rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
    return rows


@pytest.fixture
def endpoint(bucket: Path) -> Iterator[str]:
    with s3_server(bucket.parent) as url:
        yield url


def test_a_worker_that_is_told_to_stop_uploads_all_that_it_knows(
    tmp_path: Path, media: Path, bucket: Path, endpoint: str
) -> None:
    kept = {"monitor": "video/sports", "results": results(endpoint, evidence={})}
    with http_server(media) as web, WorkerRig(tmp_path, grace_s=60.0) as rig:
        rig.assign({"dark": f"{web}/dark.ts", "fine": f"{web}/clean.ts"}, **kept)
        rig.start()
        rig.wait_incident(lambda one: one.stream == "dark")
        eventually("frames", lambda: rig.metric("streammonitor_frames_total", "fine") > 50)
        released = [{"stream": name, "reason": "removed"} for name in ("dark", "fine")]
        rig.wait_epoch(rig.assign({}, released=released, **kept))
        rig.signal(signal.SIGTERM)
        assert rig.wait() == 0
    now = ("--since", "10m")
    found = {row["stream"]: row for row in asked(endpoint, *now)}
    assert found["fine"]["frames"] > 50
    assert found["fine"]["watched_s"] > found["fine"]["lost_s"]
    assert found["dark"]["incidents"] == 1
    (dark,) = asked(endpoint, *now, "--incidents")
    assert (dark["namespace"], dark["monitor"], dark["defect"]) == ("video", "sports", "black")
    assert dark["end_reason"] == "removed"
    pictures = sorted(bucket / "streams" / path for path in dark["pictures"])
    assert pictures
    assert all(path.read_bytes().startswith(b"\xff\xd8") for path in pictures)


def test_an_object_that_is_there_is_not_written_over(
    tmp_path: Path, bucket: Path, endpoint: str
) -> None:
    around = Around("video/sports", "w-1", tmp_path / "secrets", EVERYTHING)
    store = Store(Results.model_validate(results(endpoint)), around)
    store.put("a/b", b"first")
    store.put("a/b", b"second")
    assert (bucket / "streams/a/b").read_bytes() == store.get("a/b") == b"first"
    assert store.folders("") == ["a"]
    assert list(store.objects("a/")) == [("a/b", 5)]
    store.delete(["a/b", "a/none"])
    assert list(store.objects("")) == []


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [("AWS_SECRET_ACCESS_KEY", "Forbidden"), ("", "NotFound")],
)
def test_what_is_wrong_with_the_store_is_told(
    tmp_path: Path, bucket: Path, endpoint: str, spoil: str, reason: str
) -> None:
    if spoil:
        (tmp_path / "secrets" / "bucket" / spoil).write_text("another")
    else:
        bucket.rmdir()
    process = Process(tmp_path, endpoint)
    problem = eventually("a problem is told", lambda: _told(process))
    assert problem.reason == reason
    assert "s3://quality" in problem.message
    assert ACCESS_KEY not in problem.message
    process.desk.close(0.1)


def _told(process: Process) -> StoreProblem | None:
    """Time passes: what is due is uploaded, and what failed is tried again."""
    process.pass_minutes(2)
    assert process.desk._uploader is not None
    process.desk._uploader._poke.set()
    return process.board.document().results
