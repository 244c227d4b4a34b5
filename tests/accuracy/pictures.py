"""Clean moving pictures of many kinds: what an eye would call different programmes.

Each is a pure function of seed and frame number. Units: pixels a frame at 25 frames a second.
"""

import cv2
import numpy as np

from dev.origin.origin import Bytes, Canvas, Grain, Layer
from tests.accuracy.shots import Families, MakePicture, Scene

_WRAP = cv2.BORDER_WRAP


class Camera(Scene):
    """A textured scene under a camera that moves: pan, shake, slow zoom or turn."""

    def __init__(self, width: int, height: int, seed: int, *, move: str) -> None:
        super().__init__(width, height, seed)
        slope = float(self.rng.uniform(1.1, 1.7))
        self._scene = Layer(height, width, seed=seed, slope=slope).levels(25, 225).window(0, 0)
        chroma = Layer(height // 2, width // 2, seed=seed + 1, slope=2.0).levels(100, 156)
        self._chroma = chroma.window(0, 0)
        self._grain = Grain(height, width, seed=seed, std=float(self.rng.uniform(0.6, 2.2)))
        self._pan = self.rng.uniform(-4, 4, 2)
        self._move = move

    def _turn(self, index: int) -> tuple[float, float, float, float]:
        """Degrees, scale, and shift right and down."""
        if self._move == "pan":
            return 0.0, 1.0, index * float(self._pan[0]), index * float(self._pan[1]) / 3
        if self._move == "shake":
            sway = [np.sin(index / n) + np.sin(index / (n * 0.37)) for n in (6.1, 7.7)]
            return float(sway[0]) / 3, 1.05, 5 * float(sway[0]), 4 * float(sway[1])
        if self._move == "zoom":
            return 0.0, 1.05 + index * 0.0016, index * float(self._pan[0]) / 6, 0.0
        return index / 6, 1.1, index * 1.5, 0.0

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        degrees, scale, right, down = self._turn(index)
        for plane, source, part in (
            (canvas.y, self._scene, 1),
            (canvas.u, self._chroma, 2),
            (canvas.v, self._chroma[::-1], 2),
        ):
            height, width = plane.shape
            turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
            turn[0, 2] += right / part
            turn[1, 2] += down / part
            cv2.warpAffine(source, turn, (width, height), dst=plane, borderMode=_WRAP)
        np.clip(canvas.y, 16, 235, out=canvas.y)
        self._grain.add(canvas.y, index)


class Sprites(Scene):
    """Things of one size that move over a ground at speeds of their own."""

    def __init__(
        self,
        width: int,
        height: int,
        seed: int,
        *,
        ground: tuple[int, int],
        count: int,
        size: tuple[int, int],
        speed: tuple[float, float],
        luma: tuple[int, int],
        grain: float = 1.0,
    ) -> None:
        super().__init__(width, height, seed)
        layer = Layer(height, width, seed=seed, slope=1.6).levels(*ground)
        self._ground, self._size = layer, size
        self._grain = Grain(height, width, seed=seed, std=grain)
        self._from = self.rng.uniform(0, 1, (count, 2)) * (width, height)
        self._speed = self.rng.uniform(0.4, 1.6, (count, 2)) * speed
        self._speed *= self.rng.choice([-1, 1], (count, 1))
        self._luma = self.rng.integers(*luma, count).tolist()

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        np.copyto(canvas.y, self._ground.window(0, index / 5))
        places = (self._from + self._speed * index) % (self.width, self.height)
        axes = (self._size[0] * 8, self._size[1] * 8)
        for (x, y), luma in zip((places * 16).astype(int).tolist(), self._luma, strict=True):
            cv2.ellipse(canvas.y, (x, y), axes, 0, 0, 360, luma, -1, cv2.LINE_8, 4)
        self._grain.add(canvas.y, index)
        self.colour(canvas)


class Waves(Scene):
    """Waves of several lengths and directions that run through each other."""

    def __init__(
        self, width: int, height: int, seed: int, *, length: float, speed: float, span: int
    ) -> None:
        super().__init__(width, height, seed)
        turns = self.rng.uniform(0, 2 * np.pi, 6)
        lengths = length * self.rng.uniform(0.5, 2.5, 6)
        y, x = np.mgrid[:height:2, :width:2].astype(np.float32)
        self._phases = [
            ((np.cos(t) * x + np.sin(t) * y) * (64 / n)).astype(np.float32)
            for t, n in zip(turns, lengths, strict=True)
        ]
        self._speeds = (speed * self.rng.uniform(0.5, 1.5, 6)).tolist()
        self._span = span
        self._table = np.sin(np.arange(64) * 2 * np.pi / 64).astype(np.float32)
        self._grain = Grain(height, width, seed=seed, std=1.0)

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        total = np.zeros_like(self._phases[0])
        for phase, speed in zip(self._phases, self._speeds, strict=True):
            total += self._table[(phase + index * speed).astype(np.int32) & 63]
        small = (total * (self._span / 6) + 125).clip(20, 230).astype(np.uint8)
        cv2.resize(small, (self.width, self.height), dst=canvas.y)
        np.copyto(canvas.u, 255 - (small >> 2) - 96)
        canvas.v.fill(130)
        self._grain.add(canvas.y, index)


class Cartoon(Scene):
    """Flat shapes that are drawn anew for every second frame: animation on twos."""

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        drawing = index // 2 * 2
        rng = np.random.default_rng(self.tint)
        canvas.y.fill(int(rng.integers(90, 200)))
        canvas.y[self.height * 2 // 3 :] = int(rng.integers(40, 120))
        for number in range(9):
            luma, radius = int(rng.integers(25, 225)), int(rng.integers(14, 60))
            speed, x, y = rng.uniform(2, 6), rng.uniform(0, self.width), rng.uniform(0.2, 0.9)
            bounce = abs(np.sin(drawing / (8 + number))) * 40
            place = (int(x + speed * drawing) % self.width, int(y * self.height - bounce))
            cv2.circle(canvas.y, place, radius, luma, -1)
            cv2.circle(canvas.y, place, radius, 20, 2)
        self.colour(canvas)


class Newsroom(Scene):
    """A locked-off set under camera noise, a head that speaks, and a ticker."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._set = Layer(height, width, seed=seed, slope=1.8).levels(40, 190)
        self._grain = Grain(height, width, seed=seed, std=1.5)
        self._x = float(self.rng.uniform(0.35, 0.65)) * width
        self._ticker: Bytes = np.full((28, width * 4), 200, np.uint8)
        letters = "".join(map(chr, self.rng.integers(65, 91, 150)))
        for part in range(0, 150, 6):
            place = (part * width * 4 // 150, 21)
            cv2.putText(
                self._ticker, letters[part : part + 6], place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, 30, 2
            )

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        np.copyto(canvas.y, self._set.window(0, 0))
        x = round(16 * (self._x + 4 * np.sin(index / 21) + 2 * np.sin(index / 8.3)))
        y = round(16 * (self.height * 0.45 + 2 * np.sin(index / 13)))
        head = (self.width * 16 // 14, self.height * 16 // 5)
        cv2.ellipse(canvas.y, (x, y), head, 0, 0, 360, 150, -1, cv2.LINE_AA, 4)
        mouth = (head[0] // 3, round(16 * (2 + 5 * abs(np.sin(index / 2.9)))))
        cv2.ellipse(canvas.y, (x, y + head[1] // 2), mouth, 0, 0, 360, 60, -1, cv2.LINE_AA, 4)
        left = index * 2 % (self.width * 3)
        canvas.y[-40:-12] = self._ticker[:, left : left + self.width]
        self._grain.add(canvas.y, index)
        self.colour(canvas)


class Typing(Scene):
    """A screen on which somebody types, three to five letters a second; nothing else moves."""

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        canvas.y.fill(225)
        canvas.y[:24] = 70
        rng = np.random.default_rng(self.tint)
        typed = index // int(rng.integers(5, 9)) + 30
        letters = "".join(map(chr, rng.integers(97, 123, typed)))
        for line in range(0, typed, 40):
            place = (20, 54 + line // 40 * 26)
            font = cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(canvas.y, letters[line : line + 40], place, font, 0.6, 30, 1, cv2.LINE_AA)
        self.colour(canvas)


class Concert(Scene):
    """A dark hall: beams that sweep, haze, and a crowd in front."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._haze = Layer(height, width, seed=seed, slope=2.2).levels(18, 60)
        self._grain = Grain(height, width, seed=seed, std=2.0)
        self._speeds = self.rng.uniform(0.02, 0.09, 5)
        self._heads = self.rng.integers(0, width, 30).tolist()

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        np.copyto(canvas.y, self._haze.window(index / 3, index))
        beams = np.zeros_like(canvas.y)
        for number, speed in enumerate(self._speeds.tolist()):
            x = self.width * (number + 0.5) / 5
            to = x + self.width * 0.4 * np.sin(index * speed + number)
            ends = (round(x), 0), (round(to), self.height)
            cv2.line(beams, *ends, int(90 + 60 * np.sin(index * speed * 3)), 26)
        cv2.add(canvas.y, beams, dst=canvas.y)
        for number, x in enumerate(self._heads):
            y = self.height - 20 + round(5 * np.sin(index / 4 + number))
            cv2.circle(canvas.y, (x, y), 18, 17, -1)
        np.minimum(canvas.y, 230, out=canvas.y)
        self._grain.add(canvas.y, index)
        self.colour(canvas)


class OldFilm(Scene):
    """Heavy grain, flicker, scratches, a gate that weaves; the scene hardly moves."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._scene = Layer(height, width, seed=seed, slope=1.5).levels(35, 190)
        self._grain = Grain(height, width, seed=seed, std=5.0)

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        rng = np.random.default_rng([index, *self.tint])
        weave = rng.integers(0, 3, 2).tolist()
        np.copyto(canvas.y, self._scene.window(weave[0], weave[1] + index / 10))
        canvas.y += np.uint8(rng.integers(0, 14))
        canvas.y[:, rng.integers(0, self.width, 3)] = 205
        self._grain.add(canvas.y, index)
        canvas.u.fill(128)
        canvas.v.fill(128)


class City(Scene):
    """Rows of houses with lit windows that pass at three speeds."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._rows = [self._row(depth) for depth in range(3)]
        self._speed = float(self.rng.uniform(0.6, 2.0))

    def _row(self, depth: int) -> Bytes:
        row: Bytes = np.zeros((self.height, self.width * 2), np.uint8)
        for left in range(0, self.width, 80):
            top = int(self.rng.integers(30, self.height * 2 // 3)) + depth * 30
            luma = int(self.rng.integers(30, 60)) + 35 * (2 - depth)
            row[top:, left : left + int(self.rng.integers(50, 80))] = luma
            for y in range(top + 10, self.height - 12, 24):
                for x in range(left + 6, left + 44, 18):
                    row[y : y + 10, x : x + 8] = int(self.rng.choice([luma - 12, 200]))
        row[:, self.width :] = row[:, : self.width]
        return row

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        canvas.y[:] = np.linspace(190, 110, self.height).astype(np.uint8)[:, None]
        for depth, row in enumerate(self._rows):
            left = int(index * self._speed * (depth + 1)) % self.width
            part = row[:, left : left + self.width]
            np.copyto(canvas.y, part, where=part > 0)
        self.colour(canvas)


class Crowd(Scene):
    """A full stand: thousands of patches that flicker and sway."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        shape = height // 6, width // 6
        self._luma = self.rng.uniform(40, 200, shape).astype(np.float32)
        self._turn = self.rng.uniform(0, 6.28, shape).astype(np.float32)
        self._grain = Grain(height, width, seed=seed, std=2.0)

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        people = self._luma + 25 * np.sin(self._turn * 3 + index / 5)
        small = np.roll(people.clip(20, 230).astype(np.uint8), round(2 * np.sin(index / 12)), 1)
        cv2.resize(small, (self.width, self.height), dst=canvas.y, interpolation=cv2.INTER_CUBIC)
        np.clip(canvas.y, 16, 235, out=canvas.y)
        self._grain.add(canvas.y, index)
        self.colour(canvas)


def _sprites(
    ground: tuple[int, int],
    count: int,
    size: tuple[int, int],
    speed: tuple[float, float],
    luma: tuple[int, int],
) -> MakePicture:
    return lambda width, height, seed: Sprites(
        width, height, seed, ground=ground, count=count, size=size, speed=speed, luma=luma
    )


def _camera(move: str) -> MakePicture:
    return lambda width, height, seed: Camera(width, height, seed, move=move)


def _waves(length: float, speed: float, span: int) -> MakePicture:
    return lambda width, height, seed: Waves(
        width, height, seed, length=length, speed=speed, span=span
    )


PICTURES: Families = {
    "landscape": (_camera("pan"), 12.0),
    "handheld": (_camera("shake"), 8.0),
    "documentary": (_camera("zoom"), 10.0),
    "aerial": (_camera("turn"), 15.0),
    "montage": (_camera("pan"), 1.2),
    "football": (_sprites((90, 120), 23, (5, 11), (3, 1.5), (40, 220)), 9.0),
    "traffic": (_sprites((60, 150), 14, (30, 14), (5, 0.2), (30, 220)), 14.0),
    "flock": (_sprites((170, 210), 40, (4, 2), (2, 1), (40, 80)), 11.0),
    "snow": (_sprites((70, 170), 160, (2, 2), (1, 4), (210, 235)), 13.0),
    "aquarium": (_sprites((30, 80), 18, (20, 8), (1.2, 0.4), (60, 150)), 16.0),
    "starfield": (_sprites((17, 24), 90, (1, 1), (0.8, 0.3), (90, 235)), 20.0),
    "flames": (_waves(60, 2.4, 260), 10.0),
    "sea": (_waves(34, 1.2, 140), 12.0),
    "clouds": (_waves(220, 0.5, 150), 18.0),
    "cartoon": (Cartoon, 7.0),
    "newsroom": (Newsroom, 30.0),
    "typing": (Typing, 30.0),
    "concert": (Concert, 9.0),
    "old film": (OldFilm, 8.0),
    "city": (City, 15.0),
    "stadium": (Crowd, 10.0),
}
