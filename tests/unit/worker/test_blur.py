from collections.abc import Iterable, Iterator
from itertools import chain

import cv2
import numpy as np
import pytest

from streammonitor_worker.detectors.base import Measurement, Verdict
from streammonitor_worker.detectors.blur import BlurDetector, BlurParams
from streammonitor_worker.measures.picture import PictureMeter
from tests.contract.material import Luma, flat, views

RATE = 8
SIZE = (1280, 720)


def ground(seed: int, softness: float = 0.0) -> Luma:
    """Shapes of all sizes with edges, larger than a picture."""
    rng = np.random.default_rng(seed)
    picture = np.full((SIZE[1] + 300, SIZE[0] + 300), 110, np.uint8)
    for _ in range(900):
        at = rng.integers(0, (picture.shape[1], picture.shape[0])).tolist()
        level, radius = int(rng.integers(30, 220)), int(rng.integers(3, 60))
        cv2.circle(picture, at, radius, level, -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(picture, (0, 0), softness) if softness else picture
    return soft  # type: ignore[return-value]


SHOTS = [ground(seed) for seed in range(3)]


def shot(seconds: float, picture: Luma = SHOTS[0], *, after_s: float = 0.0) -> Iterator[Luma]:
    first = round(after_s * RATE)
    for shift in range(first, first + round(seconds * RATE)):
        yield picture[shift : shift + SIZE[1], 2 * shift : 2 * shift + SIZE[0]]


def softened(pictures: Iterable[Luma], sigma: float) -> Iterator[Luma]:
    for picture in pictures:
        yield cv2.GaussianBlur(picture, (0, 0), sigma)  # type: ignore[misc]


def scaled_up(pictures: Iterable[Luma], factor: int) -> Iterator[Luma]:
    small = (SIZE[0] // factor, SIZE[1] // factor)
    for picture in pictures:
        shrunk = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
        yield cv2.resize(shrunk, SIZE, interpolation=cv2.INTER_CUBIC)  # type: ignore[misc]


def measure(*parts: Iterable[Luma]) -> list[Measurement]:
    meter, detector = PictureMeter(), BlurDetector(BlurParams())
    return [
        one
        for view in views(chain(*parts), rate=RATE)
        for one in detector.observe(meter.measure(view))
    ]


def bad_from(found: list[Measurement]) -> float | None:
    return next((one.start_s for one in found if one.verdict is Verdict.BAD), None)


def test_the_first_seconds_are_unknown() -> None:
    assert {one.verdict for one in measure(shot(2.0))} == {Verdict.UNKNOWN}


@pytest.mark.parametrize("sigma", [3.0, 6.0])
def test_blur_that_sets_in_is_found_where_it_is(sigma: float) -> None:
    found = measure(shot(8), softened(shot(6, after_s=8), sigma), shot(4, after_s=14))
    assert bad_from(found) == pytest.approx(8.0, abs=0.6)
    assert found[-1].verdict is Verdict.GOOD


def test_a_picture_that_was_scaled_up_is_found() -> None:
    assert bad_from(measure(shot(8), scaled_up(shot(6, after_s=8), 3))) == pytest.approx(
        8.0, abs=0.6
    )


def test_a_shot_that_loses_all_of_its_detail_is_found() -> None:
    found = measure(shot(6), softened(shot(4, after_s=6), 20.0))
    assert bad_from(found) == pytest.approx(6.0, abs=0.6)


def test_a_fade_is_no_blur() -> None:
    dim = ((16 + picture * 0.25).astype(np.uint8) for picture in shot(6, after_s=8))
    assert bad_from(measure(shot(8), dim)) is None


def test_a_soft_background_is_no_blur() -> None:
    def focused(picture: Luma) -> Luma:
        whole = cv2.GaussianBlur(picture, (0, 0), 8)
        whole[160:560, 400:880] = picture[160:560, 400:880]
        return whole  # type: ignore[return-value]

    assert bad_from(measure(shot(8), map(focused, shot(6, after_s=8)))) is None


def test_a_title_card_is_no_blur() -> None:
    card = np.full((SIZE[1], SIZE[0]), 30, np.uint8)
    cv2.putText(card, "A film by", (400, 380), cv2.FONT_HERSHEY_SIMPLEX, 3.0, 235, 4, cv2.LINE_AA)
    assert bad_from(measure(shot(8), [card] * 48)) is None


def test_a_grey_picture_is_unknown() -> None:
    assert {one.verdict for one in measure(flat(64, 120, *SIZE))} == {Verdict.UNKNOWN}


def test_a_soft_shot_is_no_blur() -> None:
    assert bad_from(measure(shot(8), shot(8, ground(1, softness=3.0)))) is None


def test_heavy_blur_that_outlasts_several_cuts_is_found() -> None:
    soft = (softened(shot(2, SHOTS[number % 3]), 5.0) for number in range(1, 7))
    assert bad_from(measure(shot(8), *soft)) is not None


def test_what_was_soft_from_the_beginning_is_no_blur() -> None:
    assert bad_from(measure(scaled_up(shot(12), 3))) is None


def test_blur_under_a_logo_that_stays_sharp_is_found() -> None:
    def with_logo(picture: Luma) -> Luma:
        shown = picture.copy()
        cv2.putText(shown, "TV", (1140, 90), cv2.FONT_HERSHEY_SIMPLEX, 2.0, 220, 5)
        return shown

    found = measure(map(with_logo, chain(shot(3), softened(shot(1.5, after_s=3), 4.0))))
    assert bad_from(found) == pytest.approx(3.0, abs=0.3)


def test_a_focus_pull_is_no_blur() -> None:
    def pulled(index: int, picture: Luma) -> Luma:
        sigma = max(0.1, min(4.0, index / RATE * 2.5))
        return cv2.GaussianBlur(picture, (0, 0), sigma)  # type: ignore[return-value]

    pull = (pulled(index, picture) for index, picture in enumerate(shot(3, after_s=3)))
    assert bad_from(measure(shot(3), pull)) is None


def test_a_blurred_stream_stays_so_behind_a_cut_and_gets_sharp_again() -> None:
    blurred = softened(chain(shot(2, after_s=3), shot(2, SHOTS[1])), 4.0)
    found = measure(shot(3), blurred, shot(2, SHOTS[1], after_s=2))
    verdicts = {round(one.start_s): one.verdict for one in found if one.start_s % 1 == 0}
    assert [verdicts[at_s] for at_s in (4, 5, 6, 8)] == [Verdict.BAD] * 3 + [Verdict.GOOD]


def test_a_dissolve_to_a_soft_shot_is_no_blur() -> None:
    sharp, soft = shot(8, after_s=3), shot(8, ground(1, softness=4.0))
    shares = (min(1.0, index / RATE / 0.5) for index in range(8 * RATE))
    dissolve = (
        cv2.addWeighted(one, 1 - share, other, share, 0)
        for share, one, other in zip(shares, sharp, soft, strict=True)
    )
    assert bad_from(measure(shot(3), dissolve)) is None  # type: ignore[arg-type]


def test_a_shot_of_lines_that_run_one_way_has_little_to_lose_in_the_other() -> None:
    bars = np.tile(np.array([40] * 9 + [200] * 9, np.uint8), (SIZE[1] + 300, 100))
    soft = ground(1, softness=6.0)
    lines: Luma = cv2.addWeighted(bars[:, : soft.shape[1]], 0.3, soft, 0.7, 0)  # type: ignore[assignment]
    found = measure(shot(3, lines), softened(shot(3, lines, after_s=3), 5.0))
    assert bad_from(found) == pytest.approx(3.0, abs=0.3)


def test_lines_that_run_one_way_only_can_be_blurred_and_cut_away() -> None:
    lines: Luma = np.tile(np.array([40] * 9 + [200] * 9, np.uint8), (SIZE[1] + 300, 120))
    found = measure(shot(3, lines), softened(shot(3, lines, after_s=3), 5.0), shot(4))
    assert bad_from(found) is not None
    assert found[-1].verdict is Verdict.GOOD


def test_blur_goes_on_over_cuts_and_ends_within_a_shot() -> None:
    blurred = (softened(shot(2, SHOTS[number % 3]), 4.0) for number in range(1, 4))
    back = shot(4, SHOTS[0], after_s=2)
    found = measure(shot(3), softened(shot(1, after_s=3), 4.0), *blurred, back)
    bad = [one.start_s for one in found if one.verdict is Verdict.BAD]
    assert bad[0] == pytest.approx(3.0, abs=0.3)
    assert all(one.verdict is Verdict.BAD for one in found if 4.0 <= one.start_s < 10.0)
    assert {one.verdict for one in found if one.start_s >= 11.5} == {Verdict.GOOD}
