"""What was measured."""

from dataclasses import dataclass, field

from bench.scale.scenes import Created, Edits, Idle


@dataclass(frozen=True)
class Population:
    """StreamMonitors with their workers."""

    number: int
    created: Created
    ready_s: float
    """Until every one was Ready."""
    cpu_s: float
    """Of the operator, from the first creation until nothing was left to do."""
    writes: float
    """Of the operator, in the same time."""
    control_cpu_s: dict[str, float]
    """Of the other processes, from all being assigned until the same moment."""
    idle: Idle
    edits: Edits
    writes_per_incident: float
    restart_s: float
    restart_writes: float
    restart_memory_mib: float


@dataclass
class Results:
    """Everything."""

    races: dict[int, dict[str, list[Created]]] = field(default_factory=dict)
    loads: list[float] = field(default_factory=list)
    """The machine's load average of a minute, at the beginning and at the end."""
    populations: dict[int, Population] = field(default_factory=dict)
