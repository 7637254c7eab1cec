"""Maps values to pixels and chooses round tick marks. No drawing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """One axis.

    Attributes:
        low, high: values at its ends.
        ticks: values that get a mark.
        transform: makes values linear; identity, logarithm, nines of a percentile.
        label: how a tick is written.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    transform: Callable[[float], float]
    label: Callable[[float], str]

    def at(self, value: float, first: float, last: float) -> float:
        """Pixel of a value between the pixels of the two ends; values beyond them are held there."""
        begin, end = self.transform(self.low), self.transform(self.high)
        share = (self.transform(min(max(value, self.low), self.high)) - begin) / ((end - begin) or 1.0)
        return first + share * (last - first)


def number(value: float) -> str:
    """A tick's value, short."""
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:g}"


def linear(values: Sequence[float], *, zero: bool = True) -> Scale:
    """A scale with about five round ticks around the values."""
    high = max(values, default=1.0) or 1.0
    low = 0.0 if zero else min(values, default=0.0)
    step = _round_step((high - low or 1.0) / 5)
    first, last = math.floor(low / step), math.ceil(high / step - 1e-9)
    ticks = tuple(round(step * n, 10) for n in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks, lambda value: value, number)


def logarithmic(values: Sequence[float]) -> Scale:
    """A scale with ticks at 1, 2 and 5 of each decade around the positive values."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = min(positive), max(positive)
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    marks = [round(digit * 10.0**decade, 10) for decade in decades for digit in (1, 2, 5)]
    low = max((mark for mark in marks if mark <= low), default=low)
    high = min((mark for mark in marks if mark >= high and mark > low), default=high)
    ticks = tuple(mark for mark in marks if low <= mark <= high)
    return Scale(low, high, ticks, lambda value: math.log10(max(value, 1e-9)), number)


def nines(highest: float = 99.99) -> Scale:
    """A scale of percentiles on which 90, 99 and 99.9 are equally far apart."""
    ticks = tuple(tick for tick in (0.0, 50.0, 90.0, 95.0, 99.0, 99.9, 99.99) if tick <= highest)
    return Scale(0.0, highest, ticks, lambda value: -math.log10(1.0 - min(value, 99.999) / 100.0), lambda v: f"p{v:g}")


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough - 1e-12)
