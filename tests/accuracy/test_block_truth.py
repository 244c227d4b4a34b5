"""What the bench of blockCorruption takes for an event, and what it leaves open."""

from tests.accuracy.defects.block_corruption import AREA_RATIO, BENCH, episodes
from tests.accuracy.edits import Truth

RATE_HZ = 25.0
MUCH, LITTLE, NONE = (AREA_RATIO, True), (0.001, True), (0.0, False)


def done(first: int, variant: str = "live flip") -> Truth:
    return Truth(
        BENCH.defect, variant, False, first / RATE_HZ, (first + 5) / RATE_HZ, first, first + 5
    )


def spans(found: list[Truth]) -> list[tuple[int, int, bool]]:
    return [(one.first, one.end, one.neutral) for one in found]


def test_an_event_is_three_pictures_with_much_damage_and_the_rest_is_neutral() -> None:
    pictures = [NONE] * 10 + [LITTLE] * 4 + [MUCH] * 3 + [LITTLE] * 5 + [NONE] * 10
    found = episodes(pictures, [done(10)], RATE_HZ)
    assert spans(found) == [(10, 14, True), (14, 17, False), (17, 22, True)]
    assert {one.variant for one in found} == {"live flip"}


def test_two_pictures_are_no_event() -> None:
    pictures = [NONE] * 10 + [MUCH] * 2 + [LITTLE] * 5 + [NONE] * 10
    assert spans(episodes(pictures, [done(10)], RATE_HZ)) == [(10, 17, True)]


def test_what_left_nothing_to_be_seen_is_neutral() -> None:
    assert spans(episodes([NONE] * 30, [done(10)], RATE_HZ)) == [(10, 11, True)]


def test_damage_that_comes_again_soon_is_one_episode() -> None:
    pictures = [NONE] * 10 + [MUCH] * 5 + [NONE] * 20 + [MUCH] * 5 + [NONE] * 80 + [MUCH] * 5
    own = [done(10), done(35, "live slice"), done(120, "live ts")]
    found = [one for one in episodes(pictures, own, RATE_HZ) if not one.neutral]
    assert spans(found) == [(10, 40, False), (120, 125, False)]
    assert found[-1].variant == "live ts"
