"""Kubernetes quantities of bytes (``20Gi``) as integers, and back."""

import re
from decimal import ROUND_CEILING, Decimal

_SUFFIXES = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "Pi": 2**50,
}
_QUANTITY = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?)(?P<suffix>Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?")


def parse_bytes(quantity: str) -> int:
    """Bytes in ``quantity``, rounded up to a whole byte. Raises ``ValueError`` that quotes the offending text."""
    match = _QUANTITY.fullmatch(quantity)
    if match is None:
        raise ValueError(f"{quantity!r} is not a quantity of bytes: write a number with a suffix, such as 20Gi")
    exact = Decimal(match["number"]) * _SUFFIXES[match["suffix"] or ""]
    return int(exact.to_integral_value(rounding=ROUND_CEILING))


def format_bytes(size_bytes: int) -> str:
    """The shortest exact quantity for ``size_bytes``, in binary units."""
    for suffix in ("Pi", "Ti", "Gi", "Mi", "Ki"):
        if size_bytes and size_bytes % _SUFFIXES[suffix] == 0:
            return f"{size_bytes // _SUFFIXES[suffix]}{suffix}"
    return str(size_bytes)
