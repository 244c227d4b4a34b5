"""CloudEvents on the wire, as the official SDK reads them, and their signatures."""

import base64
import hashlib
import hmac

from dev.alerting import Receiver
from streammonitor_api.incident import Severity
from streammonitor_worker.alerts.sinks.webhook import sign
from tests.unit.worker.alerts.conftest import Rig
from tests.unit.worker.alerts.incidents import incident, started


def test_an_event_says_what_happened_where_and_when(rig: Rig, hook: Receiver) -> None:
    rig.configure({"name": "hook", "webhook": {"url": hook.url}})
    one = incident("arena-1", "freeze", severity=Severity.CRITICAL)
    rig.desk.tell(started(one))
    hook.wait(lambda: hook.requests)
    (event,) = hook.events()
    assert event.get_specversion() == "1.0"
    assert event.get_type() == "io.streammonitor.incident.started"
    assert event.get_source() == (
        "/apis/streammonitor.io/v1alpha1/namespaces/video/streammonitors/sports"
    )
    assert event.get_subject() == "arena-1"
    assert event.get_extension("partitionkey") == "uid/arena-1"
    time = event.get_time()
    assert time is not None
    assert time.utcoffset() is not None
    assert event.get_data() == one.to_json_object()


def test_headers_and_urls_come_from_secrets_and_follow_their_rotation(
    rig: Rig, hook: Receiver
) -> None:
    token = rig.secret("hooks", "token", "Bearer one\n")
    url = rig.secret("hooks", "url", f"{hook.url}/path/with/secret\n")
    headers = [{"name": "Authorization", "secretKeyRef": token}]
    rig.configure({"name": "hook", "webhook": {"urlFrom": url, "headersFrom": headers}})
    rig.desk.tell(started(incident("a")))
    hook.wait(lambda: len(hook.requests) == 1)
    rig.secret("hooks", "token", "Bearer two")
    rig.desk.tell(started(incident("b")))
    hook.wait(lambda: len(hook.requests) == 2)
    assert [one.headers["authorization"] for one in hook.requests] == ["Bearer one", "Bearer two"]
    assert {one.path for one in hook.requests} == {"/path/with/secret"}


def test_a_secret_that_is_missing_is_named_and_one_that_is_there_is_not_told(
    rig: Rig, hook: Receiver
) -> None:
    hook.answer = lambda request: 403
    url = rig.secret("hooks", "url", f"{hook.url}/T000/hidden")
    missing = [{"name": "X-Key", "secretKeyRef": {"name": "hooks", "key": "absent"}}]
    rig.configure(
        {"name": "refused", "webhook": {"urlFrom": url}},
        {"name": "locked", "webhook": {"urlFrom": url, "headersFrom": missing}},
    )
    rig.desk.tell(started(incident()))
    hook.wait(lambda: len(rig.board.document().sinks) == 2)
    problems = {one.name: one for one in rig.board.document().sinks}
    assert problems["refused"].reason == "Forbidden"
    assert problems["locked"].reason == "SecretMissing"
    assert "key 'absent' of Secret 'hooks'" in problems["locked"].message
    assert "hidden" not in rig.board.document().model_dump_json()


def test_a_request_is_signed_as_standard_webhooks_says(rig: Rig, hook: Receiver) -> None:
    key = b"a key of twenty-four byt"
    reference = rig.secret("hooks", "hmac", f"whsec_{base64.b64encode(key).decode()}")
    rig.configure({"name": "hook", "webhook": {"url": hook.url, "signatureFrom": reference}})
    one = incident()
    rig.desk.tell(started(one))
    hook.wait(lambda: hook.requests)
    (request,) = hook.requests
    headers = request.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == f"{one.id}.started"
    assert abs(int(headers["webhook-timestamp"]) - request.at) < 60


def test_the_signature_is_that_of_the_published_example() -> None:
    # From the reference implementations' tests of Standard Webhooks.
    headers = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
