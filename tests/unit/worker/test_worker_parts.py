"""Settings, Secrets and the pause before a reconnection."""

from pathlib import Path

import pytest

from streammonitor_api import names
from streammonitor_api.source import HeaderFrom, QueryFrom, SecretKeyRef, UserInfoFrom
from streammonitor_api.spec import Stream
from streammonitor_worker.ingest import SourceError, open_source
from streammonitor_worker.secrets import read_credentials
from streammonitor_worker.settings import SettingsError, read_settings
from streammonitor_worker.surroundings import BACKOFF_CAP_S, BACKOFF_FIRST_S, backoff_s


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("GRACE_S", "-1"),
        ("GRACE_S", "nan"),
        ("LOG_LEVEL", "x"),
        ("EVIDENCE", "maybe"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"STREAMMONITOR_{name} is '"):
        read_settings({f"STREAMMONITOR_{name}": value})


def test_evidence_is_kept_unless_switched_off() -> None:
    assert read_settings({}).evidence
    assert not read_settings({"STREAMMONITOR_EVIDENCE": "off"}).evidence


def test_models_are_where_the_operator_mounts_them() -> None:
    assert read_settings({}).models_folder == Path(names.MODELS_FOLDER)
    elsewhere = read_settings({"STREAMMONITOR_MODELS_FOLDER": "/elsewhere"})
    assert elsewhere.models_folder == Path("/elsewhere")


def _reference(key: str = "token") -> SecretKeyRef:
    return SecretKeyRef(name="origin", key=key)


def _stream(url: str = "http://h/a", key: str = "token", **more: object) -> Stream:
    header = HeaderFrom(name="Authorization", secret_key_ref=_reference(key))
    return Stream.model_validate({"name": "a", "url": url, "headers_from": [header], **more})


def test_a_secrets_trailing_line_break_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "origin").mkdir()
    (tmp_path / "origin" / "token").write_text("Bearer x\n")
    credentials = read_credentials(tmp_path, _stream())
    assert credentials.headers == {"Authorization": "Bearer x"}
    assert credentials.url == "http://h/a"


def test_secrets_become_part_of_the_url_and_of_no_text(tmp_path: Path) -> None:
    (tmp_path / "origin").mkdir()
    for key, value in {"token": "a&b=c", "user": "me", "pass": "p@ss:/word"}.items():
        (tmp_path / "origin" / key).write_text(value)
    stream = _stream(
        "rtsp://127.0.0.1:9/live?x=1",
        query_from=[QueryFrom(name="t", secret_key_ref=_reference())],
        user_info_from=UserInfoFrom(username=_reference("user"), password=_reference("pass")),
    )
    credentials = read_credentials(tmp_path, stream)
    assert credentials.url == "rtsp://me:p%40ss%3A%2Fword@127.0.0.1:9/live?x=1&t=a%26b%3Dc"
    with pytest.raises(SourceError) as caught:
        open_source(credentials.url)
    for text in (str(caught.value), repr(credentials)):
        assert "p%40ss" not in text
        assert "a%26b" not in text
    assert len(stream.secrets) == 4


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="key 'token' of Secret 'origin'") as caught:
        read_credentials(tmp_path, _stream())

    assert caught.value.reason == "SecretMissing"


def test_a_secret_reference_cannot_leave_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "token").write_text("x")
    with pytest.raises(SourceError) as caught:
        read_credentials(tmp_path / "secrets", _stream(key=".."))

    assert caught.value.reason == "SecretMissing"


def test_backoff_grows_to_its_cap_and_is_spread() -> None:
    first = [backoff_s(1) for _ in range(200)]
    later = [backoff_s(50) for _ in range(200)]

    assert BACKOFF_FIRST_S <= min(first) <= max(first) <= 2 * BACKOFF_FIRST_S
    assert max(later) <= BACKOFF_CAP_S
    assert max(later) - min(later) > BACKOFF_CAP_S / 2
