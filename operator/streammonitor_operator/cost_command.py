"""`streammonitor cost`: what a StreamMonitor costs a month, as workers and as functions."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import ValidationError

from streammonitor_api.model import unknown_keys
from streammonitor_api.spec import Template, WorkerGroup
from streammonitor_operator.cost import (
    Item,
    Tariff,
    Workers,
    fleet_bill,
    functions_bill,
    sensitivity,
    total,
    workers_of,
)
from streammonitor_operator.desk import (
    AsOutput,
    Context,
    File,
    Namespace,
    Output,
    Subject,
    console,
    fail,
    subject,
    table,
)
from streammonitor_operator.monitors import first_fault
from streammonitor_operator.preview import Action, preview
from streammonitor_operator.settings import WorkerSettings
from streammonitor_operator.specs.deployment import resources_of

SCHEMA_VERSION = 1
_ESTIMATED = (
    "No cluster was asked: each stream is taken to need a quarter of a core. Name its namespace "
    "with -n to count with what was measured."
)


def cost_command(
    file: File,
    context: Context = None,
    namespace: Namespace = None,
    *,
    tariff: Annotated[
        Path | None,
        typer.Option("--prices", help="Prices and assumptions, as --print-prices writes them."),
    ] = None,
    print_prices: Annotated[
        bool, typer.Option("--print-prices", help="Write those that are built in, and end.")
    ] = False,
    output: AsOutput = Output.TEXT,
) -> None:
    """Price a StreamMonitor, a month: as workers, and as functions that hand frames over."""
    if print_prices:
        typer.echo(yaml.safe_dump(Tariff().model_dump(by_alias=True), sort_keys=False), nl=False)
        return
    rates = Tariff() if tariff is None else _tariff(tariff)
    about = subject(file, context, namespace)
    found = document(about, rates)
    if output is Output.JSON:
        typer.echo(json.dumps(found, indent=1))
    else:
        _print(found, rates.prices.currency)


def document(about: Subject, rates: Tariff) -> dict[str, Any]:
    """What it costs, for programs."""
    planned = preview(about.name, about.spec, about.present)
    kept = [one for one in planned.workers if one.action is not Action.REMOVE]
    cores = sum(one.load_m for one in kept) / 1000
    streams = len({stream for one in kept for stream in one.streams})
    fleet = fleet_bill(_fleet(about, Counter(one.group for one in kept)), rates.prices)
    functions = functions_bill(streams, cores, rates.functions, rates.prices)
    return {
        "schemaVersion": SCHEMA_VERSION,
        "monitor": about.name,
        "live": about.live,
        "currency": rates.prices.currency,
        "streams": streams,
        "cores": round(cores, 3),
        "workers": _bill(fleet),
        "functions": _bill(functions),
        "reductionRatio": _reduction(total(fleet), total(functions)),
        "sensitivity": [
            {
                **one.model_dump(by_alias=True),
                "total": round(total(functions_bill(streams, cores, one, rates.prices)), 2),
            }
            for one in (rates.functions, *sensitivity(rates.functions))
        ],
        "notes": [] if about.live else [_ESTIMATED],
    }


def _fleet(about: Subject, counts: Counter[str]) -> list[Workers]:
    groups = {group.name: group for group in about.spec.groups}
    return [
        workers_of(name, count, _requests(groups[name]))
        for name, count in sorted(counts.items())
        if name in groups
    ]


def _requests(group: WorkerGroup) -> Mapping[str, object]:
    """What each of its workers reserves; what the group does not say is as built in."""
    template = group.template or Template()
    requests: Mapping[str, object] = resources_of(template, WorkerSettings(""))["requests"]
    return requests


def _bill(items: list[Item]) -> dict[str, Any]:
    return {
        "total": round(total(items), 2),
        "items": [
            {"what": one.what, "amount": round(one.amount), "unit": one.unit,
             "price": round(one.price, 2)}
            for one in items
        ],
    }  # fmt: skip


def _reduction(fleet: float, functions: float) -> float | None:
    """By which share workers are cheaper; None where functions cost nothing."""
    return round(1 - fleet / functions, 4) if functions else None


def _tariff(file: Path) -> Tariff:
    try:
        read = Tariff.model_validate(yaml.safe_load(file.read_text()) or {})
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fail(f"{file} is no YAML: {' '.join(str(error).split())}")
    except ValidationError as error:
        fail(f"{file}: {first_fault(error)}")
    for key in unknown_keys(read):
        fail(f"{file}: {key} is not known: write it as --print-prices does")
    return read


def _print(found: dict[str, Any], currency: str) -> None:
    screen = console()
    for note in found["notes"]:
        screen.print(note, end="\n\n")
    for title, key in (("as workers", "workers"), ("as functions", "functions")):
        bill = table(title, "a month", currency)
        for item in found[key]["items"]:
            amount = f"{item['amount']:,} {item['unit']}".strip()
            bill.add_row(item["what"], amount, f"{item['price']:,.2f}")
        bill.add_row("total", "", f"{found[key]['total']:,.2f}", style="bold")
        screen.print(bill, end="\n\n")
    assumed = table(
        "frames/s", "passes", "transitions/s", f"as functions, {currency}", "cheaper by"
    )
    for one in found["sensitivity"]:
        reduction = _reduction(found["workers"]["total"], one["total"])
        assumed.add_row(
            f"{one['framesPerSecond']:g}",
            f"{one['passesPerObject']:g}",
            f"{one['transitionsPerSecond']:g}",
            f"{one['total']:,.2f}",
            "" if reduction is None else f"{reduction:.1%}",
        )
    screen.print(assumed, end="\n\n")
    screen.print(_summary(found, currency))


def _summary(found: dict[str, Any], currency: str) -> str:
    streams, fleet = found["streams"], found["workers"]["total"]
    each = fleet / streams if streams else 0.0
    text = f"{streams} streams for {fleet:,.2f} {currency} a month, {each:,.2f} each"
    if found["reductionRatio"] is None:
        return f"{text}."
    return f"{text}; {found['reductionRatio']:.1%} less than as functions."
