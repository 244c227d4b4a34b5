"""More clean pictures, as they leave a computer: graphics, games, screens, and grids of boxes."""

import cv2
import numpy as np

from dev.origin.origin import Bytes, Canvas, Grain, Layer
from tests.accuracy.scenes import draw_head
from tests.accuracy.shots import Families, Scene

_FONT, _AA = cv2.FONT_HERSHEY_SIMPLEX, cv2.LINE_AA


def _letters(rng: np.random.Generator, count: int) -> str:
    return "".join(map(chr, rng.integers(65, 91, count)))


class Boxes(Scene):
    """Some people, each in a box: an interview in two places, or a call of many."""

    def __init__(
        self, width: int, height: int, seed: int, *, columns: int, rows: int, grain: float
    ) -> None:
        super().__init__(width, height, seed)
        self._ground = Layer(height, width, seed=seed, slope=1.8).levels(40, 150)
        self._grain = Grain(height, width, seed=seed, std=grain)
        self._grid = columns, rows
        self._codes = self.rng.integers(100, 185, columns * rows).tolist()
        self._turns = self.rng.uniform(0, 60, columns * rows).tolist()
        self._names = [_letters(self.rng, 8) for _ in self._codes]

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        canvas.y.fill(30)
        columns, rows = self._grid
        width, height = self.width // columns, self.height // rows
        ground = self._ground.window(0, 0)
        for number, code in enumerate(self._codes):
            left, top = number % columns * width, number // columns * height
            box = canvas.y[top + 6 : top + height - 6, left + 6 : left + width - 6]
            np.copyto(box, ground[top + 6 : top + height - 6, left + 6 : left + width - 6])
            at = box.shape[1] / 2, box.shape[0] * 0.42
            draw_head(box, at, box.shape[0] * 0.45, index + self._turns[number], code)
            place = 10, box.shape[0] - 12
            cv2.putText(box, self._names[number], place, _FONT, 0.5, 225, 1, _AA)
        self._grain.add(canvas.y, index)
        self.colour(canvas)


class WeatherMap(Scene):
    """A map over which clouds, arrows and figures move."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        land = Layer(height, width, seed=seed, slope=2.2).levels(0, 255).window(0, 0)
        self._map: Bytes = np.where(land > 120, 150, 95).astype(np.uint8)
        edge = cv2.Canny(self._map, 20, 40)
        self._map[edge > 0] = 40
        self._rain = Layer(height, width, seed=seed + 1, slope=1.9).levels(0, 255)
        self._places = self.rng.integers(30, (width - 60, height - 30), (9, 2)).tolist()
        self._degrees = self.rng.integers(-5, 30, 9).tolist()

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        np.copyto(canvas.y, self._map)
        rain = self._rain.window(index / 3, index * 0.8)
        np.add(canvas.y, 60, out=canvas.y, where=rain > 160)
        for (x, y), degrees in zip(self._places, self._degrees, strict=True):
            cv2.circle(canvas.y, (x + 8, y - 5), 16, 210, -1, _AA)
            cv2.putText(canvas.y, str(degrees), (x - 4, y), _FONT, 0.5, 25, 1, _AA)
        along = index * 1.7 % self.width
        ends = (round(along), self.height // 3), (round(along) + 50, self.height // 3 - 12)
        cv2.arrowedLine(canvas.y, *ends, 230, 3, _AA, 0, 0.3)
        self.colour(canvas)


class TickerNews(Scene):
    """A reporter in a window, headlines beside it, and two tickers that run at two speeds."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._scene = Layer(height, width, seed=seed, slope=1.5).levels(40, 210)
        self._tickers = [self._ticker(code) for code in (200, 60)]
        self._headlines = [_letters(self.rng, 9) for _ in range(6)]
        self._grain = Grain(height, width, seed=seed, std=1.0)

    def _ticker(self, code: int) -> Bytes:
        strip: Bytes = np.full((24, self.width * 3), code, np.uint8)
        for left in range(0, self.width * 3, 150):
            words = _letters(self.rng, 7)
            cv2.putText(strip, words, (left, 18), _FONT, 0.6, 255 - code, 2, _AA)
        return strip

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        canvas.y.fill(70)
        window = canvas.y[20 : self.height - 70, 20 : self.width * 2 // 3]
        view = self._scene.window(0, index * 0.8)
        np.copyto(window, view[: window.shape[0], : window.shape[1]])
        at = window.shape[1] / 2, window.shape[0] / 2
        draw_head(window, at, window.shape[0] * 0.5, index, 150)
        self._grain.add(canvas.y, index)
        for number, words in enumerate(self._headlines):
            place = self.width * 2 // 3 + 16, 50 + 40 * number
            cv2.putText(canvas.y, words, place, _FONT, 0.55, 225, 1, _AA)
        for number, ticker in enumerate(self._tickers):
            left = index * (2 + number) % (self.width * 2)
            top = self.height - 54 + 27 * number
            canvas.y[top : top + 24] = ticker[:, left : left + self.width]
        self.colour(canvas)


class Scrolling(Scene):
    """A screen on which somebody scrolls through text and moves the pointer."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._text: Bytes = np.full((height * 3, width), 228, np.uint8)
        for y in range(20, height * 3, 22):
            for x in range(30, width - 120, 96):
                words = _letters(self.rng, int(self.rng.integers(3, 8)))
                cv2.putText(self._text, words, (x, y), _FONT, 0.45, 40, 1, _AA)

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        # Two seconds of scrolling, one of reading.
        steps = index // 75 * 50 + min(index % 75, 50)
        top = steps * 3 % (self.height * 2)
        np.copyto(canvas.y, self._text[top : top + self.height])
        canvas.y[:26] = 60
        x = round(self.width * (0.5 + 0.3 * np.sin(index / 19)))
        y = round(self.height * (0.5 + 0.3 * np.sin(index / 23)))
        arrow = np.array([(x, y), (x, y + 16), (x + 11, y + 11)], np.int32)
        cv2.fillPoly(canvas.y, [arrow], 20, _AA)
        self.colour(canvas)


class Game(Scene):
    """A game of blocks that scrolls sideways, below a display of figures that stands still."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        tiles = self.rng.choice([70, 110, 150, 190], (height // 24 + 1, width // 12 + 1))
        tiles[: len(tiles) // 2] = 140
        world = np.kron(tiles, np.ones((24, 24), np.uint8)).astype(np.uint8)
        self._world: Bytes = np.tile(world, (1, 2))
        self._span = world.shape[1]
        self._speed = float(self.rng.uniform(2, 6))

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        left = round(index * self._speed) % self._span
        np.copyto(canvas.y, self._world[: self.height, left : left + self.width])
        x, y = self.width // 3, round(self.height * 0.45 - abs(60 * np.sin(index / 9)))
        cv2.rectangle(canvas.y, (x, y), (x + 22, y + 34), 225, -1)
        cv2.rectangle(canvas.y, (x + 4, y + 6), (x + 18 - index // 4 % 6, y + 12), 30, -1)
        cv2.rectangle(canvas.y, (10, 10), (170, 40), 25, -1)
        cv2.putText(canvas.y, f"SCORE {index * 7}", (16, 32), _FONT, 0.6, 220, 2, _AA)
        self.colour(canvas)


class Slideshow(Scene):
    """Photographs, each of which moves and grows slowly and is blended into the next."""

    SHOWN = 110
    BLENDED = 25

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._seed = seed
        self._photographs: dict[int, Bytes] = {}

    def _photograph(self, number: int) -> Bytes:
        if number not in self._photographs:
            self._photographs = {n: p for n, p in self._photographs.items() if n == number - 1}
            layer = Layer(self.height, self.width, seed=self._seed * 97 + number, slope=1.25)
            self._photographs[number] = layer.levels(25, 230).window(0, 0)
        return self._photographs[number]

    def _moved(self, number: int, age: int) -> Bytes:
        turn = cv2.getRotationMatrix2D((self.width / 2, self.height / 2), 0.0, 1.05 + age * 0.0012)
        turn[0, 2] += (age - 60) * 0.25 * (-1) ** number
        size = self.width, self.height
        photograph = self._photograph(number)
        return cv2.warpAffine(photograph, turn, size, borderMode=cv2.BORDER_REFLECT).astype(
            np.uint8
        )

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        number, age = divmod(index, self.SHOWN)
        picture = self._moved(number, age + self.BLENDED)
        if number and age < self.BLENDED:
            share = age / self.BLENDED
            before = self._moved(number - 1, age + self.SHOWN + self.BLENDED)
            picture = cv2.addWeighted(picture, share, before, 1 - share, 0).astype(np.uint8)
        np.clip(picture, 16, 235, out=canvas.y)
        self.colour(canvas)


class Shopping(Scene):
    """A thing that turns on a plate beside its price, and a clock that counts down."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._ground = Layer(height, width, seed=seed, slope=2.4).levels(120, 190)
        self._thing = Layer(180, 180, seed=seed + 1, slope=1.2).levels(30, 220)
        self._price = int(self.rng.integers(10, 900))
        self._grain = Grain(height, width, seed=seed, std=0.8)

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        np.copyto(canvas.y, self._ground.window(0, 0))
        high = self.height * 5 // 12
        side = max(8, round(high * abs(np.cos(index / 30))))
        view = cv2.resize(self._thing.window(0, 0), (side, high))
        left, top = self.width // 3 - side // 2, (self.height - high) // 2
        canvas.y[top : top + high, left : left + side] = view
        self._grain.add(canvas.y, index)
        right = self.width * 2 // 3
        cv2.rectangle(canvas.y, (right, 60), (self.width - 20, 150), 50, -1)
        cv2.putText(canvas.y, f"{self._price}.95", (right + 12, 110), _FONT, 1.0, 225, 2, _AA)
        left_s = max(0, 900 - index // 25)
        clock = f"{left_s // 60:02}:{left_s % 60:02}"
        cv2.putText(canvas.y, clock, (right + 30, 142), _FONT, 0.7, 200, 1, _AA)
        self.colour(canvas)


class Board(Scene):
    """Rows of names and figures, some of which change every moment, and a curve that grows."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        self._names = [_letters(self.rng, 4) for _ in range(10)]
        self._curve = np.cumsum(self.rng.standard_normal(4000)) * 4

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        canvas.y.fill(35)
        step = index // 3
        for number, name in enumerate(self._names):
            y = 34 + number * (self.height - 30) // 10
            figure = 100 + self._curve[(step // (1 + number % 3) + 97 * number) % 4000]
            cv2.putText(canvas.y, name, (16, y), _FONT, 0.6, 210, 1, _AA)
            cv2.putText(canvas.y, f"{figure:8.2f}", (96, y), _FONT, 0.6, 180, 1, _AA)
        part = self._curve[np.arange(step, step + 200) % 4000]
        x = np.linspace(self.width * 0.45, self.width - 10, 200)
        y = self.height / 2 - (part - part.mean())
        points = np.stack([x, y.clip(10, self.height - 10)], axis=1).astype(np.int32)
        cv2.polylines(canvas.y, [points], False, 220, 2, _AA)
        self.colour(canvas)


PICTURES: Families = {
    "split screen": (lambda w, h, s: Boxes(w, h, s, columns=2, rows=1, grain=1.0), 11.0),
    "video call": (lambda w, h, s: Boxes(w, h, s, columns=3, rows=2, grain=0.6), 15.0),
    "weather map": (WeatherMap, 14.0),
    "ticker news": (TickerNews, 9.0),
    "scrolling": (Scrolling, 20.0),
    "video game": (Game, 12.0),
    "slideshow": (Slideshow, 40.0),
    "teleshopping": (Shopping, 12.0),
    "stock board": (Board, 20.0),
}
