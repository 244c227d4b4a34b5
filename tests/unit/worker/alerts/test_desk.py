"""What sinks are told, in which order, and what becomes of it when they do not take it."""

import threading
from datetime import timedelta

from dev.alerting import Receiver, Request
from streammonitor_api.incident import EndReason, Severity
from streammonitor_worker.alerts.events import now
from tests.unit.worker.alerts.conftest import Rig
from tests.unit.worker.alerts.incidents import ended, incident, over, started, updated, worse


def webhook(hook: Receiver, name: str = "hook", **more: object) -> dict[str, object]:
    return {"name": name, "webhook": {"url": f"{hook.url}/{name}"}, **more}


def told(hook: Receiver) -> list[tuple[str, str]]:
    """Stream and kind of everything that was taken."""
    return [
        (str(event.get_subject()), event.get_type().rpartition(".")[2]) for event in hook.events()
    ]


def test_an_incident_is_told_from_start_to_end(rig: Rig, hook: Receiver) -> None:
    rig.configure(webhook(hook))
    one = incident()
    rig.desk.tell(started(one))
    rig.desk.tell(updated(worse(one)))
    rig.desk.tell(over(ended(worse(one))))
    hook.wait(lambda: len(hook.requests) == 3)
    assert told(hook) == [("a", "started"), ("a", "updated"), ("a", "ended")]
    ids = [event.get_id() for event in hook.events()]
    assert ids[0] == f"{one.id}.started"
    assert ids[2] == f"{one.id}.ended"
    hook.wait(lambda: rig.desk.figures()["hook"].sent == 3)


def test_filters_let_through_what_they_name(rig: Rig, hook: Receiver) -> None:
    rig.configure(webhook(hook, streams=["arena-*", "b"], defects=["black", "freeze"]))
    for stream, defect in [("arena-1", "black"), ("b", "freeze"), ("b", "blur"), ("c", "black")]:
        rig.desk.tell(started(incident(stream, defect)))
    rig.desk.tell(over(incident("b", "freeze")))
    hook.wait(lambda: len(hook.requests) == 3)
    assert sorted(told(hook)) == [("arena-1", "started"), ("b", "ended"), ("b", "started")]


def test_what_gets_bad_enough_later_is_told_then_as_a_start(rig: Rig, hook: Receiver) -> None:
    rig.configure(webhook(hook, minSeverity="critical"))
    mild, bad = incident("mild"), incident("bad")
    for event in (started(mild), started(bad), updated(worse(bad)), over(mild)):
        rig.desk.tell(event)
    rig.desk.tell(over(ended(worse(bad))))
    hook.wait(lambda: len(hook.requests) == 2)
    assert told(hook) == [("bad", "started"), ("bad", "ended")]


def test_a_dead_sink_delays_nobody_and_gets_everything_when_it_is_back(
    rig: Rig, hook: Receiver
) -> None:
    dead = threading.Event()
    dead.set()

    def answer(request: Request) -> int:
        return 503 if request.path == "/dead" and dead.is_set() else 204

    hook.answer = answer
    rig.configure(webhook(hook, "dead"), webhook(hook, "alive"))
    streams = [f"s{number}" for number in range(20)]
    for stream in streams:
        rig.desk.tell(started(incident(stream)))
    hook.wait(lambda: len(hook.requests) == 20)
    assert {request.path for request in hook.requests} == {"/alive"}
    hook.wait(lambda: rig.board.document().sinks)
    (problem,) = rig.board.document().sinks
    assert (problem.name, problem.reason) == ("dead", "ServerError")
    assert "HTTP 503" in problem.message

    dead.clear()
    hook.wait(lambda: len(hook.requests) == 40)
    late = [event for r in hook.requests if r.path == "/dead" for event in r.events()]
    assert sorted(str(event.get_subject()) for event in late) == sorted(streams)
    hook.wait(lambda: not rig.board.document().sinks)
    assert rig.desk.figures()["dead"].failures >= 2
    hook.wait(lambda: rig.desk.figures()["alive"].sent == 20)


def test_what_was_not_taken_is_delivered_by_the_next_process(rig: Rig, hook: Receiver) -> None:
    rig.configure(webhook(hook))
    rig.desk.tell(started(incident("before")))
    hook.wait(lambda: rig.desk.figures()["hook"].sent == 1)
    hook.answer = lambda request: 503
    rig.desk.tell(started(incident("meanwhile")))
    rig.desk.close(0.0)

    hook.answer = lambda request: 204
    rig.begin()
    rig.configure(webhook(hook))
    rig.desk.tell(started(incident("after")))
    hook.wait(lambda: len(hook.requests) == 3)
    assert told(hook) == [("before", "started"), ("meanwhile", "started"), ("after", "started")]


def test_what_is_left_is_delivered_before_an_orderly_end(rig: Rig, hook: Receiver) -> None:
    rig.configure(webhook(hook) | {"webhook": {"url": hook.url, "batch": {"wait": "5m"}}})
    rig.desk.tell(started(incident()))
    rig.desk.close(10.0)
    assert told(hook) == [("a", "started")]


def test_an_event_that_is_refused_for_good_is_passed_over(rig: Rig, hook: Receiver) -> None:
    hook.answer = lambda request: 422 if b"poison" in request.body else 204
    rig.configure(webhook(hook) | {"webhook": {"url": hook.url, "batch": {"wait": "0s"}}})
    for stream in ("a", "poison", "b"):
        rig.desk.tell(started(incident(stream)))
    hook.wait(lambda: len(told(hook)) == 2)
    assert [stream for stream, _ in told(hook)] == ["a", "b"]
    hook.wait(lambda: rig.desk.figures()["hook"].refused == 1)


def test_streams_are_told_side_by_side_and_each_in_order(rig: Rig, hook: Receiver) -> None:
    all_told, together = threading.Event(), threading.Barrier(2)

    def answer(request: Request) -> int:
        if not all_told.is_set():
            return 503
        try:
            if request.events()[0].get_type().endswith("started"):
                together.wait(1)  # for one of the other stream that is under way
        except threading.BrokenBarrierError:
            together.reset()
            return 503
        return 204

    hook.answer = answer
    rig.configure(webhook(hook))
    first, second = incident("a"), incident("b")
    for event in (started(first), over(ended(first)), started(second), over(ended(second))):
        rig.desk.tell(event)
    all_told.set()
    hook.wait(lambda: len(hook.requests) == 4)
    for stream in ("a", "b"):
        own = [kind for whose, kind in told(hook) if whose == stream]
        assert own == ["started", "ended"]


def test_what_fails_is_sent_again_and_what_went_beside_it_is_not(rig: Rig, hook: Receiver) -> None:
    refused = threading.Event()

    def answer(request: Request) -> int:
        if request.events()[0].get_subject() != "s3" or refused.is_set():
            return 204
        refused.set()
        return 503

    hook.answer = answer
    rig.configure(webhook(hook))
    streams = [f"s{number}" for number in range(8)]
    for stream in streams:
        rig.desk.tell(started(incident(stream)))
    hook.wait(lambda: len(hook.requests) == 8)
    assert sorted(whose for whose, _ in told(hook)) == streams
    hook.wait(lambda: rig.desk.figures()["hook"].behind == 0)
    assert rig.desk.figures()["hook"].failures == 1


def test_the_origin_of_500_streams_is_one_batch(rig: Rig, hook: Receiver) -> None:
    batch = {"url": hook.url, "batch": {"wait": "0s", "window": "10s"}}
    # Until all have happened nothing is taken.
    hook.answer = lambda request: 204 if len(request.events()) == 150 else 503
    rig.configure({"name": "hook", "webhook": batch})
    for number in range(150):
        rig.desk.tell(started(incident(f"s{number}")))
    hook.wait(lambda: hook.requests)
    assert len(hook.requests) == 1
    assert [event.get_subject() for event in hook.events()] == [f"s{n}" for n in range(150)]


def test_a_muted_incident_is_counted_and_not_sent(rig: Rig, hook: Receiver) -> None:
    window = {"start": now() - timedelta(hours=1), "end": now() + timedelta(hours=1)}
    rig.configure(webhook(hook), mutes=[{"name": "derby", "streams": ["a"], "once": window}])
    known = {
        stream: [rig.desk.tell(started(one)), rig.desk.tell(over(one))]
        for stream in ("a", "b")
        for one in [incident(stream)]
    }
    hook.wait(lambda: len(hook.requests) == 2)
    assert told(hook) == [("b", "started"), ("b", "ended")]
    assert known == {"a": [False, False], "b": [True, True]}
    assert rig.desk.muted() == {"derby": 1}
    assert rig.desk.lasting() == []


def test_what_outlasts_its_mute_is_told_then(rig: Rig, hook: Receiver) -> None:
    window = {"start": now() - timedelta(hours=1), "end": now() + timedelta(hours=1)}
    rig.configure(webhook(hook), mutes=[{"name": "derby", "once": window}])
    one = incident()
    rig.desk.tell(started(one))
    rig.configure(webhook(hook))
    rig.desk.tell(updated(one))
    rig.desk.tell(over(one))
    hook.wait(lambda: len(hook.requests) == 2)
    assert told(hook) == [("a", "started"), ("a", "ended")]


def test_who_was_told_of_a_start_is_told_of_the_end_even_while_it_is_muted(
    rig: Rig, hook: Receiver
) -> None:
    rig.configure(webhook(hook))
    one = incident()
    rig.desk.tell(started(one))
    window = {"start": now() - timedelta(hours=1), "end": now() + timedelta(hours=1)}
    rig.configure(webhook(hook), mutes=[{"name": "derby", "once": window}])
    rig.desk.tell(updated(worse(one)))
    rig.desk.tell(over(ended(worse(one))))
    hook.wait(lambda: len(hook.requests) == 2)
    assert told(hook) == [("a", "started"), ("a", "ended")]


def test_a_mute_that_cannot_be_understood_is_said_and_mutes_nothing(
    rig: Rig, hook: Receiver
) -> None:
    wrong = {"name": "odd", "recurring": {"schedule": "at dawn, daily", "duration": "1h"}}
    rig.configure(webhook(hook), mutes=[wrong])
    (problem,) = rig.board.document().sinks
    assert (problem.name, problem.reason) == ("odd", "InvalidMute")
    assert "'at dawn, daily'" in problem.message
    rig.desk.tell(started(incident()))
    hook.wait(lambda: hook.requests)


def test_an_interruption_is_no_end_as_another_worker_may_go_on(rig: Rig, hook: Receiver) -> None:
    rig.configure(webhook(hook))
    one = incident()
    rig.desk.tell(started(one))
    expires = now() + timedelta(minutes=5)
    rig.desk.tell(over(ended(one, end_reason=EndReason.INTERRUPTED, expires_at=expires)))
    hook.wait(lambda: len(hook.requests) == 2)
    assert told(hook) == [("a", "started"), ("a", "updated")]
    data = hook.events()[1].get_data()
    assert isinstance(data, dict)
    assert data["endReason"] == "interrupted"
    assert "expiresAt" in data


def test_an_adopted_incident_goes_on_without_a_second_start(rig: Rig, hook: Receiver) -> None:
    rig.configure(webhook(hook))
    one = incident(severity=Severity.CRITICAL)
    rig.desk.adopt([one])
    assert rig.desk.lasting() == [one]
    rig.desk.tell(updated(one))
    rig.desk.tell(over(one))
    hook.wait(lambda: len(hook.requests) == 2)
    assert told(hook) == [("a", "updated"), ("a", "ended")]
    rig.desk.adopt([one])
    rig.desk.let_go("a")
    assert rig.desk.lasting() == []


def test_only_the_holder_of_a_stream_reminds(rig: Rig, hook: Receiver) -> None:
    rig.configure(webhook(hook))
    rig.desk.adopt([incident("mine"), incident("another")])
    rig.desk.ask(lambda stream: stream == "mine")
    assert [one.stream for one in rig.desk.lasting()] == ["mine"]


def test_a_host_that_nobody_allowed_is_not_reached(rig: Rig, hook: Receiver) -> None:
    url = hook.url.replace("127.0.0.1", "localhost")
    rig.configure({"name": "hook", "webhook": {"url": url}})
    rig.desk.tell(started(incident()))
    hook.wait(lambda: rig.board.document().sinks)
    (problem,) = rig.board.document().sinks
    assert problem.reason == "HostNotAllowed"
    assert hook.requests == []


def test_a_sink_that_is_gone_is_told_nothing_more_and_others_go_on(
    rig: Rig, hook: Receiver
) -> None:
    rig.configure(webhook(hook, "one"), webhook(hook, "two"))
    rig.desk.tell(started(incident("a")))
    hook.wait(lambda: len(hook.requests) == 2)
    rig.configure(webhook(hook, "two"))
    rig.desk.tell(started(incident("b")))
    hook.wait(lambda: len(hook.requests) == 3)
    assert hook.requests[2].path == "/two"
    assert [path.name for path in (rig.folder / "spool").glob("*.cursor")] == ["two.cursor"]


def test_what_waits_goes_where_a_corrected_sink_leads(rig: Rig, hook: Receiver) -> None:
    rig.configure({"name": "hook", "webhook": {"url": "http://127.0.0.1:1/"}})
    rig.desk.tell(started(incident()))
    hook.wait(lambda: rig.board.document().sinks)
    rig.configure(webhook(hook))
    hook.wait(lambda: hook.requests)
    assert told(hook) == [("a", "started")]
