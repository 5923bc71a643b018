"""What a report is made of: numbers spelled well, pictures at their size, colours that can be read."""

import base64
import io
import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import figure

from llmworld_jax.errors import InputError
from llmworld_jax.report import Animation, Figure, Report, Section, Table
from llmworld_jax.report_blocks import spelled_column
from llmworld_jax.report_style import STYLE

GIF = b"GIF89a" + struct.pack("<HH", 300, 5) + bytes(20)


def png(width=600, height=300, dots_per_inch=None):
    """A grey-ramp PNG, written by hand."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))
    rows = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    resolution = b""
    if dots_per_inch:
        per_metre = round(dots_per_inch / 0.0254)
        resolution = chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + resolution + chunk(b"IDAT", zlib.compress(rows.tobytes())) + chunk(b"IEND", b"")
    )


def test_numbers_of_a_column_stand_under_each_other():
    assert spelled_column((0.5, 0.25, 0.1)) == ("0.5000", "0.2500", "0.1000")
    assert spelled_column((123.4, 1.0)) == ("123.4", "1.0")
    assert spelled_column((1234.5, 0.02)) == ("1234.500", "0.020")
    assert spelled_column((1e-9, -2e7, 0.0)) == ("1.00×10⁻⁹", "−2.00×10⁷", "0")
    assert spelled_column((-1, 20_000, None, "±3")) == ("−1", "20,000", "–", "±3")
    assert spelled_column((float("nan"), -np.inf, 1.0)) == ("NaN", "−∞", "1.000")
    assert spelled_column((True, np.bool_(False), np.int64(7), np.float32(0.5))) == (
        "yes",
        "no",
        "7",
        "0.5000",
    )


@given(st.lists(st.floats(width=32), min_size=1))
@settings(deadline=None, max_examples=200)
def test_spelled_numbers_are_close_to_the_numbers(values):
    for value, text in zip(values, spelled_column(tuple(values))):
        ascii_text = text.translate(str.maketrans("−∞⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-i-0123456789")).replace(",", "")
        read = float(ascii_text.replace("×10", "e").replace("i", "inf"))
        assert np.isclose(read, value, rtol=0.051, atol=6e-7, equal_nan=True)


def test_figures_take_their_printed_size():
    assert Figure(png(600, 300), "x").css_size() == (600, 300)
    assert Figure(png(600, 300, dots_per_inch=192), "x").css_size() == (300, 150)
    assert Figure(png(600, 300, dots_per_inch=48), "x").css_size() == (600, 300)
    stream = io.BytesIO()
    figure.Figure(figsize=(4, 2)).savefig(stream, dpi=200)
    assert Figure(stream.getvalue(), "x").css_size() == (384, 192)


def test_an_animation_is_as_large_as_its_pixels_and_its_bytes_are_kept():
    moving = Animation(GIF, png(), "x", "y")
    assert moving.css_size() == (300, 5)
    assert base64.b64decode(moving.data_uri().removeprefix("data:image/gif;base64,")) == GIF
    assert moving.still_figure() == Figure(png(), "x", "y")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Figure(b"GIF89a", "x"),
        lambda: Figure(png(), "  "),
        lambda: Animation(png(), png(), "x"),
        lambda: Animation(GIF, GIF, "x"),
        lambda: Animation(GIF, png(), ""),
        lambda: Animation(GIF[:10], png(), "x"),
        lambda: Table(("a", "b"), (("1", "2"), ("1",))),
        lambda: Report(" ", (), (), {}),
        lambda: Report("T", (), (Section("", ()),), {}),
    ],
)
def test_what_cannot_be_shown_is_refused(make):
    with pytest.raises(InputError, match=r"Got .* Expected .*\."):
        make()


def contrast(first, second):
    """The contrast ratio of two colours (WCAG 2): (lighter + 0.05) / (darker + 0.05)."""

    def luminance(colour):
        colour = colour if len(colour) == 7 else "#" + "".join(2 * c for c in colour[1:])
        channels = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ np.array([0.2126, 0.7152, 0.0722])

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_text_has_contrast_in_light_dark_and_print():
    schemes = [dict(re.findall(r"--(\w+):(#\w+)", part)) for part in STYLE.split(":root{")[1:]]
    assert len(schemes) == 3
    for scheme in schemes:
        for ink in ("ink", "soft", "link", "good", "neutral", "negative"):
            assert contrast(scheme[ink], scheme["paper"]) >= 4.5
            assert contrast(scheme[ink], scheme["panel"]) >= 4.5
