"""Settings, Secrets, and media time across reconnections."""

from pathlib import Path

import numpy as np
import pytest

from streammonitor_api import names
from streammonitor_api.spec import HeaderFrom, SecretKeyRef
from streammonitor_worker.frames import Discontinuity, FormatChange, FrameView
from streammonitor_worker.ingest import SourceError
from streammonitor_worker.secrets import read_headers
from streammonitor_worker.settings import SettingsError, read_settings
from streammonitor_worker.splice import Splice
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


def _header(key: str = "token") -> HeaderFrom:
    return HeaderFrom(name="Authorization", secret_key_ref=SecretKeyRef(name="origin", key=key))


def test_a_secrets_trailing_line_break_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "origin").mkdir()
    (tmp_path / "origin" / "token").write_text("Bearer x\n")

    assert read_headers(tmp_path, [_header()]) == {"Authorization": "Bearer x"}


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="key 'token' of Secret 'origin'") as caught:
        read_headers(tmp_path, [_header()])

    assert caught.value.reason == "SecretMissing"


def test_a_secret_reference_cannot_leave_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "token").write_text("x")
    with pytest.raises(SourceError) as caught:
        read_headers(tmp_path / "secrets", [_header("..")])

    assert caught.value.reason == "SecretMissing"


def test_backoff_grows_to_its_cap_and_is_spread() -> None:
    first = [backoff_s(1) for _ in range(200)]
    later = [backoff_s(50) for _ in range(200)]

    assert BACKOFF_FIRST_S <= min(first) <= max(first) <= 2 * BACKOFF_FIRST_S
    assert max(later) <= BACKOFF_CAP_S
    assert max(later) - min(later) > BACKOFF_CAP_S / 2


def _frame(time_s: float) -> FrameView:
    luma = np.zeros((2, 2), np.uint8)
    return FrameView(time_s=time_s, duration_s=0.04, arrived_at=0.0, luma=luma)


def test_media_time_goes_on_across_a_reconnection() -> None:
    now = [100.0]
    splice = Splice(clock=lambda: now[0])
    known = FormatChange(video=None, audio=None)
    splice.connected()
    first = [item for raw in (known, _frame(0.0), _frame(0.04)) for item in splice.place(raw)]
    splice.lost()
    now[0] += 3.0
    splice.connected()
    second = [item for raw in (known, _frame(0.0), _frame(0.04)) for item in splice.place(raw)]

    assert [type(item) for item in first] == [FormatChange, FrameView, FrameView]
    assert isinstance(second[0], Discontinuity)
    assert (second[0].time_s, second[0].gap_s) == pytest.approx((3.08, 3.0))
    assert [type(item) for item in second] == [Discontinuity, FrameView, FrameView]
    assert isinstance(second[2], FrameView)
    assert second[2].time_s == pytest.approx(3.12)
