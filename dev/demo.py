"""`make demo`: the product on a real cluster, catching the defects of a live channel.

Brings up the local cluster (or uses the context that is named), installs the charts, starts the
demo origin, applies docs/samples/demo.yaml, waits until every kind of defect was found, and shows
what was found beside what was played. Leaves everything running.
"""

import argparse
import json
import sys
import time

from rich.console import Console
from rich.table import Table

from dev import kube, product
from dev.cluster import up as cluster_up
from dev.host import REPOSITORY, Failure, exit_code, say, timed
from dev.images import load_into_cluster
from dev.timetable import Match, match
from streammonitor_api import names
from streammonitor_api.incident import Incident
from streammonitor_api.worker_status import WorkerStatus

NAMESPACE = "streammonitor-demo"
_SAMPLE = REPOSITORY / "docs/samples/demo.yaml"
_DEFECTS = "black@5-8,freeze@13-17,silence@22-27"
_ORIGIN = ["--prepare", "--channels=2", "--cycle=32", "--segment=1", f"--defects={_DEFECTS}"]


def up(context: str | None) -> None:
    """Bring everything up and show what is found."""
    began = time.monotonic()
    access, images = _cluster(context)
    product.install(access, images)
    product.origin(access, NAMESPACE, images.worker, *_ORIGIN)
    access.kubectl("apply", "-n", NAMESPACE, "-f", _SAMPLE)
    with timed("Watching the channels until black, freeze and silence were found"):
        found = kube.eventually(
            "incidents of all three defects", lambda: _all_found(access), timeout_s=180, pause_s=1
        )
    _show(access, found)
    say(f"\nThe demo took {time.monotonic() - began:.0f} s. It goes on running.")
    say(_next_commands(access))


def _cluster(context: str | None) -> tuple[kube.Access, product.Images]:
    if context:
        images = product.Images.named()
        if not images:
            raise Failure(
                f"Context {context} needs images that it can pull: push the two that "
                "`make image` builds and name them in OPERATOR_IMAGE and WORKER_IMAGE."
            )
        return kube.Access(context=context), images
    cluster_up()
    return kube.local(), load_into_cluster()


def down(context: str | None) -> None:
    """Remove the demo and the product."""
    access = kube.Access(context=context) if context else kube.local()
    with timed("Removing the demo and the operator"):
        product.uninstall(access)
        access.delete("namespace", NAMESPACE)


def worker_statuses(access: kube.Access, namespace: str, monitor: str) -> list[WorkerStatus]:
    """What each worker of a StreamMonitor says of itself now."""
    pods = access.items("pods", "-n", namespace, "-l", f"{names.LABEL_MONITOR}={monitor}")
    return [
        WorkerStatus.model_validate_json(
            access.proxy(namespace, pod["metadata"]["name"], names.WORKER_PORT, "status")
        )
        for pod in pods
    ]


def _all_found(access: kube.Access) -> list[Incident] | None:
    statuses = worker_statuses(access, NAMESPACE, "demo")
    ended = [item for status in statuses for item in status.incidents if not item.active]
    kinds = {incident.defect for incident in ended}
    return ended if kinds >= {"black", "freeze", "silence"} else None


def _show(access: kube.Access, found: list[Incident]) -> None:
    timetable = json.loads(access.proxy(NAMESPACE, "origin", product.ORIGIN_PORT, "timetable"))
    for command in (
        ["get", "smon"],
        [
            "get",
            "events",
            "--field-selector",
            f"involvedObject.kind={names.KIND}",
            "--sort-by=.lastTimestamp",
        ],
    ):
        say(f"\n$ kubectl -n {NAMESPACE} {' '.join(command)}")
        say(access.kubectl("-n", NAMESPACE, *command).rstrip())
    say("")
    matches = sorted((match(item, timetable) for item in found), key=lambda m: m.played_at)
    Console(stderr=True).print(_table(matches))


def _table(matches: list[Match]) -> Table:
    table = Table(title="What was played, and what was found")
    for heading in (
        "stream",
        "defect",
        "played at (UTC)",
        "for",
        "found for",
        "raised after",
        "on the way for",
    ):
        table.add_column(heading, justify="left" if heading in ("stream", "defect") else "right")
    for item in matches:
        table.add_row(
            item.incident.stream,
            item.incident.defect,
            time.strftime("%H:%M:%S", time.gmtime(item.played_at)),
            f"{item.played_s:.2f} s",
            f"{item.found_s:.2f} s",
            f"{item.raised_after_s:.1f} s",
            f"{item.delay_s:.1f} s",
        )
    table.caption = (
        "raised after: from the first bad frame's arrival; minDuration included.\n"
        "on the way: segments that fill at the origin and the player's distance from live."
    )
    return table


def _next_commands(access: kube.Access) -> str:
    kubectl = " ".join(
        [
            "kubectl",
            *(
                [f"--kubeconfig={access.kubeconfig}"]
                if access.kubeconfig
                else [f"--context={access.context}"]
            ),
            "-n",
            NAMESPACE,
        ]
    )
    return f"""Try next:
  {kubectl} get smon demo --watch
  {kubectl} describe smon demo
  {kubectl} logs -f -l {names.LABEL_MONITOR}=demo
  {kubectl} edit smon demo        # change a threshold, add a stream
  make demo-down                  # remove the demo and the operator
  make cluster-down               # stop the local cluster"""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m dev.demo", description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("--context", help="use this context of your kubeconfig")
    arguments = parser.parse_args()
    action = up if arguments.command == "up" else down
    return exit_code(lambda: action(arguments.context or None), prefix="demo: ")


if __name__ == "__main__":
    sys.exit(main())
