"""How a picture came to a halt, and what goes on over it."""

from itertools import chain

import numpy as np
import pytest

from streammonitor_worker.box import Box
from streammonitor_worker.measures.halt import Glimpse, Halt, Halted, Recent
from streammonitor_worker.measures.overlay import Frame, grown, largest_outside
from tests.contract.material import Luma, hold, pan, scene

WIDTH, HEIGHT = 160, 88
SHOWN = np.full((HEIGHT, WIDTH), 255, np.uint8)
WHOLE = Frame(Box(0, 0, 160, 100), 100, 160)


def halted(moving: list[Luma], standing: list[Luma], rate: float = 25.0) -> Halt:
    """The halt of pictures all of which moved up to the last of the first ones."""
    recent = Recent()
    for index, picture in enumerate(chain(moving, standing)):
        glimpse = Glimpse(index / rate, 0.0, picture, key_frame=False)
        if index < len(moving):
            recent.restart(glimpse)
        else:
            recent.add(glimpse)
    return recent.halt(SHOWN)


def motion(count: int, seed: int = 0) -> list[Luma]:
    return list(pan(count, WIDTH, HEIGHT, seed=seed))


def hold_list(picture: Luma) -> list[Luma]:
    return list(hold(picture, 12))


def dim(pictures: list[Luma]) -> list[Luma]:
    return [(16 + (one - 16.0) * 0.03).astype(np.uint8) for one in pictures]


@pytest.mark.parametrize("rate", [10.0, 25.0, 50.0])
def test_what_moved_and_stands_has_stopped_at_its_first_picture(rate: float) -> None:
    moving = motion(40)
    found = halted(moving, [moving[-1]] * 12, rate)
    assert found.kind is Halted.STOPPED
    assert found.start.time_s == pytest.approx(39 / rate)
    assert found.stopped_ratio > 0.9


def test_the_start_is_before_what_an_encoder_refined() -> None:
    moving = motion(40)
    coarse = [np.clip(moving[-1] + np.uint8(step), 0, 255) for step in (6, 5, 3, 1)]
    found = halted([*moving, *coarse[1:]], [moving[-1]] * 12)
    assert found.kind is Halted.STOPPED
    assert found.start.time_s == pytest.approx(39 / 25, abs=0.041)


def test_what_a_cut_brought_is_a_still() -> None:
    card = scene(WIDTH, HEIGHT, seed=7)[:HEIGHT, :WIDTH]
    slow = [motion(40)[0][:, :]] * 30
    found = halted([*slow, card], [card] * 12)
    assert found.kind is Halted.STILL
    assert found.start.time_s == pytest.approx(30 / 25)


def test_a_flash_just_before_is_no_cut() -> None:
    moving = motion(40)
    for index in (20, 21, 22, 36, 37, 38):
        moving[index] = moving[index] // 2 + np.uint8(120)
    found = halted(moving, [moving[-1]] * 12)
    assert found.kind is Halted.STOPPED
    assert found.start.time_s == pytest.approx(39 / 25)


def test_a_shot_between_two_others_is_no_flash_though_it_is_brighter() -> None:
    bright = [one // 2 + np.uint8(120) for one in motion(10, seed=4)]
    card = motion(1, seed=9)[0]
    found = halted([*motion(20), *bright, card], hold_list(card))
    assert found.kind is Halted.STILL
    assert found.start.time_s == pytest.approx(30 / 25)


def test_what_moves_for_a_moment_after_a_cut_and_stands_has_stopped() -> None:
    found = halted([*motion(30), *motion(6, seed=5)], hold_list(motion(6, seed=5)[-1]))
    assert found.kind is Halted.STOPPED
    assert found.start.time_s == pytest.approx(35 / 25)


def test_a_small_thing_that_goes_on_when_the_camera_rests_is_motion() -> None:
    moving = motion(30)
    for index in range(15):
        drawn = moving[29].copy()
        drawn[40:52, 4 * index : 4 * index + 12] = 235
        moving.append(drawn)
    found = halted(moving, hold_list(moving[-1]))
    assert found.kind is Halted.STOPPED
    assert found.start.time_s == pytest.approx(44 / 25)


def test_two_pictures_can_be_judged() -> None:
    first, second = motion(2)
    assert halted([first, second], []).kind is Halted.STILL


def test_the_first_pictures_of_all_are_a_still() -> None:
    (card,) = motion(1)
    assert halted([card], [card] * 12).kind is Halted.STILL


def test_what_goes_on_as_before_moves() -> None:
    pictures = dim(motion(60))
    assert halted(pictures[:45], pictures[45:]).kind is Halted.MOVING


def test_one_small_thing_that_stopped_is_enough() -> None:
    ground = np.full((HEIGHT, WIDTH), 90, np.uint8)
    pictures = []
    for index in range(40):
        drawn = ground.copy()
        drawn[40:48, 2 * index : 2 * index + 8] = 200
        pictures.append(drawn)
    found = halted(pictures, [pictures[-1]] * 12)
    assert found.kind is Halted.STOPPED
    assert 0.0 < found.stopped_ratio < 0.15
    assert found.start.time_s == pytest.approx(39 / 25)


def test_only_what_is_shown_counts() -> None:
    moving = motion(40)
    recent = Recent()
    for index, picture in enumerate(chain(moving, hold(moving[-1], 12))):
        drawn = np.full((HEIGHT, WIDTH), 90, np.uint8)
        drawn[60:] = picture[60:]
        glimpse = Glimpse(index / 25, 0.0, drawn, key_frame=False)
        if index < len(moving):
            recent.restart(glimpse)
        else:
            recent.add(glimpse)
    shown = SHOWN.copy()
    shown[60:] = 0
    assert recent.halt(SHOWN).kind is Halted.STOPPED
    assert recent.halt(shown).kind is Halted.STILL


def test_an_overlay_grows_along_the_edges_only() -> None:
    changes = np.zeros((10, 16))
    changes[9, 12:15] = 0.3
    overlay = grown(None, changes, 0.1, WHOLE, 0.15)
    assert overlay is not None
    assert np.argwhere(overlay).tolist() == [[9, 12], [9, 13], [9, 14]]
    assert largest_outside(changes, overlay) == 0.0
    changes[5, 8] = 0.2
    assert grown(overlay, changes, 0.1, WHOLE, 0.15) is None
    assert largest_outside(changes, overlay) == pytest.approx(0.2)


def test_an_overlay_has_a_largest_size() -> None:
    changes = np.zeros((10, 16))
    changes[8:] = 0.3
    assert grown(None, changes, 0.1, WHOLE, 0.15) is None
    assert grown(None, changes, 0.1, WHOLE, 0.2) is not None


def test_an_overlay_may_lie_in_the_bars() -> None:
    boxed = Frame(Box(0, 20, 160, 80), 100, 160)
    content = boxed.content(10, 16)
    assert content.any(axis=1).tolist() == [False] * 3 + [True] * 3 + [False] * 4


def test_the_pixels_shown_lie_in_the_active_picture_beside_the_overlay() -> None:
    overlay = np.zeros((10, 16), np.bool_)
    overlay[7, 0] = True
    shown = Frame(Box(0, 20, 160, 80), 100, 160).pixels(50, 80, overlay)
    assert np.count_nonzero(shown) == 30 * 80 - 25
    assert not shown[35:40, :5].any()
