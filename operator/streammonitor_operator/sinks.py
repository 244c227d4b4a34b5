"""What is wrong with sinks and results of a StreamMonitor, over all its workers. Pure."""

from collections.abc import Iterable

from streammonitor_api.status import SinkTrouble, StoreTrouble
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.health import identifier

_MESSAGE = 256
_NAME = 63
_MOST = 50


def sink_troubles(views: Iterable[WorkerView]) -> list[SinkTrouble]:
    """The sinks that do not take what some worker sends them, by name.

    What the worker says that has seen it for longest stands for all of them.
    """
    found: dict[str, SinkTrouble] = {}
    for view in views:
        said = view.current.status if view.current else None
        for problem in said.sinks if said else ():
            known = found.get(problem.name)
            workers = known.workers + 1 if known else 1
            if known is None or problem.since < known.since:
                known = SinkTrouble(
                    name=problem.name[:_NAME],
                    reason=identifier(problem.reason),
                    message=problem.message[:_MESSAGE],
                    since=problem.since.replace(microsecond=0),
                )
            found[problem.name] = known.model_copy(update={"workers": workers})
    return [found[name] for name in sorted(found)][:_MOST]


def results_trouble(views: Iterable[WorkerView]) -> StoreTrouble | None:
    """What is wrong with the store of results, as the worker says that has seen it for longest."""
    statuses = [view.current.status for view in views if view.current and view.current.status]
    found = [said.results for said in statuses if said.results is not None]
    if not found:
        return None
    first = min(found, key=lambda one: one.since)
    return StoreTrouble(
        reason=identifier(first.reason),
        message=first.message[:_MESSAGE],
        since=first.since.replace(microsecond=0),
        workers=len(found),
    )
