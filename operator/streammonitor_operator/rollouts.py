"""The roll-outs of one StreamMonitor's groups: whose turn it is, and what new workers are made of.

`rollout` says how far each is; what it goes by is in the status, and in the Deployments.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from streammonitor_api.rollout import Rollout
from streammonitor_api.spec import StreamMonitorSpec, WorkerGroup
from streammonitor_api.status import GroupStatus, RolloutPhase, RolloutStatus
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.plan import Worker
from streammonitor_operator.rollout import (
    PAUSE_S,
    advance,
    observed_beside,
    outdated,
    revision,
    target,
)
from streammonitor_operator.settings import WorkerSettings
from streammonitor_operator.specs.recipe import Recipe, all_secret_names, read_recipe, recipe_of

SURGE_RATIO = 0.25
"""The share of a group's workers, at least one, that is replaced at a time unless it says so."""


@dataclass(slots=True)
class Turns:
    """The workers that are to be replaced."""

    now: set[str] = field(default_factory=set)
    """Those that are to hand over now."""
    later: set[str] = field(default_factory=set)
    """Those whose turn comes."""
    beside: set[str] = field(default_factory=set)
    """Those of the first that keep their streams although their clones are ready."""


class Rollouts:
    """The roll-outs of one StreamMonitor."""

    def __init__(self) -> None:
        self.records: dict[str, RolloutStatus] = {}
        """How far each group's last roll-out is."""
        self.wanted: dict[str, Recipe] = {}
        """What each group's pods are asked to be."""
        self.refused: dict[str, str] = {}
        """What the API says of clones that it does not accept, by group."""
        self.turns = Turns()
        self.pending: dict[tuple[str, str], RolloutStatus] = {}
        """What still has to be announced: by group and reason of the Event."""
        self._recipes: dict[str, Recipe] = {}
        self._proving: dict[str, frozenset[str]] = {}
        self._terms: dict[str, Rollout] = {}
        self._asked: tuple[StreamMonitorSpec, WorkerSettings] | None = None
        """What `wanted` follows from."""

    def seed(self, groups: Iterable[GroupStatus]) -> None:
        """Begin with what an earlier operator left: it has announced these."""
        self.records = {one.name: one.rollout for one in groups if one.rollout is not None}

    def absorb(
        self,
        spec: StreamMonitorSpec,
        views: Iterable[WorkerView],
        settings: WorkerSettings,
        now: datetime,
    ) -> None:
        """Take in how the workers are now.

        Args:
            spec: What is asked for.
            views: Every worker.
            settings: What every worker has unless a template says otherwise.
            now: UTC.
        """
        members: dict[str, list[WorkerView]] = {}
        for view in sorted(views, key=lambda one: one.name):
            members.setdefault(view.group, []).append(view)
        if self._asked is None or self._asked[0] is not spec or self._asked[1] is not settings:
            self._asked = spec, settings
            secrets = all_secret_names(spec)
            self.wanted = {one.name: recipe_of(one, secrets, settings) for one in spec.groups}
        self._learn(view for some in members.values() for view in some)
        self.turns, self._proving = Turns(), {}
        for gone in self.records.keys() - self.wanted.keys():
            del self.records[gone]
        for group in spec.groups:
            self._advance(group, members.get(group.name, []), now)

    def revision(self, group: str) -> str:
        """The revision that a group's pods should have."""
        return target(self.records.get(group), self.wanted[group].revision)

    def recipe(self, worker: Worker, view: WorkerView, secrets: Iterable[str]) -> Recipe | None:
        """What a worker is to be made of; None if that is not known: it is left as it is.

        Args:
            worker: As planned.
            view: What there is of it.
            secrets: Those that its streams name.
        """
        wanted = self.wanted[worker.group]
        existing = revision(view)
        if existing:
            return self._recipes.get(existing)
        record = self.records.get(worker.group)
        before = self._recipes.get(record.from_revision) if record is not None else None
        if record is None or before is None:
            return wanted
        if record.phase is RolloutPhase.REVERTED:
            return before
        if record.phase is not RolloutPhase.CANARY or not set(secrets) <= set(before.secrets):
            return wanted
        # Until the canary is over, whatever has nothing to do with it gets what is known to work.
        proves = self._proving[worker.group].intersection(worker.streams)
        return wanted if proves or not self._proving[worker.group] else before

    def again_s(self, now: datetime) -> float | None:
        """When time alone may change something; None if it cannot."""
        ends = []
        for group, record in self.records.items():
            terms = self._terms.get(group, Rollout())
            if record.phase in (RolloutPhase.COMPLETE, RolloutPhase.REVERTED):
                continue
            ends.append(record.since + timedelta(seconds=terms.deadline_s))
            if record.watched_since is not None:
                ends.append(record.watched_since + timedelta(seconds=terms.canary_s))
            if record.paused_since is not None:
                ends.append(record.paused_since + timedelta(seconds=PAUSE_S))
        return max(1.0, (min(ends) - now).total_seconds()) if ends else None

    def _learn(self, views: Iterable[WorkerView]) -> None:
        """What there are workers of can be made again."""
        found = {recipe.revision: recipe for recipe in self.wanted.values()}
        for view in views:
            name = revision(view)
            if name and name not in found:
                recipe = self._recipes.get(name) or read_recipe(view.deployment.manifest)  # type: ignore[union-attr]
                if recipe is not None:
                    found[name] = recipe
        for record in self.records.values():
            if record.from_revision in self._recipes:
                found.setdefault(record.from_revision, self._recipes[record.from_revision])
        self._recipes = found

    def _advance(self, group: WorkerGroup, views: Sequence[WorkerView], now: datetime) -> None:
        terms = group.rollout or Rollout()
        self._terms[group.name] = terms
        wanted = self.wanted[group.name].revision
        before = self.records.get(group.name)
        if before is not None and not self._possible(before, views):
            before = None
        refused = self.refused.get(group.name, "")
        record = advance(before, wanted, views, terms, now, refused=refused)
        if record is not None:
            self.records[group.name] = record
            self._announce(group.name, before, record)
        else:
            self.records.pop(group.name, None)
        self._take_turns(views, outdated(views, target(record, wanted)), record, terms)
        if record is not None and record.phase is RolloutPhase.REVERTED:
            lasted_s = (now - record.since).total_seconds()
            self.turns.now.update(_unborn(views) if lasted_s < PAUSE_S else ())

    def _possible(self, record: RolloutStatus, views: Sequence[WorkerView]) -> bool:
        """Whether what a reverted roll-out goes back to is still known."""
        if record.phase is not RolloutPhase.REVERTED or record.from_revision in self._recipes:
            return True
        return any(revision(view) == record.from_revision for view in views)

    def _take_turns(
        self,
        views: Sequence[WorkerView],
        old: Sequence[WorkerView],
        record: RolloutStatus | None,
        terms: Rollout,
    ) -> None:
        # Those on a node that is cordoned or drained come first: they hold nothing, or their clone
        # warms.
        going = [view for view in views if view.unsettled]
        most = terms.max_surge or max(1, int(SURGE_RATIO * len(views)))
        new = [view for view in views if record and revision(view) == record.to_revision]
        beside = observed_beside(record, old, new)
        if beside is not None:
            self._proving[beside.group] = frozenset(beside.held)
            turn = [beside]
            if beside not in going:
                self.turns.beside.add(beside.name)
        elif record is not None and record.paused_since is not None:
            turn = [view for view in old if _on_its_way(view, views)]
        else:
            turn = list(old)
        names = list(dict.fromkeys(view.name for view in [*going, *turn]))
        self.turns.now.update(names[:most])
        self.turns.later.update({*names, *(view.name for view in old)} - set(names[:most]))

    def _announce(self, group: str, before: RolloutStatus | None, record: RolloutStatus) -> None:
        reason = event_reason(before, record)
        if reason:
            self.pending[group, reason] = record


def event_reason(before: RolloutStatus | None, record: RolloutStatus) -> str:
    """The reason of the Event that tells of a change; empty if it is not worth one."""
    if before is None or before.to_revision != record.to_revision:
        return "RolloutStarted"
    if before.phase is not record.phase:
        return {
            RolloutPhase.CANARY: "RolloutStarted",
            RolloutPhase.ROLLING: "RolloutCanaryPassed",
            RolloutPhase.REVERTED: "RolloutReverted",
            RolloutPhase.COMPLETE: "RolloutComplete",
        }[record.phase]
    paused = before.paused_since is None and record.paused_since is not None
    return "RolloutPaused" if paused else ""


def _unborn(views: Sequence[WorkerView]) -> list[str]:
    """Clones that were refused: they have an assignment, and no pod that could have read it."""
    return [view.name for view in views if view.deployment is None and not view.held]


def _on_its_way(view: WorkerView, views: Sequence[WorkerView]) -> bool:
    """Whether others are getting ready to take over what a worker holds."""
    return any(view.held & other.warming for other in views if other is not view)
