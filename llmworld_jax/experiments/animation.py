"""The predicted law as it grows over the context: a GIF, and its last frame as a still picture.

Frames are drawn by Matplotlib and share one palette, so that the file is small and equal results give equal bytes.
"""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .figure_style import MODEL, OBSERVER, RC, WIDTH, pyplot, title
from .law_figures import draw_truth, truth_mass
from .results import SystemResults

FRAMES = 22
DOTS_PER_INCH = 96
FRAME_MS, LAST_FRAME_MS = 450, 2500
COLORS = 64


class Moving(NamedTuple):
    """An animated picture and what stands in its place where nothing may move."""

    gif: bytes
    still: bytes


def frame_contexts(steps: int, frames: int = FRAMES) -> tuple[int, ...]:
    """Context lengths from 1 to the last, evenly spaced in their logarithm, without repeats."""
    return tuple(int(t) for t in np.unique(np.geomspace(1, steps - 1, frames).round().astype(int)))


def law_animation(r: SystemResults, seed: int = 0, frames: int = FRAMES) -> Moving:
    """Model, true law and ideal observer, frame by frame at geometric context lengths."""
    contexts = frame_contexts(r.codes.shape[1], frames)
    images = _frames(r, seed, contexts)
    return Moving(_gif(images), still(images[-1]))


def _frames(r: SystemResults, seed: int, contexts: tuple[int, ...]) -> list[np.ndarray]:
    """Pixels ``[row, column, rgb]`` of each frame."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH, 3.2), dpi=DOTS_PER_INCH, layout="constrained")
        pictures = []
        for t in contexts:
            axis.clear()
            _frame(axis, r, seed, t, _top(r, seed, contexts))
            figure.canvas.draw()
            figure.set_layout_engine("none")  # as the first frame was laid out: nothing jumps
            pictures.append(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())
        plt.close(figure)
        return pictures


def _top(r: SystemResults, seed: int, contexts: tuple[int, ...]) -> float:
    """One height for all frames: the highest bin of the model in any, and of the truth where that is no point."""
    at = list(contexts)
    model = float(np.exp(r.log_mass[seed, at]).max())
    truth = truth_mass(r)
    return model if truth is None else max(model, min(float(truth[seed, at].max()), 2 * model))


def _frame(axis: Any, r: SystemResults, seed: int, t: int, top: float) -> None:
    edges = r.edges[seed]
    axis.stairs(np.exp(r.log_mass[seed, t]), edges, fill=True, color=MODEL, alpha=0.75, label="model")
    draw_truth(axis, r, seed, t)
    axis.stairs(
        np.exp(r.observer.log_mass[seed, t]), edges, color=OBSERVER, lw=1, label="ideal observer", baseline=None
    )
    axis.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.05 * top))
    axis.set_ylabel("probability" if r.symbolic else "probability per bin")
    axis.set_xlabel("next symbol" if r.symbolic else "next value")
    if r.symbolic:
        axis.set_xticks((edges[1:] + edges[:-1]) / 2, [str(i) for i in range(len(edges) - 1)])
    axis.set_title(title(r.name))
    axis.set_title(f"after {t} item{'s' if t > 1 else ''}", loc="right", fontsize=10, fontweight="bold", color=MODEL)
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=3)


def _gif(images: list[np.ndarray]) -> bytes:
    from PIL import Image

    # One palette from the frames together: colours that a single frame lacks would flicker.
    samples = Image.fromarray(np.concatenate(images[:: max(1, len(images) // 6)]))
    palette = samples.quantize(COLORS, dither=Image.Dither.NONE)
    colors = np.array(palette.getpalette()).reshape(-1, 3)
    white = int(np.argmax(colors.sum(axis=1)))
    colors[white] = 255  # the mean of many light shades would tint the paper
    return encoded(images, palette, colors, white)


def encoded(images: Sequence[np.ndarray], palette: Any, colors: np.ndarray, white: int) -> bytes:
    """GIF of frames ``[row, column, rgb]``, each pixel the nearest of ``colors [index, rgb]``, which ``palette`` holds.

    The last frame stays longer. White stays white: Pillow rounds before it looks, and the paper would turn grey.
    """
    from PIL import Image

    frames = []
    for pixels in images:
        index = np.array(Image.fromarray(pixels).quantize(palette=palette, dither=Image.Dither.NONE))
        index[(pixels == 255).all(axis=-1)] = white
        frames.append(Image.fromarray(index))
        frames[-1].putpalette(colors.ravel().tolist())
    lasts = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=lasts, loop=0, optimize=True)
    return buffer.getvalue()


def still(pixels: np.ndarray) -> bytes:
    """One frame as PNG bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True, dpi=(DOTS_PER_INCH, DOTS_PER_INCH))
    return buffer.getvalue()
