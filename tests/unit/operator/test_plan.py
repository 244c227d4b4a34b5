"""The planner: examples, and properties that hold for any input."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
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


def equal(group: str, streams: Iterable[str], each: int) -> Demand:
    """Streams that cost nothing worth mentioning, so many a worker."""
    return Demand(group, dict.fromkeys(streams, 1), capacity_m=1000, max_streams=each)


def weighed(most: int | None = None, moves: int = 0, **costs_m: int) -> Demand:
    """Streams of these costs on workers of one core."""
    return Demand("g", costs_m, 1000, max_streams=9, max_workers=most, moves=moves)


def test_streams_fill_one_worker_before_the_next() -> None:
    result = make([equal("g", "abc", 2)])
    assert result.workers == (Worker("g-0", "g", ("a", "b")), Worker("g-1", "g", ("c",)))


def test_every_group_monitors_every_stream() -> None:
    result = make([equal("v", "ab", 1), equal("s", "ab", 9)])
    assert [(one.group, one.streams) for one in result.workers] == [
        ("v", ("a",)), ("v", ("b",)), ("s", ("a", "b")),
    ]  # fmt: skip


def test_a_new_stream_goes_to_the_fullest_worker_with_room() -> None:
    existing = [Worker("g-0", "g", ("a",)), Worker("g-1", "g", ("b", "c"))]
    result = make([equal("g", "abcd", 3)], existing)
    assert result.workers[1].streams == ("b", "c", "d")


def test_the_heaviest_are_placed_first_and_where_they_fit_best() -> None:
    result = make([weighed(a=300, b=500, c=700, d=500)])
    assert result.holders("g") == {"c": "g-0", "a": "g-0", "b": "g-1", "d": "g-1"}


def test_a_stream_too_heavy_for_any_worker_gets_one_of_its_own() -> None:
    result = make([weighed(a=100, b=5000)])
    assert result.holders("g") == {"a": "g-1", "b": "g-0"}


def test_a_worker_that_became_too_small_sheds_as_few_as_possible() -> None:
    existing = [Worker("g-0", "g", ("a", "b", "c"))]
    result = make([weighed(a=300, b=300, c=600)], existing)
    assert result.holders("g") == {"a": "g-0", "b": "g-0", "c": "g-1"}


def test_a_worker_that_takes_nothing_leaves_and_its_streams_move() -> None:
    existing = [Worker("g-0", "g", ("a",), takes=False), Worker("g-1", "g", ("b",))]
    result = make([weighed(a=300, b=300)], existing)
    assert result.holders("g") == {"a": "g-1", "b": "g-1"}
    assert result.leaving == (existing[0],)


def test_streams_of_a_lost_worker_go_where_there_is_room_and_else_wait() -> None:
    existing = [Worker("g-0", "g", ("a", "b"), lost=True), Worker("g-1", "g", ("c",))]
    result = make([weighed(a=300, b=500, c=300)], existing)
    assert result.holders("g") == {"a": "g-0", "b": "g-1", "c": "g-1"}
    assert result.leaving == ()


def test_a_worker_that_is_to_be_replaced_keeps_its_streams_and_is_given_no_others() -> None:
    existing = [Worker("g-0", "g", ("a",), closed=True)]
    result = make([equal("g", "ab", 2)], existing)
    assert result.holders("g") == {"a": "g-0", "b": "g-1"}


def test_a_stream_that_is_tried_shares_a_worker_with_no_other() -> None:
    demand = replace(equal("g", "abcd", 4), alone=frozenset("ac"))
    result = make([demand], [Worker("g-0", "g", ("a", "b", "c"))])
    assert result.holders("g") == {"a": "g-0", "b": "g-1", "c": "g-2", "d": "g-1"}


def test_one_that_is_lost_or_to_be_replaced_is_better_than_none() -> None:
    for shut in (Worker("g-0", "g", ("a",), lost=True), Worker("g-0", "g", ("a",), closed=True)):
        result = make([weighed(most=1, a=1, b=1)], [shut])
        assert result.holders("g") == {"a": "g-0", "b": "g-0"}
        assert not result.unplaced


def test_a_lost_worker_is_given_nothing_new() -> None:
    existing = [Worker("g-0", "g", ("a",), lost=True)]
    result = make([weighed(a=300, new=100)], existing)
    assert result.holders("g") == {"a": "g-1", "new": "g-1"}


def test_streams_beyond_the_most_workers_are_named() -> None:
    result = make([weighed(1, a=600, b=600, c=600)])
    assert result.holders("g") == {"a": "g-0"}
    assert result.unplaced == {"g": ("b", "c")}


def test_fewer_workers_allowed_gives_up_the_emptiest() -> None:
    existing = [Worker("g-0", "g", ("a",)), Worker("g-1", "g", ("b", "c"))]
    result = make([weighed(1, a=300, b=300, c=300)], existing)
    assert result.holders("g") == dict.fromkeys("abc", "g-1")
    assert result.leaving == (existing[0],)


def test_the_least_number_of_workers_is_kept_idle() -> None:
    demand = replace(weighed(a=300), min_workers=2)
    result = make([demand])
    assert result.workers == (Worker("g-0", "g", ("a",)), Worker("g-1", "g"))
    assert make([demand], result.workers) == result


def test_a_worker_is_emptied_only_when_streams_may_move() -> None:
    existing = [Worker("g-0", "g", ("a", "b")), Worker("g-1", "g", ("c",))]
    costs = {"a": 200, "b": 200, "c": 200}
    assert make([weighed(**costs)], existing).leaving == ()
    result = make([weighed(moves=1, **costs)], existing)
    assert result.holders("g") == dict.fromkeys("abc", "g-0")
    assert result.leaving == (existing[1],)


def test_a_worker_is_kept_when_the_others_would_be_full() -> None:
    existing = [Worker("g-0", "g", ("a",)), Worker("g-1", "g", ("b",))]
    assert make([weighed(moves=9, a=500, b=450)], existing).leaving == ()


def test_an_empty_worker_leaves_and_its_name_is_not_given_away_meanwhile() -> None:
    existing = [Worker("g-0", "g", ("gone",)), Worker("g-1", "g", ("a",))]
    result = make([equal("g", "a", 1)], existing)
    assert result.workers == (Worker("g-1", "g", ("a",)),)
    assert result.leaving == (existing[0],)


def test_a_group_that_is_gone_leaves() -> None:
    existing = [Worker("old-0", "old", ("a",))]
    result = make([equal("new", "a", 5)], existing)
    assert [one.name for one in result.workers] == ["new-0"]
    assert [one.name for one in result.leaving] == ["old-0"]


def test_a_stream_that_two_workers_have_stays_with_the_first() -> None:
    existing = [Worker("g-1", "g", ("a", "b")), Worker("g-0", "g", ("a",))]
    result = make([equal("g", "ab", 5)], existing)
    assert result.holders("g") == {"a": "g-0", "b": "g-1"}


World = tuple[list[Demand], list[Worker]]
NAMES = st.lists(st.integers(0, 40).map("s{}".format), unique=True, max_size=16)
COSTS_M = st.sampled_from([0, 1, 50, 100, 180, 333, 500, 999, 1000, 1700])


@st.composite
def worlds(draw: st.DrawFn, *, limited: bool = True) -> World:
    groups = draw(st.lists(st.sampled_from("abc"), unique=True, min_size=1))
    streams = draw(NAMES)
    demands = [
        Demand(
            group,
            {stream: draw(COSTS_M) for stream in streams},
            capacity_m=1000,
            max_streams=draw(st.integers(1, 9)),
            min_workers=draw(st.integers(0, 3)),
            max_workers=draw(st.none() | st.integers(3, 12)) if limited else None,
            moves=draw(st.integers(0, 5)) if limited else 0,
            alone=frozenset(draw(NAMES)) if limited and draw(st.booleans()) else frozenset(),
        )
        for group in groups
    ]
    existing = [
        Worker(
            name(group, slot),
            group,
            tuple(draw(NAMES)),
            takes=draw(st.integers(0, 3)) > 0,
            warming=tuple(draw(NAMES)) if draw(st.integers(0, 5)) == 0 else (),
            lost=limited and draw(st.integers(0, 5)) == 0,
            closed=limited and draw(st.integers(0, 5)) == 0,
        )
        for group in draw(st.lists(st.sampled_from("abcd"), unique=True))
        for slot in draw(st.lists(st.integers(0, 6), unique=True, max_size=4))
    ]
    return demands, existing


@few
@given(worlds())
def test_each_stream_is_exactly_once_in_each_group_or_reported(world: World) -> None:
    demands, existing = world
    result = make(demands, existing)
    for demand in demands:
        held = [s for one in result.workers if one.group == demand.group for s in one.streams]
        unplaced = result.unplaced.get(demand.group, ())
        assert sorted([*held, *unplaced]) == sorted(demand.streams)
        assert demand.max_workers is not None or not unplaced


@few
@given(worlds())
def test_no_limit_is_ever_exceeded(world: World) -> None:
    demands, existing = world
    result = make(demands, existing)
    for demand in demands:
        workers = [one for one in result.workers if one.group == demand.group]
        assert demand.max_workers is None or len(workers) <= demand.max_workers
        assert len(workers) >= demand.min_workers
        idle = [one for one in workers if not one.streams]
        assert not idle or len(workers) == demand.min_workers
        for one in workers:
            costs_m = [demand.streams[stream] for stream in one.streams]
            assert len(costs_m) <= demand.max_streams
            assert len(costs_m) <= 1 or demand.alone.isdisjoint(one.streams)
            assert len(costs_m) <= 1 or sum(costs_m) <= demand.capacity_m
    names = [one.name for one in (*result.workers, *result.leaving)]
    assert len(names) == len(set(names))
    assert all(one.takes for one in result.workers)


@few
@given(worlds())
def test_what_is_unplaced_fits_nowhere(world: World) -> None:
    demands, existing = world
    result = make(demands, existing)
    for demand in demands:
        for stream in result.unplaced.get(demand.group, ()):
            for one in result.workers:
                if one.group == demand.group and len(one.streams) < demand.max_streams:
                    used_m = sum(demand.streams[held] for held in one.streams)
                    assert one.streams
                    assert (
                        used_m + demand.streams[stream] > demand.capacity_m
                        or stream in demand.alone
                        or not demand.alone.isdisjoint(one.streams)
                    )


@few
@given(worlds(), st.randoms(use_true_random=False))
def test_the_same_input_gives_the_same_plan(world: World, random: Random) -> None:
    demands, existing = world
    shuffled = list(existing)
    random.shuffle(shuffled)
    assert make(demands, existing) == make(demands, shuffled)


@few
@given(worlds(limited=False))
def test_a_plan_that_was_carried_out_is_kept(world: World) -> None:
    demands, existing = world
    first = make(demands, existing)
    assert make(demands, first.workers) == Plan(first.workers)


@few
@given(worlds())
def test_planning_comes_to_rest(world: World) -> None:
    demands, existing = world
    before = make(demands, existing)
    for _ in range(12):
        after = make(demands, before.workers)
        if after.workers == before.workers:
            return
        before = after
    raise AssertionError("streams go on moving")


@few
@given(worlds())
def test_no_more_streams_move_than_may(world: World) -> None:
    demands, existing = world
    still = [replace(demand, moves=0) for demand in demands]
    before = make(still, existing)
    after = make(demands, before.workers)
    for demand, unmoved in zip(demands, still, strict=True):
        was, now = before.holders(demand.group), after.holders(demand.group)
        if make([unmoved], before.workers).holders(demand.group) == was:
            assert sum(was[stream] != now.get(stream) for stream in was) <= demand.moves


@few
@given(worlds(limited=False), st.data())
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
@given(worlds(limited=False), NAMES)
def test_changing_streams_moves_none_that_stays(world: World, streams: list[str]) -> None:
    demands, existing = world
    before = make(demands, existing)
    changed = [replace(d, streams={s: d.streams.get(s, 200) for s in streams}) for d in demands]
    after = make(changed, before.workers)
    for demand in demands:
        was, now = before.holders(demand.group), after.holders(demand.group)
        assert all(was[stream] == now[stream] for stream in was.keys() & now.keys())


def test_five_hundred_streams_are_planned_at_once() -> None:
    result = plan(
        [equal("g", (f"s{n}" for n in range(500)), 1)],
        [],
        lambda group, slot: worker_name("m", "u", group, slot),
    )
    assert len({one.name for one in result.workers}) == 500
