from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammonitor_api.incident import EndReason, Incident, Severity, incident_id
from streammonitor_api.worker_status import DetectorState
from streammonitor_worker.detectors.base import DetectorParams, Measurement, Verdict
from streammonitor_worker.incidents import (
    EventKind,
    IncidentEvent,
    IncidentMachine,
    Subject,
)

EPOCH_S = 1_700_000_000.0
FRAME_S = 0.04
SUBJECT = Subject("uid", "arena", "black", "worker-1")
PARAMS = DetectorParams(min_duration=2.0, clear_duration=1.0, critical_after=10.0)
SIGNS = {"b": Verdict.BAD, "g": Verdict.GOOD, "-": Verdict.BETWEEN, "?": Verdict.UNKNOWN}


class Player:
    """Feeds a machine one frame after the other."""

    def __init__(
        self, machine: IncidentMachine, start_s: float = 0.0, frame_s: float = FRAME_S
    ) -> None:
        self.machine = machine
        self.frame_s = frame_s
        self.frame = round(start_s / frame_s)
        self.events: list[IncidentEvent] = []

    def play(self, *runs: tuple[str, float]) -> "Player":
        for sign, duration_s in runs:
            for _ in range(round(duration_s / self.frame_s)):
                start_s = self.frame * self.frame_s
                arrived_at = EPOCH_S + start_s
                self.frame += 1
                self.events += self.machine.feed(
                    Measurement(
                        start_s=start_s,
                        end_s=self.frame * self.frame_s,
                        arrived_at=arrived_at,
                        verdict=SIGNS[sign],
                        values={"frame": float(self.frame)},
                    ),
                    arrived_at,
                )
        return self

    @property
    def kinds(self) -> list[str]:
        return [event.kind.value for event in self.events]


@pytest.fixture
def machine() -> IncidentMachine:
    return IncidentMachine(SUBJECT, PARAMS)


def wall(media_s: float) -> datetime:
    return datetime.fromtimestamp(EPOCH_S + media_s, UTC)


def open_incident(started_s: float = -30.0) -> Incident:
    return Incident(
        id="0123456789abcdef",
        monitor_uid="uid",
        stream="arena",
        defect="black",
        episode="another's",
        severity=Severity.WARNING,
        started_at=wall(started_s),
        detected_at=wall(started_s + 2),
        start_s=1000.0,
        detected_s=1002.0,
        worker="worker-0",
    )


def test_knows_nothing_before_the_first_measurement(machine: IncidentMachine) -> None:
    assert machine.state is DetectorState.UNKNOWN
    assert machine.incident is None


def test_passes_through_every_state(machine: IncidentMachine) -> None:
    player = Player(machine)
    for run, state in [
        (("g", 1.0), DetectorState.OK),
        (("b", 1.0), DetectorState.SUSPECT),
        (("b", 1.0), DetectorState.ACTIVE),
        (("g", 0.5), DetectorState.CLEARING),
        (("b", 0.5), DetectorState.ACTIVE),
        (("g", 1.0), DetectorState.OK),
        (("?", 0.1), DetectorState.UNKNOWN),
    ]:
        player.play(run)
        assert machine.state is state


def test_raises_with_the_frame_that_completes_the_duration(machine: IncidentMachine) -> None:
    player = Player(machine).play(("g", 4.0), ("b", 1.96))
    assert player.events == []
    player.play(("b", FRAME_S))
    (event,) = player.events
    assert event.kind is EventKind.STARTED
    assert event.incident.start_s == pytest.approx(4.0)
    assert event.incident.detected_s == pytest.approx(6.0)
    assert event.incident.started_at == wall(4.0)
    assert event.incident.detected_at == wall(5.96)
    assert event.incident.active


def test_ends_where_it_was_gone_first(machine: IncidentMachine) -> None:
    player = Player(machine).play(("b", 4.0), ("g", 0.96))
    assert player.kinds == ["started"]
    player.play(("g", FRAME_S))
    ended = player.events[-1].incident
    assert player.kinds == ["started", "ended"]
    assert ended.end_s == pytest.approx(4.0)
    assert ended.ended_at == wall(4.0)
    assert ended.end_reason is EndReason.CLEARED
    assert machine.incident is None


def test_a_defect_that_is_too_short_is_none(machine: IncidentMachine) -> None:
    player = Player(machine)
    for _ in range(10):
        player.play(("b", 1.96), ("g", FRAME_S))
    assert player.events == []


def test_a_return_that_is_too_short_is_none(machine: IncidentMachine) -> None:
    player = Player(machine).play(("b", 2.0))
    for _ in range(5):
        player.play(("g", 0.96), ("b", FRAME_S))
    assert player.kinds == ["started"]


def test_between_keeps_a_suspicion_but_does_not_raise(machine: IncidentMachine) -> None:
    player = Player(machine).play(("b", 1.0), ("-", 5.0))
    assert machine.state is DetectorState.SUSPECT
    assert player.events == []
    player.play(("b", FRAME_S))
    assert player.kinds == ["started"]


def test_between_keeps_an_incident(machine: IncidentMachine) -> None:
    player = Player(machine).play(("b", 2.0), ("-", 60.0))
    assert machine.state is DetectorState.ACTIVE
    assert player.kinds == ["started"]


def test_between_raises_no_suspicion(machine: IncidentMachine) -> None:
    Player(machine).play(("-", 60.0))
    assert machine.state is DetectorState.OK


def test_unknown_ends_a_suspicion(machine: IncidentMachine) -> None:
    player = Player(machine).play(("b", 1.8), ("?", FRAME_S), ("b", 1.8))
    assert player.events == []
    player.play(("b", 0.2))
    assert player.events[0].incident.start_s == pytest.approx(1.84)


def test_unknown_keeps_an_incident_open(machine: IncidentMachine) -> None:
    player = Player(machine).play(("b", 2.0), ("?", 600.0))
    assert machine.state is DetectorState.ACTIVE
    assert player.kinds == ["started"]


def test_a_return_must_be_seen_without_interruption(machine: IncidentMachine) -> None:
    player = Player(machine).play(("b", 2.0), ("g", 0.8), ("?", 0.2), ("g", 0.8))
    assert player.kinds == ["started"]
    player.play(("g", 0.2))
    assert player.events[-1].incident.end_s == pytest.approx(3.0)


def test_updates_come_every_ten_seconds_and_when_it_gets_worse(machine: IncidentMachine) -> None:
    player = Player(machine).play(("b", 35.0))
    assert player.kinds == ["started", "updated", "updated", "updated"]
    ends = [event.incident.measurements["frame"] * FRAME_S for event in player.events]
    assert ends == pytest.approx([2.0, 10.0, 20.0, 30.0])
    severities = [event.incident.severity for event in player.events]
    assert severities == [Severity.WARNING, *[Severity.CRITICAL] * 3]


def test_critical_at_once_when_configured_so() -> None:
    params = DetectorParams(min_duration=2.0, critical_after=0.1)
    player = Player(IncidentMachine(SUBJECT, params)).play(("b", 2.0))
    assert player.events[0].incident.severity is Severity.CRITICAL


def test_id_follows_from_the_key(machine: IncidentMachine) -> None:
    incident = Player(machine).play(("b", 2.0)).events[0].incident
    assert incident.episode == str(round(EPOCH_S * 1000))
    assert incident.id == incident_id("uid", "arena", "black", incident.episode)


def test_reproducible_ids_follow_from_media_time() -> None:
    subject = Subject("", "a.ts", "black", "", reproducible=True)
    player = Player(IncidentMachine(subject, PARAMS)).play(("g", 1.0), ("b", 2.0))
    assert player.events[0].incident.episode == "1000"


def test_episodes_that_arrived_at_once_have_ids_of_their_own(machine: IncidentMachine) -> None:
    ids = set()
    for index in range(3):
        start_s = 10.0 * index
        bad = Measurement(start_s, start_s + 2, EPOCH_S, Verdict.BAD)
        good = Measurement(start_s + 2, start_s + 4, EPOCH_S, Verdict.GOOD)
        ids |= {event.incident.id for event in machine.feed(bad, EPOCH_S)}
        ids |= {event.incident.id for event in machine.feed(good, EPOCH_S)}
    assert len(ids) == 3


def test_a_long_span_counts_from_its_start(machine: IncidentMachine) -> None:
    events = machine.feed(Measurement(3.0, 6.0, EPOCH_S, Verdict.BAD), EPOCH_S + 3)
    assert events[0].incident.start_s == 3.0


def test_a_measurement_may_reach_back_but_not_into_the_incident_before(
    machine: IncidentMachine,
) -> None:
    player = Player(machine).play(("b", 2.0), ("g", 1.0))
    (event,) = machine.feed(Measurement(1.0, 5.0, EPOCH_S, Verdict.BAD), EPOCH_S)
    ended = player.events[-1].incident
    assert ended.end_s is not None
    assert event.incident.start_s >= ended.end_s


def test_milliseconds_that_rounding_took_do_not_delay() -> None:
    machine = IncidentMachine(SUBJECT, PARAMS)
    assert machine.feed(Measurement(0.033, 2.0325, EPOCH_S, Verdict.BAD), EPOCH_S)


@pytest.mark.parametrize("reason", list(EndReason))
def test_finish_ends_what_is_open(machine: IncidentMachine, reason: EndReason) -> None:
    Player(machine).play(("b", 3.0))
    (event,) = machine.finish(reason)
    assert event.kind is EventKind.ENDED
    assert event.incident.end_reason is reason
    assert event.incident.end_s == pytest.approx(3.0)
    assert machine.finish(reason) == []
    assert machine.state is DetectorState.UNKNOWN


def test_finish_while_it_clears_ends_where_it_was_gone(machine: IncidentMachine) -> None:
    Player(machine).play(("b", 3.0), ("g", 0.5))
    assert machine.finish(EndReason.EOF)[0].incident.end_s == pytest.approx(3.0)


def test_finish_says_nothing_of_a_suspicion(machine: IncidentMachine) -> None:
    Player(machine).play(("b", 1.0))
    assert machine.finish(EndReason.EOF) == []


def test_an_adopted_incident_keeps_its_key_and_ends_on_evidence(machine: IncidentMachine) -> None:
    adopted = open_incident()
    assert machine.adopt(adopted) == []
    assert machine.state is DetectorState.ACTIVE
    player = Player(machine).play(("?", 5.0))
    assert player.events == []
    player.play(("g", 1.0))
    (event,) = player.events
    assert event.kind is EventKind.ENDED
    assert event.incident.id == adopted.id
    assert event.incident.episode == adopted.episode
    assert event.incident.started_at == adopted.started_at
    assert event.incident.ended_at == wall(5.0)
    # Media time goes on from where the other worker began, by the wall clock.
    assert event.incident.end_s == pytest.approx(1035.0)
    assert event.incident.worker == "worker-1"


def test_an_adopted_incident_goes_on_and_gets_worse(machine: IncidentMachine) -> None:
    machine.adopt(open_incident())
    player = Player(machine).play(("b", 11.0))
    assert player.kinds == ["updated", "updated"]
    assert player.events[0].incident.severity is Severity.CRITICAL


def test_an_interrupted_incident_is_opened_again(machine: IncidentMachine) -> None:
    interrupted = open_incident().model_copy(
        update={
            "ended_at": wall(-5),
            "end_reason": EndReason.INTERRUPTED,
            "expires_at": wall(60),
            "end_s": 1025.0,
        }
    )
    machine.adopt(interrupted)
    assert machine.incident is not None
    assert machine.incident.active
    assert machine.incident.expires_at is None


def test_an_adopted_incident_without_evidence_ends_where_it_was_detected(
    machine: IncidentMachine,
) -> None:
    adopted = open_incident()
    machine.adopt(adopted)
    (event,) = machine.finish(EndReason.REMOVED)
    assert event.incident.ended_at == adopted.detected_at


def test_adopting_what_is_already_ours_changes_nothing(machine: IncidentMachine) -> None:
    Player(machine).play(("b", 3.0))
    assert machine.incident is not None
    before = machine.incident
    assert machine.adopt(before) == []
    assert machine.incident == before


def test_of_two_incidents_the_one_that_is_known_here_goes_on(machine: IncidentMachine) -> None:
    Player(machine).play(("b", 3.0))
    own = machine.incident
    adopted = open_incident()
    (event,) = machine.adopt(adopted)
    assert event.kind is EventKind.ENDED
    assert event.incident.id == adopted.id
    assert event.incident.ended_at == wall(0.0)
    assert machine.incident == own


def test_a_muted_machine_follows_and_tells_nobody(machine: IncidentMachine) -> None:
    machine.muted = True
    player = Player(machine).play(("b", 30.0))
    assert player.events == []
    assert machine.incident is None
    states = [machine.state]
    player.play(("g", 2.0))
    assert player.events == []
    assert [*states, machine.state] == [DetectorState.ACTIVE, DetectorState.OK]


def test_lifting_the_mute_announces_what_lasts(machine: IncidentMachine) -> None:
    machine.muted = True
    player = Player(machine).play(("b", 5.0))
    machine.muted = False
    player.play(("b", FRAME_S))
    assert player.kinds == ["started"]
    assert player.events[0].incident.start_s == 0.0


def test_the_holder_s_incident_replaces_what_was_found_muted(machine: IncidentMachine) -> None:
    machine.muted = True
    player = Player(machine).play(("b", 5.0))
    machine.adopt(open_incident())
    machine.muted = False
    player.play(("b", 1.0), ("g", 1.0))
    assert {event.incident.id for event in player.events} == {open_incident().id}
    assert "started" not in player.kinds


def test_a_muted_machine_does_not_end_what_others_know_of(machine: IncidentMachine) -> None:
    player = Player(machine).play(("b", 3.0))
    machine.muted = True
    player.play(("g", 5.0))
    assert player.kinds == ["started"]
    machine.muted = False
    player.play(("g", FRAME_S))
    assert player.kinds == ["started", "ended"]
    assert player.events[-1].incident.end_s == pytest.approx(3.0)


def test_new_parameters_apply_to_what_is_under_way(machine: IncidentMachine) -> None:
    player = Player(machine).play(("b", 1.0))
    machine.params = DetectorParams(min_duration=0.5)
    player.play(("b", FRAME_S))
    assert player.kinds == ["started"]


SLOW_S = 0.5
# Slower than media, so that an example costs milliseconds.
runs = st.lists(
    st.tuples(
        st.sampled_from("bbbgg-?"), st.floats(SLOW_S, 14.0), st.sampled_from(["", "mute", "adopt"])
    ),
    max_size=16,
)


def play_anything(script: list[tuple[str, float, str]]) -> Player:
    player = Player(IncidentMachine(SUBJECT, PARAMS), frame_s=SLOW_S)
    for number, (sign, duration_s, action) in enumerate(script):
        if action == "mute":
            player.machine.muted = not player.machine.muted
        elif action == "adopt":
            adopted = open_incident(player.frame * SLOW_S - 20)
            adopted = adopted.model_copy(update={"id": f"adopted-{number}"})
            player.events += player.machine.adopt(adopted)
        player.play((sign, duration_s))
    player.machine.muted = False
    player.events += player.machine.finish(EndReason.INTERRUPTED)
    return player


@settings(deadline=None)
@given(runs)
def test_every_incident_s_events_are_well_formed(script: list[tuple[str, float, str]]) -> None:
    player = play_anything(script)
    by_id: dict[str, list[IncidentEvent]] = {}
    for event in player.events:
        by_id.setdefault(event.incident.id, []).append(event)
    for incident, events in by_id.items():
        kinds = [event.kind.value for event in events]
        adopted = incident.startswith("adopted")
        assert kinds[-1] == "ended"
        assert kinds.count("ended") == 1
        assert kinds.count("started") == (0 if adopted else 1)
        assert adopted or kinds[0] == "started"
        assert all(event.incident.active for event in events[:-1])
        ended = events[-1].incident
        assert ended.ended_at is not None
        assert ended.end_s is not None
        assert ended.ended_at >= ended.started_at
        assert ended.end_s >= ended.start_s
        assert ended.end_reason is not None
        ranks = [event.incident.severity.rank for event in events]
        assert ranks == sorted(ranks)
        assert len({event.incident.started_at for event in events}) == 1


@settings(deadline=None)
@given(runs)
def test_never_two_open_and_never_overlapping(script: list[tuple[str, float, str]]) -> None:
    own = [run for run in script if run[2] != "adopt"]
    player = play_anything(own)
    open_ids: set[str] = set()
    for event in player.events:
        if event.kind is EventKind.STARTED:
            assert not open_ids
            open_ids.add(event.incident.id)
        elif event.kind is EventKind.ENDED:
            open_ids.remove(event.incident.id)
    ended = [e.incident for e in player.events if e.kind is EventKind.ENDED]
    for before, after in pairwise(ended):
        assert before.end_s is not None
        assert after.start_s >= before.end_s


@settings(deadline=None)
@given(runs)
def test_updates_are_rare(script: list[tuple[str, float, str]]) -> None:
    player = play_anything([(sign, duration_s, "") for sign, duration_s, _ in script])
    told = [e for e in player.events if e.kind is not EventKind.ENDED]
    for before, after in pairwise(told):
        if before.incident.id == after.incident.id:
            frames = after.incident.measurements["frame"] - before.incident.measurements["frame"]
            worse = after.incident.severity is not before.incident.severity
            assert worse or frames * SLOW_S >= 10.0 - 0.01


@settings(deadline=None)
@given(st.floats(0.0, 1.9), st.timedeltas(timedelta(0), timedelta(days=2)))
def test_nothing_short_is_ever_raised(duration_s: float, offset: timedelta) -> None:
    player = Player(IncidentMachine(SUBJECT, PARAMS), start_s=offset.total_seconds())
    assert player.play(("b", duration_s), ("g", 2.0)).events == []
