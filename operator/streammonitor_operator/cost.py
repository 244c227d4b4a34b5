"""What a monitor costs a month: as workers, and as functions that hand frames over. Pure.

The second is the design that the workers replace: a media converter puts frames and buffers of
sound into an object store, each detector is a function that fetches them, and a workflow's state
transitions hold all of it together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from streammonitor_api.model import Model
from streammonitor_operator.quantities import parse_quantity

HOURS = 730
"""Of a month."""
SECONDS = HOURS * 3600
GIB = 2**30

Price = Annotated[float, Field(ge=0, le=1_000_000)]
Rate = Annotated[float, Field(ge=0, le=1000)]


class Prices(Model):
    """What things cost, in one currency. Built in: list prices of AWS, us-east-1, on demand."""

    currency: Annotated[str, Field(max_length=8)] = "USD"
    vcpu_hour: Price = 0.04048
    """A virtual CPU of a container, for an hour (Fargate, Linux, x86)."""
    gib_hour: Price = 0.004445
    """A GiB of its memory, for an hour."""
    transitions_per_1000: Price = 0.025
    """A thousand state transitions of a workflow (Step Functions, standard)."""
    puts_per_1000: Price = 0.005
    """A thousand writes to an object store (S3 standard)."""
    gets_per_1000: Price = 0.0004
    """A thousand reads from it."""
    function_gib_second: Price = 0.0000166667
    """A GiB of a function's memory, for a second (Lambda, x86)."""
    calls_per_million: Price = 0.20
    """A million calls of functions."""
    function_gib_per_vcpu: Annotated[float, Field(gt=0, le=100)] = 1.7275
    """As much memory a function has to have to be given a whole virtual CPU (1,769 MB)."""


class Design(Model):
    """How the functions hand over. Built in: what its operators reported of it, at the low end."""

    frames_per_second: Rate = 5.0
    """Pictures of each stream that are handed over."""
    buffers_per_second: Rate = 1.0
    """Buffers of its sound."""
    passes_per_object: Annotated[float, Field(ge=1, le=100)] = 3.5
    """Each is written once, and read as often as makes so many passes."""
    transitions_per_second: Rate = 4.0
    """State transitions for each stream."""


class Tariff(Model):
    """What users edit: a file of prices, and of what is assumed of the other design."""

    prices: Prices = Prices()
    functions: Design = Design()


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a bill.

    Attributes:
        what: What it is.
        amount: How much of it a month.
        unit: Of the amount.
        price: A month, in the currency.
    """

    what: str
    amount: float
    unit: str
    price: float


@dataclass(frozen=True, slots=True)
class Workers:
    """Workers of one size.

    Attributes:
        group: Their worker group.
        count: How many.
        cpu: Cores that each reserves.
        memory_bytes: Memory that each reserves.
    """

    group: str
    count: int
    cpu: float
    memory_bytes: float


def workers_of(group: str, count: int, requests: Mapping[str, object]) -> Workers:
    """Workers with the requests of their containers, as Kubernetes writes them."""
    cpu, memory = (parse_quantity(requests.get(key)) or Decimal(0) for key in ("cpu", "memory"))
    return Workers(group, count, float(cpu), float(memory))


def fleet_bill(fleet: Iterable[Workers], prices: Prices) -> list[Item]:
    """What workers reserve costs, a month."""
    bill = []
    for one in fleet:
        cores, gib = one.count * one.cpu, one.count * one.memory_bytes / GIB
        label = f"group {one.group}: {one.count} x {one.cpu:g} core"
        bill.append(Item(label, cores * HOURS, "core hours", cores * HOURS * prices.vcpu_hour))
        label = f"group {one.group}: {one.count} x {one.memory_bytes / GIB:.3g} GiB"
        bill.append(Item(label, gib * HOURS, "GiB hours", gib * HOURS * prices.gib_hour))
    return bill


def functions_bill(streams: int, cores: float, design: Design, prices: Prices) -> list[Item]:
    """What the same work costs as functions, a month.

    Args:
        streams: How many streams.
        cores: Cores that decoding and detecting take, as for workers.
        design: How they hand over.
        prices: What things cost.
    """
    objects = streams * (design.frames_per_second + design.buffers_per_second) * SECONDS
    transitions = streams * design.transitions_per_second * SECONDS
    reads = objects * (design.passes_per_object - 1)
    gib_s = cores * SECONDS * prices.function_gib_per_vcpu
    return [
        Item("state transitions", transitions, "", transitions / 1e3 * prices.transitions_per_1000),
        Item("objects written", objects, "", objects / 1e3 * prices.puts_per_1000),
        Item("objects read", reads, "", reads / 1e3 * prices.gets_per_1000),
        Item("function calls", reads, "", reads / 1e6 * prices.calls_per_million),
        Item("function time", gib_s, "GiB seconds", gib_s * prices.function_gib_second),
    ]


def total(bill: Iterable[Item]) -> float:
    """Of a bill."""
    return sum(item.price for item in bill)


def sensitivity(design: Design) -> list[Design]:
    """The same design, cheaper and dearer in each of what is assumed of it."""
    return [
        design.model_copy(update=change)
        for change in (
            {"frames_per_second": 1.0},
            {"frames_per_second": 25.0},
            {"passes_per_object": 3.0},
            {"passes_per_object": 4.0},
            {"transitions_per_second": 1.0},
            {"transitions_per_second": 10.0},
        )
    ]
