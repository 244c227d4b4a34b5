"""What `streammonitor plan` says, against what the operator then does."""

import json
import time
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from dev.host import REPOSITORY
from streammonitor_api import names
from streammonitor_api.spec import StreamMonitorSpec
from streammonitor_operator.kube import DEPLOYMENTS
from streammonitor_operator.plan_command import plan_command, summary
from streammonitor_operator.preview import Action, Move, Present, Preview, preview
from streammonitor_operator.survey import survey, with_discovered
from tests.unit.operator.fleet import KEY, Cluster, spec_of
from tests.unit.operator.test_handover import group, lists, monitoring

looped = pytest.mark.looptime(start=time.monotonic)
ONE_EACH: dict[str, Any] = {"scaling": {"maxStreamsPerWorker": 1}}


def actions(planned: Preview) -> dict[str, list[str]]:
    """The workers by what becomes of them."""
    found: dict[str, list[str]] = {}
    for worker in planned.workers:
        found.setdefault(worker.action, []).append(worker.name)
    return found


def reasons(planned: Preview) -> dict[str, str]:
    return {move.stream: move.why for move in planned.moves}


async def look(cluster: Cluster, spec: dict[str, Any]) -> Preview:
    """What would be done about another specification."""
    wanted = StreamMonitorSpec.model_validate(spec)
    present = await survey(cluster.kube, *KEY, wanted)
    assert present is not None
    return preview(KEY[1], wanted, present)


def test_without_a_cluster_everything_is_new() -> None:
    spec = StreamMonitorSpec.model_validate(spec_of("a", "b", workers=[group(**ONE_EACH)]))
    planned = preview("sports", spec, Present())
    assert [worker.streams for worker in planned.workers] == [("a",), ("b",)]
    assert {worker.action for worker in planned.workers} == {Action.CREATE}
    assert reasons(planned) == {"a": "new", "b": "new"}
    assert summary(planned) == (
        "2 workers to create, 0 to keep, 0 to remove; 0 streams move, 2 begin."
    )


def test_streams_without_a_place_are_named() -> None:
    scaling: dict[str, Any] = {"scaling": {"maxStreamsPerWorker": 1, "max": 1}}
    spec = StreamMonitorSpec.model_validate(spec_of("a", "b", workers=[group(**scaling)]))
    planned = preview("sports", spec, Present())
    assert planned.unplaced == {"g": ("b",)}
    assert reasons(planned)["b"] == "scaling.max is reached: no worker may take it"


@looped
async def test_what_there_is_already_changes_nothing(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b")
    planned = await look(cluster, spec_of("a", "b", workers=[group()]))
    assert list(actions(planned)) == [Action.KEEP]
    assert planned.moves == ()


@looped
async def test_another_template_replaces_workers_and_moves_their_streams(
    cluster: Cluster,
) -> None:
    await monitoring(cluster, "a", "b")
    [old] = {worker.name for worker in cluster.workers.values()}
    changed = spec_of("a", "b", workers=[group("2")])
    planned = await look(cluster, changed)
    assert actions(planned)[Action.REMOVE] == [old]
    [clone] = actions(planned)[Action.CREATE]
    why = "another template: a canary first, then clones"
    assert planned.moves == (Move("a", "g", old, clone, why), Move("b", "g", old, clone, why))

    cluster.apply(changed)
    await cluster.settle(10)
    [made] = cluster.kube.all(DEPLOYMENTS)
    assert made["metadata"]["name"] == clone, "the operator does as was planned"


@looped
async def test_streams_come_and_go(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b", **ONE_EACH)
    changed = spec_of("b", "c", "d", workers=[group(**ONE_EACH)])
    planned = await look(cluster, changed)
    assert reasons(planned) == {"a": "taken out", "c": "new", "d": "new"}
    cluster.apply(changed)
    await cluster.settle(5)
    for move in planned.moves:
        assert list(lists(cluster, move.stream)) == ([move.target] if move.target else [])


@looped
async def test_suspending_removes_everything(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    planned = await look(cluster, spec_of("a", workers=[group()], suspend=True))
    assert list(actions(planned)) == [Action.REMOVE]
    assert reasons(planned) == {"a": "spec.suspend"}


@looped
async def test_a_node_that_is_cordoned_is_a_reason(cluster: Cluster) -> None:
    cluster.node("one")
    await monitoring(cluster, "a")
    cluster.node("one", unschedulable=True)
    planned = await look(cluster, spec_of("a", workers=[group()]))
    assert reasons(planned) == {"a": "its node is cordoned or drained"}


@looped
async def test_streams_of_a_list_are_those_that_workers_have(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "listed")
    spec = StreamMonitorSpec.model_validate(spec_of("a", workers=[group()]))
    present = await survey(cluster.kube, *KEY, spec)
    assert present is not None
    assert [one.name for one in with_discovered(spec, present).streams] == ["a", "listed"]


@looped
async def test_what_does_not_exist_is_not_surveyed(cluster: Cluster) -> None:
    spec = StreamMonitorSpec.model_validate(spec_of("a"))
    assert await survey(cluster.kube, "video", "nothing", spec) is None


def test_the_streammonitor_command_takes_it_up() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    group_name = "streammonitor.commands"
    value = project["entry-points"][group_name]["plan"]
    assert EntryPoint("plan", value, group_name).load() is plan_command


def run(tmp_path: Path, *arguments: str, **spec: Any) -> tuple[int, str]:
    """Exit code and output of the command on a file."""
    file = tmp_path / "monitor.yaml"
    metadata = {"name": "sports", "namespace": "video"}
    document = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata}
    file.write_text(yaml.safe_dump({**document, "spec": spec}))
    app = typer.Typer()
    app.command()(plan_command)
    done = CliRunner().invoke(app, ["-f", str(file), *arguments])
    return done.exit_code, done.output


def test_the_plan_as_json(tmp_path: Path) -> None:
    code, output = run(tmp_path, "-o", "json", **spec_of("a"))
    assert code == 0
    document = json.loads(output)
    assert document["monitor"] == "sports"
    [worker] = document["workers"]
    assert (worker["action"], worker["streams"], worker["cpuMillicores"]) == ("create", ["a"], 250)
    [move] = document["moves"]
    assert (move["from"], move["to"], move["why"]) == (None, worker["name"], "new")


def test_the_plan_as_tables(tmp_path: Path) -> None:
    code, output = run(tmp_path, **spec_of("a", "b"))
    assert code == 0
    assert "+ create" in output
    assert "1 workers to create, 0 to keep, 0 to remove; 0 streams move, 2 begin." in output


def test_an_invalid_file_is_refused(tmp_path: Path) -> None:
    code, output = run(tmp_path, detectors={"freeze": {}})
    assert code == 2
    assert "names no streams" in output


def test_a_cluster_that_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    code, output = run(tmp_path, "--context", "nowhere", **spec_of("a"))
    assert code == 2
    assert "no cluster to ask" in output
