"""Regions: which part of the picture is looked at, and which parts of it are ignored.

Everything is a ratio of the picture as it is decoded, so that another variant of the same stream
needs no other regions. The corner is called left and top, not x and y: YAML 1.1, which kubectl
reads, takes a plain `y` for true.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import Field, StringConstraints

from streammonitor_api.model import Model

MIN_SIDE = 0.001
"""Width and height of a region are at least this share of the picture."""
ROUNDING = 1e-6
"""What sums of ratios may be off: 0.7 + 0.3 is a hair more than 1 in binary."""

Position = Annotated[float, Field(ge=0.0, le=1.0)]
Side = Annotated[float, Field(ge=MIN_SIDE, le=1.0)]


class Region(Model):
    """A rectangle, as ratios of the picture."""

    left: Position
    """Its left edge, as a share of the picture's width. From 0 to 1."""
    top: Position
    """Its upper edge, as a share of the picture's height. From 0 to 1."""
    width: Side
    """Its width, as a share of the picture's width. From 0.001 to 1."""
    height: Side
    """Its height, as a share of the picture's height. From 0.001 to 1."""

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.top + self.height


class IgnoreRegion(Region):
    """A rectangle that is not looked at, as ratios of the picture."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=63)] | None = None
    """What is there, as in clock. Default: none."""


def region_faults(region: Region | None, ignored: Sequence[IgnoreRegion]) -> Iterator[str]:
    """Yield what is wrong with the regions of a stream: field, values and remedy.

    >>> list(region_faults(Region(left=0.5, top=0, width=0.6, height=1), []))
    ['region reaches beyond the picture (left 0.5 + width 0.6 is more than 1): make it smaller']
    """
    named = [("region", region)] if region else []
    for number, one in enumerate(ignored):
        named.append((f"ignoreRegions[{number}]{f' ({one.name})' if one.name else ''}", one))
    faults = [text for name, one in named for text in _beyond(name, one)]
    yield from faults
    if not faults and not _leaves_anything(region, ignored):
        yield (
            f"ignoreRegions leave nothing of the {'region' if region else 'picture'}: make them "
            "smaller, or take the picture detectors off the stream"
        )


def _beyond(name: str, one: Region) -> Iterator[str]:
    for start, side, words in (
        (one.left, one.width, ("left", "width")),
        (one.top, one.height, ("top", "height")),
    ):
        if start + side > 1.0 + ROUNDING:
            yield (
                f"{name} reaches beyond the picture ({words[0]} {start:g} + {words[1]} {side:g} "
                "is more than 1): make it smaller"
            )


def _leaves_anything(region: Region | None, ignored: Sequence[IgnoreRegion]) -> bool:
    """Whether some column between the edges of all rectangles has a gap."""
    whole = region or Region(left=0.0, top=0.0, width=1.0, height=1.0)
    edges = {edge for one in ignored for edge in (one.left, one.right)}
    inner = sorted({whole.left, whole.right, *(e for e in edges if whole.left < e < whole.right)})
    # Slivers are what rounding leaves between rectangles that adjoin.
    columns = [(low + high) / 2 for low, high in pairwise(inner) if high - low > ROUNDING]
    return any(
        _has_gap(
            whole.top,
            whole.bottom,
            sorted((one.top, one.bottom) for one in ignored if one.left <= x <= one.right),
        )
        for x in columns
    )


def _has_gap(low: float, high: float, spans: Iterable[tuple[float, float]]) -> bool:
    """Whether spans, in order of their starts, leave something of a range."""
    for start, end in spans:
        if start > low + ROUNDING:
            break
        low = max(low, end)
    return low < high - ROUNDING
