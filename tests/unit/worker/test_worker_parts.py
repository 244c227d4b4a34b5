"""Settings, Secrets and the pause before a reconnection."""

from pathlib import Path

import pytest

from streammonitor_api import names
from streammonitor_api.source import (
    Decryption,
    HeaderFrom,
    KeysFrom,
    QueryFrom,
    SecretKeyRef,
    SecretRef,
    UserInfoFrom,
)
from streammonitor_api.spec import Stream
from streammonitor_worker.ingest import ContentKey, SourceError, open_source
from streammonitor_worker.secrets import read_credentials
from streammonitor_worker.settings import SettingsError, read_settings
from streammonitor_worker.surroundings import (
    BACKOFF_CAP_S,
    BACKOFF_FIRST_S,
    BACKOFF_SOON_S,
    REFUSED_ATTEMPTS,
    SOON_ATTEMPTS,
    backoff_s,
)


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
    assert stream.secret_names == {"origin"}


KEY, OTHER = "0123456789abcdef" * 2, "FEDCBA9876543210" * 2


def _encrypted(folder: Path, **secret: str) -> Stream:
    (folder / "keys").mkdir(exist_ok=True)
    for name, value in secret.items():
        (folder / "keys" / name).write_text(value)
    decryption = Decryption(keys_from=KeysFrom(secret_ref=SecretRef(name="keys")))
    return Stream(name="a", url="http://h/a", decryption=decryption)


def test_keys_of_media_are_read_by_their_ids(tmp_path: Path) -> None:
    key_id = "000102030405060708090a0b0c0d0e0f"
    uuid = "F0F1F2F3-F4F5-F6F7-F8F9-FAFBFCFDFEFF"
    stream = _encrypted(tmp_path, **{key_id: f"{KEY}\n", uuid: OTHER, "default": f"{KEY}:{OTHER}"})
    (tmp_path / "keys" / "..data").mkdir()  # as the kubelet has it
    keys = read_credentials(tmp_path, stream).keys

    assert stream.secret_names == {"keys"}
    assert keys.of(bytes(range(16)), "u") == ContentKey(bytes.fromhex(KEY))
    assert keys.of(bytes(range(0xF0, 0x100)), "u").value == bytes.fromhex(OTHER)
    assert keys.of(bytes(16), "u") == ContentKey(bytes.fromhex(KEY), bytes.fromhex(OTHER))
    assert KEY not in repr(keys)
    assert repr(bytes.fromhex(KEY)) not in repr(keys)


@pytest.mark.parametrize(
    ("name", "value", "reason", "said"),
    [
        ("default", KEY[:-1], "SecretInvalid", "is not 32 hexadecimal digits"),
        ("default", f"{KEY}:{OTHER[:-1]}", "SecretInvalid", "is not 32 hexadecimal digits"),
        ("default", KEY.replace("0", "g"), "SecretInvalid", "is not 32 hexadecimal digits"),
        (
            "arena",
            KEY,
            "SecretInvalid",
            "'arena' of Secret 'keys' (key of media) is no id of",
        ),
        ("..data", "", "SecretMissing", "create the Secret"),
    ],
)
def test_keys_of_media_that_cannot_be_used_are_told_but_not_shown(
    tmp_path: Path, name: str, value: str, reason: str, said: str
) -> None:
    with pytest.raises(SourceError) as caught:
        read_credentials(tmp_path, _encrypted(tmp_path, **{name: value}))

    assert (caught.value.reason, said in caught.value.message) == (reason, True)
    assert not value or value not in caught.value.message


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


@pytest.mark.parametrize(
    ("attempt", "reason", "ceiling_s"),
    [
        (1, "ConnectionLost", 2 * BACKOFF_FIRST_S),
        (2, "Stalled", BACKOFF_SOON_S),
        (SOON_ATTEMPTS, "ConnectionRefused", BACKOFF_SOON_S),
        (SOON_ATTEMPTS + 1, "ConnectionRefused", 2 * BACKOFF_SOON_S),
        (10_000, "ConnectionRefused", BACKOFF_CAP_S),
        (REFUSED_ATTEMPTS, "Unauthorized", BACKOFF_SOON_S),
        (SOON_ATTEMPTS, "Unauthorized", BACKOFF_CAP_S),
    ],
)
def test_backoff_is_short_at_first_and_is_spread(
    attempt: int, reason: str, ceiling_s: float
) -> None:
    pauses = [backoff_s(attempt, reason) for _ in range(200)]

    assert ceiling_s / 2 <= min(pauses) <= max(pauses) <= ceiling_s
    assert max(pauses) - min(pauses) > ceiling_s / 4
