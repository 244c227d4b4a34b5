"""docs/parameters.md shows what the product says."""

from pathlib import Path

import pytest

from dev.gen.explained import explained

PAGE = Path(__file__).resolve().parents[3] / "docs" / "parameters.md"


def test_the_example_is_valid_and_what_is_said_of_it_is_true() -> None:
    page = PAGE.read_text()
    assert explained(page) == page


def test_what_is_said_follows_the_example() -> None:
    page = PAGE.read_text().replace("black: {threshold: 0.15}", "black: {threshold: 0.17}")
    rows = [line.split() for line in explained(page).splitlines()]
    assert ["black", "threshold", "0.17", "ratio", "stream", "0", "to", "0.5"] in rows


def test_a_page_without_its_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks an example"):
        explained("# Nothing\n")
