"""How the workers of a group are replaced when its pods are to be others."""

from typing import Annotated

from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_api.model import Model

CANARY_S = (0.0, 3600.0)
"""The least and the greatest time that the first clone is watched."""
DEADLINE_S = (30.0, 3600.0)
"""The least and the greatest time that clones have to get ready."""
DEFAULT_CANARY_S = 60.0
DEFAULT_DEADLINE_S = 600.0
DEFAULT_MAX_SLOWDOWN = 0.5


class Rollout(Model):
    """How a changed template, worker image or set of Secrets reaches the workers of a group."""

    max_surge: Annotated[int, Field(ge=1, le=500)] | None = None
    """How many workers are replaced at a time, once the first clone has proved itself.
    Default: a quarter of them, at least one."""
    canary: Annotated[Duration, Field(ge=CANARY_S[0], le=CANARY_S[1])] | None = None
    """How long the first clone follows the streams of the worker that it is to replace, beside it
    and silently, before it takes them over; 0s: not at all. What is shorter than 40s is too short
    to see that a clone is slower. Default: 1m."""
    max_slowdown: Annotated[float, Field(ge=0.1, le=10)] | None = None
    """How much more CPU time than its worker the first clone may take for the same streams, or how
    much less of them it may analyse in the same time: 0.5 is half as much again. Default: 0.5."""
    deadline: Annotated[Duration, Field(ge=DEADLINE_S[0], le=DEADLINE_S[1])] | None = None
    """A roll-out that gets no further for so long, as while clones have no node, is reverted.
    Default: 10m."""

    @property
    def canary_s(self) -> float:
        """How long the first clone is watched."""
        return DEFAULT_CANARY_S if self.canary is None else self.canary

    @property
    def deadline_s(self) -> float:
        """How long clones have to get ready."""
        return DEFAULT_DEADLINE_S if self.deadline is None else self.deadline

    @property
    def tolerated_slowdown(self) -> float:
        """How much slower a clone may be, as a ratio."""
        return DEFAULT_MAX_SLOWDOWN if self.max_slowdown is None else self.max_slowdown
