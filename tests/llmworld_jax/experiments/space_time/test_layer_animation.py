"""The moving picture: one frame a layer, small, the same every time, in the colours of the map."""

import io
import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from llmworld_jax.experiments import flat_gif
from llmworld_jax.experiments.space_time import layer_animation

pytestmark = pytest.mark.slow  # one interpreter is enough


@pytest.fixture(scope="module")
def moving(made_up_study):
    return layer_animation.layer_animation(made_up_study("place"))


def frames_of(gif: bytes) -> list[np.ndarray]:
    image, found = Image.open(io.BytesIO(gif)), []
    for k in range(image.n_frames):
        image.seek(k)
        found.append(np.asarray(image.convert("RGB")).astype(int))
    return found


def test_there_is_a_frame_for_every_layer_and_all_differ(made_up_study, moving):
    frames = frames_of(moving.gif)
    assert len(frames) == len(made_up_study("place").sweep.predictions)
    assert all((a != b).any() for a, b in itertools.pairwise(frames))
    assert all((frame[0, 0] == 255).all() for frame in frames)
    assert len(moving.gif) < 150_000


def test_the_still_is_the_frame_of_the_chosen_layer(made_up_study, moving):
    r = made_up_study("place")
    still = np.asarray(Image.open(io.BytesIO(moving.still)).convert("RGB")).astype(int)
    apart = [np.abs(frame - still).mean() for frame in frames_of(moving.gif)]
    assert int(np.argmin(apart)) == np.bincount(r.sweep.chosen).argmax()
    assert min(apart) < 2  # but for the palette


def test_it_repeats_and_dates_move_too(made_up_study):
    r = made_up_study("time")
    first = layer_animation.layer_animation(r)
    assert layer_animation.layer_animation(r) == first
    assert len(frames_of(first.gif)) == len(r.sweep.predictions)


def test_only_tested_entities_are_drawn_and_never_too_many(made_up_study, monkeypatch):
    r = made_up_study("place")
    final = r.sweep.final.copy()
    final[::2] = np.nan
    half = r._replace(sweep=r.sweep._replace(final=final))
    assert (layer_animation.shown_entities(half) == np.arange(1, 60, 2)).all()
    monkeypatch.setattr(layer_animation, "MOST_POINTS", 10)
    shown = layer_animation.shown_entities(half)
    assert len(shown) == 10
    assert (shown[0], shown[-1]) == (1, 59)


def test_a_rare_colour_is_kept():
    """One pixel in ten thousand."""
    purple = np.round(255 * np.array(to_rgb("#9467bd"))).astype(np.uint8)
    image = np.full((100, 100, 3), 255, np.uint8)
    image[50, 50] = purple
    image[:40] = 200
    (frame,) = frames_of(flat_gif.gif([image], ("#9467bd", "#1f77b4")))
    assert np.abs(frame[50, 50] - purple).max() < 10
    assert (frame[99, 99] == 255).all()


def test_a_palette_fits_a_gif_however_many_colours_are_asked_for():
    colors = [f"#{k:06x}" for k in range(100)]
    palette = flat_gif.palette_of(colors)
    assert len(palette) == 256
    assert (palette[0] == 255).all()
    assert len(flat_gif.palette_of(("#ff0000", "#ff0000"))) == flat_gif.GREYS + len(flat_gif.SHADES)
