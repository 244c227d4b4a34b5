"""What claims to be larger than anything that is broadcast is refused, in a sentence."""

import struct
from pathlib import Path

import pytest

from dev.media.clips import write_clip
from streammonitor_worker.frames import FrameView
from streammonitor_worker.ingest import SourceError, bounds, open_source, options

SMALL, LARGE = (64, 36), (160, 90)
LIMIT = {"max_pixels": "5000"}


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only small pictures are decoded."""
    monkeypatch.setattr(bounds, "MAX_PIXELS", 5000)
    for module in (bounds, options):
        monkeypatch.setattr(module, "DECODER_OPTIONS", LIMIT)


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("suffix", ["ts", "mp4"])
def test_pictures_that_are_too_large_are_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"large.{suffix}"
    write_clip(path, duration_s=1, size=LARGE, audio=False)
    with pytest.raises(SourceError) as caught:
        open_source(str(path))
    assert caught.value.reason == "TooLarge"
    assert "pictures of 160x90, and the limit is 5,000 pixels" in caught.value.message


@pytest.mark.usefixtures("limited")
def test_pictures_that_grow_too_large_are_not_decoded(tmp_path: Path) -> None:
    parts = []
    for size in (SMALL, LARGE):
        write_clip(tmp_path / "part.ts", duration_s=1, size=size, audio=False)
        parts.append((tmp_path / "part.ts").read_bytes())
    (tmp_path / "both.ts").write_bytes(b"".join(parts))
    seen: set[tuple[int, ...]] = set()
    with open_source(str(tmp_path / "both.ts"), live=False) as source:
        seen.update(item.luma.shape for item in source if isinstance(item, FrameView))
        refused = source.counters.decode_errors
    assert seen == {(36, 64)}
    assert refused > 0


@pytest.mark.parametrize(
    ("channels", "rate", "said"),
    [
        (80, 48_000, "sound of 80 channels, and the limit is 64 channels"),
        (2, 768_000, "sound of 768,000 Hz, and the limit is 384,000 Hz"),
    ],
)
def test_sound_that_is_too_large_is_refused(
    channels: int, rate: int, said: str, tmp_path: Path
) -> None:
    frame = 2 * channels
    body = bytes(frame * 1000)
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * frame, frame, 16)
    wave = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    wave += b"data" + struct.pack("<I", len(body)) + body
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(wave)) + wave)
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path / "a.wav"))
    assert (caught.value.reason, said in caught.value.message) == ("TooLarge", True)
