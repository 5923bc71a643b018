"""Numerals are exact: compared with rational arithmetic, edge by edge, and refused with an explanation."""

from fractions import Fraction
from math import floor

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmworld_jax.errors import InputError
from llmworld_jax.numerals import Numerals, display_units, rescaled

UNIT = Numerals(2, 0.0, 1.0)


@st.composite
def grids(draw, max_bins=4096):
    base = draw(st.integers(2, 10))
    precision = draw(st.integers(1, 9).filter(lambda p: base**p <= max_bins))
    low = draw(st.floats(-1e6, 1e6))
    high = low + draw(st.floats(1e-3, 1e6))
    assume(high > low)
    return Numerals(precision, low, high, base)


@pytest.mark.parametrize(
    ("value", "precision", "code"),
    [
        (0.15, 2, 15),
        (0.85, 2, 85),
        (0.29, 2, 29),
        (0.2147, 3, 214),
        (0.57, 2, 57),
        (0.123456789, 9, 123456789),
    ],
)
def test_decimals_are_cut_as_written(value, precision, code):
    assert Numerals(precision, 0, 1).encode(value) == code


def test_every_decimal_of_up_to_five_places_is_exact():
    for precision in range(1, 6):
        written = np.array([float(f"0.{i:0{precision}d}") for i in range(10**precision)])
        np.testing.assert_array_equal(Numerals(precision, 0, 1).encode(written), np.arange(10**precision))


@settings(deadline=None)
@given(grids())
def test_edges_are_coded_as_the_bin_above_and_the_end_is_outside(numerals):
    edges = numerals.edges()
    assert (np.diff(edges) > 0).all()
    assert (edges[0], edges[-1]) == (numerals.low, numerals.high)
    np.testing.assert_array_equal(numerals.encode(edges[:-1]), np.arange(numerals.num_bins))
    with pytest.raises(InputError, match="1 of"):
        numerals.encode(edges)


@settings(deadline=None)
@given(grids(), st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20))
def test_codes_are_those_of_rational_arithmetic(numerals, places):
    x = np.array([numerals.low + u * (numerals.high - numerals.low) for u in places])
    x = x[x < numerals.high]
    width = Fraction(numerals.high) - Fraction(numerals.low)
    for value, code in zip(x.tolist(), numerals.encode(x).tolist()):
        exact = (Fraction(value) - Fraction(numerals.low)) / width * numerals.num_bins
        near = round(exact)
        assert code == floor(exact) or (abs(exact - near) < 1e-3 and code == near)


@settings(deadline=None)
@given(grids(), st.floats(0, 1, exclude_max=True))
def test_decoding_is_within_half_a_bin(numerals, place):
    x = min(numerals.low + place * (numerals.high - numerals.low), np.nextafter(numerals.high, -np.inf))
    assert abs(numerals.decode(numerals.encode(x)) - x) <= numerals.bin_width * (0.5 + 1e-3)


@settings(deadline=None)
@given(grids(), st.data())
def test_digits_are_the_place_values(numerals, data):
    codes = np.array(data.draw(st.lists(st.integers(0, numerals.num_bins - 1), min_size=1, max_size=9)))
    digits = numerals.digits(codes)
    assert digits.shape == (len(codes), numerals.precision)
    np.testing.assert_array_equal(numerals.codes(digits), codes)
    for code, row in zip(codes.tolist(), digits.tolist()):
        assert int("".join(map(str, row)), numerals.base) == code if numerals.base < 10 else True
        assert np.base_repr(code, numerals.base).zfill(numerals.precision) == "".join(map(str, row))


@settings(deadline=None)
@given(grids(), st.data())
def test_coarse_edges_are_edges_of_the_fine_grid(numerals, data):
    places = data.draw(st.integers(0, numerals.precision))
    step = numerals.base ** (numerals.precision - places)
    tolerance = 1e-9 * max(abs(numerals.low), abs(numerals.high))
    np.testing.assert_allclose(numerals.edges(places), numerals.edges()[::step], rtol=0, atol=tolerance)


@settings(deadline=None)
@given(grids())
def test_the_last_value_below_the_end_is_in_the_last_bin(numerals):
    assert numerals.encode(np.nextafter(numerals.high, -np.inf)) == numerals.num_bins - 1


def test_symbols_are_their_own_codes():
    chain = Numerals(base=4, precision=1, low=0, high=4)
    np.testing.assert_array_equal(chain.encode(np.arange(4)), np.arange(4))
    np.testing.assert_array_equal(chain.digits(3), [3])
    assert chain == Numerals(1, 0.0, 4.0, 4)
    assert hash(chain) == hash(Numerals(1, 0.0, 4.0, 4))


def test_jax_arrays_and_shapes_are_taken():
    codes = UNIT.encode(jnp.array([[0.25, 0.5], [0.75, 0.99]], dtype=jnp.bfloat16))
    assert codes.dtype == np.int64
    np.testing.assert_array_equal(codes, [[25, 50], [75, 98]])  # bfloat16 has no 0.99
    assert UNIT.decode(7) == 0.075
    np.testing.assert_allclose(display_units(UNIT, jnp.array([0.15, 0.85])), [1.5, 8.5], rtol=1e-6)


@settings(deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50, unique=True).map(np.array),
    st.integers(1, 4),
)
def test_rescaling_puts_the_extremes_on_the_margin(series, precision):
    assume(series.max() - series.min() > 1e-3)
    numerals = rescaled(series, precision)
    codes = numerals.encode(series)
    share = (np.array([series.min(), series.max()]) - numerals.low) / (numerals.high - numerals.low)
    np.testing.assert_allclose(share, [0.15, 0.85], atol=1e-6)
    assert codes.min() == int("1500"[:precision])  # the fault of the original: 14 and 84
    assert codes.max() == int("8500"[:precision])


def test_a_warm_up_does_not_look_ahead():
    series = np.sin(np.arange(200.0)) + 3
    causal = rescaled(series, 2, warmup=20)
    changed = series.copy()
    changed[20:] = series[20:][::-1]
    assert causal == rescaled(changed, 2, warmup=20)
    assert causal == rescaled(series[:20], 2)
    assert causal != rescaled(series, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rescaled([], 2), r"shape \(0,\)"),
        (lambda: rescaled([1.0], 2), r"shape \(1,\).*two or more"),
        (lambda: rescaled([[1.0, 2.0]], 2), r"shape \(1, 2\).*one axis"),
        (
            lambda: rescaled([0.0, np.nan, 1.0, np.inf], 2),
            r"2 of 4 values unusable, the first nan at index 1",
        ),
        (lambda: rescaled([3.0, 3.0], 2), "3.0 throughout.*Choose the range yourself"),
        (lambda: rescaled([3.0, 3.0, 4.0], 2, warmup=2), "warm-up of 2 values that is 3.0 throughout"),
        (lambda: rescaled([0.0, 1.0, 9.0], 2, warmup=2), "first 9.0 at index 2.*longer warm-up"),
        (lambda: rescaled([0.0, 1.0], 2, warmup=1), "warmup 1"),
        (lambda: rescaled([0.0, 1.0], 2, warmup=3), "warmup 3"),
        (lambda: rescaled([0.0, 1.0], 2, margin=(0.5, 0.5)), "margin"),
        (lambda: rescaled(["a", "b"], 2), "real numbers"),
        (
            lambda: UNIT.encode([0.5, 1.0, -0.1]),
            r"2 of 3 values unusable, the first 1.0 at index 1.*\[0.0, 1.0\)",
        ),
        (lambda: UNIT.encode([[0.5, 0.1], [np.nan, 0.0]]), r"nan at index \(1, 0\)"),
        (lambda: UNIT.encode(1j), "real numbers"),
        (lambda: UNIT.encode([[1.0], [1.0, 2.0]]), "real numbers"),
        (lambda: UNIT.decode([5, 100]), "first 100 at index 1.*0..99"),
        (lambda: UNIT.decode([0.5]), "whole numbers"),
        (lambda: UNIT.codes([1, 10]), "first 10 at index 1"),
        (lambda: UNIT.codes([1, 2, 3]), r"shape \(3,\)"),
        (lambda: UNIT.edges(3), "places 3"),
        (lambda: Numerals(0, 0, 1), "precision 0.*1..9"),
        (lambda: Numerals(10, 0, 1), "precision 10"),
        (lambda: Numerals(True, 0, 1), "precision True"),
        (lambda: Numerals(2, 0, 1, base=11), "base 11"),
        (lambda: Numerals(2, 1, 1), "low < high"),
        (lambda: Numerals(2, 2, 1), "low < high"),
        (lambda: Numerals(2, np.nan, 1), "low < high"),
        (lambda: Numerals(2, 0, np.inf), "low < high"),
        (lambda: Numerals(9, 1e9, 1e9 + 1), "float64 tells apart"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(make, message):
    with pytest.raises(InputError, match=message):
        make()
