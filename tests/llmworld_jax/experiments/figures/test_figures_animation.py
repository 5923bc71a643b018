"""The moving picture: frames over geometric contexts, small, the same every time, ending in its still."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from llmworld_jax.experiments import animation


@pytest.fixture(scope="module")
def moving(made_up):
    return animation.law_animation(made_up("noisy_logistic_map")[0], frames=6)


def frames_of(gif: bytes) -> list[tuple[np.ndarray, int]]:
    """Pixels and milliseconds of each frame."""
    image, found = Image.open(io.BytesIO(gif)), []
    for k in range(image.n_frames):
        image.seek(k)
        found.append((np.asarray(image.convert("RGB")), image.info["duration"]))
    return found


def test_frames_stand_at_geometric_context_lengths():
    contexts = animation.frame_contexts(400)
    assert (contexts[0], contexts[-1]) == (1, 399)
    assert (np.diff(contexts) > 0).all()
    assert 18 <= len(contexts) <= 24
    ratios = np.diff(np.log(contexts[8:]))
    np.testing.assert_allclose(ratios, ratios.mean(), rtol=0.1)


def test_every_frame_differs_and_the_last_is_the_still(moving):
    frames = frames_of(moving.gif)
    assert len(frames) == len(animation.frame_contexts(60, 6)) == 6
    assert all((a[0] != b[0]).any() for a, b in itertools.pairwise(frames))
    still = np.asarray(Image.open(io.BytesIO(moving.still)).convert("RGB"))
    assert np.abs(frames[-1][0].astype(int) - still).mean() < 2  # but for the palette
    assert frames[-1][1] > frames[0][1] > 0


def test_paper_is_white_and_nothing_jumps(moving):
    frames = [pixels for pixels, _ in frames_of(moving.gif)]
    assert all((pixels[0, 0] == 255).all() and (pixels == 255).all(axis=-1).mean() > 0.5 for pixels in frames)
    left = [np.argmax((pixels.sum(axis=-1) < 200).sum(axis=0)) for pixels in frames]  # the column of the y axis
    assert len(set(left)) == 1


def test_it_is_small_and_repeats(made_up, moving):
    assert len(moving.gif) < 100_000
    assert animation.law_animation(made_up("noisy_logistic_map")[0], frames=6) == moving
