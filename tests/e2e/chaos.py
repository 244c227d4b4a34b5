"""The leading operator is killed at random moments of changes, while every stream is watched.

Everything that is random comes from one seed: the changes, and after how long the process is
killed. So a run can be replayed, as far as a real cluster does the same twice.
"""

import json
import math
import random
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from dev.host import REPOSITORY, Failure
from dev.kube import Access, Object, eventually
from dev.product import RELEASE, SYSTEM_NAMESPACE
from streammonitor_api import names
from streammonitor_api.assignment import Assignment
from streammonitor_api.worker_status import StreamState, WorkerStatus
from tests.e2e.monitor import Monitor, channel, kill_process, now

WATCHED = ("channel-0", "channel-1", "channel-2")
"""Streams that every change leaves in the specification."""
PAGE = REPOSITORY / "docs/bench-chaos.md"
LATEST_KILL_S = 6.0
"""A process is killed within so long after a change was asked for."""
CONVERGED_WITHIN_S = 180.0
LEASE_S = 6
LEASE = {"LEASE_DURATION": f"{LEASE_S}s", "LEASE_RENEW_DEADLINE": "4s", "LEASE_RETRY": "1s"}
"""What the operator is told where many are killed."""
_SIZES = ("96Mi", "112Mi", "128Mi", "144Mi")
_PAUSE_S = 0.2


@dataclass(frozen=True)
class Kill:
    """One operator that was killed.

    Attributes:
        change: What was being changed.
        after_s: How long after the change was asked for.
        converged_s: How long after the kill everything was as asked for; None if it never was.
    """

    change: str
    after_s: float
    converged_s: float | None


@dataclass(frozen=True)
class Gap:
    """When no process received a stream.

    Attributes:
        stream: Which.
        at: When it was seen first (UTC).
        began: The same, monotonic.
        said: What every process said of the stream then.
        tried: Whether one had it all the time, and its source did not serve it.
        lasted_s: For how long.
    """

    stream: str
    at: str
    began: float
    said: str
    tried: bool
    lasted_s: float = 0.0


@dataclass
class Asked:
    """What is asked of the product, changed at random."""

    random: random.Random
    size: str = _SIZES[0]
    most: int = 2
    extra: bool = False
    silence_s: int = 3

    def change(self) -> str:
        """Change one thing, and say what."""
        kind = self.random.choice(("template", "packing", "stream", "threshold"))
        if kind == "template":
            self.size = self.random.choice([one for one in _SIZES if one != self.size])
            return f"template: memory {self.size}"
        if kind == "packing":
            self.most = self.random.choice([one for one in (1, 2, 4) if one != self.most])
            return f"maxStreamsPerWorker: {self.most}"
        if kind == "stream":
            self.extra = not self.extra
            return "a stream more" if self.extra else "a stream less"
        self.silence_s = self.random.choice([one for one in (2, 3, 4) if one != self.silence_s])
        return f"silence: minDuration {self.silence_s}s"

    def spec(self) -> dict[str, Any]:
        """As the StreamMonitor's specification."""
        return {
            "streams": [channel(number) for number in range(3 + self.extra)],
            "detectors": {"silence": {"minDuration": f"{self.silence_s}s"}},
            "workers": [
                {
                    "name": "all",
                    "detectors": ["silence"],
                    "scaling": {"maxStreamsPerWorker": self.most},
                    "rollout": {"canary": "2s"},
                    "template": {"resources": {"requests": {"memory": self.size}}},
                }
            ],
        }


@dataclass
class Watch:
    """Asks every worker of a StreamMonitor five times a second whether it receives its streams.

    Attributes:
        looks: How often all of them were asked.
        gaps: When no process received a stream.
        outages: The same, while one had it all the time and its source did not serve it.
        deaths: How often a process of each pod failed.
    """

    monitor: Monitor
    streams: tuple[str, ...] = WATCHED
    looks: int = 0
    gaps: list[Gap] = field(default_factory=list)
    outages: list[Gap] = field(default_factory=list)
    deaths: dict[str, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _addresses: dict[str, str] = field(default_factory=dict)
    _said: dict[str, WorkerStatus | None] = field(default_factory=dict)
    _missing: dict[str, Gap] = field(default_factory=dict)

    def __enter__(self) -> "Watch":
        self._find()
        self._threads = [threading.Thread(target=one) for one in (self._keep_finding, self._look)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for stream in list(self._missing):
            self._close(stream)

    def _find(self) -> None:
        """Where the workers are, those that were told to end included."""
        pods = {one["metadata"]["name"]: one for one in self.monitor.pods(terminating=True)}
        found = {name: pod.get("status", {}).get("podIP", "") for name, pod in pods.items()}
        self._addresses = {name: address for name, address in found.items() if address}
        for name, pod in pods.items():
            containers = pod.get("status", {}).get("containerStatuses", [])
            if died := sum(map(_deaths, containers)):
                self.deaths[name] = died

    def _keep_finding(self) -> None:
        while not self._stop.wait(0.5):
            with suppress(Failure):
                self._find()

    def _look(self) -> None:
        while not self._stop.wait(_PAUSE_S):
            began = time.monotonic()
            missing = self._missed()
            if missing:
                # It may have passed from one that was asked late to one that was asked early, or
                # to one that was not known yet. Whoever has it by now keeps it for longer.
                try:
                    self._find()
                except Failure:
                    continue
                missing = self._missed()
            if missing is None:
                continue
            self.looks += 1
            for stream in self.streams:
                if stream in missing:
                    self._note(stream, began)
                else:
                    self._close(stream)

    def _missed(self) -> set[str] | None:
        """The streams that no process says it receives; None if one is slow to answer."""
        try:
            self._said = {name: _ask(address) for name, address in self._addresses.items()}
        except TimeoutError:
            return None  # it may receive what nobody else does
        return set(self.streams) - {
            stream.name
            for answer in self._said.values()
            if answer is not None
            for stream in answer.streams
            if stream.state is StreamState.RECEIVING
        }

    def _note(self, stream: str, began: float) -> None:
        """A stream is missing: for the first time, or still."""
        told = [one for said in self._said.values() if said is not None for one in said.streams]
        tried = any(one.name == stream and one.state is StreamState.RETRYING for one in told)
        gap = self._missing.get(stream)
        if gap is None:
            gap = Gap(stream, f"{datetime.now(UTC):%T}", began, self._evidence(stream), tried)
        self._missing[stream] = replace(gap, tried=gap.tried and tried)

    def _evidence(self, stream: str) -> str:
        """What every process said of a stream just now."""
        return "; ".join(
            f"{one} {_words(said, stream)}" for one, said in sorted(self._said.items())
        )

    def _close(self, stream: str) -> None:
        gap = self._missing.pop(stream, None)
        if gap is not None:
            found = self.outages if gap.tried else self.gaps
            found.append(replace(gap, lasted_s=time.monotonic() - gap.began))


def _words(said: WorkerStatus | None, stream: str) -> str:
    if said is None:
        return "does not answer"
    one = next((one for one in said.streams if one.name == stream), None)
    of_it = f"{one.state} {one.reason or ''}".strip() if one else "does not have it"
    return f"({'draining, ' if said.draining else ''}epoch {said.epoch}): {of_it}"


def _deaths(container: Object) -> int:
    """How often its process failed: once more than it was started again, until that is done."""
    state = container.get("state", {})
    failed = state.get("terminated", {}).get("exitCode", 0) != 0
    waits = state.get("waiting", {}).get("reason") == "CrashLoopBackOff"
    return int(container["restartCount"]) + int(failed or waits)


def _ask(address: str) -> WorkerStatus | None:
    """What a process says; this machine reaches pods directly.

    Raises:
        TimeoutError: It took too long, which says nothing of its streams.
    """
    url = f"http://{address}:{names.WORKER_PORT}/status"
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return WorkerStatus.model_validate_json(answer.read())
    except TimeoutError:
        raise
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise error.reason from error
        return None  # it is starting, or it has ended
    except (OSError, ValueError):
        return None


def run(monitor: Monitor, kills: int, seed: int) -> tuple[list[Kill], Watch]:
    """Change the StreamMonitor and kill the leading operator, so many times.

    Returns:
        What became of each, and what was seen of the streams meanwhile.
    """
    asked = Asked(random.Random(seed))
    monitor.apply(**asked.spec())
    monitor.wait("Ready")
    wait_converged(monitor, asked)
    done = []
    with Watch(monitor) as watch:
        for _ in range(kills):
            killed = leader(monitor.access)
            change = asked.change()
            after_s = asked.random.uniform(0, LATEST_KILL_S)
            monitor.apply(**asked.spec())
            time.sleep(after_s)
            kill(monitor.access, killed)
            killed_at = now()
            try:
                wait_converged(monitor, asked)
                done.append(Kill(change, after_s, now() - killed_at))
            except Failure:
                done.append(Kill(change, after_s, None))
    return done, watch


def leader(access: Access) -> Object:
    """The pod that leads; waits until there is one."""

    def found() -> Object | None:
        lease = access.get("lease", f"{RELEASE}-operator", "-n", SYSTEM_NAMESPACE)
        name = lease["spec"].get("holderIdentity")
        pods = access.items(
            "pods", "-n", SYSTEM_NAMESPACE, "-l", "app.kubernetes.io/name=streammonitor-operator"
        )
        present = (one for one in pods if "deletionTimestamp" not in one["metadata"])
        return next((one for one in present if one["metadata"]["name"] == name), None)

    return eventually("an operator that leads", found, timeout_s=60, pause_s=0.3)


def kill(access: Access, pod: Object) -> None:
    """SIGKILL its process, and have the pod replaced at once instead of backed off."""
    kill_process(pod)
    access.delete("pod", pod["metadata"]["name"], SYSTEM_NAMESPACE, "--grace-period=0", "--force")


def wait_converged(monitor: Monitor, asked: Asked) -> None:
    """Wait until everything is as asked for, and nothing else is left.

    Raises:
        Failure: It is not, in time.
    """
    spec = asked.spec()
    wanted = sorted(one["name"] for one in spec["streams"])

    def converged() -> bool:
        resource = monitor.get()
        status = resource.get("status", {})
        if status.get("observedGeneration") != resource["metadata"]["generation"]:
            return False
        deployments, maps = monitor.objects("deployments"), monitor.objects("configmaps")
        ready = {one["type"]: one["status"] for one in status["conditions"]}["Ready"] == "True"
        sizes = {_memory(one) for one in deployments}
        return (
            ready
            and sizes == {asked.size}
            and len(monitor.pods(terminating=True)) == len(deployments) == len(maps)
            and sorted(_held(maps)) == wanted
        )

    eventually("everything is as asked for", converged, timeout_s=CONVERGED_WITHIN_S)


def _memory(deployment: Object) -> str:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return str(container["resources"]["requests"]["memory"])


def _held(maps: list[Object]) -> list[str]:
    """Every stream as often as workers are to speak for it."""
    held: list[str] = []
    for one in maps:
        assignment = Assignment.model_validate(json.loads(one["data"][names.ASSIGNMENT_KEY]))
        held += {stream.name for stream in assignment.streams} - set(assignment.warming)
    return held


def page(kills: list[Kill], watch: Watch, seed: int, versions: str) -> str:
    """What came of many kills, for docs/."""
    took = sorted(kill.converged_s for kill in kills if kill.converged_s is not None)
    rows = [
        f"| {number} | {kill.change} | {kill.after_s:.1f} | "
        f"{'never' if kill.converged_s is None else f'{kill.converged_s:.0f}'} |"
        for number, kill in enumerate(kills, 1)
    ]
    gaps, outages = (
        [f"- {one.stream} at {one.at}: {one.lasted_s:.1f} s ({one.said})" for one in some]
        or ["None."]
        for some in (watch.gaps, watch.outages)
    )
    return "\n".join(
        [
            "# The operator is killed at random moments",
            "",
            "Written by `make bench-chaos`; do not edit. On a real cluster, one thing about a",
            "StreamMonitor of three or four streams is changed, and up to "
            f"{LATEST_KILL_S:g} s later the",
            "operator that leads is killed (SIGKILL, and its pod removed). Its successor has to",
            f"wait for {LEASE_S} s until the Lease may be taken over (15 s by default; this",
            "saves time). It has converged when the status is",
            "of the newest generation and Ready, every Deployment is of the wanted template, there",
            "is one pod and one assignment for each, and each stream is held exactly once.",
            "",
            f"**{len(took)} of {len(kills)} converged**; seconds from the kill: median "
            f"{took[len(took) // 2] if took else math.nan:.0f}, longest "
            f"{took[-1] if took else math.nan:.0f}.",
            f"Seed {seed}: `make bench-chaos SEED={seed}` replays it.",
            "",
            f"Meanwhile every worker was asked {watch.looks} times whether it receives its "
            "streams. Gaps,",
            "in which no process received one of the three streams that were never taken out:",
            "",
            *gaps,
            "",
            "Times in which a process had such a stream and its source did not serve it:",
            "",
            *outages,
            "",
            "| kill | change | killed after s | converged after s |",
            "| ---: | --- | ---: | ---: |",
            *rows,
            "",
            versions,
            "",
        ]
    )
