"""What a user declares of a model."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Layout(StrEnum):
    """The order of a model's input: pictures, channels, height, width."""

    NCHW = "nchw"
    NHWC = "nhwc"


@dataclass(frozen=True, slots=True)
class Declared:
    """What a user declares of a model's file, its input and its output.

    Attributes:
        file: Path below the folder of models.
        width_px: Width of its input.
        height_px: Height of its input.
        channels: Channels of its input: 3, or 1 for grey.
        layout: Order of its input.
        output: Name of the output with the scores; empty for the first.
    """

    file: str
    width_px: int
    height_px: int
    channels: int
    layout: Layout
    output: str

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of its input."""
        if self.layout is Layout.NCHW:
            return 1, self.channels, self.height_px, self.width_px
        return 1, self.height_px, self.width_px, self.channels

    def to_json_object(self) -> dict[str, Any]:
        """For another process."""
        return asdict(self)

    @classmethod
    def of(cls, document: dict[str, Any]) -> "Declared":
        """What `to_json_object` returned."""
        return cls(**{**document, "layout": Layout(document["layout"])})
