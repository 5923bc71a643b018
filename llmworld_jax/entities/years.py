"""Dates and years as text, to fractional years and to labels of the decade and the century."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_DATE = re.compile(r"([-+]?[0-9]{1,5}-[0-9]{2}(?:-[0-9]{2})?)(?:[T ].*)?")
DAYS_PER_YEAR = 365.25
EPOCH = 1970


class Years(NamedTuple):
    """Points of time, NaN where the text is none."""

    #: Years, with their fraction: what a probe is to predict.
    fractional: Float[np.ndarray, " entity"]
    #: The year of the calendar that it falls into.
    calendar: Float[np.ndarray, " entity"]


def number(text: str) -> float:
    """A finite decimal number in ASCII; NaN for anything else ("1_000", "1,000", "nan" and "inf" too)."""
    value = float(text) if _NUMBER.fullmatch(text) else np.nan
    return value if np.isfinite(value) else np.nan


def is_date(text: str) -> bool:
    """Whether a text has the form of an ISO date, with or without a time of the day."""
    return _DATE.fullmatch(text) is not None


def years(texts: Sequence[str]) -> Years:
    r"""Years written as a number (negative before Christ) or as an ISO date, to the day.

    A number stays as it is. A date becomes :math:`1970 + d / 365.25` with d the days since 1 January 1970, computed
    as days: not read out of a time stamp, whose unit differs between versions of libraries. So 1 January 2000 is
    1999.9986, and its calendar year 2000. The time of the day is not used; a date without a day is the month's first.
    """
    fractional = np.empty(len(texts))
    calendar = np.empty(len(texts))
    for i, text in enumerate(texts):
        fractional[i], calendar[i] = _year(text)
    return Years(fractional, calendar)


def _year(text: str) -> tuple[float, float]:
    found = _DATE.fullmatch(text)
    if not found:
        value = number(text)
        return value, float(np.floor(value))
    try:
        date = np.datetime64(found[1], "D")
    except ValueError:  # a thirteenth month
        return np.nan, np.nan
    days = int(date.astype("datetime64[D]").astype(np.int64))
    return EPOCH + days / DAYS_PER_YEAR, float(date.astype("datetime64[Y]").astype(np.int64) + EPOCH)


def labels(calendar: np.ndarray, length: int) -> np.ndarray:
    """The first year of the span of ``length`` years that holds each calendar year: "1960", "-400" for 330 BC."""
    return np.array([str(int(length * np.floor(year / length))) for year in calendar], dtype=str)
