"""Real sources: films, photographs that a camera moves over, music and speech.

A package is one source, whatever it holds, and its name decides which half it belongs to.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from dev.origin.origin import SAMPLE_RATE, Bytes, Canvas, Floats, noise
from streammonitor_worker.detectors.base import Kind
from tests.accuracy.packages import Package
from tests.accuracy.shots import MakePicture

PEAK = 0.89
"""Sound that peaks higher is turned down to this, -1 dBFS, as it would be for broadcast."""
PAUSE_S, ROOM_DBFS = 0.6, -66.0
"""Between spoken phrases, and how loud the room is in which they are spoken."""
MOST_S = 240.0
"""So much of a take is decoded at most."""
FADE_S = 0.5
"""Pieces of music that end abruptly are faded."""


@dataclass(frozen=True)
class Film:
    """Moving pictures.

    Attributes:
        package: Where it comes from.
        file: Its name.
        frame_rate: Its own.
        length_s: Its length in seconds, rounded down.
    """

    package: Package
    file: str
    frame_rate: Fraction
    length_s: float


@dataclass(frozen=True)
class Photographs:
    """So many photographs: all files of a package."""

    package: Package
    count: int


@dataclass(frozen=True)
class Record:
    """Sound: those files of a package that end so, one after the other.

    Attributes:
        package: Where it comes from.
        suffix: How their names end.
        length_s: Their length together in seconds, rounded down.
        spoken: Phrases, between which there are pauses; otherwise music.
    """

    package: Package
    suffix: str
    length_s: float
    spoken: bool = False


# ------------------------------------------------------------------------------------ the packages

_MOVIEPY = Package(
    "moviepy",
    ("moviepy-*/docs/**/moviepy_10_minutes.zip!moviepy_10_minutes/resources/bbb.mp4",),
    "5bc2773bb612ca1d9d6c2d16976761999baf451691d0f8d6162bb377e39f2d37",
    "CC-BY-3.0 (Big Buck Bunny, Blender Foundation)",
    version="2.2.1",
)
_FILLETS = Package(
    "fillets-ng-data",
    ("usr/share/games/fillets-ng/images/menu/intro.mpg", "usr/share/games/fillets-ng/music/*.ogg"),
    "15cd08a66fef0efb07bb5450f425d739524c442dab0da15fd3e5305fa9eff538",
    "GPL-2+",
)
_OPENCV = Package(
    "opencv-doc",
    ("usr/share/doc/opencv-doc/examples/data/vtest.avi",),
    "d9138e9ac8313ff228b6a571874578b9abbcec3609e090604f392d61a2f7487a",
    "BSD-3-Clause",
)
_MATE = Package(
    "mate-backgrounds",
    ("usr/share/backgrounds/mate/nature/*.jpg",),
    "bcc88af3665d091341494eb1a1cf6b171ade9531bb1a196e4d5a7544609002d0",
    "GPL-2+",
)
_LOMIRI_16 = Package(
    "lomiri-wallpapers-16.04",
    ("usr/share/backgrounds/*.jpg",),
    "165c4b271932850266c1e62c07b8f37ec5e5df692a838b1c71b0d0fa7c60310b",
    "CC-BY-4.0, CC-BY-SA-4.0",
)
_LOMIRI_20 = Package(
    "lomiri-wallpapers-20.04",
    ("usr/share/backgrounds/*.jpg",),
    "5b83cbf4988162a101954425b46c78b6b17c6838867a0d091dabfd1b8ab99376",
    "CC-BY-4.0, CC-BY-SA-4.0",
)
_MOH = Package(
    "asterisk-moh-opsound-g722",
    ("usr/share/asterisk/moh/*.g722",),
    "8561c94580d1272a3952b47141f6e10306f64a91db8843958f2e71fd8740ed04",
    "CC-BY-SA-3.0",
)
_LINCITY = Package(
    "lincity-ng-data",
    ("usr/share/games/lincity-ng/music/default/*.ogg",),
    "cc7bedd0f02787da635eeee5576c5c3edd0e010864acd53f7a66c99f0a2d2a86",
    "GPL-2+",
)
_ETR = Package(
    "extremetuxracer-data",
    ("usr/share/games/etr/music/*.ogg",),
    "e656eb30a83fdf6a1800fbde60892221a39ce828a6fec586f314a89666978748",
    "GPL-2+",
)
_DRASCULA = Package(
    "drascula-music",
    ("usr/share/scummvm/drascula/audio/track[12]?.ogg",),
    "45431e2b19e24a3a6f9be1e09ce821c2f386555695532a06a8d9148656a2379f",
    "Drascula-License (free in Debian)",
)
_PROMPTS = ("conf", "demo", "vm")
_ENGLISH = Package(
    "asterisk-core-sounds-en-g722",
    tuple(f"usr/share/asterisk/sounds/en_US_f_Allison/{one}-*.g722" for one in _PROMPTS),
    "b2471bb85ef9ec2c992603572117bb4f6bc7dedd6126afadec30859e0fbcb842",
    "CC-BY-SA-3.0",
)
_FRENCH = Package(
    "asterisk-core-sounds-fr-g722",
    tuple(f"usr/share/asterisk/sounds/fr_CA_f_June/{one}-*.g722" for one in _PROMPTS),
    "0c6ddd28da35d0f0e8c947e119caa3aab4cb5cc4d457136c6a4eb142789aebb4",
    "CC-BY-SA-3.0",
)

FILMS = {
    one.package.name: one
    for one in (
        Film(_MOVIEPY, "bbb.mp4", Fraction(24), 596),
        Film(_FILLETS, "intro.mpg", Fraction(30), 73),
        Film(_OPENCV, "vtest.avi", Fraction(10), 79),
    )
}
SHOT_S = 7.0
"""How long a photograph is shown."""
PHOTOGRAPHS = {
    one.package.name: one
    for one in (Photographs(_MATE, 10), Photographs(_LOMIRI_16, 15), Photographs(_LOMIRI_20, 4))
}
RECORDS = {
    one.package.name: one
    for one in (
        Record(_MOVIEPY, ".mp4", 596),
        Record(_FILLETS, ".ogg", 1370),
        Record(_MOH, ".g722", 1106),
        Record(_LINCITY, ".ogg", 563),
        Record(_ETR, ".ogg", 567),
        Record(_DRASCULA, ".ogg", 2000),
        Record(_ENGLISH, ".g722", 780, spoken=True),
        Record(_FRENCH, ".g722", 830, spoken=True),
    )
}
LENGTHS_S: dict[Kind, dict[str, float]] = {
    Kind.VIDEO: {
        **{name: one.length_s for name, one in FILMS.items()},
        **{name: one.count * SHOT_S for name, one in PHOTOGRAPHS.items()},
    },
    Kind.AUDIO: {name: one.length_s for name, one in RECORDS.items()},
}
"""How much there is of each family."""
_USED: tuple[Film | Photographs | Record, ...] = (
    *FILMS.values(),
    *PHOTOGRAPHS.values(),
    *RECORDS.values(),
)
PACKAGES = {one.package.name: one.package for one in _USED}


# ------------------------------------------------------------------------------------ pictures


def slides(name: str) -> tuple[MakePicture, float]:
    """What makes a shot of one of the photographs, and how long it is shown."""
    paths = PHOTOGRAPHS[name].package.paths()
    return lambda width, height, seed: Photograph(paths, width, height, seed), SHOT_S


class FilmPicture:
    """A film from some time on, scaled and cropped to the canvas; after its end, from the start."""

    def __init__(self, film: Film, start_s: float) -> None:
        self._path, self._start_s = film.package.folder / film.file, start_s
        self._frames = self._decode(start_s)
        self._shown, self._at = next(self._frames), 0

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`; those before it are decoded, too."""
        if index < self._at:
            self._frames = self._decode(self._start_s)
            self._shown, self._at = next(self._frames), 0
        while self._at < index:
            self._shown, self._at = next(self._frames), self._at + 1
        planes = self._shown.to_ndarray(format="yuv420p")
        _fill(canvas, cast(Bytes, planes), self._shown.width, self._shown.height)

    def _decode(self, start_s: float) -> Iterator[av.VideoFrame]:
        while True:
            with av.open(str(self._path)) as container:
                if start_s:
                    container.seek(round(start_s * av.time_base))
                for frame in container.decode(video=0):
                    if not start_s or float(frame.time or 0.0) >= start_s:
                        yield frame
            start_s = 0.0


def _fill(canvas: Canvas, planes: Bytes, width: int, height: int) -> None:
    """Scale the middle of an I420 picture to the canvas."""
    flat = planes.reshape(-1)
    luma, chroma = width * height, width * height // 4
    parts = (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(height // 2, width // 2),
        flat[luma + chroma :].reshape(height // 2, width // 2),
    )
    for part, plane in zip(parts, (canvas.y, canvas.u, canvas.v), strict=True):
        cropped = _middle(part, plane.shape[1] / plane.shape[0])
        cv2.resize(cropped, plane.shape[::-1], dst=plane, interpolation=cv2.INTER_AREA)


def _middle(plane: Bytes, aspect: float) -> Bytes:
    """The largest part in the middle that has this ratio of width to height."""
    height, width = plane.shape[:2]
    rows, columns = min(height, round(width / aspect)), min(width, round(height * aspect))
    top, left = (height - rows) // 2, (width - columns) // 2
    return plane[top : top + rows, left : left + columns]


class Photograph:
    """A photograph that a camera moves over and into, as in a documentary.

    It is taken at such a size that at its nearest a pixel of it is one of the canvas: as sharp as
    what a camera sees.
    """

    NEAREST = 1.25

    def __init__(self, paths: Sequence[Path], width: int, height: int, seed: int) -> None:
        self._planes = _photograph(paths[seed % len(paths)], width, height)
        rng = np.random.default_rng([seed, 99])
        zooms = rng.permutation([1.0, self.NEAREST])
        places = rng.uniform(0.2, 0.8, (2, 2))
        self._ends = [
            (float(z), *map(float, place)) for z, place in zip(zooms, places, strict=True)
        ]

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        share = index / (SHOT_S * 25)
        zoom, x, y = ((1 - share) * a + share * b for a, b in zip(*self._ends, strict=True))
        for photograph, plane in zip(self._planes, (canvas.y, canvas.u, canvas.v), strict=True):
            high, wide = photograph.shape
            rows, columns = plane.shape
            scale = self.NEAREST / zoom
            by = np.array(
                [
                    [scale, 0.0, x * (wide - columns * scale)],
                    [0.0, scale, y * (high - rows * scale)],
                ]
            )
            inverse = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            cv2.warpAffine(photograph, by, (columns, rows), dst=plane, flags=inverse)


@lru_cache(maxsize=4)
def _photograph(path: Path, width: int, height: int) -> tuple[Bytes, Bytes, Bytes]:
    """Planes of a photograph, each NEAREST times as large as that of the canvas, limited range."""
    size = (round(width * Photograph.NEAREST) // 2 * 2, round(height * Photograph.NEAREST) // 2 * 2)
    pixels = _middle(cast(Bytes, cv2.imread(str(path), cv2.IMREAD_COLOR)), width / height)
    i420 = cv2.cvtColor(
        cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2YUV_I420
    )
    canvas = Canvas(*size)
    np.copyto(canvas.data, i420.reshape(-1))
    return canvas.y, canvas.u, canvas.v


# --------------------------------------------------------------------------------------- sound


class RecordedSound:
    """Sound of files, one after the other, from some time on; after its end, from there again."""

    def __init__(self, name: str, start_s: float, length_s: float) -> None:
        self._samples = _record(name, round(start_s), round(min(length_s, MOST_S)))

    def samples(self, index: NDArray[np.int64]) -> Floats:
        """Play."""
        played: Floats = self._samples.take(index % self._samples.shape[1], axis=1)
        return played


@lru_cache(maxsize=2)
def _record(name: str, start_s: int, length_s: int) -> Floats:
    record = RECORDS[name]
    skip, wanted, pieces = start_s * SAMPLE_RATE, length_s * SAMPLE_RATE, []
    for path in record.package.paths():
        if wanted <= 0:
            break
        if path.name.endswith(record.suffix):
            piece = _finished(_decoded(path), record.spoken)
            piece, skip = piece[:, skip:], max(0, skip - piece.shape[1])
            pieces.append(piece[:, :wanted])
            wanted -= pieces[-1].shape[1]
    whole = np.concatenate(pieces, axis=1)
    if record.spoken:
        whole += noise(np.arange(whole.shape[1]), level_dbfs=ROOM_DBFS)
    whole *= np.float32(min(1.0, PEAK / float(np.abs(whole).max())))
    return whole


def _decoded(path: Path) -> Floats:
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=SAMPLE_RATE)
    pieces = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            pieces += [piece.to_ndarray() for piece in resampler.resample(frame)]
        pieces += [piece.to_ndarray() for piece in resampler.resample(None)]
    return np.concatenate(pieces, axis=1).astype(np.float32)


def _finished(piece: Floats, spoken: bool) -> Floats:
    """With a pause behind it, or without ends that nobody would broadcast."""
    if spoken:
        return np.pad(piece, ((0, 0), (0, round(PAUSE_S * SAMPLE_RATE))))
    count = min(round(FADE_S * SAMPLE_RATE), piece.shape[1] // 2)
    ramp = np.linspace(0.0, 1.0, count, dtype=np.float32)
    piece[:, :count] *= ramp
    piece[:, piece.shape[1] - count :] *= ramp[::-1]
    return piece
