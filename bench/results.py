"""What results cost, and what an hour without the store loses: `python -m bench.results`.

The CPU time that summing up, saving and uploading takes, beside that of receiving and analysing the
same streams with every detector. The store is a real S3 server in a process of its own.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from dev.host import say
from dev.media.clips import write_clip
from dev.media.s3_server import ACCESS_KEY, SECRET_KEY, s3_server
from dev.media.servers import free_port
from streammonitor_api.results import Results
from streammonitor_worker.alerts.sink import Around
from streammonitor_worker.analysis import StreamAnalysis
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.detectors import registry
from streammonitor_worker.detectors.base import Measurement, Verdict
from streammonitor_worker.evidence import Evidence
from streammonitor_worker.figures import Figures
from streammonitor_worker.frames import FrameView
from streammonitor_worker.ingest import EVERYTHING, open_source
from streammonitor_worker.programme import ProgrammeClock
from streammonitor_worker.results import Minutes, ResultsDesk
from streammonitor_worker.results.fetch import Fetcher
from streammonitor_worker.results.query import Database
from streammonitor_worker.results.store import Store
from streammonitor_worker.thumbnails import Thumbnail
from tests.unit.worker.alerts.incidents import ended, incident, over

STREAMS = 20
MINUTES = 60
FRAMES = 25
HOPS = 10
AWAY = range(20, 80)
"""The minutes in which the store is away."""
LUMA = np.full((180, 320), 120, np.uint8)
CLOCK = ProgrammeClock()


class Bench:
    """A worker's results, on a clock that goes as fast as it can."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.now_s = 1_900_000_000.0 // 3600 * 3600
        self.begin_s = self.now_s
        self.figures = Figures()
        secret = folder / "secrets" / "bucket"
        secret.mkdir(parents=True)
        (secret / "AWS_ACCESS_KEY_ID").write_text(ACCESS_KEY)
        (secret / "AWS_SECRET_ACCESS_KEY").write_text(SECRET_KEY)
        self.desk = ResultsDesk(
            StatusBoard("bench"),
            folder / "spool",
            worker="bench",
            secrets_folder=folder / "secrets",
            access=EVERYTHING,
            wall=lambda: self.now_s,
            clock=lambda: self.now_s,
        )
        store = {"endpoint": endpoint, "credentialsFrom": {"secretRef": {"name": "bucket"}}}
        asked = {"url": "s3://quality", "objectStore": store, "every": "10m", "evidence": {}}
        self.results = Results.model_validate(asked)
        self.desk.configure(self.results, "bench/bench", "all")
        names = [f"s{number:02}" for number in range(STREAMS)]
        self.minutes = [self.desk.minutes(name, lambda: replace(self.figures)) for name in names]
        self.detectors = [name for name, one in registry.items() if one.kind.value == "video"]

    def minute(self, number: int) -> None:
        """A minute of every stream; one in ten of them sees a defect end."""
        for _ in range(60):
            for one in self.minutes:
                self.second(one)
            self.now_s += 1.0
            self.figures.frames += FRAMES
            self.desk.tick()
        for one in self.minutes[number % 10 :: 10]:
            view = FrameView(time_s=0.0, duration_s=0.04, arrived_at=0.0, luma=LUMA)
            shown = Evidence(Thumbnail(view), Thumbnail(view), Thumbnail(view))
            event = over(ended(incident(one.stream, episode=number)))
            self.desk.tell(replace(event, evidence=shown))
        uploader = self.desk._uploader
        if uploader is not None:
            uploader._poke.set()

    def second(self, minutes: Minutes) -> None:
        """What a stream tells in a second."""
        for frame in range(FRAMES):
            at_s = self.now_s + frame / FRAMES
            view = FrameView(time_s=at_s, duration_s=0.04, arrived_at=at_s, luma=LUMA)
            measured = Measurement(at_s, at_s + 0.04, at_s, Verdict.GOOD, values={"v": 1.0})
            for detector in self.detectors:
                minutes.heard(detector, measured)
            minutes.analysed(view, CLOCK)
        for hop in range(HOPS):
            at_s = self.now_s + hop / HOPS
            values = {"momentaryLufs": -23.0, "shortTermLufs": -23.0, "truePeakDbtp": -3.0}
            minutes.heard(
                "loudness", Measurement(at_s, at_s + 0.1, at_s, Verdict.GOOD, values=values)
            )


@contextmanager
def taken() -> Iterator[list[float]]:
    """CPU seconds of this process, all threads."""
    spent: list[float] = []
    before = time.process_time()
    yield spent
    spent.append(time.process_time() - before)


def analysis_s() -> float:
    """CPU seconds that a minute of 720p with sound takes to be received and analysed."""
    with tempfile.TemporaryDirectory() as name:
        clip = Path(name) / "clip.ts"
        write_clip(clip, duration_s=20, size=(1280, 720), frame_rate=FRAMES, gop_s=1)
        detectors: dict[str, dict[str, Any]] = {
            one: {} for one in registry if one not in ("model", "avSync")
        }
        made = StreamAnalysis(monitor_uid="", stream="s", worker="w", detectors=detectors)
        with taken() as spent, open_source(str(clip), live=False) as source:
            for item in source:
                made.feed(item)
    return 3 * spent[0]


def overhead() -> None:
    """Tell what results cost, beside all else."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "s3" / "quality").mkdir(parents=True)
        with s3_server(folder / "s3") as endpoint, taken() as spent:
            bench = Bench(folder, endpoint)
            for number in range(MINUTES):
                bench.minute(number)
            bench.desk.close(60.0)
        files = [one for one in (folder / "s3").rglob("*") if one.is_file()]
        size = sum(one.stat().st_size for one in files if one.suffix == ".parquet")
        pictures = [one for one in files if one.suffix == ".jpg"]
    each_s, all_s = spent[0] / STREAMS / MINUTES, analysis_s()
    say(f"results: {1000 * each_s:.1f} ms of CPU for a minute of a stream, its views included")
    say(f"analysis of 720p25 by every detector: {1000 * all_s:.0f} ms: {each_s / all_s:.2%} more")
    say(f"store: {size / STREAMS / MINUTES:.0f} bytes for a minute of a stream")
    say(f"objects: {len(files)}, {len(pictures)} of them pictures")


def away() -> None:
    """Tell what an hour without the store loses."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "s3" / "quality").mkdir(parents=True)
        bench = Bench(folder, f"http://127.0.0.1:{port}")
        numbers = iter(range(100))
        for there in (True, False, True):
            with s3_server(folder / "s3", port) if there else nothing():
                for number in numbers:
                    bench.minute(number)
                    time.sleep(0.02)  # the uploader is a thread, which wants its turn
                    if number + 1 in (AWAY.start, AWAY.stop):
                        break
                if not there:
                    say(f"away for {len(AWAY)} minutes: {bench.desk.figures()}")
                if there and number == 99:
                    bench.desk.close(60.0)
                    _count(bench, folder)


@contextmanager
def nothing() -> Iterator[None]:
    """No server."""
    yield


def _count(bench: Bench, folder: Path) -> None:
    store = Store(bench.results, Around("", "", folder / "secrets", EVERYTHING))
    since, until = (datetime.fromtimestamp(at, UTC) for at in (bench.begin_s, bench.now_s))
    files = Fetcher(store, folder / "files").files("summary", since, until)
    ((rows, told),) = (
        Database(files, [])
        .ask("SELECT (SELECT count(*) FROM parts), count(*) FILTER (watched_s >= 59) FROM minutes")
        .rows
    )
    say(f"told of {100 * STREAMS} minutes: {told} are in the store, in {rows} rows")
    say(f"in the end: {bench.desk.figures()}")


def main() -> int:
    """Measure, and print."""
    overhead()
    away()
    return 0


if __name__ == "__main__":
    sys.exit(main())
