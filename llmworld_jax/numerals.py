"""Real numbers as fixed-width positional numerals: pure mathematics, no tokens.

A range [low, high) is cut into ``base ** precision`` equal bins. The *code* of a number is the index of
its bin, and the numeral is that code written with ``precision`` digits, zero-padded, most significant
first: truncation, not rounding, as in Liu et al. (arXiv 2402.00795).
"""

import operator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float64, Int64, Num
from numpy.typing import ArrayLike

from .errors import InputError

Reals = ArrayLike | float | int  # for run-time checkers, to which ArrayLike's complex excludes floats

_TOLERANCE = 1e-9  # bins: 0.15 * 100 is 15 although 15 * 0.01 need not be, and 0.29 * 100 is 28.999...


@dataclass(frozen=True)
class Numerals:
    """Fixed-width positional numerals on [low, high).

    code(x) = floor((x - low) / (high - low) * base**precision + tolerance)

    The tolerance is 1e-9 bins, or the rounding error of float64 where that is larger (fine bins far from
    zero), so that every edge of the grid is coded as the bin above it. Values are read as float64: a
    float32 0.29 is 0.28999999..., and is coded as such.

    A chain of n symbols is ``Numerals(precision=1, low=0, high=n, base=n)``.

    Raises InputError unless 1 <= precision <= 9, 2 <= base <= 10, both ends are finite, low < high, and the
    bins are wider than float64 can resolve there.
    """

    precision: int
    low: float | int
    high: float | int
    base: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", _whole(self.precision, "precision", 1, 9))
        object.__setattr__(self, "base", _whole(self.base, "base", 2, 10))
        low, high = (float(_float64(end, "a range")) for end in (self.low, self.high))
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)
        if not (np.isfinite([low, high]).all() and low < high and np.isfinite(high - low)):
            raise InputError(f"the range [{low}, {high})", "two finite ends, low < high", "Give a range")
        if not self._tolerance < 1 / 16:
            raise InputError(
                f"{self.num_bins} bins on [{low}, {high}), each {self.bin_width:.3g} wide",
                "bins that float64 tells apart",
                "Lower the precision, widen the range or subtract an offset from the values",
            )

    @property
    def num_bins(self) -> int:
        return self.base**self.precision

    @property
    def bin_width(self) -> float:
        return (self.high - self.low) / self.num_bins

    @property
    def _tolerance(self) -> float:
        rounding = 8 * float(np.finfo(np.float64).eps) * max(abs(self.low), abs(self.high))
        return max(_TOLERANCE, rounding / self.bin_width) if self.bin_width > 0 else np.inf

    def encode(self, values: Reals) -> Int64[np.ndarray, "..."]:
        """Code of each value, of the same shape.

        Raises InputError naming the first value that is not a finite number in [low, high).
        """
        x = _float64(values, "values")
        _refuse(
            ~((x >= self.low) & (x < self.high)),
            x,
            f"finite values in [{self.low}, {self.high})",
            "Widen the range or leave these values out",
        )
        bins = np.floor((x - self.low) / (self.high - self.low) * self.num_bins + self._tolerance)
        return np.asarray(np.minimum(bins, self.num_bins - 1), dtype=np.int64)  # a value just below high

    def decode(self, codes: Reals) -> Float64[np.ndarray, "..."]:
        """Centre of each code's bin: within half a bin of what was encoded."""
        share = (self._checked(codes) + 0.5) / self.num_bins
        return np.asarray(self.low + (self.high - self.low) * share)

    def edges(self, places: int | None = None) -> Float64[np.ndarray, " edge"]:
        """The ``base**places + 1`` ascending edges of the grid of the first ``places`` digits (all)."""
        places = self.precision if places is None else _whole(places, "places", 0, self.precision)
        num_bins = self.base**places
        edges = self.low + (self.high - self.low) * np.arange(num_bins + 1) / num_bins
        edges[-1] = self.high
        return edges

    def digits(self, codes: Reals) -> Int64[np.ndarray, "... digit"]:
        """The ``precision`` digits of each code, most significant first."""
        return self._checked(codes)[..., None] // self._place_values % self.base

    def codes(self, digits: Reals) -> Int64[np.ndarray, "..."]:
        """Inverse of ``digits``."""
        d = _int64(digits, "digits")
        if d.ndim == 0 or d.shape[-1] != self.precision:
            raise InputError(f"digits of shape {d.shape}", f"a last axis of {self.precision}", "Give one per place")
        _refuse((d < 0) | (d >= self.base), d, f"digits 0..{self.base - 1}", "Use the base they were made with")
        return np.asarray(d @ self._place_values, dtype=np.int64)

    @property
    def _place_values(self) -> Int64[np.ndarray, " digit"]:
        return self.base ** np.arange(self.precision - 1, -1, -1, dtype=np.int64)

    def _checked(self, codes: Reals) -> Int64[np.ndarray, "..."]:
        c = _int64(codes, "codes")
        outside = (c < 0) | (c >= self.num_bins)
        _refuse(outside, c, f"codes 0..{self.num_bins - 1}", "Make them with encode of the same numerals")
        return c


def rescaled(
    series: Reals,
    precision: int,
    *,
    margin: tuple[float, float] = (0.15, 0.85),
    warmup: int | None = None,
) -> Numerals:
    """Numerals whose range puts the minimum and maximum of a series [time] at ``margin``.

    v = m0 + (m1 - m0) (x - min) / (max - min),  numerals of v on [0, 1)

    With ``warmup=None`` the extremes are those of the whole series, as in Liu et al.; early numbers then
    know how far later ones will go. With ``warmup=n`` they are those of the first n values: causal, at
    the price that a later value may leave the range, which is refused.

    Raises InputError for an empty, one-value, constant or non-finite series, for a margin that is not
    0 <= m0 < m1 < 1, for a warm-up outside 2..len(series), and for a value outside [low, high).
    """
    x = _float64(series, "a series")
    if x.ndim != 1 or x.size < 2:
        raise InputError(f"a series of shape {x.shape}", "one axis, two or more values", "Give a longer series")
    _refuse(~np.isfinite(x), x, "a finite series", "Remove or fill these values first")
    if not 0 <= margin[0] < margin[1] < 1:
        raise InputError(f"margin {margin}", "0 <= m0 < m1 < 1", "Use (0.15, 0.85)")
    seen = x if warmup is None else x[: _whole(warmup, "warmup", 2, x.size)]
    least, most = seen.min(), seen.max()
    if least == most:
        what = "a series" if warmup is None else f"a warm-up of {warmup} values"
        raise InputError(
            f"{what} that is {least} throughout",
            "at least two different values",
            "Choose the range yourself: Numerals(precision, low, high)",
        )
    width = (most - least) / (margin[1] - margin[0])
    low = least - margin[0] * width
    numerals = Numerals(precision, float(low), float(low + width))
    _refuse(
        (x < numerals.low) | (x >= numerals.high),
        x,
        f"values in [{numerals.low}, {numerals.high}), the range set by the first {seen.size} values",
        "Use a longer warm-up, a wider margin such as (0.3, 0.7), or warmup=None",
    )
    return numerals


def display_units(numerals: Numerals, x: Num[Array | np.ndarray, "..."] | float) -> Array | np.ndarray | float:
    """u = 10 (x - low) / (high - low), so that a number's first digit is the whole part of u (base 10)."""
    return 10.0 * (x - numerals.low) / (numerals.high - numerals.low)


def _whole(value, name: str, least: int, most: int) -> int:
    try:
        whole = operator.index(value)
    except TypeError:
        whole = None
    if whole is None or isinstance(value, bool) or not least <= whole <= most:
        raise InputError(f"{name} {value!r}", f"a whole number {least}..{most}", f"Choose another {name}")
    return whole


def _float64(values: Reals, name: str) -> Float64[np.ndarray, "..."]:
    try:
        raw = np.asarray(values)
        if raw.dtype.kind in "cSUOMm":
            raise TypeError
        return raw.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} {values!r:.60}", "real numbers in a rectangular array", "Convert them") from None


def _int64(values: Reals, name: str) -> Int64[np.ndarray, "..."]:
    whole = np.asarray(values)
    if whole.dtype.kind not in "iu" and whole.size:
        raise InputError(f"{name} of type {whole.dtype}", "whole numbers", "Convert them to an integer type")
    return whole.astype(np.int64)


def _refuse(bad: np.ndarray | np.bool_, values: np.ndarray, expected: str, remedy: str) -> None:
    """Raise naming how many values are bad and the first of them."""
    if not bad.any():
        return
    first = tuple(int(i) for i in np.argwhere(bad)[0])
    where = f" at index {first[0] if len(first) == 1 else first}" if first else ""
    got = f"{int(bad.sum())} of {values.size} values unusable, the first {values[first].item()!r}{where}"
    raise InputError(got, expected, remedy)
