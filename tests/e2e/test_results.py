"""From a worker's pod into the bucket of a real S3 server, and what is asked of it there."""

from pathlib import Path
from typing import Any

import duckdb

from dev.cluster.addresses import HOST
from dev.kube import eventually
from dev.media.s3_server import ACCESS_KEY, SECRET_KEY, s3_server
from tests.e2e.monitor import DETECTORS, Monitor, channel

PATIENCE_S = 120


def _over(monitor: Monitor) -> bool:
    return any(not one.active for one in monitor.incidents())


def _secret(monitor: Monitor) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bucket", "namespace": monitor.namespace},
        "stringData": {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY},
    }


def _rows(bucket: Path, kind: str, what: str) -> list[tuple[Any, ...]]:
    files = sorted(map(str, bucket.glob(f"streams/kind={kind}/**/*.parquet")))
    if not files:
        return []
    return duckdb.read_parquet(files, hive_partitioning=True).project(what).fetchall()


def test_a_worker_that_goes_leaves_its_results_in_the_bucket(
    monitor: Monitor, tmp_path: Path
) -> None:
    bucket = tmp_path / "s3" / "quality"
    bucket.mkdir(parents=True)
    with s3_server(bucket.parent, host=str(HOST)) as endpoint:
        monitor.access.apply(_secret(monitor))
        store = {"endpoint": endpoint, "credentialsFrom": {"secretRef": {"name": "bucket"}}}
        monitor.apply(
            streams=[channel(0)],
            detectors={"black": DETECTORS["black"]},
            results={"url": "s3://quality/streams", "objectStore": store, "evidence": {}},
        )
        monitor.wait("Receiving")
        eventually("an incident is over", lambda: _over(monitor), timeout_s=PATIENCE_S)
        problem = monitor.status().get("results")
        monitor.patch(suspend=True)
        eventually(
            "the worker is gone", lambda: not monitor.pods(terminating=True), timeout_s=PATIENCE_S
        )

    assert problem is None
    summaries = _rows(bucket, "summary", "namespace, monitor, stream, bit_count(analysed)")
    assert {row[:3] for row in summaries} == {(monitor.namespace, monitor.name, "channel-0")}
    assert sum(row[3] for row in summaries) > 0
    incidents = _rows(bucket, "incident", "stream, defect, pictures")
    assert {row[:2] for row in incidents} == {("channel-0", "black")}
    pictures = [path for _, _, paths in incidents for path in paths]
    assert pictures
    assert all((bucket / "streams" / path).is_file() for path in pictures)
