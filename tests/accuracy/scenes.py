"""More clean pictures, as broadcast cameras see them: sport, studio, drama, nature."""

import cv2
import numpy as np

from dev.origin.origin import Bytes, Canvas, Grain, Layer
from tests.accuracy.shots import Families, Scene

_AA = cv2.LINE_AA
_Q = 16  # cv2 draws at sixteenths of a pixel


def draw_head(luma: Bytes, at: tuple[float, float], size: float, index: float, code: int) -> None:
    """A face of height `size` about `at` (x, y) that speaks, nods and blinks."""
    x, y = at[0] + size / 25 * np.sin(index / 11), at[1] + size / 40 * np.sin(index / 7)
    place = (round(x * _Q), round(y * _Q))
    shoulders = (round(x * _Q), round((y + size) * _Q))
    cv2.ellipse(
        luma, shoulders, (round(size * 10), round(size * 8)), 0, 0, 360, code // 3, -1, _AA, 4
    )
    cv2.ellipse(luma, place, (round(size * 6), round(size * 8)), 0, 0, 360, code, -1, _AA, 4)
    mouth = round(size * _Q / 8), round(size * _Q / 40 * (1.5 + np.sin(index / 2.3)))
    low = place[0], place[1] + round(size * _Q / 4)
    cv2.ellipse(luma, low, mouth, 0, 0, 360, code // 3, -1, _AA, 4)
    open_eye = 0.2 if index % 90 < 4 else 1.0
    for side in (-1, 1):
        eye = place[0] + round(side * size * _Q / 6), place[1] - round(size * _Q / 10)
        axes = round(size), max(1, round(size * 0.5 * open_eye))
        cv2.ellipse(luma, eye, axes, 0, 0, 360, code // 4, -1, _AA, 4)


class Talk(Scene):
    """A head before a studio that is out of focus, with lamps that shimmer."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        ground = Layer(height, width, seed=seed, slope=2.2).levels(30, 120).window(0, 0).copy()
        for _ in range(14):
            place = self.rng.integers(0, width), self.rng.integers(0, height)
            cv2.circle(ground, tuple(map(int, place)), int(self.rng.integers(8, 22)), 190, -1)
        self._ground = cv2.GaussianBlur(ground, (0, 0), 5.0).astype(np.uint8)
        self._grain = Grain(height, width, seed=seed, std=1.2)
        self._x = float(self.rng.uniform(0.3, 0.7)) * width
        self._code = int(self.rng.integers(110, 180))

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        np.copyto(canvas.y, self._ground)
        draw_head(canvas.y, (self._x, self.height * 0.45), self.height * 0.42, index, self._code)
        self._grain.add(canvas.y, index)
        self.colour(canvas)


class Rink(Scene):
    """Ice: nearly white, with lines and boards, players in dark and light, and quick pans."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        ice = Layer(height, width, seed=seed, slope=1.6).levels(205, 230).window(0, 0).copy()
        for x, code in ((width // 5, 90), (width // 2, 110), (width * 4 // 5, 90)):
            ice[:, x : x + 6] = code
        ice[: height // 6] = (
            Layer(height, width, seed=seed + 1, slope=0.8)
            .levels(30, 220)
            .window(0, 0)[: height // 6]
        )
        self._ice: Bytes = np.tile(ice, (1, 2))
        self._grain = Grain(height, width, seed=seed, std=1.0)
        self._from = self.rng.uniform(0, 1, (11, 2)) * (width, height * 0.7) + (0, height * 0.2)
        self._sway = self.rng.uniform(20, 90, (11, 2))
        self._pace = self.rng.uniform(12, 40, 11)

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        pan = self.width / 3 * (1 + np.sin(index / 38))
        np.copyto(canvas.y, self._ice[:, round(pan) : round(pan) + self.width])
        for number, (place, sway, pace) in enumerate(
            zip(self._from, self._sway, self._pace.tolist(), strict=True)
        ):
            x, y = place + sway * (np.sin(index / pace), np.cos(index / pace / 1.3))
            at = round(x * _Q), round(y * _Q)
            code = 40 if number % 2 else 150
            cv2.ellipse(canvas.y, at, (7 * _Q, 15 * _Q), 0, 0, 360, code, -1, _AA, 4)
            cv2.circle(canvas.y, (at[0], at[1] - 17 * _Q), 5 * _Q, 70, -1, _AA, 4)
        self._grain.add(canvas.y, index)
        self.colour(canvas)


class Court(Scene):
    """A court seen from one place: lines, two players and a small ball."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        court = Layer(height, width, seed=seed, slope=1.7).levels(80, 115).window(0, 0).copy()
        left, right, top, bottom = width // 4, width * 3 // 4, height // 5, height * 5 // 6
        corners = [(left, top), (right, top), (width * 7 // 8, bottom), (width // 8, bottom)]
        cv2.polylines(court, [np.array(corners, np.int32)], True, 215, 2, _AA)
        cv2.line(court, (width // 5, height // 2), (width * 4 // 5, height // 2), 225, 3, _AA)
        stand = Layer(height, width, seed=seed + 1, slope=0.6).levels(40, 160)
        court[: height // 6] = stand.window(0, 0)[: height // 6]
        self._court = court
        self._grain = Grain(height, width, seed=seed, std=1.0)
        self._pace = float(self.rng.uniform(15, 25))

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        np.copyto(canvas.y, self._court)
        for y, size, turn in ((0.22, 12, 0.0), (0.75, 24, 2.0)):
            x = self.width / 2 + self.width / 5 * np.sin(index / self._pace + turn)
            at = round(x * _Q), round((y * self.height + 3 * np.sin(index / 3)) * _Q)
            cv2.ellipse(canvas.y, at, (size * 7, size * _Q), 0, 0, 360, 200, -1, _AA, 4)
        flight = index / self._pace % 2
        y = self.height * (0.2 + 0.55 * abs(1 - flight))
        x = self.width / 2 + self.width / 6 * np.sin(index / self._pace)
        cv2.circle(canvas.y, (round(x * _Q), round(y * _Q)), 3 * _Q, 235, -1, _AA, 4)
        self._grain.add(canvas.y, index)
        self.colour(canvas)


class Kitchen(Scene):
    """A close shot of food: hands that chop and stir, and steam."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._board = Layer(height, width, seed=seed, slope=1.3).levels(90, 200)
        self._steam = Layer(height, width, seed=seed + 1, slope=2.4).levels(0, 60)
        self._food = self.rng.integers(0, 1 << 30, 24).tolist()
        self._grain = Grain(height, width, seed=seed, std=1.0)

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        np.copyto(canvas.y, self._board.window(0, 0))
        for value in self._food:
            place = value % self.width, value // 1000 % self.height
            cv2.circle(canvas.y, place, 6 + value % 17, 50 + value % 130, -1)
        for side in (0, 1):
            x = self.width * (0.35 + 0.3 * side) + 30 * np.sin(index / 9 + side * 2)
            y = self.height * 0.55 + 40 * np.sin(index / 3.1 + side)
            at = round(x * _Q), round(y * _Q)
            cv2.ellipse(canvas.y, at, (46 * _Q, 26 * _Q), 30 - 60 * side, 0, 360, 165, -1, _AA, 4)
        cv2.add(canvas.y, self._steam.window(index * 2, 8 * np.sin(index / 20)), dst=canvas.y)
        np.minimum(canvas.y, 230, out=canvas.y)
        self._grain.add(canvas.y, index)
        self.colour(canvas)


class Strobes(Scene):
    """A dark stage; every few pictures a flash lights it."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._stage = Layer(height, width, seed=seed, slope=1.5).levels(22, 70)
        self._lit = Layer(height, width, seed=seed, slope=1.5).levels(120, 230)
        self._grain = Grain(height, width, seed=seed, std=2.0)
        self._every = int(self.rng.integers(4, 11))

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        flash = index % self._every == 0 and index // 60 % 2 == 0
        np.copyto(canvas.y, (self._lit if flash else self._stage).window(0, index / 2))
        for number in range(5):
            x = round(self.width * (number + 0.5) / 5 + 25 * np.sin(index / (5 + number)))
            y = round(self.height * 0.7 - abs(30 * np.sin(index / 4 + number)))
            cv2.ellipse(canvas.y, (x, y), (14, 50), 0, 0, 360, 170 if flash else 45, -1)
        self._grain.add(canvas.y, index)
        self.colour(canvas)


class Drama(Scene):
    """A dim room: a face lit from one side, and a camera that creeps."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._room = Layer(height, width, seed=seed, slope=1.6).levels(22, 66)
        x = np.arange(width, dtype=np.float32)
        self._light = np.tile(np.interp(x, [0, width], [0.45, 1.0]).astype(np.float32), (height, 1))
        self._grain = Grain(height, width, seed=seed, std=1.8)
        self._at = float(self.rng.uniform(0.35, 0.65)) * width

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        np.copyto(canvas.y, self._room.window(0, index / 6))
        draw_head(canvas.y, (self._at, self.height * 0.5), self.height * 0.5, index / 1.7, 110)
        cv2.multiply(canvas.y, self._light, dst=canvas.y, dtype=cv2.CV_8U)
        np.maximum(canvas.y, 18, out=canvas.y)
        self._grain.add(canvas.y, index)
        self.colour(canvas)


class Underwater(Scene):
    """Blue haze of little contrast: rays from above, bubbles, slow fish."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._haze = Layer(height, width, seed=seed, slope=2.3).levels(60, 120)
        self._rays = Layer(height, width, seed=seed + 1, slope=1.8).levels(0, 50)
        self._bubbles = self.rng.uniform(0, 1, (30, 2)) * (width, height)
        self._rise = self.rng.uniform(1.0, 3.0, 30)
        self._grain = Grain(height, width, seed=seed, std=1.0)

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        rays = self._rays.window(0, index * 1.4)
        np.add(self._haze.window(index / 4, index / 2), rays, out=canvas.y)
        for (x, y), rise in zip(self._bubbles.tolist(), self._rise.tolist(), strict=True):
            up = (y - rise * index) % self.height
            cv2.circle(canvas.y, (round(x + 4 * np.sin(up / 9)), round(up)), 3, 200, 1, _AA)
        fish = round((index * 1.5) % (self.width + 80)) - 40, round(self.height * 0.6)
        cv2.ellipse(canvas.y, fish, (34, 12), 4 * np.sin(index / 6), 0, 360, 50, -1, _AA)
        self._grain.add(canvas.y, index)
        canvas.u.fill(158)
        canvas.v.fill(108)


class Fireworks(Scene):
    """Bursts of light over a skyline at night; there is always one in the air."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        sky = Layer(height, width, seed=seed, slope=2.0).levels(20, 38).window(0, 0).copy()
        for left in range(0, width, 40):
            top = height - int(self.rng.integers(20, height // 3))
            sky[top:, left : left + 34] = 26
            for y in range(top + 5, height - 4, 9):
                sky[y : y + 3, left + 6 : left + 28 : 8] = int(self.rng.integers(30, 170))
        self._sky = sky
        self._bursts = self.rng.uniform(0, 1, (12, 3)).tolist()
        self._grain = Grain(height, width, seed=seed, std=1.5)

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        np.copyto(canvas.y, self._sky)
        for number, (x, y, size) in enumerate(self._bursts):
            age = (index + number * 11) % 66 / 45
            if age > 1:
                continue
            for spark in range(28):
                turn = spark * 0.2244 + number
                reach = (30 + 70 * size) * age**0.6
                px = round(x * self.width + reach * np.cos(turn))
                py = round(y * self.height * 0.6 + reach * np.sin(turn) + 25 * age * age)
                cv2.circle(canvas.y, (px, py), 2, round(235 - 170 * age), -1)
        self._grain.add(canvas.y, index)
        self.colour(canvas)


class Wipe(Scene):
    """A road through a windscreen in the rain: blurred lights, drops, and a wiper."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._road = Layer(height, width, seed=seed, slope=1.9).levels(50, 150)
        self._drops = self.rng.integers(0, (width, height), (70, 2)).tolist()
        self._grain = Grain(height, width, seed=seed, std=1.2)
        self._pace = float(self.rng.uniform(11, 17))

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        np.copyto(canvas.y, self._road.window(index * 1.5, 6 * np.sin(index / 31)))
        for number, (x, y) in enumerate(self._drops):
            down = (y + index // 3 * (number % 3)) % self.height
            cv2.circle(canvas.y, (x, down), 2 + number % 4, 80 + number * 2, -1, _AA)
        turn = 0.2 + 1.3 * (1 + np.sin(index / self._pace))
        foot = self.width // 2, self.height + 40
        tip = foot[0] + self.height * np.cos(turn), foot[1] - self.height * np.sin(turn)
        cv2.line(canvas.y, foot, (round(tip[0]), round(tip[1])), 25, 9, _AA)
        self._grain.add(canvas.y, index)
        self.colour(canvas)


class Rails(Scene):
    """Out of a train: poles that fly past, fields that pass, hills that hardly move."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._layers = [
            Layer(height, width, seed=seed + n, slope=1.7 - 0.3 * n).levels(60 + 20 * n, 190)
            for n in range(3)
        ]
        self._grain = Grain(height, width, seed=seed, std=1.0)
        self._speed = float(self.rng.uniform(6, 14))

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        edges = 0, self.height // 3, self.height * 2 // 3, self.height
        for number, layer in enumerate(self._layers):
            rows = slice(edges[number], edges[number + 1])
            canvas.y[rows] = layer.window(0, index * self._speed * (0.1, 0.45, 1.6)[number])[rows]
        pole = round(self.width - index * self._speed * 2.5 % (self.width * 2))
        if pole > -14:
            canvas.y[:, max(pole, 0) : pole + 14] = 45
        self._grain.add(canvas.y, index)
        self.colour(canvas)


PICTURES: Families = {
    "talk show": (Talk, 7.0),
    "ice hockey": (Rink, 12.0),
    "tennis": (Court, 16.0),
    "cooking": (Kitchen, 6.0),
    "strobes": (Strobes, 10.0),
    "dark drama": (Drama, 8.0),
    "underwater": (Underwater, 14.0),
    "fireworks": (Fireworks, 18.0),
    "windscreen": (Wipe, 15.0),
    "train window": (Rails, 12.0),
}
