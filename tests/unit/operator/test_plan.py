"""The planner: examples, and properties that hold for any input."""

from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from streammonitor_operator.naming import worker_name
from streammonitor_operator.plan import Demand, Plan, Worker, plan

few = settings(max_examples=30, deadline=None)


def name(group: str, slot: int) -> str:
    return f"{group}-{slot}"


def make(demands: Sequence[Demand], existing: Sequence[Worker] = ()) -> Plan:
    return plan(demands, existing, name)


def test_streams_fill_one_worker_before_the_next() -> None:
    result = make([Demand("g", ("a", "b", "c"), 2)])
    assert result.workers == (Worker("g-0", "g", ("a", "b")), Worker("g-1", "g", ("c",)))


def test_every_group_monitors_every_stream() -> None:
    result = make([Demand("v", ("a", "b"), 1), Demand("s", ("a", "b"), 9)])
    assert [(one.group, one.streams) for one in result.workers] == [
        ("v", ("a",)), ("v", ("b",)), ("s", ("a", "b")),
    ]  # fmt: skip


def test_a_new_stream_goes_to_the_fullest_worker_with_room() -> None:
    existing = [Worker("g-0", "g", ("a",)), Worker("g-1", "g", ("b", "c"))]
    result = make([Demand("g", ("a", "b", "c", "d"), 3)], existing)
    assert result.workers[1].streams == ("b", "c", "d")


def test_an_empty_worker_leaves_and_its_name_is_not_given_away_meanwhile() -> None:
    existing = [Worker("g-0", "g", ("gone",)), Worker("g-1", "g", ("a",))]
    result = make([Demand("g", ("a",), 1)], existing)
    assert result.workers == (Worker("g-1", "g", ("a",)),)
    assert result.leaving == (existing[0],)


def test_a_group_that_is_gone_leaves() -> None:
    existing = [Worker("old-0", "old", ("a",))]
    result = make([Demand("new", ("a",), 5)], existing)
    assert [one.name for one in result.workers] == ["new-0"]
    assert [one.name for one in result.leaving] == ["old-0"]


def test_a_stream_that_two_workers_have_stays_with_the_first() -> None:
    existing = [Worker("g-1", "g", ("a", "b")), Worker("g-0", "g", ("a",))]
    result = make([Demand("g", ("a", "b"), 5)], existing)
    assert result.holders("g") == {"a": "g-0", "b": "g-1"}


World = tuple[list[Demand], list[Worker]]
STREAMS = st.lists(st.integers(0, 40).map("s{}".format), unique=True, max_size=30).map(tuple)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    groups = draw(st.lists(st.sampled_from("abc"), unique=True, min_size=1))
    streams = draw(STREAMS)
    demands = [Demand(group, streams, draw(st.integers(1, 9))) for group in groups]
    existing = [
        Worker(name(group, slot), group, draw(STREAMS))
        for group in draw(st.lists(st.sampled_from("abcd"), unique=True))
        for slot in draw(st.lists(st.integers(0, 6), unique=True, max_size=4))
    ]
    return demands, existing


@few
@given(worlds())
def test_each_stream_is_exactly_once_in_each_group(world: World) -> None:
    demands, existing = world
    result = make(demands, existing)
    for demand in demands:
        held = [s for one in result.workers if one.group == demand.group for s in one.streams]
        assert sorted(held) == sorted(demand.streams)


@few
@given(worlds())
def test_capacity_is_never_exceeded_and_no_worker_is_idle(world: World) -> None:
    demands, existing = world
    capacity = {demand.group: demand.capacity for demand in demands}
    result = make(demands, existing)
    assert all(0 < len(one.streams) <= capacity[one.group] for one in result.workers)
    names = [one.name for one in (*result.workers, *result.leaving)]
    assert len(names) == len(set(names))


@few
@given(worlds(), st.randoms(use_true_random=False))
def test_the_same_input_gives_the_same_plan(world: World, random: Random) -> None:
    demands, existing = world
    shuffled = list(existing)
    random.shuffle(shuffled)
    assert make(demands, existing) == make(demands, shuffled)


@few
@given(worlds())
def test_a_plan_that_was_carried_out_is_kept(world: World) -> None:
    demands, existing = world
    first = make(demands, existing)
    assert make(demands, first.workers) == Plan(first.workers)


@few
@given(worlds(), st.data())
def test_removing_one_worker_moves_only_its_own_streams(world: World, data: st.DataObject) -> None:
    demands, existing = world
    before = make(demands, existing)
    if not before.workers:
        return
    gone = data.draw(st.sampled_from(before.workers))
    after = make(demands, [one for one in before.workers if one != gone])
    for demand in demands:
        was, now = before.holders(demand.group), after.holders(demand.group)
        moved = {stream for stream in was if was[stream] != now[stream]}
        assert moved <= (set(gone.streams) if demand.group == gone.group else set())


@few
@given(worlds(), STREAMS)
def test_changing_streams_moves_none_that_stays(world: World, streams: tuple[str, ...]) -> None:
    demands, existing = world
    before = make(demands, existing)
    after = make([Demand(d.group, streams, d.capacity) for d in demands], before.workers)
    for demand in demands:
        was, now = before.holders(demand.group), after.holders(demand.group)
        assert all(was[stream] == now[stream] for stream in was.keys() & now.keys())


def test_five_hundred_streams_are_planned_at_once() -> None:
    streams = tuple(f"s{n}" for n in range(500))
    result = plan(
        [Demand("g", streams, 1)], [], lambda group, slot: worker_name("m", "u", group, slot)
    )
    assert len({one.name for one in result.workers}) == 500
