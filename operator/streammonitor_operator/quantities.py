"""Kubernetes quantities, as in 500m or 2Gi."""

import re
from decimal import Decimal

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
}  # fmt: skip
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(n|u|m|k|M|G|T|Ki|Mi|Gi|Ti)?")


def parse_quantity(value: object) -> Decimal | None:
    """A quantity as a number; None if it is none. The API writes 0.2 as 200m.

    >>> parse_quantity("200m") == parse_quantity("0.2")
    True
    """
    match = _QUANTITY.fullmatch(str(value)) if isinstance(value, str | int) else None
    return Decimal(match[1]) * _SUFFIXES[match[2] or ""] if match else None
