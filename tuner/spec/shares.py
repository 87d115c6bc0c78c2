"""Shares of a whole, counted exactly: .55 of 100 is 55, where floats say 55.00000000000001.

A share means the decimal number that a person wrote, which is the shortest text of its float.
"""

from fractions import Fraction
from math import ceil, floor


def exact(number: float) -> Fraction:
    """The decimal number that a float is written as: 0.1 is a tenth."""
    return Fraction(repr(float(number)))


def nearest(share: float, whole: int) -> int:
    """The whole number nearest to a share of `whole`; of two that are as near, the even one."""
    return round(exact(share) * whole)


def at_least(share: float, whole: int) -> int:
    """The smallest whole number that is not less than a share of `whole`."""
    return ceil(exact(share) * whole)


def at_most(share: float, whole: int) -> int:
    """The largest whole number that is not more than a share of `whole`."""
    return floor(exact(share) * whole)
