"""Decimal arithmetic that is the same whatever a pipeline file did to the decimal module.

`decimal.getcontext().prec = 5` at the top of a pipeline file is for everything in the process, the tables of noise among it. So what needs
decimals here works in a context of its own, of which nothing is taken from the one it stands in: precision, rounding, range and traps.
What can do with fractions needs none.
"""

from __future__ import annotations

import decimal
from contextlib import AbstractContextManager

_TRAPS = [decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]


def exact_decimals(digits: int) -> AbstractContextManager[decimal.Context]:
    """Decimals of so many digits, rounded to the nearest (half to even), within the block."""
    return decimal.localcontext(
        decimal.Context(
            digits, decimal.ROUND_HALF_EVEN, decimal.MIN_EMIN, decimal.MAX_EMAX, capitals=1, clamp=0, flags=[], traps=_TRAPS
        )
    )
